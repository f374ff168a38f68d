"""The statements of refused lines; see `sql`."""

from __future__ import annotations

from typing import Final

ADD_REFUSED_LINE: Final = """
INSERT INTO refused_lines (upload_key, line_number, column_name, reason) VALUES (?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""

REFUSED_LINES: Final = """
SELECT line_number, column_name, reason FROM refused_lines
WHERE upload_key = ? AND (line_number, column_name, reason) > (?, ?, ?)
ORDER BY line_number, column_name, reason LIMIT ?
"""

FORGET_REFUSED_LINES: Final = "DELETE FROM refused_lines WHERE upload_key = ?"
