"""
The gateway's own call to the resident register, as a gRPC client.

The one outbound module (house 3): loopback only unless the settings say otherwise. The number is
revealed here and nowhere else on this side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import grpc
import structlog
from google.type.date_pb2 import Date

from gateway.domain.coverage import Sex
from gateway.domain.errors import InvalidInput, Unavailable
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.residents import Finding, FiveItems
from gateway.usecases.residents import Asked
from gateway.v1 import resident_register_pb2 as pb
from gateway.v1 import types_pb2
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterServiceStub

_CODES: Final = {
    Sex.MALE: types_pb2.SEX_MALE,
    Sex.FEMALE: types_pb2.SEX_FEMALE,
    Sex.UNSET: types_pb2.SEX_UNSET,
}
DEADLINE_S: Final = 30
"""How long the register may take for one call; it is asked again after that."""


_log = structlog.get_logger()


class GrpcResidentRegister:
    """A `ResidentRegister` behind a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ResidentRegisterServiceStub(channel)

    async def findings(self, asked: Sequence[Asked]) -> Sequence[Finding]:
        """See `ResidentRegister`."""
        request = pb.CheckResidentsRequest(checks=[_check(one) for one in asked])
        try:
            answer = await self._stub.CheckResidents(request, timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise _away(error) from None
        if len(answer.findings) != len(asked):
            raise Unavailable("RESIDENT_REGISTER_UNAVAILABLE")
        return [_finding(one) for one in answer.findings]

    async def numbers_of(self, people: Sequence[FiveItems]) -> Sequence[IndividualNumber | None]:
        """See `ResidentRegister`."""
        request = pb.FindNumberRequest(people=[_items(items) for items in people])
        try:
            answer = await self._stub.FindNumber(request, timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise _away(error) from None
        if len(answer.individual_numbers) != len(people):
            raise Unavailable("RESIDENT_REGISTER_UNAVAILABLE")
        return [_number(digits) for digits in answer.individual_numbers]

    async def holder_of(self, certificate: bytes) -> IndividualNumber | None:
        """See `ResidentRegister`."""
        request = pb.FindHolderRequest(certificate=certificate)
        try:
            answer = await self._stub.FindHolder(request, timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise _away(error) from None
        return _number(answer.individual_number)


def _away(error: grpc.aio.AioRpcError) -> Unavailable:
    """What a register that does not answer is to us; why is for the operator."""
    _log.warning("resident_register_away", code=error.code().name)
    return Unavailable("RESIDENT_REGISTER_UNAVAILABLE")


def _number(digits: str) -> IndividualNumber | None:
    try:
        return IndividualNumber.parse(digits) if digits else None
    except InvalidInput:
        raise Unavailable("RESIDENT_REGISTER_UNAVAILABLE") from None


def _check(asked: Asked) -> pb.ResidentCheck:
    return pb.ResidentCheck(individual_number=asked.number.reveal(), registered=_items(asked.items))


def _items(items: FiveItems) -> pb.FiveItems:
    born = items.birth_date
    return pb.FiveItems(
        name=items.name,
        name_kana=items.name_kana,
        birth_date=Date(year=born.year, month=born.month, day=born.day),
        sex=_CODES[items.sex],
        address=items.address,
    )


def _finding(message: pb.ResidentFinding) -> Finding:
    return Finding(
        is_known=message.is_known,
        is_name_different=message.is_name_different,
        is_name_kana_different=message.is_name_kana_different,
        is_birth_date_different=message.is_birth_date_different,
        is_sex_different=message.is_sex_different,
        is_address_different=message.is_address_different,
    )
