"""The statements that tell how an answer came about; see `sql`."""

from __future__ import annotations

from typing import Final

ENROLLEES_EVER_OF: Final = """
SELECT DISTINCT enrollee_key FROM links WHERE person_key = ? AND recorded_time <= ? LIMIT ?
"""

LINKS_UP_TO: Final = """
SELECT enrollee_key, person_key, recorded_time, superseded_time, is_numbered FROM links
WHERE person_key = ? AND enrollee_key = ? AND recorded_time <= ?
    AND (superseded_time IS NULL OR superseded_time > recorded_time)
"""

LAST_VERSIONS: Final = """
SELECT enrollee_key, superseded_time, upload_key, line_number, body FROM cover_versions
WHERE enrollee_key = ? AND recorded_time <= ? AND (superseded_time IS NULL OR superseded_time > ?)
"""

OLDER_VERSIONS: Final = """
SELECT enrollee_key, superseded_time, upload_key, line_number, body FROM cover_versions
WHERE enrollee_key = ? AND superseded_time <= ?
ORDER BY recorded_time DESC, cover_no DESC, version_no DESC LIMIT ?
"""

REQUEST_ID: Final = "SELECT upload_key, request_id FROM uploads WHERE upload_key = ?"
