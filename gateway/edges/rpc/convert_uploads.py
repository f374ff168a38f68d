"""Proto to domain and back for the pages of refused lines; see `convert`."""

from __future__ import annotations

import re
from typing import Final

from gateway.domain.errors import InvalidInput
from gateway.edges.rpc.convert import refused_line
from gateway.store.port import RefusedLine
from gateway.usecases.list_refused_lines import RefusedPage
from gateway.v1 import coverage_pb2

PAGE_IF_NOT_SAID: Final = 500
PAGE_MAX: Final = 1_000
"""With their advice so many lines stay well within a message."""

_TOKEN: Final = re.compile("([0-9]{1,18}):([a-z0-9_]{0,64}):([A-Z_]{1,64})", re.ASCII)


def refused_page(
    said: coverage_pb2.ListRefusedLinesRequest,
) -> tuple[RefusedLine | None, int]:
    """
    Read which page is asked for: the line before it, and its size.

    Raises:
        InvalidInput: `FORMAT_WRONG`, `PAGE_TOKEN_WRONG`.
    """
    size = said.page_size or PAGE_IF_NOT_SAID
    if not 1 <= size <= PAGE_MAX:
        raise InvalidInput("FORMAT_WRONG", "page_size")
    if not said.page_token:
        return None, size
    read = _TOKEN.fullmatch(said.page_token)
    if read is None:
        raise InvalidInput("PAGE_TOKEN_WRONG", "page_token")
    return RefusedLine(int(read[1]), read[2], read[3]), size


def refused_lines(page: RefusedPage) -> coverage_pb2.ListRefusedLinesResponse:
    """Spell a page of refused lines."""
    last = page.last
    return coverage_pb2.ListRefusedLinesResponse(
        refused_lines=[refused_line(line, advice) for line, advice in page.refused],
        next_page_token=f"{last.line_number}:{last.column}:{last.reason}" if last else "",
    )
