"""
Column types for SQLite and PostgreSQL, and the functions that build columns and tables from them.
"""

from __future__ import annotations

from collections.abc import Mapping
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

from mission_core.row_mapping import RowMapping

ID: Final = LargeBinary()
INTEGER: Final = BigInteger().with_variant(Integer(), "sqlite")
DOUBLE: Final[TypeEngine[float]] = Double().with_variant(REAL(), "sqlite")
TEXT: Final = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
TYPES: Final[Mapping[type, TypeEngine[Any]]] = {bytes: ID, int: INTEGER, float: DOUBLE, str: TEXT}

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def columns_of(rows: RowMapping[Any], *, last: tuple[str, ...] = ()) -> list[Column[Any]]:
    """
    Return the columns of an entity's rows, in the order of its fields but for those that are *last*.
    """
    names = [*(name for name in rows.columns if name not in last), *last]
    return [Column(name, TYPES[rows.columns[name].type], nullable=rows.columns[name].nullable) for name in names]


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
