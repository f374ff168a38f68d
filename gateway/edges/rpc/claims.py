"""
ClaimService over the read store: a claim file in, one outcome a claim and a summary out.

A chunk is read when the outcomes of the chunk before are taken, so neither a slow reader nor a
large file makes the server hold more than a chunk. It keeps nothing when the call has ended.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.domain.claims import Claim
from gateway.domain.coverage import VersionRef
from gateway.domain.errors import InvalidInput, Refusal, TooMuch
from gateway.domain.identifiers import UnidentifiedInsurer
from gateway.domain.purpose import Role
from gateway.domain.reasons import REASONS
from gateway.domain.reassignment import (
    BillAsWritten,
    Decision,
    FixBranch,
    Keep,
    Reassign,
    Unidentified,
)
from gateway.edges.rpc import convert
from gateway.edges.rpc.server import Method, read
from gateway.formats.uke import UkeClaim, UkeError, UkeHeader, UkeItem, UkeLimits, UkeReader
from gateway.formats.uke_edit import (
    CheckedIdentity,
    claim_type_for,
    moved,
    totals_of,
    with_branch,
    with_check_code,
)
from gateway.formats.uke_records import LINE_END
from gateway.usecases.check_claims import Checked, Checking
from gateway.usecases.context import Clock, Context
from gateway.v1 import claims_pb2 as pb
from gateway.v1 import eligibility_pb2, types_pb2

REVIEW_BODIES: Final = frozenset({Role.REVIEW_BODY})
PIECE_BYTES: Final = 1024
"""How much is read at once: lookups of the same worker wait that long, a few ms at the worst."""
SLICE_BYTES: Final = 64 * 1024
"""How much of a chunk is checked together."""


@dataclass(frozen=True, slots=True)
class ClaimLimits:
    """
    Bounds of a stream: bytes of one chunk and of all, and how long a sender may be silent.

    The bytes of all count to the end, whether anything still comes of them or not.
    """

    chunk_bytes_max: int
    file_bytes_max: int
    idle_s: float


@dataclass(slots=True)
class _Tally:
    """What the summary tells; `file_errors` is bounded by the reader's limit."""

    codes: Counter[str] = field(default_factory=Counter)
    claims_with_errors: int = 0
    file_errors: list[UkeError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ClaimService:
    """Answers review bodies."""

    checking: Checking[UkeClaim]
    clock: Clock
    limits: ClaimLimits
    file_limits: UkeLimits

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        return (Method("ClaimService/CheckClaims", REVIEW_BODIES, stream=self.check_claims),)

    async def check_claims(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        """Check a file; see the proto for the order of messages and what is refused."""
        reader, tally = UkeReader(self.file_limits), _Tally()
        is_first = True
        size = 0
        while (data := await self._next(requests, is_first=is_first)) is not None:
            is_first = False
            size += len(data)
            _require_size("file", size, self.limits.file_bytes_max)
            for at in range(0, len(data), SLICE_BYTES):
                items = await _read_in_pieces(reader, data[at : at + SLICE_BYTES])
                async with aclosing(self._told(items, context, tally)) as answers:
                    async for answer in answers:
                        yield answer
        async with aclosing(self._told(reader.finish(), context, tally)) as answers:
            async for answer in answers:
                yield answer
        yield pb.CheckClaimsResponse(summary=_summary(tally)).SerializeToString()

    async def _next(self, requests: AsyncIterator[bytes], *, is_first: bool) -> bytes | None:
        """The next bytes of the file; None at its end. Who sends empty chunks says nothing."""
        data: bytes | None = b""
        try:
            async with asyncio.timeout(self.limits.idle_s):
                while data == b"":
                    data = self._said(await anext(requests, None), is_first=is_first)
                    is_first = False
        except TimeoutError:
            raise InvalidInput("FIELD_REQUIRED", "finish") from None
        return data

    def _said(self, message: bytes | None, *, is_first: bool) -> bytes | None:
        """The bytes a message carries; None if it ends the file."""
        if message is None:
            raise InvalidInput("FIELD_REQUIRED", "finish")
        said = read(pb.CheckClaimsRequest, message)
        match said.WhichOneof("step"):
            case "chunk":
                _require_size("chunk", len(said.chunk.data), self.limits.chunk_bytes_max)
                return said.chunk.data
            case "finish":
                return None
            case _ if is_first:
                return b""
            case _:
                raise InvalidInput("MESSAGE_MALFORMED", "step")

    async def _told(
        self, items: Iterable[UkeItem], context: Context, tally: _Tally
    ) -> AsyncGenerator[bytes, None]:
        """What is told about the items one chunk completed, at the moment it came."""
        claims: list[UkeClaim] = []
        for item in items:
            match item:
                case UkeHeader():
                    yield _header(item)
                case UkeClaim():
                    claims.append(item)
                case UkeError():
                    tally.file_errors.append(item)
        now = replace(context, now=self.clock())
        async with aclosing(self.checking.check_claims(claims, now)) as outcomes:
            async for checked in outcomes:
                tally.claims_with_errors += checked.decision is None
                if checked.decision is not None:
                    tally.codes[checked.decision.check_code] += 1
                yield pb.CheckClaimsResponse(outcome=outcome(checked)).SerializeToString()


def _require_size(what: str, size: int, bytes_max: int) -> None:
    if size > bytes_max:
        raise TooMuch("MESSAGE_TOO_LARGE", what, bytes_max=str(bytes_max))


async def _read_in_pieces(reader: UkeReader, data: bytes) -> list[UkeItem]:
    """Read, and let others run in between."""
    items: list[UkeItem] = []
    for at in range(0, len(data), PIECE_BYTES):
        items += reader.feed(data[at : at + PIECE_BYTES])
        await asyncio.sleep(0)
    return items


def is_writable(item: UkeClaim, decision: Reassign) -> bool:
    """Whether the claim's records can hold the identity it would go on under."""
    try:
        records_of(item, decision)
    except Refusal:
        return False
    return True


def records_of(item: UkeClaim, decision: Decision) -> bytes:
    """
    Spell a claim as it goes on; with 02 the bytes that came.

    Raises:
        InvalidInput: `TOO_LONG`, `FORMAT_WRONG` if a claim cannot hold the new identity.
    """
    match decision:
        case Keep():
            return item.encoded
        case Unidentified() | BillAsWritten():
            return with_check_code(item, decision.check_code)
        case FixBranch():
            return with_branch(item, decision.branch)
        case Reassign():
            assert item.claim is not None
            to = decision.to.insured_id
            claim_type = claim_type_for(
                item.claim.claim_type, decision.patient_class, to.insurer_number.kind
            )
            identity = CheckedIdentity(to, claim_type, decision.benefit_percent)
            return moved(item, identity)


def outcome(checked: Checked[UkeClaim]) -> pb.ClaimOutcome:
    """Spell what became of a claim."""
    item, decision = checked.item, checked.decision
    line_number = item.records[0].line_number
    if decision is None or item.claim is None:
        return pb.ClaimOutcome(
            claim_number=item.number or 0,
            line_number=line_number,
            errors=[_error(error) for error in item.errors],
        )
    written = _written_insurer(item.claim)
    is_moved = isinstance(decision, Reassign)
    claim_count, points = totals_of([item])
    return pb.ClaimOutcome(
        claim_number=item.claim.number,
        line_number=line_number,
        check_code=decision.check_code,
        reason=decision.why.name,
        explanation_ja=decision.why.value.ja,
        explanation_en=decision.why.value.en,
        written_insurer_number=written,
        insurer_number=(
            decision.to.insured_id.insurer_number.zero_padded
            if isinstance(decision, Reassign)
            else written
        ),
        is_moved=is_moved,
        records=records_of(item, decision),
        claim_count=claim_count,
        points=points,
        access_record_id=checked.record_id,
        decided_by=[_version(ref) for ref in decision.decided_by],
    )


def _written_insurer(claim: Claim) -> str:
    if claim.insured_id is not None:
        return claim.insured_id.insurer_number.zero_padded
    return UnidentifiedInsurer().zero_padded if claim.is_unidentified else ""


def _version(ref: VersionRef) -> eligibility_pb2.DecidingVersion:
    return eligibility_pb2.DecidingVersion(
        enrollee_key=ref.enrollee_key.hex(),
        cover_number=ref.cover_no,
        version_number=ref.version_no,
        recorded_time=convert.timestamp(ref.recorded_time),
    )


def _header(item: UkeHeader) -> bytes:
    header = pb.ClaimFileHeader(
        record=item.record.raw + LINE_END,
        institution_code=item.institution_code,
        billing_month=item.billing_month,
    )
    return pb.CheckClaimsResponse(header=header).SerializeToString()


def _error(error: UkeError) -> pb.ClaimFileError:
    return pb.ClaimFileError(
        line_number=error.line_number,
        record=error.record,
        field=error.field,
        reason=error.reason,
        advice=types_pb2.Advice(**REASONS[error.reason]._asdict()),
    )


def _summary(tally: _Tally) -> pb.ClaimFileSummary:
    return pb.ClaimFileSummary(
        counts=[
            pb.CheckCodeCount(check_code=code, claims=claims)
            for code, claims in sorted(tally.codes.items())
        ],
        claims_with_errors=tally.claims_with_errors,
        file_errors=[_error(error) for error in tally.file_errors],
    )
