"""
What is said of a database, by what it tells of itself.
"""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.sql.database_inspection import (
    DatabaseInspection,
    DatabaseProblem,
    DatabaseProduct,
    SearchIndexState,
)
from mission_http.doctor.database import (
    CLOCK_PROBLEM,
    CLOCK_TOLERANCE,
    DatabaseState,
    check_clock,
    check_database,
    check_migrations,
    check_search_index,
)
from mission_http.doctor.findings import FindingLevel

OK, WARNING, PROBLEM = FindingLevel
NOW = datetime(2030, 1, 1, tzinfo=UTC)
SQLITE, POSTGRES = DatabaseProduct


def seen(product=SQLITE, *, own=False, version=(99,), missing=(), **told):
    examined = DatabaseInspection(product=product, version=version, missing_revisions=missing, **told)
    return DatabaseState(place="here", own=own, examined=examined, at=NOW)


@pytest.mark.parametrize("product", DatabaseProduct)
@pytest.mark.parametrize("trouble", [each for each in DatabaseProblem if each is not DatabaseProblem.UNSETTLED])
def test_every_trouble_is_a_problem_with_advice(product, trouble):
    """
    In its own words and the driver's, with the variable to change.
    """
    (found,) = check_database(seen(product, problem=trouble, reason="so it said"))

    assert (PROBLEM, f"{trouble.value} (so it said)") == (found.level, found.found)
    assert ("DATABASE_URL", "--database-url") == found.settings
    assert "DATABASE_URL" in found.advice


def test_what_the_next_start_mends_is_a_warning():
    """
    A log that was left behind keeps nobody from starting.
    """
    (found,) = check_database(seen(problem=DatabaseProblem.UNSETTLED))

    assert WARNING is found.level


def test_the_own_database_is_changed_by_its_directory():
    """
    Where nobody named a database.
    """
    (found,) = check_database(seen(own=True, problem=DatabaseProblem.NO_DATABASE))

    assert ("MISSION_CONTROL_DATA_DIR", "--data-dir") == found.settings


def test_the_own_database_may_be_made_with_its_directory():
    """
    Before the first start neither is there.
    """
    (found,) = check_database(seen(own=True, problem=DatabaseProblem.NO_FOLDER))

    assert OK is found.level


def test_a_database_that_takes_no_changes_is_a_problem():
    """
    A file that may only be read, a standby server.
    """
    (found,) = check_database(seen(writable=False))

    assert PROBLEM is found.level


@pytest.mark.parametrize(
    ("product", "version", "level"),
    [
        (SQLITE, (3, 36, 0), PROBLEM),
        (SQLITE, (3, 37, 0), OK),
        (SQLITE, (3, 51, 2), OK),
        (POSTGRES, (9, 6), PROBLEM),
        (POSTGRES, (14, 22), PROBLEM),
        (POSTGRES, (15, 0), OK),
        (POSTGRES, (18, 1), OK),
    ],
)
def test_a_database_that_is_too_old_is_a_problem(product, version, level):
    """
    It would refuse our tables, or nobody has tried it.
    """
    (found,) = check_database(seen(product, version=version))

    assert level is found.level
    assert ".".join(map(str, version)) in found.found


@pytest.mark.parametrize(
    ("told", "level", "words"),
    [
        ({"revision": None, "missing": ("0008", "0009"), "has_tables": False}, OK, "its tables will be created"),
        ({"revision": None, "missing": ("0008", "0009"), "has_tables": True}, WARNING, "none of them is Mission"),
        ({"revision": "0008", "missing": ("0009", "0010"), "has_tables": True}, WARNING, "lacks 0009, 0010"),
        ({"revision": "0010", "missing": (), "has_tables": True}, OK, "the newest"),
        ({"revision": "0007", "missing": None, "has_tables": True}, PROBLEM, "migrates from 0008 on"),
        ({"revision": "9999", "missing": None, "has_tables": True}, PROBLEM, "a newer version of Mission Control"),
    ],
)
def test_migrations_behind_and_ahead_are_told(told, level, words):
    """
    Behind is made good by the next start, too far behind by an older version, ahead only by a newer one; other
    people's tables are at least odd.
    """
    (found,) = check_migrations(seen(**told))

    assert level is found.level
    assert words in found.found
    assert level is OK or found.advice


@pytest.mark.parametrize(("product", "state", "advice"), [
    (SQLITE, SearchIndexState.NOT_AVAILABLE, "FTS5"),
    (SQLITE, SearchIndexState.NOT_CREATED, "mission-control migrate"),
    (POSTGRES, SearchIndexState.NOT_CREATED, "mission-control migrate"),
    (POSTGRES, SearchIndexState.NOT_INSTALLED, "CREATE EXTENSION pg_trgm"),
    (POSTGRES, SearchIndexState.NOT_AVAILABLE, "additional modules"),
])  # fmt: skip
def test_a_missing_search_index_is_a_warning_with_advice(product, state, advice):
    """
    What to run, or to install.
    """
    (found,) = check_search_index(seen(product, search_index=state))

    assert WARNING is found.level
    assert advice in found.advice


def test_a_search_index_is_told_where_its_state_is_known():
    (found,) = check_search_index(seen(search_index=SearchIndexState.CREATED))

    assert OK is found.level
    assert [] == list(check_search_index(seen()))


@pytest.mark.parametrize("told", [{"problem": DatabaseProblem.DENIED}, {"version": (3, 1)}])
def test_nothing_is_said_of_tables_that_nobody_saw(told):
    """
    The database itself has its finding.
    """
    assert [] == list(check_migrations(seen(**told))) == list(check_clock(seen(**told)))


@given(st.timedeltas(min_value=-timedelta(days=9), max_value=timedelta(days=9)))
def test_a_skewed_clock_is_told(ahead):
    """
    Before or after the server's, by what nobody would take for a delay.
    """
    (found,) = check_clock(seen(POSTGRES, clock_ahead=ahead))

    assert found.level is (OK if abs(ahead) <= CLOCK_TOLERANCE else WARNING if abs(ahead) < CLOCK_PROBLEM else PROBLEM)
    assert found.level is OK or "NTP" in found.advice


@pytest.mark.parametrize(
    ("ahead", "level"),
    [(-timedelta(days=9), OK), (CLOCK_TOLERANCE, OK), (CLOCK_TOLERANCE * 2, WARNING), (CLOCK_PROBLEM, PROBLEM)],
)
def test_an_entry_of_the_future_is_told(ahead, level):
    """
    On SQLite there is no other clock; the log remembers what this one said.
    """
    (found,) = check_clock(seen(newest_entry_at=NOW + ahead))

    assert level is found.level
