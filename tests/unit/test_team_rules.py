"""
Who may ask what of a team's task, and what a move does then.
"""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.accounts.model import AgentPrincipal, SystemPrincipal
from mission_core.tasks.model import Status
from mission_core.tasks.team_rules import (
    BoardRole,
    LeadCannotMove,
    LeadCannotMoveTo,
    LeadCommentRefused,
    LeadFieldsRefused,
    TaskAssigneeMismatch,
    TaskBoardMismatch,
    UpdateFieldForbidden,
    assignee_rule_for,
    board_role_of,
    check_agent_update,
    requested_status,
    submitter_after,
)
from mission_core.values import ABSENT, name_key

TABLE = """
    who     inbox      in_progress  review  done
    person  nobody     unchanged    lead    unchanged
    worker  nobody     caller       lead    caller
"""
SEEN = """
    inbox        backlog inbox assigned awaiting_owner
    in_progress  in_progress
    review       review quality_review failed
    done         done
"""
TOLD = {place: names for place, *names in (line.split() for line in SEEN.split("\n") if line.strip())}
(_, *COLUMNS), *ROWS = (line.split() for line in TABLE.split("\n") if line.strip())
EXPECTED = {(row[0], to): owner for row in ROWS for to, owner in zip(COLUMNS, row[1:], strict=True)}

agents = st.builds(
    AgentPrincipal, organization=some.ids, agent=some.ids, name=some.names, board=some.maybe(some.ids),
    lead=st.booleans(),
)  # fmt: skip


def place_of(status):
    return next(place for place, names in TOLD.items() if status.value in names)


def led(was, to, assigns):
    """
    What a lead's move comes to, told a second time.
    """
    if place_of(was) == "review":
        return {"inbox": "submitter", "done": "unchanged"}.get(to, LeadCannotMoveTo)
    return "unchanged" if (place_of(was), to, assigns) == ("inbox", "in_progress", True) else LeadCannotMove


@pytest.mark.parametrize("assigns", [False, True])
@pytest.mark.parametrize("to", ["inbox", "in_progress", "review", "done"])
@pytest.mark.parametrize("was", Status)
@pytest.mark.parametrize("part", BoardRole)
def test_every_move_of_everybody_has_its_answer(part, was, to, assigns):
    """
    Each part, from each status, to each place: the table says whose the task is then, or why not.
    """
    expected = led(was, to, assigns) if part is BoardRole.LEAD else EXPECTED[part.value, to]
    try:
        answer = assignee_rule_for(part, was, Status(to), assigns=assigns).name.lower()
    except (LeadCannotMove, LeadCannotMoveTo) as refusal:
        answer = type(refusal)

    assert expected == answer


def test_a_system_is_a_person_and_an_agent_without_a_board_a_worker():
    """
    A lead leads its board; without one there is nothing to lead.
    """
    system = SystemPrincipal(organization=None)
    agent = AgentPrincipal(organization=None, agent=None, name="ada", board="board")

    assert BoardRole.PERSON is board_role_of(system)
    assert BoardRole.WORKER is board_role_of(agent) is board_role_of(evolve(agent, board=None, lead=True))
    assert BoardRole.LEAD is board_role_of(evolve(agent, lead=True))


@given(some.tasks(), st.sampled_from(BoardRole), st.sampled_from(Status))
def test_asking_for_where_a_task_is_asks_for_nothing(task, part, status):
    """
    But for a worker that says it works on what is nobody's.
    """
    to = requested_status(part, task, status)
    takes = part is BoardRole.WORKER and task.assignee is None and status is Status.IN_PROGRESS
    same = place_of(status) == place_of(task.status) and not takes

    assert (None if same else place_of(status)) == (to and to.value)
    assert requested_status(part, task, ABSENT) is None


@given(some.tasks(), st.sets(st.sampled_from(["title", "status", "assignee"])), st.booleans())
def test_people_may_ask_for_anything(task, named, commented):
    """
    What they may not do is another matter.
    """
    assert (
        check_agent_update(
            SystemPrincipal(organization=task.organization), task, to=None, named=named, commented=commented
        )
        is None
    )


ALL = frozenset({"title", "priority", "not_before", "status", "assignee", "depends_on", "tag_ids", "values", "board"})


@given(some.tasks(), agents, st.sets(st.sampled_from(sorted(ALL))), st.booleans(), st.sampled_from([None, *COLUMNS]))
def test_agents_are_refused_for_the_first_reason(task, agent, named, commented, to):
    """
    A lead: a comment, then its fields. A worker: the board, the assignee, its fields.
    """
    if board_role_of(agent) is BoardRole.LEAD:
        more = tuple(sorted(named - {"status", "assignee", "depends_on", "tag_ids", "values"}))
        expected = LeadCommentRefused() if commented else LeadFieldsRefused(more) if more else None
    elif agent.board not in (None, task.board):
        expected = TaskBoardMismatch()
    elif to and task.assignee and task.assignee.key != name_key(agent.name):
        expected = TaskAssigneeMismatch()
    else:
        expected = UpdateFieldForbidden() if named - {"status", "values"} else None
    found = None
    try:
        check_agent_update(agent, task, to=to and Status(to), named=frozenset(named), commented=commented)
    except (LeadCommentRefused, LeadFieldsRefused, TaskBoardMismatch, TaskAssigneeMismatch, UpdateFieldForbidden) as no:
        found = no

    assert (type(expected), str(expected)) == (type(found), str(found))


@given(some.tasks(), agents, st.sampled_from(Status), st.booleans())
def test_only_a_worker_of_the_board_submits(task, agent, status, here):
    """
    Whoever else brings work to review does not take it from whoever did the work.
    """
    agent = evolve(agent, board=task.board) if here else agent
    after = evolve(task, status=status)
    enters = place_of(task.status) != "review" == place_of(status)
    expected = agent.agent if enters and here and not agent.lead else task.submitter

    assert expected == submitter_after(agent, task, after)
    assert task.submitter == submitter_after(SystemPrincipal(organization=task.organization), task, after)
