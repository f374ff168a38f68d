"""List what was refused of an upload: all that is kept of it, where its report is cut."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.errors import Conflict
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.reasons import REASONS, Advice
from gateway.store.port import RefusedLine, UploadState
from gateway.usecases.upload_coverage import Receiver, are_lines_disposed, upload_key_of


@dataclass(frozen=True, slots=True)
class RefusedPage:
    """Refused lines with what to do, and the last of them if there are more."""

    refused: tuple[tuple[RefusedLine, Advice], ...]
    last: RefusedLine | None


async def list_refused_lines(
    insurer: InsurerNumber,
    request_id: str,
    after: RefusedLine | None,
    lines_max: int,
    receiver: Receiver,
) -> RefusedPage:
    """
    Give a page of an insurer's own upload. It holds no personal data, so there is no door.

    Raises:
        InvalidInput: `REQUEST_ID_WRONG`.
        NotFound: `UPLOAD_UNKNOWN`.
        Conflict: `UPLOAD_NOT_APPLIED`; a list that grows would be listed with gaps.
            `FACTS_DISPOSED`; the list's time of keeping is over.
    """
    upload_key = upload_key_of(insurer, request_id)
    upload = await receiver.store.upload(upload_key)
    if upload is None:
        await receiver.status(insurer, request_id)
    if upload is None or upload.state is not UploadState.APPLIED:
        raise Conflict("UPLOAD_NOT_APPLIED", "request_id")
    lines = await receiver.store.refused_lines(upload_key, lines_max + 1, after)
    if upload.lines_refused and await are_lines_disposed(upload, receiver.store):
        raise Conflict("FACTS_DISPOSED", "request_id")
    page = tuple((line, REASONS[line.reason]) for line in lines[:lines_max])
    return RefusedPage(page, page[-1][0] if len(lines) > lines_max else None)
