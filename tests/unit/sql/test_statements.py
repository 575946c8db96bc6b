import json
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from mission_adapters.sql.statements import Ids, Statement, Texts, among, value
from mission_adapters.sql.tables import tasks
from tests import strategies as some


def test_values_come_in_the_order_of_the_driver() -> None:
    """
    Whatever order they were named in, and with those the statement brings itself.
    """
    found = select(tasks.c.id).where(tasks.c.number > value("after", int), tasks.c.status == "done")
    asked = Statement(found.limit(value("most", int)))

    assert [7, "done", 3, 0] == asked("sqlite", most=3, after=7).values  # it always says how many to skip
    assert [7, "done", 3] == asked("postgresql", most=3, after=7).values
    assert "$3" in asked("postgresql", most=3, after=7).text
    assert 4 == asked("sqlite", most=3, after=7).text.count("?")


def test_a_statement_is_compiled_once_for_each_dialect() -> None:
    """
    Asking again costs no compilation.
    """
    asked = Statement(select(tasks.c.id).where(tasks.c.number == value("number", int)))

    assert asked("sqlite", number=1).text is asked("sqlite", number=2).text
    assert asked("postgresql", number=1).text is asked("postgresql", number=2).text


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_many_values_are_one_parameter(dialect: str) -> None:
    """
    So that one text serves lists of every length.
    """
    both = among(tasks.c.id, "ids", Ids()), among(tasks.c.status, "kinds", Texts())
    asked = Statement(select(tasks.c.id).where(*both))
    none, two = asked(dialect, ids=[], kinds=[]), asked(dialect, ids=[b"a" * 16, b"b" * 16], kinds=["x", "y"])

    assert none.text is two.text
    assert 2 == len(none.values) == len(two.values)


@given(st.lists(some.ids, max_size=20, unique=True), st.lists(some.ids, max_size=5), some.names, st.lists(some.names))
def test_sqlite_finds_what_is_among_many_values(kept, others, name, names) -> None:
    """
    Ids travel as one run of bytes, texts as JSON.
    """
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE tasks (id BLOB PRIMARY KEY, title TEXT)")
    connection.executemany("INSERT INTO tasks VALUES (?, ?)", [(each.bytes, name) for each in kept])
    wanted = [*kept[::2], *others]
    by_id = Statement(select(tasks.c.id).where(among(tasks.c.id, "ids", Ids())))
    by_title = Statement(select(tasks.c.id).where(among(tasks.c.title, "titles", Texts())))

    found = connection.execute(*by_id("sqlite", ids=[each.bytes for each in wanted])[:2]).fetchall()
    named = connection.execute(*by_title("sqlite", titles=names)[:2]).fetchall()
    connection.close()

    assert {each.bytes for each in {*wanted} & {*kept}} == {id for (id,) in found}
    assert (len(kept) if name in names else 0) == len(named)
    assert json.dumps(names) == by_title("sqlite", titles=names).values[0]
