"""
A visit with a My Number card: is the card genuine, who holds it, are they insured.

The order is that of health-info.md D.5: the challenge, the certificate and the signature, whose
card it is, how the holder was checked, and only then the cover. Each refusal is recorded, with
the person once the card is known. Requirements R003-08, R003-27.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from msgspec import structs

from gateway.domain.answer_token import is_asked
from gateway.domain.card import (
    CardKey,
    CardProof,
    CardRules,
    CertificateState,
    certificate_state,
    require_holder,
)
from gateway.domain.eligibility import ByCard, Confirmation, Rules, Validity, Why, confirm
from gateway.domain.errors import InvalidInput, NotPermitted
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant, tokyo_day
from gateway.store.port import CardHolder
from gateway.store.port_answers import Answering
from gateway.usecases.answer_tokens import AsOf, Tokens, require_kept
from gateway.usecases.challenges import Challenges
from gateway.usecases.confirm_eligibility import (
    ERRAND,
    LookupLimits,
    require_day,
    require_old_enough,
)
from gateway.usecases.context import Context
from gateway.usecases.door import DeniedLookError, Door, Looked


class Genuine(Protocol):
    """What a genuine card tells of itself; see `gateway.card_pki`."""

    @property
    def card_key(self) -> CardKey:
        """The gateway's key of the card."""

    @property
    def last_day(self) -> date:
        """The last day of its certificate, included."""

    @property
    def is_revoked(self) -> bool:
        """Whether its authority took it back."""


NOBODY: Final = PersonKey(b"")
"""Whom a card nobody registered asks about."""


def question_by_card(on: date, context: Context, *, is_limit_consented: bool) -> ByCard:
    """The question of a visit before it is known whose card it is."""
    return ByCard(NOBODY, on, is_limit_consented, context.caller.code)


Prove = Callable[[CardProof, Instant], Genuine]
"""Checks chain and signature; raises `NotPermitted`, or `InvalidInput` for no certificate."""


@dataclass(frozen=True, slots=True)
class Cards:
    """What is needed to believe a card."""

    challenges: Challenges
    prove: Prove
    rules: CardRules

    def begin(self, context: Context) -> tuple[bytes, Instant]:
        """
        Give a challenge to the caller, and when it expires.

        Raises:
            TooMuch: As `Challenges.begin`.
        """
        return self.challenges.begin(audience_of(context), context.now, context.connection)

    def genuine(self, proof: CardProof, context: Context) -> Genuine:
        """
        Use a challenge up and check the card.

        Raises:
            NotPermitted: As `Challenges.take` and `Prove`.
        """
        self.challenges.take(proof.challenge, audience_of(context), context.now, context.connection)
        return self.prove(proof, context.now)

    def require_holder(
        self,
        proof: CardProof,
        card: Genuine,
        holder: CardHolder | None,
        context: Context,
        *,
        is_pin_required: bool = False,
    ) -> CertificateState:
        """
        Refuse unless the card still counts and its holder was checked.

        The refusal names whose card it is.

        Returns:
            How long the card's certificate is still good.

        Raises:
            DeniedLookError: `CARD_REVOKED`; as `certificate_state` and
                `gateway.domain.card.require_holder`.
        """
        try:
            state = _state_of(card, context)
            require_holder(proof, self.rules, is_pin_required=is_pin_required)
        except NotPermitted as refusal:
            people = () if holder is None else (holder.person_key,)
            raise DeniedLookError(refusal, people) from None
        return state


def _state_of(card: Genuine, context: Context) -> CertificateState:
    if card.is_revoked:
        raise NotPermitted("CARD_REVOKED")
    return certificate_state(card.last_day, tokyo_day(context.now))


@dataclass(frozen=True, slots=True)
class Visited:
    """The answer of a visit, and how long the card's certificate is still good."""

    query: ByCard
    confirmation: Confirmation
    certificate_state: CertificateState
    token: str


def audience_of(context: Context) -> str:
    """Whom a challenge is for: a role and its code."""
    return f"{context.caller.role.value}:{context.caller.code}"


async def confirm_by_card(
    proof: CardProof,
    question: ByCard,
    context: Context,
    store: Answering,
    door: Door,
    cards: Cards,
    tokens: Tokens,
    limits: LookupLimits,
    *,
    as_of: AsOf,
) -> tuple[Visited, str]:
    """
    Answer a visit, through the door.

    A card nobody registered finds nothing, and so does one whose person has no linked cover:
    both are answers.

    Args:
        question: The day and what may be shown; whose card it is is filled in.

        as_of: Now, or a token: then the same card again gets the answer it got then.

    Returns:
        The answer and the id of its access record.

    Raises:
        InvalidInput: `DATE_OUT_OF_RANGE`, `KNOWN_TIME_TOO_NEW`.
        NotPermitted: As `Cards.genuine`, `Cards.require_holder` and the door; recorded.
        DeniedLookError: `TOKEN_OF_ANOTHER_QUESTION`, `FACTS_DISPOSED`.
        Conflict: `TOKEN_RULES_UNKNOWN`.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    if as_of.stamp is None:
        require_day(question.on, tokyo_day(context.now), limits)
    require_old_enough(as_of, context, limits)
    rules = tokens.rules_then(as_of)

    async def look() -> Looked[Visited]:
        card = cards.genuine(proof, context)
        holder, at = await store.by_card_last(card.card_key)
        state = cards.require_holder(proof, card, holder, context)
        holder = _holder_then(holder, question, as_of)
        query = _query(holder, question)
        answer = await _decided(holder, query, as_of, store, rules)
        await require_kept(as_of, store, _people(holder))
        token = as_of.token or tokens.of(query, at)
        return _looked(Visited(query, answer, state, token), holder)

    return await door.opened(context, ERRAND, look)


async def _decided(
    holder: CardHolder | None, query: ByCard, as_of: AsOf, store: Answering, rules: Rules
) -> Confirmation:
    if holder is None:
        return Confirmation(Validity.NO_SUCH_COVER, Why.CARD_NOT_REGISTERED, (), (), ())
    if as_of.known is not None:
        known = await store.person_known_at(holder.person_key, as_of.known)
        return confirm((known,), query, rules)
    return confirm(() if holder.history is None else (holder.history,), query, rules)


def _holder_then(holder: CardHolder | None, question: ByCard, as_of: AsOf) -> CardHolder | None:
    """
    Whose card it was when a token was given: still the same person's, or nobody's yet.

    Raises:
        DeniedLookError: `TOKEN_OF_ANOTHER_QUESTION`, a card that was another's then among them.
    """
    for then in (holder, None):
        if as_of.stamp is None or is_asked(as_of.stamp, _query(then, question)):
            return then
    refusal = InvalidInput("TOKEN_OF_ANOTHER_QUESTION", "answer_token")
    raise DeniedLookError(refusal, _people(holder))


def _query(holder: CardHolder | None, question: ByCard) -> ByCard:
    person_key = NOBODY if holder is None else holder.person_key
    return structs.replace(question, person_key=person_key)


def _people(holder: CardHolder | None) -> tuple[PersonKey, ...]:
    return () if holder is None else (holder.person_key,)


def _looked(visited: Visited, holder: CardHolder | None) -> Looked[Visited]:
    validity = str(visited.confirmation.validity.value)
    return Looked(visited, "ANSWERED", validity, _people(holder))
