"""The projections, written anew from the facts; see `gateway.store.steps_reads`."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from gateway.domain.compact import Render
from gateway.domain.identifiers import PersonKey
from gateway.store import sql
from gateway.store.steps import Fetch, Steps, Write
from gateway.store.steps_reads import END_OF_TIME, histories_known_at

_PAGE_PEOPLE: Final = 500


def rebuilt(render: Render) -> Steps[None]:
    """
    Write every person's projection anew from the facts; versions stay, since no fact changed.

    Memory holds one page of people at a time.
    """
    last = b""
    while page := (yield Fetch(sql.PEOPLE_AFTER, (last, _PAGE_PEOPLE))):
        versions: dict[PersonKey, int] = dict(page)
        histories = yield from histories_known_at(versions.keys(), END_OF_TIME)
        yield Write(
            sql.PUT_HISTORY,
            [
                sql.history_row(structs.replace(one, version=versions[one.person_key]), render)
                for one in histories
            ],
        )
        last = page[-1][0]
