"""
Column types for SQLite and PostgreSQL, and the functions that build columns and tables from them.
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


def required(name: str, type: TypeEngine[Any]) -> Column[Any]:
    """
    Return a column that is not null.
    """
    return Column(name, type, nullable=False)


def optional(name: str, type: TypeEngine[Any]) -> Column[Any]:
    """
    Return a nullable column.
    """
    return Column(name, type, nullable=True)


def table(name: str, *parts: Any, key: tuple[str, ...] = ("id",), narrow: bool = False) -> Table:
    """
    Return a table. On SQLite a *narrow* table has no rowid: its rows are stored in the order of the primary key.
    """
    return Table(name, metadata, *parts, PrimaryKeyConstraint(*key), sqlite_strict=True, sqlite_with_rowid=not narrow)
