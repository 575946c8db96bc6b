"""
SQL statements, compiled once for each dialect.

A `Statement` is built with SQLAlchemy Core and has named parameters. Called with their values, it returns the SQL text
and the ordered values for the driver. The placeholders are `?` on SQLite and `$1` on PostgreSQL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Final, Self

from attrs import field
from sqlalchemy import BindParameter, ColumnElement, bindparam, func
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Boolean, TypeEngine, UserDefinedType

from mission_adapters.sql.columns import DOUBLE, ID, INTEGER, TEXT
from mission_adapters.sql.database_session import BoundStatement, bound_statement
from mission_core.lazy_attrs import define

DIALECTS: Final[dict[str, Dialect]] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": asyncpg.dialect(paramstyle="numeric_dollar"),  # type: ignore[no-untyped-call]  # it has no types
}
Packing = Callable[[Any], Any]


class IdArray(UserDefinedType[Any]):
    """
    The SQL type of a parameter that holds any number of ids.
    """

    cache_ok = True


class TextArray(UserDefinedType[Any]):
    """
    The SQL type of a parameter that holds any number of texts.
    """

    cache_ok = True


class IntegerArray(UserDefinedType[Any]):
    """
    The SQL type of a parameter that holds any number of integers.
    """

    cache_ok = True


def _as_json(values: Iterable[Any]) -> str:
    return json.dumps(list(values))


PACKINGS: Final[dict[type, Packing]] = {IdArray: b"".join, TextArray: _as_json, IntegerArray: _as_json}
"""The conversions of several values into one value for SQLite, which has no arrays."""
TYPES: Final[dict[type, TypeEngine[Any]]] = {bytes: ID, int: INTEGER, str: TEXT, float: DOUBLE}


def without_index(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """
    Return the value of a column for conditions that shall not be looked up in an index, because another one finds fewer
    rows. SQLite, which has no statistics, prefers equality with a column to a list of ids.
    """
    return func.coalesce(column, column)


class in_array(ColumnElement[bool]):
    """
    The condition that a column has one of the values of an array parameter.
    """

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], name: str, many: IdArray | TextArray | IntegerArray) -> None:
        self.column = column
        self.values: BindParameter[Any] = bindparam(name, type_=many, required=False)

    def get_children(self, **kwargs: Any) -> Iterable[Any]:
        return (self.column, self.values)

    def self_group(self, against: Any = None) -> Self:
        """
        Return the condition unchanged.
        """
        # SQLAlchemy would write `= 1` behind it on SQLite, which then could not use an index.
        return self


@compiles(in_array, "postgresql")
def _in_array_postgresql(element: in_array, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"({compiler.process(element.column)} = ANY({compiler.process(element.values)}))"


@compiles(in_array, "sqlite")
def _in_array_sqlite(element: in_array, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, values = compiler.process(element.column), compiler.process(element.values)
    if not isinstance(element.values.type, IdArray):
        return f"({column} IN (SELECT value FROM json_each({values})))"
    return (
        f"({column} IN (WITH RECURSIVE given(every) AS (SELECT {values}), each(id, next) AS ("
        "SELECT substr(every, 1, 16), 17 FROM given WHERE length(every) > 0 "
        "UNION ALL SELECT substr(every, next, 16), next + 16 FROM each, given WHERE next <= length(every)"
        ") SELECT id FROM each))"
    )


class unlikely(ColumnElement[bool]):
    """
    A condition that few rows meet. Without statistics, SQLite then prefers an index that contains its column.
    """

    inherit_cache = False
    type = Boolean()

    def __init__(self, condition: ColumnElement[bool]) -> None:
        self.condition = condition

    def get_children(self, **kwargs: Any) -> Iterable[Any]:
        return (self.condition,)

    def self_group(self, against: Any = None) -> Self:
        """
        Return the condition unchanged.
        """
        return self


@compiles(unlikely, "postgresql")
def _unlikely_postgresql(element: unlikely, compiler: SQLCompiler, **kwargs: Any) -> str:
    return compiler.process(element.condition)


@compiles(unlikely, "sqlite")
def _unlikely_sqlite(element: unlikely, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"unlikely({compiler.process(element.condition)})"


def parameter(name: str, type: type = bytes) -> BindParameter[Any]:
    """
    Return a named parameter of a statement: bytes, an integer, text or a float.
    """
    return bindparam(name, type_=TYPES[type], required=False)


@define
class CompiledStatement:
    """
    A statement compiled for one dialect: its text, the names of its parameters in order, and its literal values.
    """

    text: str
    names: Sequence[str]
    literals: dict[str, Any]
    packings: dict[str, Packing]
    values: Callable[[dict[str, Any]], Sequence[Any]] = field(init=False)
    """Returns the parameter values in the driver's order."""

    @values.default
    def _values(self) -> Callable[[dict[str, Any]], Sequence[Any]]:
        # An `itemgetter` takes no Python call, but has a tuple only for several names.
        is_plain = len(self.names) > 1 and not self.literals and not self.packings
        return itemgetter(*self.names) if is_plain else self._converted_values

    def _converted_values(self, given: dict[str, Any]) -> list[Any]:
        every = {**self.literals, **given} if self.literals else given
        if self.packings:
            every = {name: self.packings[name](each) if name in self.packings else each for name, each in every.items()}
        return [every[name] for name in self.names]


@define(eq=False)
class Statement:
    """
    A SQLAlchemy Core statement that is compiled for a dialect at its first use.
    """

    core: Executable
    returns: bool = field(init=False)
    prepared: dict[str, CompiledStatement] = field(factory=dict, init=False, repr=False)

    @returns.default
    def _returns(self) -> bool:
        return self.core.is_select or bool(getattr(self.core, "_returning", ()))

    def __call__(self, dialect: str, /, **given: Any) -> BoundStatement:
        """
        Bind the parameters of a statement whose rows are wanted.
        """
        ready = self.prepared.get(dialect) or self.compiled_for(dialect)
        return bound_statement((ready.text, ready.values(given), True, False, False))

    def count(self, dialect: str, /, **given: Any) -> BoundStatement:
        """
        Bind the parameters of a statement whose number of changed rows is wanted.
        """
        ready = self.prepared.get(dialect) or self.compiled_for(dialect)
        return bound_statement((ready.text, ready.values(given), False, False, False))

    def many(self, dialect: str, /, rows: Iterable[dict[str, Any]]) -> BoundStatement:
        """
        Bind the parameters of a statement that runs once for each of *rows*, without a result.
        """
        ready = self.prepared.get(dialect) or self.compiled_for(dialect)
        return BoundStatement(ready.text, [ready.values(row) for row in rows], returns_rows=False, many=True)

    def compiled_for(self, dialect: str) -> CompiledStatement:
        """
        Compile the statement for a dialect, if this was not done before.
        """
        ready = self.prepared.get(dialect)
        if ready is None:
            ready = self.prepared[dialect] = _compiled(self.core, dialect)
        return ready


def _compiled(core: Executable, dialect: str) -> CompiledStatement:
    compiled: Any = core.compile(  # type: ignore[attr-defined]  # all statements here have it
        dialect=DIALECTS[dialect], compile_kwargs={"render_postcompile": True}
    )
    names = tuple(compiled.positiontup or ())
    own = {name: each for name, each in compiled.params.items() if each is not None}
    packs = {}
    if dialect == "sqlite":
        packs = {
            name: PACKINGS[type(bind.type)] for name, bind in compiled.binds.items() if type(bind.type) in PACKINGS
        }
    return CompiledStatement(str(compiled), names, own, packs)


def cached_statement(make: Callable[..., Executable]) -> Callable[..., Statement]:
    """
    Decorate a function that builds a statement, so that each set of arguments is built and compiled once.
    """

    @cache
    def statement(*shape: Any) -> Statement:
        return Statement(make(*shape))

    return statement
