"""
URLs of databases: no path is cut, and no credential is shown.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_core.database_urls import is_readable, sqlite_paths, sqlite_url, without_credentials

RESERVED = st.text("ab/?#@:[]%=&,. 1", min_size=1, max_size=12)


@pytest.mark.parametrize("name", ["why?", "a#b", "100%", "%41", "%3F", "two words", "größe", "me@work", "a&b=c;d"])
def test_a_path_comes_back_from_its_url(name: str) -> None:
    """
    Whatever the directory is called.
    """
    path = f"/nowhere/{name}/mission-control.db"

    assert path == (sqlite_paths(sqlite_url(path)) or "")[0]


@given(user=RESERVED, password=RESERVED)
def test_nothing_left_of_the_last_at_is_shown(user: str, password: str) -> None:
    """
    Where the password breaks the URL, too.
    """
    shown = without_credentials(f"postgresql://{user}:{password}@here.example:5432/db?sslmode=require")

    assert shown in ("postgresql://here.example:5432/db", "postgresql://...")


@given(RESERVED)
def test_nothing_of_a_password_in_the_query_is_shown(password: str) -> None:
    """
    Though there may be an @ in it.
    """
    shown = without_credentials(f"postgresql://here.example/db?user=me&password={password}")

    assert shown in ("postgresql://here.example/db", "postgresql://...")


@pytest.mark.parametrize(
    ("url", "readable"),
    [
        ("postgresql://me:sesame@here:5432,[::1]:5433/db?sslmode=require", True),
        ("postgresql:///db?host=/run/postgresql&user=me@work", True),
        ("postgresql://me:s%2Fe%40s@here/db", True),
        ("redis://:sesame@here:6379/0", True),
        ("postgresql://me:12/sesame@here/db", False),
        ("postgresql://me:12?sesame@here/db", False),
        ("postgresql://me:12#sesame@here/db", False),
        ("postgresql://me:a@12/sesame@here/db", False),
        ("postgresql://me:sesame", False),
    ],
)
def test_a_part_of_a_password_is_not_taken_for_a_place(url: str, readable: bool) -> None:
    """
    A port or a path that is a part of a password would be told when nobody answers there.
    """
    assert readable == is_readable(url)
