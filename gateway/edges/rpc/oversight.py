"""CoverageService's methods by which an insurer oversees its numbers; the writer serves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.domain.changes import Target
from gateway.domain.errors import InvalidInput
from gateway.domain.identifiers import EnrolleeKey
from gateway.domain.period import Instant
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert, convert_card
from gateway.edges.rpc.server import Method, read
from gateway.usecases.context import Context
from gateway.usecases.number_oversight import FROM_THE_NEWEST, NumberOversight, Place
from gateway.v1 import coverage_pb2 as pb

INSURERS = frozenset({Role.INSURER})
ENROLLEES_IF_NOT_SAID: Final = 200
LOOKS_IF_NOT_SAID: Final = 100
PAGE_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class OversightMethods:
    """Serves insurers; there is one, in the writer."""

    oversight: NumberOversight

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        return (
            Method(
                "CoverageService/RecheckIndividualNumbers",
                INSURERS,
                unary=self.recheck_individual_numbers,
            ),
            Method(
                "CoverageService/SearchIndividualNumbers",
                INSURERS,
                unary=self.search_individual_numbers,
            ),
            Method("CoverageService/ListLooksThrough", INSURERS, unary=self.list_looks_through),
        )

    async def recheck_individual_numbers(self, request: bytes, context: Context) -> bytes:
        """Have a page of numbers checked again."""
        said = read(pb.RecheckIndividualNumbersRequest, request)
        size, after = _page_size(said.page_size, ENROLLEES_IF_NOT_SAID), _after(said.page_token)
        done = await self.oversight.recheck(said.request_id, after, size, context)
        return pb.RecheckIndividualNumbersResponse(
            numbers_waiting=done.waiting,
            next_page_token="" if done.last is None else done.last.hex(),
        ).SerializeToString()

    async def search_individual_numbers(self, request: bytes, context: Context) -> bytes:
        """Have a page of missing numbers looked for."""
        said = read(pb.SearchIndividualNumbersRequest, request)
        size, after = _page_size(said.page_size, ENROLLEES_IF_NOT_SAID), _after(said.page_token)
        done = await self.oversight.search(said.request_id, after, size, context)
        return pb.SearchIndividualNumbersResponse(
            numbers_wanted=done.wanted,
            items_missing=done.items_missing,
            next_page_token="" if done.last is None else done.last.hex(),
        ).SerializeToString()

    async def list_looks_through(self, request: bytes, context: Context) -> bytes:
        """List who could have seen an enrollee's covers."""
        said = read(pb.ListLooksThroughRequest, request)
        target = Target(
            convert.insured_id(said.insured_id), convert.day(said.birth_date, "birth_date")
        )
        size = _page_size(said.page_size, LOOKS_IF_NOT_SAID)
        page = await self.oversight.looks_through(target, _place(said.page_token), size, context)
        return pb.ListLooksThroughResponse(
            looks=[
                convert_card.look_through(look, is_numbered) for look, is_numbered in page.looks
            ],
            next_page_token="" if page.last is None else f"{page.last[0]}.{page.last[1]}",
        ).SerializeToString()


def _page_size(said: int, if_not_said: int) -> int:
    size = said or if_not_said
    if not 1 <= size <= PAGE_MAX:
        raise InvalidInput("FORMAT_WRONG", "page_size")
    return size


def _after(token: str) -> EnrolleeKey:
    try:
        return EnrolleeKey(bytes.fromhex(token))
    except ValueError:
        raise InvalidInput("FORMAT_WRONG", "page_token") from None


def _place(token: str) -> Place:
    if not token:
        return FROM_THE_NEWEST
    at, _, record_id = token.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) < len(str(FROM_THE_NEWEST[0])) and record_id):
        raise InvalidInput("FORMAT_WRONG", "page_token")
    return Instant(int(at)), record_id
