"""
Three ways a desk asks, and their judgement: by number, by card, by a file in a folder.

Each gives the official validity it was told, or None; what was wrong is reported as a failure.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from locust.env import Environment

from gateway.domain.card import HolderCheck
from gateway.v1 import card_pb2, card_pb2_grpc, eligibility_pb2, eligibility_pb2_grpc, types_pb2
from loadtests.grpc_user import Connection, Expectation, report
from loadtests.load_places import Plan, Question, date_message, problem_with
from simulators.cards import SimulatedCard
from simulators.catalogue import ON
from simulators.clinic import FileEncoding, encoded_xml, read_result, request_xml

FACE_SCORE: Final = 96
FOLDER_POLL_S: Final = 0.02
FOLDER_S_MAX: Final = 15.0


class NumberDesk:
    """Asks by number on a connection of an institution."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.stub = eligibility_pb2_grpc.EligibilityServiceStub(connection.channel)

    def ask(self, route: str, question: Question, refusal: str = "") -> int | None:
        """Ask about `ON`; a `refusal`, if given, must come instead of an answer."""
        request = eligibility_pb2.ConfirmEligibilityRequest(
            insured_id=types_pb2.InsuredId(**question.card.cells()),
            birth_date=date_message(question.birth_date),
            confirmation_date=date_message(ON),
        )
        expectation = Expectation(
            route, lambda told: problem_with(told.validity, question.expected), refusal
        )
        answer = self.connection.call(self.stub.ConfirmEligibility, request, expectation)
        return None if answer is None else int(answer.validity)


class CardDesk:
    """Puts a card on a reader, on a connection of an institution."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.stub = card_pb2_grpc.CardReaderServiceStub(connection.channel)

    def ask(
        self,
        route: str,
        card: SimulatedCard,
        expected: tuple[int, ...],
        pin: str = "",
        *,
        is_alike: bool = True,
    ) -> int | None:
        """Take a visit; the holder is checked by PIN if there is one, else by face."""
        begun = self.connection.call(
            self.stub.BeginVisit, card_pb2.BeginVisitRequest(), Expectation(f"begin {route}")
        )
        if begun is None:
            return None
        check = HolderCheck.PIN if pin else HolderCheck.FACE
        request = card_pb2.ConfirmByCardRequest(
            proof=card.prove(
                begun.challenge, check, pin=pin, face_score=FACE_SCORE, is_alike=is_alike
            ),
            confirmation_date=date_message(ON),
        )
        expectation = Expectation(
            route,
            lambda told: problem_with(told.confirmation.validity, expected),
            "" if is_alike else "FACE_NOT_MATCHED",
        )
        answer = self.connection.call(self.stub.ConfirmByCard, request, expectation)
        return None if answer is None else int(answer.confirmation.validity)


class FolderDesk:
    """Asks through the folders; every second desk writes Shift_JIS."""

    def __init__(self, environment: Environment, plan: Plan) -> None:
        self.environment = environment
        self.plan = plan
        self.place = plan.claim("folder-desk")
        self.encoding: FileEncoding = "shift_jis" if self.place % 2 else "utf-8"
        self.asked = 0

    def ask(self, route: str, question: Question) -> int | None:
        """Drop a request and wait for its answer."""
        self.asked += 1
        suffix = f"{self.place:04}{self.asked:08}"
        text = request_xml(
            self.plan.institution_code, suffix, question.card, question.birth_date, ON, False
        )
        name = f"OQSsiquc01req_{suffix}.xml"
        written = Path(self.plan.outbox) / name
        began = time.perf_counter()
        written.write_bytes(encoded_xml(text, self.encoding))
        written.rename(Path(self.plan.req) / name)
        validity, problem = self._answer(name, began + FOLDER_S_MAX)
        problem = problem or problem_with(validity, question.expected)
        report(self.environment, "folder", route, began, problem)
        return validity

    def _answer(self, name: str, until: float) -> tuple[int | None, str]:
        """Wait for the result or the error file, read it and delete it."""
        res = Path(self.plan.res)
        result, rejected = res / name.replace("01req_", "01res_"), (res / name).with_suffix(".err")
        while time.perf_counter() < until:
            time.sleep(FOLDER_POLL_S)
            if rejected.exists():
                rejected.unlink()
                (res / name).unlink(missing_ok=True)
                return None, "rejected"
            if result.exists():
                try:
                    validity = read_result(result.read_bytes()).validity
                except (ET.ParseError, UnicodeDecodeError):
                    continue
                result.unlink()
                return validity, ""
        return None, "no answer in time"
