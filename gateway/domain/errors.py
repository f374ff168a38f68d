"""
What can be refused, by whose fault it is.

```
Refusal                  str(): one sentence without personal data; reason; field; advice
├── InvalidInput         the sender wrote something that cannot be
├── NotPermitted         the door said no: role, purpose, consent
├── NotFound             an upload or a file (never "no coverage", which is an answer)
├── Conflict             it contradicts what is stored
├── TooMuch              over a named limit
└── Unavailable          a part of the gateway cannot be reached; try again
```

A person who is not covered is an answer (`Confirmation`), and anything else that goes wrong is
a bug. Each reason's advice stands in `gateway.domain.reasons`.
"""

from gateway.domain.reasons import REASONS, Advice


class Refusal(Exception):  # noqa: N818  a refusal is an answer to a wrong input, not our error
    """
    Say no to an input, with the reason, the field it is about, and advice for both readers.

    Args:
        reason: A key of `REASONS`, such as `CHECK_DIGIT_WRONG`.

        field: The name of the field or column, in the sender's spelling; empty if none.

        metadata: Further facts for a program. Never a name, birth date, symbol or number.
    """

    def __init__(self, reason: str, field: str = "", **metadata: str) -> None:
        assert reason in REASONS, reason
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field
        self.metadata = metadata

    @property
    def advice(self) -> Advice:
        """What the desk and the technician should do, in Japanese and English."""
        return REASONS[self.reason]

    def within(self, field: str) -> "Refusal":
        """The same refusal, about the field of the message that held the value."""
        return type(self)(self.reason, field, **self.metadata)


class InvalidInput(Refusal):
    """The sender wrote something that cannot be."""


class NotPermitted(Refusal):
    """The door said no."""


class NotFound(Refusal):
    """What was named does not exist. A person without cover is not this: that is an answer."""


class Conflict(Refusal):
    """It contradicts what is stored."""


class TooMuch(Refusal):
    """It goes over a named limit."""


class Unavailable(Refusal):
    """A part of the gateway cannot be reached at the moment; trying again may help."""
