"""Questions about a generated population, as clinics would ask them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import islice

from google.type.date_pb2 import Date

from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest
from gateway.v1.types_pb2 import InsuredId
from simulators.catalogue import ON
from simulators.population import population


def questions(people: int, seed: int, count: int) -> list[ConfirmEligibilityRequest]:
    """Up to so many questions, about the latest cover of every person in turn."""
    return list(islice(_all(people, seed), count))


def _all(people: int, seed: int) -> Iterator[ConfirmEligibilityRequest]:
    for household in population(people, seed, ON):
        for person in household.people:
            card = person.spells[-1].card
            yield ConfirmEligibilityRequest(
                insured_id=InsuredId(
                    insurer_number=card.insurer_number,
                    symbol=card.symbol,
                    number=card.number,
                    branch=card.branch,
                ),
                birth_date=_message(person.birth_date),
                confirmation_date=_message(ON),
            )


def _message(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)
