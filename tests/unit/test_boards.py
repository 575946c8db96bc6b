"""
The laws of boards.
"""

import re

import pytest
from attrs import evolve
from hypothesis import assume, given

from mission_adapters.testing import strategies as some
from mission_core.boards.model import (
    GENERAL_HANDLE,
    BoardStatus,
    GeneralBoardProtected,
    GoalIncomplete,
    handle_from,
    prefix_from,
)
from mission_core.errors import InvalidField


@given(some.titles)
def test_a_handle_is_made_of_plain_words(name):
    """
    Or refused where nothing is left; making it again changes nothing.
    """
    try:
        handle = handle_from(name)
    except InvalidField:
        assert not re.search("[a-z0-9]", name.lower())
        return

    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", handle)
    assert len(handle) <= 64
    assert handle == handle_from(handle)


@given(some.titles)
def test_a_ticket_prefix_is_made_of_letters_and_digits(name):
    """
    At most as many as asked for.
    """
    try:
        prefix = prefix_from(name, most=5)
    except InvalidField:
        assert not re.search("[A-Z0-9]", name.upper())
        return

    assert re.fullmatch("[A-Z0-9]{1,5}", prefix)
    assert prefix == prefix_from(prefix, most=5)


@given(some.boards(), some.titles, some.moments)
def test_an_edit_touches_nothing_it_does_not_name(board, name, at):
    """
    The fact tells which fields changed.
    """
    edited, fact = board.edit({"name": name, "color": board.color}, at=at)

    assert board == evolve(edited, name=board.name, updated_at=board.updated_at)
    assert fact.changed == (("name",) if name != board.name else ())


@given(some.boards(), some.moments)
def test_the_general_board_stays(board, at):
    """
    Others may be archived.
    """
    archived, _ = (
        board.edit({"status": BoardStatus.ARCHIVED}, at=at) if board.handle != GENERAL_HANDLE else (None, None)
    )
    with pytest.raises(GeneralBoardProtected):
        evolve(board, handle=GENERAL_HANDLE).edit({"status": BoardStatus.ARCHIVED}, at=at)

    assert archived is None or archived.status is BoardStatus.ARCHIVED


@given(some.boards())
def test_a_goal_board_says_what_it_is_for(board):
    """
    An objective and how success shows.
    """
    goal = evolve(board, board_type="goal", objective="ship", success_metrics='{"stars":1}')
    goal.check_goal()
    for lacking in ({"objective": None}, {"success_metrics": None}, {"success_metrics": "{}"}):
        with pytest.raises(GoalIncomplete):
            evolve(goal, **lacking).check_goal()
    assume(board.board_type != "goal")
    board.check_goal()
