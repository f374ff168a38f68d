"""List an insurer's enrollees who lost cover and had a card or a certificate (回収対象一覧)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.domain.collection import Collection, CollectionState, collection_of
from gateway.domain.coverage import Coverage
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber
from gateway.domain.purpose import DataCategory, Operation
from gateway.store.port import Enrollee
from gateway.store.port_insurers import CollectionPlace, Lists
from gateway.usecases.context import Context
from gateway.usecases.door import Door, Errand, Looked

ERRAND: Final = Errand(
    purpose="KP1-I-01",
    operation=Operation.USE,
    data=frozenset({DataCategory.QUALIFICATION, DataCategory.CERTIFICATE}),
    recipient=None,
)
FROM_THE_FIRST: Final[CollectionPlace] = (date.min, EnrolleeKey(b""), 0)


@dataclass(frozen=True, slots=True)
class CollectionPage:
    """Some covers with their papers, and where the next page begins; None after the last one."""

    covers: tuple[tuple[Coverage, Collection], ...]
    last: CollectionPlace | None


async def list_collections(
    state: CollectionState,
    after: CollectionPlace,
    covers_max: int,
    context: Context,
    store: Lists,
    door: Door,
) -> CollectionPage:
    """
    Give a page of the caller's covers in a state, through the door.

    Args:
        state: To collect, collected or uncollected; nothing is listed before a loss.

        after: Where the page before ended.

        covers_max: How many covers a page tells of.

    Raises:
        NotPermitted: As the door.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    insurer = InsurerNumber(context.caller.code)

    async def look() -> Looked[CollectionPage]:
        places = await store.collections(insurer, state, after, covers_max + 1)
        told = places[:covers_max]
        keys = sorted({key for _, key, _ in told})
        loaded = await store.load((), (), keys) if keys else None
        enrollees = {
            one.enrolment.enrollee_key: one for one in (() if loaded is None else loaded.enrollees)
        }
        page = CollectionPage(
            tuple(_covers(told, enrollees)), told[-1] if len(places) > covers_max else None
        )
        people = tuple(sorted({enrollees[key].person_key for key in keys if key in enrollees}))
        return Looked(page, "ANSWERED", str(len(page.covers)), people)

    page, _ = await door.opened(context, ERRAND, look)
    return page


def _covers(
    places: Sequence[CollectionPlace], enrollees: dict[EnrolleeKey, Enrollee]
) -> Iterable[tuple[Coverage, Collection]]:
    for _, key, cover_no in places:
        for cover in enrollees[key].enrolment.covers if key in enrollees else ():
            collection = collection_of(cover) if cover.cover_no == cover_no else None
            if collection is not None:
                yield cover, collection
