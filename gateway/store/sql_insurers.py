"""The statements of insurers' lists, overlaps and inquiries; see `sql`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.domain.identifiers import InsurerNumber
from gateway.domain.inquiry import Inquiry, InquiryId, Question, Reply

Row = tuple[Any, ...]

# The word belongs to SQL itself and so stands in quotes.
ADD_OVERLAP: Final = """
INSERT INTO "overlaps" (insurer_number, person_key, recorded_time) VALUES (?, ?, ?)
ON CONFLICT DO NOTHING
"""

REMOVE_OVERLAP: Final = """
DELETE FROM "overlaps" WHERE insurer_number = ? AND person_key = ?
"""

OVERLAPPING: Final = """
SELECT person_key, recorded_time FROM "overlaps" WHERE insurer_number = ? AND person_key > ?
ORDER BY person_key LIMIT ?
"""

PUT_COLLECTION: Final = """
INSERT INTO collections (insurer_number, enrollee_key, cover_no, state, loss_date)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (insurer_number, enrollee_key, cover_no)
DO UPDATE SET state = excluded.state, loss_date = excluded.loss_date
"""

REMOVE_COLLECTION: Final = """
DELETE FROM collections WHERE insurer_number = ? AND enrollee_key = ? AND cover_no = ?
"""

COLLECTIONS: Final = """
SELECT loss_date, enrollee_key, cover_no FROM collections
WHERE insurer_number = ? AND state = ? AND (loss_date, enrollee_key, cover_no) > (?, ?, ?)
ORDER BY loss_date, enrollee_key, cover_no LIMIT ?
"""

PUT_INQUIRY: Final = """
INSERT INTO inquiries (
    inquiry_id, asking_insurer, asked_insurer, asked_time, answered_time, question, answer
) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (inquiry_id)
DO UPDATE SET answered_time = excluded.answered_time, answer = excluded.answer
"""

_INQUIRY_COLUMNS: Final = "inquiry_id, asking_insurer, asked_time, answered_time, question, answer"

INQUIRY: Final = f"SELECT {_INQUIRY_COLUMNS} FROM inquiries WHERE inquiry_id = ?"  # noqa: S608  only our own column names

INQUIRIES_RECEIVED: Final = f"""
SELECT {_INQUIRY_COLUMNS} FROM inquiries
WHERE asked_insurer = ? AND (asked_time, inquiry_id) < (?, ?)
ORDER BY asked_time DESC, inquiry_id DESC LIMIT ?
"""  # noqa: S608  same

INQUIRIES_SENT: Final = f"""
SELECT {_INQUIRY_COLUMNS} FROM inquiries
WHERE asking_insurer = ? AND (asked_time, inquiry_id) < (?, ?)
ORDER BY asked_time DESC, inquiry_id DESC LIMIT ?
"""  # noqa: S608  same

UNROUTED: Final = frozenset({INQUIRIES_RECEIVED, INQUIRIES_SENT})
"""Either insurer lists an inquiry, and it is kept once, so a list asks every place."""

_encoder: Final = msgspec.msgpack.Encoder()
_questions: Final = msgspec.msgpack.Decoder(Question)
_replies: Final = msgspec.msgpack.Decoder(Reply)


def inquiry_row(inquiry: Inquiry) -> Row:
    """The row of `PUT_INQUIRY`."""
    return (
        inquiry.inquiry_id,
        inquiry.asking.zero_padded,
        inquiry.asked.zero_padded,
        inquiry.asked_time,
        inquiry.answered_time,
        _encoder.encode(inquiry.question),
        None if inquiry.reply is None else _encoder.encode(inquiry.reply),
    )


def inquiry_of(row: Row) -> Inquiry:
    """The inquiry of a row of `INQUIRY`."""
    inquiry_id, asking, asked_time, answered_time, question, reply = row
    return Inquiry(
        InquiryId(inquiry_id),
        InsurerNumber(asking),
        asked_time,
        _questions.decode(question),
        None if reply is None else _replies.decode(reply),
        answered_time,
    )
