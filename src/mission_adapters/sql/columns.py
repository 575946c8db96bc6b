"""
Kinds of columns, and how tables are made of them, for both databases.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    REAL,
    BigInteger,
    Column,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

ID: Final = LargeBinary()
INTEGER: Final = BigInteger().with_variant(Integer(), "sqlite")
DOUBLE: Final[TypeEngine[float]] = Double().with_variant(REAL(), "sqlite")
TEXT: Final = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def must(name: str, type: TypeEngine[Any], *, at_first: str | None = None) -> Column[Any]:
    """
    A column that always has a value. One that a later revision added stands *at_first*, an SQL literal, in rows that
    were there before.
    """
    return Column(name, type, nullable=False, server_default=None if at_first is None else text(at_first))


def may(name: str, type: TypeEngine[Any]) -> Column[Any]:
    """
    A column that may be null.
    """
    return Column(name, type, nullable=True)


def table(name: str, *parts: Any, key: tuple[str, ...] = ("id",), narrow: bool = False) -> Table:
    """
    A table. A *narrow* one is kept in the order of its key on SQLite, without row numbers.
    """
    return Table(
        name, metadata, *parts, PrimaryKeyConstraint(*key), sqlite_strict=True, sqlite_with_rowid=not narrow
    )
