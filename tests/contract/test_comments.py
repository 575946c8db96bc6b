"""
Comments: who may say what about which task, what is kept of it, and what follows.
"""

import asyncio
import json
import re
import sys

import pytest
from attrs import evolve

from mission_adapters.sql.agent_reads import select_names_of_handles
from mission_adapters.sql.migrations import migrate
from mission_adapters.sql.postgres_pool import PLANNER_SETTINGS
from mission_core.boards.model import GateSet
from mission_core.errors import RoleTooLow
from mission_core.tasks.comment_creation import AddComment, LeadCommentDenied, add_comment
from mission_core.tasks.comments import COMMENTS, CommentNotFound
from mission_core.tasks.mentions import MentionStyle, UnknownMentions
from mission_core.tasks.model import CommentRequired, NotYourTask, Status, TaskNotFound
from mission_core.tasks.use_cases import (
    CreateTask,
    DeleteTask,
    UpdateMode,
    UpdateTask,
    create_task,
    delete_task,
    update_task,
)
from tests.contract.conftest import viewer
from tests.contract.schemas import asked

TALKATIVE = GateSet(require_approval_for_done=False, comment_required_for_review=True)


async def said(world, task, content="Hello", *, by=None, **more):
    return await add_comment(world.ports, by or world.me, AddComment(task=task.id, content=content, **more))


async def moved(world, task, status, *, by=None, **more):
    command = UpdateTask(task=task.id, status=status, **more)
    return await update_task(world.ports, by or world.me, command)


async def comments(world):
    return await world.ports.reads.entities.every(world.me, COMMENTS)


async def payloads(world, kind):
    entries = await world.ports.log.read(world.me.organization, limit=10_000)
    return [json.loads(entry.payload) for entry in entries if entry.kind == kind]


async def test_a_comment_is_kept_with_whom_it_is_from(world):
    """
    And the log tells all that somebody who is notified of it needs to know.
    """
    ada, task = await world.principal("ada"), await world.task()
    await world.agent("bob", board=world.board.id)
    first = await said(world, task, "Begin, @bob", by=ada)
    reply = await said(world, task, "@nobody did", parent=first.number)

    assert [first, reply] == await comments(world)
    assert ("ada", "agent", ada.agent, ("bob",), None, world.clock.now()) == (
        first.author, first.author_kind, first.author_id, first.mentions, first.parent, first.created_at,
    )  # fmt: skip
    assert ("System", "system", None, (), first.id) == (
        reply.author, reply.author_kind, reply.author_id, reply.mentions, reply.parent,
    )  # fmt: skip
    assert reply.number > first.number
    assert [
        {
            "task": str(task.id), "comment": str(each.id), "author": each.author, "message": each.content,
            "parent": str(each.parent) if each.parent else None, "mentions": list(each.mentions),
        }
        for each in (first, reply)
    ] == await payloads(world, "task.commented")  # fmt: skip
    assert task == await world.fresh(task)


async def test_a_reply_answers_a_comment_of_the_same_task(world, elsewhere):
    """
    Named by id or by number.
    """
    task = await world.task()
    first, other = await said(world, task), await said(world, await world.task())
    foreign = await said(elsewhere, await elsewhere.task())

    assert first.id == (await said(world, task, parent=first.id)).parent
    for parent in (other.id, other.number, foreign.id, 999_999):
        with pytest.raises(CommentNotFound):
            await said(world, task, parent=parent)


async def test_only_what_may_be_written_to_is_commented_on(world, elsewhere):
    task, other = await world.task(assignee="bob"), await world.another_board()
    ada = await world.principal("ada")

    with pytest.raises(RoleTooLow):
        await said(world, task, by=viewer(world))
    with pytest.raises(TaskNotFound):
        await said(world, await elsewhere.task())
    with pytest.raises(TaskNotFound):
        await said(world, task, on=other.id)
    with pytest.raises(NotYourTask):
        await said(world, task, by=ada, own=True)
    assert [] == await comments(world)


@pytest.mark.parametrize(
    ("name", "fields", "handle"),
    [
        ("Bob", {}, "bob"),
        ("Bob  Ross", {}, "bob-ross"),
        ("Bob\u00a0Ross", {}, "bob-ross"),
        ("\u00c4nne", {}, "\u00e4nne"),
        ("Bob", {"config": '{"openclawId":"br-1"}'}, "br-1"),
    ],
)
async def test_names_are_read_of_those_who_may_have_a_handle(world, name, fields, handle):
    """
    And not of all agents, on stores that are asked by SQL.
    """
    agent = await world.agent(name, **fields)
    await world.agent("carol")
    found = {each.name for each in await world.ports.reads.agents.names(world.me, handles=[handle])}
    session = getattr(world.ports.numbers, "session", None)

    assert agent.name in found
    assert session is None or "carol" not in found


async def test_names_are_read_of_those_with_any_blanks_in_their_name(world):
    """
    A dash of a handle stands for whatever Python takes for blanks.
    """
    blanks = [chr(n) for n in range(sys.maxunicode) if chr(n).isspace()]
    names = [f"b{blank}{n}" for n, blank in enumerate((*blanks, " \t", "  "))]
    for name in (*names, " carol", "dave "):
        await world.agent(name)
    handles = [*(f"b-{n}" for n in range(len(names))), "carol", "dave"]
    found = {each.name for each in await world.ports.reads.agents.names(world.me, handles=handles)}

    assert {*names, " carol", "dave "} <= found


def test_postgres_finds_the_agents_with_a_handle_by_indexes(fresh_postgres):
    """
    It proves by the text of the condition that the partial index has all other agents.
    """
    migrate(fresh_postgres)
    ask = select_names_of_handles("postgresql")("postgresql", organization=b"", handles=[])
    settings = "; ".join(f"SET {name} = {value}" for name, value in PLANNER_SETTINGS.items())
    script = f"{settings}; PREPARE reading AS {ask.text}"
    (plan,) = asked(fresh_postgres, "EXPLAIN EXECUTE reading('', '{ada}')", script=script)
    lines = "\n".join(line for (line,) in plan)

    assert re.search(r"using ix_agents_dashed_name .*\n +Index Cond: .*replace\(name_key", lines)
    assert "Index Scan using ix_agents_other_handles" in lines
    assert "Seq Scan" not in lines


async def test_whom_nobody_knows_cannot_be_called_by_handle(world):
    """
    Nothing is kept then: no comment, no task, no change.
    """
    task = await world.task(description="@gone did this")
    before = len(await world.event_kinds())
    with pytest.raises(UnknownMentions) as refused:
        await said(world, task, "@eve and @mallory", mention_style=MentionStyle.HANDLES)
    command = CreateTask(title="x", description="@eve", mention_style=MentionStyle.HANDLES)
    with pytest.raises(UnknownMentions):
        await create_task(world.ports, world.me, command)
    with pytest.raises(UnknownMentions):
        await moved(world, task, Status.REVIEW, description="@eve", mention_style=MentionStyle.HANDLES)

    assert ("eve", "mallory") == refused.value.missing
    assert ([], task, before) == (await comments(world), await world.fresh(task), len(await world.event_kinds()))
    await moved(world, task, Status.REVIEW, description=task.description, mention_style=MentionStyle.HANDLES)


async def test_the_log_tells_whom_a_description_calls_anew(world):
    ada = (await world.agent("ada")).name
    await world.agent("Bob Ross", config='{"openclawId":"br-1"}')
    task = await world.task(description="@ada begins", mention_style=MentionStyle.HANDLES)
    command = UpdateTask(task=task.id, description="@ada begins, @br-1 ends", mention_style=MentionStyle.HANDLES)
    await update_task(world.ports, world.me, command)

    assert [[ada]] == [fact["mentions"] for fact in await payloads(world, "task.created")]
    assert [["Bob Ross"]] == [fact["mentions"] for fact in await payloads(world, "task.updated")]


async def test_by_name_only_a_boards_own_agents_are_called(world):
    other = await world.another_board()
    await world.agent("far", board=other.id)
    await world.agent("Lea Lead", board=world.board.id, lead=True)
    comment = await said(world, await world.task(), "@far @lead @lea")

    assert ("Lea Lead",) == comment.mentions


async def test_work_of_nobody_goes_to_the_first_agent_that_is_called(world):
    await world.agent("ada")
    await world.agent("bob")
    task = await world.task()
    how = {"mention_style": MentionStyle.HANDLES, "assign_first_mention": True}
    first = await said(world, task, "@bob, or @ada?", **how)
    second = await said(world, task, "@ada, no?", **how)
    given = await world.fresh(task)

    assert ("bob", None) == (first.assigned, second.assigned)
    assert ("bob", Status.ASSIGNED, task.version + 1) == (given.assignee.name, given.status, given.version)
    assert ["task.moved", "task.assigned", "task.commented"] == (await world.event_kinds())[-4:-1]
    assert task.id == (await world.claim(agent="bob")).task.id


async def test_work_that_goes_to_somebody_stays_where_it_is_beyond_the_inbox(world):
    await world.agent("ada")
    task = await world.task(status=Status.REVIEW)
    await said(world, task, "@ada", mention_style=MentionStyle.HANDLES, assign_first_mention=True)
    given = await world.fresh(task)

    assert ("ada", Status.REVIEW) == (given.assignee.name, given.status)


@pytest.mark.parametrize("status", [Status.REVIEW, Status.QUALITY_REVIEW])
async def test_a_lead_speaks_where_it_has_a_part(world, status):
    lead = await world.principal("Lea Lead", board=world.board.id, lead=True)
    ada = await world.principal("ada", board=world.board.id)
    reviewed, made, other = await world.task(status=status), await world.task(by=lead), await world.task()
    other_words = await world.task()
    await said(world, other_words, "@leader @le")

    for task in (reviewed, made):
        await said(world, task, by=lead, restrict_lead=True)
    for task in (other, other_words):
        with pytest.raises(LeadCommentDenied):
            await said(world, task, by=lead, restrict_lead=True)
    await said(world, other, "what now, @lea?", by=ada, restrict_lead=True)
    await said(world, other, by=lead, restrict_lead=True)
    await said(world, other_words, by=lead)


async def test_a_lead_that_was_called_by_its_handle_may_answer(world):
    lead = await world.principal("Lea.Lead", board=world.board.id, lead=True)
    task = await world.task()
    await said(world, task, "@lea.lead?", mention_style=MentionStyle.HANDLES)
    await said(world, task, by=lead, restrict_lead=True)

    assert 2 == len(await comments(world))


@pytest.mark.parametrize("manner", UpdateMode)
async def test_a_comment_with_a_change_is_kept_with_it(world, manner):
    task = await world.task()
    await world.agent("bob", board=world.board.id)
    await moved(world, task, Status.IN_PROGRESS, comment="Now, @bob", mode=manner)
    (kept,) = await comments(world)

    assert (task.id, "Now, @bob", ("bob",)) == (kept.task, kept.content, kept.mentions)
    assert ["task.moved", "task.commented", "task.updated"] == (await world.event_kinds())[-3:]


async def test_a_review_takes_what_the_worker_said_since_it_began(world):
    """
    Neither what it said before, nor what others say, nor what was said about another task.
    """
    ada, bob = await world.principal("ada"), await world.principal("bob")
    board = await world.another_board(gates=TALKATIVE)
    task, other = [await world.task(board=board.id, assignee="ADA") for _ in range(2)]
    await said(world, task, "I will", by=ada)
    world.clock.advance(minutes=1)
    await moved(world, task, Status.IN_PROGRESS)
    await moved(world, other, Status.IN_PROGRESS)
    await said(world, task, "Go on", by=bob)
    await said(world, other, "Done", by=ada)
    with pytest.raises(CommentRequired):
        await moved(world, task, Status.REVIEW)
    await said(world, task, "Done", by=ada)
    await said(world, task, "Good", by=bob)
    await moved(world, task, Status.REVIEW)

    assert Status.REVIEW is (await world.fresh(task)).status
    with pytest.raises(CommentRequired):  # it waits for work to begin again
        await moved(world, await moved(world, task, Status.ASSIGNED), Status.REVIEW)


async def test_the_worker_whose_word_counts_is_the_one_that_a_change_names(world):
    ada = await world.principal("ada")
    board = await world.another_board(gates=TALKATIVE)
    task = await world.task(board=board.id, assignee="bob", status=Status.IN_PROGRESS)
    await said(world, task, "Done", by=ada)
    with pytest.raises(CommentRequired):
        await moved(world, task, Status.REVIEW)

    assert Status.REVIEW is (await moved(world, task, Status.REVIEW, assignee="Ada")).status


async def test_a_person_speaks_for_its_own_work(world):
    board = await world.another_board(gates=TALKATIVE)
    eve = evolve(world.me, name="eve", display="Eve")
    task = await world.task(board=board.id, assignee="Eve", status=Status.IN_PROGRESS)
    await said(world, task, " ", by=eve)
    with pytest.raises(CommentRequired):
        await moved(world, task, Status.REVIEW)
    await said(world, task, "Done", by=eve)

    assert Status.REVIEW is (await moved(world, task, Status.REVIEW)).status


async def test_comments_and_a_deletion_at_once_leave_nothing_behind(world):
    """
    Whoever comes late is told that the task is gone.
    """
    task = await world.task()
    deletion = delete_task(world.ports, world.me, DeleteTask(task=task.id))
    answers = await asyncio.gather(*[said(world, task) for _ in range(4)], deletion, return_exceptions=True)

    assert {TaskNotFound} >= {type(each) for each in answers if isinstance(each, Exception)}
    assert [] == await comments(world)


async def test_many_comment_at_once(world):
    task = await world.task()
    made = await asyncio.gather(*[said(world, task, str(n)) for n in range(20)])

    assert sorted(made, key=lambda each: each.number) == await comments(world)
    assert 20 == len({each.number for each in made})
