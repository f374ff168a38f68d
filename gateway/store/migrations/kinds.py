"""What migrations say of columns and indexes on either engine."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

TEXT: Final = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Compared by its bytes, whatever language a server speaks."""


def column(
    name: str, kind: Any, *, is_primary: bool = False, is_optional: bool = False
) -> sa.Column[Any]:
    """A column that nothing fills by itself."""
    return sa.Column(name, kind, primary_key=is_primary, nullable=is_optional, autoincrement=False)


def where(condition: str) -> dict[str, Any]:
    """Which rows an index holds."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
