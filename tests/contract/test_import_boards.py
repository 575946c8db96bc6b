"""
Importing a Boards database: a PostgreSQL as the reference system keeps it.
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from attrs import frozen

from mission_adapters.data_import.boards_import import import_boards
from mission_adapters.memory import MemoryStore
from mission_adapters.testing import ManualClock
from mission_core.accounts.invites import INVITES
from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.onboarding import ONBOARDINGS
from mission_core.agents.organization_creation import ensure_organization
from mission_core.approvals.model import APPROVAL_LINKS, APPROVALS
from mission_core.approvals.queries import with_tasks
from mission_core.automation.board_webhooks import BOARD_WEBHOOKS
from mission_core.automation.webhook_payloads import PAYLOADS
from mission_core.boards.custom_fields import CUSTOM_FIELDS
from mission_core.boards.grants import GRANTS, INVITE_GRANTS
from mission_core.boards.groups import GROUPS
from mission_core.boards.tags import TAGS
from mission_core.conversations.memory_entries import BOARD_MEMORY, GROUP_MEMORY
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.queries import TaskFilter
from mission_core.values import PageRequest
from tests import postgres_server
from tests.contract.conftest import ports_over

TABLES = """
CREATE TABLE organizations (id uuid, name text, created_at timestamp, updated_at timestamp);
CREATE TABLE users (
  id uuid, clerk_user_id text, email text, name text, preferred_name text, active_organization_id uuid
);
CREATE TABLE organization_members (
  id uuid, organization_id uuid, user_id uuid, role text, all_boards_read bool, all_boards_write bool,
  created_at timestamp, updated_at timestamp
);
CREATE TABLE organization_board_access (
  id uuid, organization_member_id uuid, board_id uuid, can_read bool, can_write bool, created_at timestamp,
  updated_at timestamp
);
CREATE TABLE organization_invites (
  id uuid, organization_id uuid, invited_email text, token text, role text, all_boards_read bool,
  all_boards_write bool, created_by_user_id uuid, accepted_by_user_id uuid, accepted_at timestamp,
  created_at timestamp, updated_at timestamp
);
CREATE TABLE organization_invite_board_access (
  id uuid, organization_invite_id uuid, board_id uuid, can_read bool, can_write bool, created_at timestamp,
  updated_at timestamp
);
CREATE TABLE gateways (id uuid, organization_id uuid, name text, created_at timestamp);
CREATE TABLE board_groups (
  id uuid, organization_id uuid, name text, slug text, description text, created_at timestamp, updated_at timestamp
);
CREATE TABLE boards (
  id uuid, organization_id uuid, name text, slug text, description text, gateway_id uuid, board_group_id uuid,
  board_type text, objective text, success_metrics json, target_date timestamp, goal_confirmed bool, goal_source text,
  require_approval_for_done bool, require_review_before_done bool, max_agents int, created_at timestamp,
  updated_at timestamp
);
CREATE TABLE agents (
  id uuid, board_id uuid, gateway_id uuid, name text, status text, openclaw_session_id text, agent_token_hash text,
  heartbeat_config json, identity_profile json, soul_template text, last_seen_at timestamp, is_board_lead bool,
  created_at timestamp, updated_at timestamp
);
CREATE TABLE tags (
  id uuid, organization_id uuid, name text, slug text, color text, description text, created_at timestamp,
  updated_at timestamp
);
CREATE TABLE tag_assignments (id uuid, task_id uuid, tag_id uuid, created_at timestamp);
CREATE TABLE task_custom_field_definitions (
  id uuid, organization_id uuid, field_key text, label text, field_type text, ui_visibility text,
  validation_regex text, description text, required bool, default_value json, created_at timestamp,
  updated_at timestamp
);
CREATE TABLE board_task_custom_fields (
  id uuid, board_id uuid, task_custom_field_definition_id uuid, created_at timestamp
);
CREATE TABLE task_custom_field_values (
  id uuid, task_id uuid, task_custom_field_definition_id uuid, value json, created_at timestamp, updated_at timestamp
);
CREATE TABLE tasks (
  id uuid, board_id uuid, title text, description text, status text, priority text, due_at timestamp,
  in_progress_at timestamp, previous_in_progress_at timestamp, created_by_user_id uuid, assigned_agent_id uuid,
  auto_created bool, auto_reason text, created_at timestamp, updated_at timestamp
);
CREATE TABLE task_dependencies (
  id uuid, board_id uuid, task_id uuid, depends_on_task_id uuid, created_at timestamp
);
CREATE TABLE activity_events (
  id uuid, event_type text, message text, agent_id uuid, task_id uuid, board_id uuid, created_at timestamp
);
CREATE TABLE board_onboarding_sessions (
  id uuid, board_id uuid, session_key text, status text, messages json, draft_goal json, created_at timestamp,
  updated_at timestamp
);
CREATE TABLE board_memory (
  id uuid, board_id uuid, content text, tags json, is_chat bool, source text, created_at timestamp
);
CREATE TABLE board_group_memory (
  id uuid, board_group_id uuid, content text, tags json, is_chat bool, source text, created_at timestamp
);
CREATE TABLE board_webhooks (
  id uuid, board_id uuid, agent_id uuid, description text, enabled bool, secret text, signature_header text,
  created_at timestamp, updated_at timestamp
);
CREATE TABLE board_webhook_payloads (
  id uuid, board_id uuid, webhook_id uuid, payload json, headers json, source_ip text, content_type text,
  received_at timestamp
);
CREATE TABLE approvals (
  id uuid, board_id uuid, task_id uuid, agent_id uuid, action_type text, payload json, confidence double precision,
  rubric_scores json, status text, created_at timestamp, resolved_at timestamp
);
CREATE TABLE approval_task_links (id uuid, approval_id uuid, task_id uuid, created_at timestamp);
CREATE TABLE skill_packs (id uuid, organization_id uuid, created_at timestamp);
"""
AT = datetime(2026, 3, 1, 12, 0, 0, 123456)


@frozen
class There:
    """
    The other database, and the ids of what is in it.
    """

    url: str
    ids: dict[str, UUID]


@pytest.fixture(scope="module")
def there(postgres_url: str) -> Iterator[There]:
    """
    A database with something of everything, and something wrong.
    """
    ids: dict[str, UUID] = {}
    with postgres_server.empty_database(postgres_url) as url:
        asyncio.run(_fill(url, ids))
        yield There(url, ids)


async def _fill(url: str, ids: dict[str, UUID]) -> None:
    connection = await asyncpg.connect(url)
    late = 0

    async def put(table: str, called: str = "", /, **fields: Any) -> UUID:
        nonlocal late
        late += 1
        id = ids[called or f"{table}-{late}"] = uuid4()
        called_at = {"users": "", "board_webhook_payloads": "received_at"}.get(table, "created_at")
        made = {called_at: AT + timedelta(seconds=late)} if called_at else {}
        if table in CHANGING:
            made["updated_at"] = AT + timedelta(days=1)
        row = {"id": id, **made, **fields}
        names, marks = ", ".join(row), ", ".join(f"${place}" for place in range(1, len(row) + 1))
        await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", *row.values())
        return id

    await connection.execute(TABLES)
    own = await put("organizations", "first", name="Personal")
    other = await put("organizations", "second", name="Second")
    person = await put("users", "person", clerk_user_id=f"jo-{own}", name="Jo", email="jo@x.io")
    gateway = await put("gateways", "gateway", organization_id=own, name="G")
    group = await put("board_groups", "group", organization_id=own, name="Fleet", slug="fleet")
    plain = {"description": "d", "gateway_id": gateway, "board_type": "goal", "goal_confirmed": False, "max_agents": 3}
    one = await put("boards", "one", organization_id=own, name="Harbour", slug="harbour", board_group_id=group,
                    require_approval_for_done=False, success_metrics='{"ships": 3}', **plain)  # fmt: skip
    two = await put("boards", "two", organization_id=own, name="Harbour", slug="harbour", **plain)
    away = await put("boards", "away", organization_id=other, name="Away", slug="away", **plain)
    agent = {"gateway_id": gateway, "status": "online", "is_board_lead": False, "agent_token_hash": "x"}
    ada = await put("agents", "ada", board_id=one, name="Lead Agent", **{**agent, "is_board_lead": True})
    await put("agents", "bob", board_id=two, name="lead agent", last_seen_at=AT, soul_template="Kind", **agent)
    await put("agents", "main", name="G Gateway Agent", **agent)
    spare = await put("gateways", "spare", organization_id=own, name="Spare")
    await put("agents", "keeper", name="gateway agent", **{**agent, "gateway_id": spare})
    await put("agents", "lost agent", name="Lost", **{**agent, "gateway_id": None})
    urgent = await put("tags", "urgent", organization_id=own, name="Urgent", slug="urgent", color="ff0000")
    await put("tags", "bad", organization_id=own, name="N" * 5000, slug="bad", color="nonsense")
    size = await put("task_custom_field_definitions", "size", organization_id=own, field_key="size", label="Size",
                     field_type="integer", ui_visibility="always", required=False)  # fmt: skip
    await put("board_task_custom_fields", board_id=one, task_custom_field_definition_id=size)
    local = await put("users", "local", clerk_user_id="local-auth-user", email="admin@home.local")
    twin = await put("users", "twin", clerk_user_id=f"twin-{own}", email="Jo@x.io", active_organization_id=other)
    for user, role in ((person, "Owner"), (twin, " Guest "), (local, "owner")):
        called = f"member {role.strip().lower()}" if user != local else "local member"
        member = await put("organization_members", called, organization_id=own, user_id=user, role=role,
                           all_boards_read=user == person, all_boards_write=user == person)  # fmt: skip
        if user == twin:
            for board in (two, away):
                await put("organization_board_access", organization_member_id=member, board_id=board, can_read=True,
                          can_write=board == two)  # fmt: skip
    invite = await put("organization_invites", "invite", organization_id=own, invited_email="New@x.io", token="t",
                       role="admin", created_by_user_id=person)  # fmt: skip
    await put("organization_invite_board_access", organization_invite_id=invite, board_id=one, can_read=True)
    task = {"board_id": one, "priority": "high", "created_by_user_id": person}
    # The first one made depends on the second: what waits comes before what it waits for.
    last = await put("tasks", "last", title="Last", status="inbox", due_at=AT, **task)
    first = await put("tasks", "first task", title="First", status="in_progress", in_progress_at=AT,
                      assigned_agent_id=ada, auto_reason=f"lead_agent:{ada}", **task)  # fmt: skip
    await put("tasks", "done", title="Done", status="done", auto_reason="lead_agent:nobody", **task)
    await put("tasks", "nowhere", title="Nowhere", status="inbox", **{**task, "board_id": None})
    round_ = await put("tasks", "round", title="Round", status="inbox", **task)
    await put("tasks", "odd", title="Odd", status="nonsense", **task)
    await put("tasks", "far", title="Far", status="review", **{**task, "board_id": away})
    for waits, for_ in ((last, first), (round_, last), (last, round_)):
        await put("task_dependencies", board_id=one, task_id=waits, depends_on_task_id=for_)
    await put("tag_assignments", task_id=last, tag_id=urgent)
    await put("task_custom_field_values", task_id=last, task_custom_field_definition_id=size, value="7")
    await put("activity_events", "said", event_type="task.comment", message="Well?", task_id=last, board_id=one)
    await put("activity_events", "told", event_type="task.comment", message="Soon", task_id=last, agent_id=ada)
    await put("activity_events", "lost", event_type="task.comment", message="Where?")
    await put("activity_events", "beat", event_type="agent.heartbeat", agent_id=ada)
    await put("board_onboarding_sessions", "talk", board_id=one, session_key="k", status="active",
              messages='[{"role": "user", "content": "Go", "timestamp": "x"}]')  # fmt: skip
    await _fill_messages(put, one, group, ada)
    ask = {"board_id": one, "agent_id": ada, "action_type": "ship", "confidence": 81.5, "status": "pending"}
    both = await put("approvals", "both", task_id=last, payload='{"reason": "r"}', rubric_scores='{"tests": 9}', **ask)
    await put("approval_task_links", "link", approval_id=both, task_id=last)
    await put("approval_task_links", "other link", approval_id=both, task_id=first)
    given = {**ask, "agent_id": None, "status": "approved", "resolved_at": AT}
    for name in ("done", "first task"):
        approval = await put("approvals", f"approved {name}", **given)
        await put("approval_task_links", f"link {name}", approval_id=approval, task_id=ids[name])
    await put("approvals", "older", task_id=ids["done"], **given)
    second = await put("approvals", "twice", **ask)
    await put("approval_task_links", "twice link", approval_id=second, task_id=last)
    await put("approvals", "unsure", **{**ask, "confidence": 1000})
    await put("approvals", "adrift", **{**ask, "board_id": None})
    await put("approval_task_links", "loose", approval_id=uuid4(), task_id=last)
    await put("skill_packs", "skills", organization_id=own)
    await connection.close()


async def _fill_messages(put: Any, board: UUID, group: UUID, agent: UUID) -> None:
    """
    What the board and its group remember, and what came in by webhooks.
    """
    said = {"board_id": board, "is_chat": False}
    await put("board_memory", "policy", content="Fridays", tags='["policy"]', source="handbook", **said)
    await put("board_memory", "chat", content="Hi", tags='["chat"]', **{**said, "is_chat": True})
    await put("board_memory", "blank", content="  ", **said)
    await put("board_memory", "tagged", content="x", tags=json.dumps(["y" * 300]), **said)
    await put("board_group_memory", "tide", board_group_id=group, content="Six", is_chat=False)
    await put("board_group_memory", "no group", board_group_id=uuid4(), content="x", is_chat=False)
    hook = {"board_id": board, "description": "Look", "enabled": True}
    signed = await put("board_webhooks", "signed", agent_id=agent, secret="s3cret", signature_header="X-Own", **hook)
    await put("board_webhooks", "orphan", agent_id=uuid4(), **{**hook, "enabled": False})
    await put("board_webhooks", "odd header", signature_header="no header", **hook)
    came = {"board_id": board, "webhook_id": signed, "source_ip": "203.0.113.7", "content_type": "text/plain"}
    headers = {"content-type": "text/plain", "x-event": "push", "x-gitlab-token": "s3cret", "x-own": "s3cret"}
    await put("board_webhook_payloads", "came", payload='{"z": 1, "a": "\\u0000"}', headers=json.dumps(headers), **came)
    await put("board_webhook_payloads", "text", payload='"just text"', **came)
    await put("board_webhook_payloads", "stray", payload="1", **{**came, "webhook_id": uuid4()})


CHANGING = {
    "board_webhooks", "organization_members", "organization_board_access", "organization_invites",
    "organization_invite_board_access",
    "organizations", "board_groups", "boards", "agents", "tags", "task_custom_field_definitions", "tasks",
    "task_custom_field_values", "board_onboarding_sessions",
}  # fmt: skip


async def owner(ports: Any) -> SystemPrincipal:
    """
    Who may see what came into the default organization.
    """
    return SystemPrincipal(organization=(await ensure_organization(ports, slug="default")).id)


async def test_ids_moments_and_what_hangs_together_stay(ports: Any, there: There) -> None:
    """
    And everything gets a number that it never had.
    """
    await import_boards(ports, there.url)
    me, ids = await owner(ports), there.ids
    async with ports.unit(me) as unit:
        last, first, done, round_ = [
            await unit.tasks.get(ids[name]) for name in ("last", "first task", "done", "round")
        ]
        one, two = [await unit.boards.get(ids[name]) for name in ("one", "two")]
        ada, bob = [await unit.agents.get(ids[name]) for name in ("ada", "bob")]
    reads = ports.reads.entities

    assert AT == last.due_at.replace(tzinfo=None)
    assert (ids["one"], (ids["urgent"],)) == (last.board, last.tag_ids)
    assert ((ids["first task"], ids["round"]), ()) == (last.depends_on, round_.depends_on)
    assert {str(ids["size"]): 7} == json.loads(last.field_values)
    assert ("in_progress", "Lead Agent", ids["ada"], "agent") == (
        first.status, first.assignee.name, first.assignee.agent, first.creator.kind,
    )  # fmt: skip
    assert ("done", True) == (done.status, done.recorded)
    assert len({last.number, first.number, done.number}) == 3
    assert {1, 2, 3, 4} == {(await _ticket(ports, me, ids[name])) for name in ("last", "first task", "done", "round")}
    assert ("harbour", "harbour-2") == (one.handle, two.handle)
    assert (False, True, ids["group"], '{"ships":3}', 3) == (
        one.gates.require_approval_for_done, two.gates.require_approval_for_done, one.group, one.success_metrics,
        one.max_agents,
    )  # fmt: skip
    assert (True, "Lead Agent", "lead agent (Harbour)", "Kind") == (ada.lead, ada.name, bob.name, bob.soul)
    assert [("somebody", "Well?"), ("Lead Agent", "Soon")] == [
        (each.author, each.content) for each in await reads.every(me, COMMENTS, task=last.id)
    ]
    assert (ids["one"],) == (await reads.get(me, CUSTOM_FIELDS, ids["size"])).boards
    assert "Fleet" == (await reads.get(me, GROUPS, ids["group"])).name
    assert "ff0000" == (await reads.get(me, TAGS, ids["urgent"])).color
    assert [ids["talk"]] == [each.id for each in await reads.every(me, ONBOARDINGS, board=ids["one"])]


async def test_what_boards_remember_and_what_came_in_goes_along(ports: Any, there: There) -> None:
    """
    A webhook keeps its address and its secret, which is sealed here; no secret is left in the headers of what came in.
    """
    await import_boards(ports, there.url)
    me, ids, reads = await owner(ports), there.ids, ports.reads.entities
    memory = {each.id: each for each in await reads.every(me, BOARD_MEMORY, board=ids["one"])}
    policy, chat, tagged = [memory[ids[name]] for name in ("policy", "chat", "tagged")]
    (tide,) = await reads.every(me, GROUP_MEMORY, group=ids["group"])
    signed, orphan = [await reads.get(me, BOARD_WEBHOOKS, ids[name]) for name in ("signed", "orphan")]
    came, text = await reads.every(me, PAYLOADS, webhook=ids["signed"])

    assert 3 == len(memory)
    assert ("Fridays", ("policy",), "handbook", False) == (policy.content, policy.tags, policy.source, policy.chat)
    assert (True, ("chat",), ("y" * 200,)) == (chat.chat, chat.tags, tagged.tags)
    assert policy.number < chat.number
    assert (ids["tide"], "Six", None) == (tide.id, tide.content, tide.tags)
    assert (ids["ada"], True, "X-Own", "s3cret") == (
        signed.agent, signed.enabled, signed.signature_header, ports.vault.decrypt(signed.secret, about=signed.id),
    )  # fmt: skip
    assert b"s3cret" not in signed.secret
    assert (None, False, None) == (orphan.agent, orphan.enabled, orphan.secret)
    assert ('{"z":1,"a":"\ufffd"}', {"content-type": "text/plain", "x-event": "push"}, "203.0.113.7") == (
        came.payload, json.loads(came.headers), came.source_ip,
    )  # fmt: skip
    assert ('"just text"', None, ids["one"]) == (text.payload, text.headers, text.board)


async def test_approvals_go_along_with_their_tasks(ports: Any, there: There) -> None:
    """
    What a done task passed on is used up; of each task one stays pending.
    """
    await import_boards(ports, there.url)
    me, ids = await owner(ports), there.ids
    names = ("both", "approved done", "approved first task", "older", "twice")
    rows = [await ports.reads.entities.get(me, APPROVALS, ids[name]) for name in names]
    both, of_done = rows[:2]
    told = {UUID(bytes=each.id): each.tasks for each in await with_tasks(ports, me, *rows)}
    links = await ports.reads.entities.every(me, APPROVAL_LINKS, approval=both.id)

    assert ("ship", 81.5, '{"reason":"r"}', '{"tests":9}', ids["ada"], "Lead Agent", "pending", ids["one"]) == (
        both.action, both.confidence, both.arguments, both.scores, both.agent, both.asker, both.status, both.board
    )  # fmt: skip
    assert ("approved", AT, "somebody") == (of_done.status, of_done.resolved_at.replace(tzinfo=None), of_done.asker)
    assert [(ids["last"], False), (ids["first task"], False)] == [
        (UUID(bytes=each.task), each.used) for each in told[both.id]
    ]
    assert {ids["link"], ids["other link"]} == {link.id for link in links}
    assert [True, False, True] == [told[ids[name]][0].used for name in names[1:4]]
    assert () == told[ids["twice"]]
    assert 5 == len({each.number for each in rows})


async def test_an_agent_of_a_gateway_that_no_board_uses_goes_along(ports: Any, there: There) -> None:
    """
    Under another name, since its own is that of the main agent here.
    """
    await import_boards(ports, there.url)
    async with ports.unit(await owner(ports)) as unit:
        main, keeper = await unit.agents.find("Gateway Agent"), await unit.agents.get(there.ids["keeper"])

    assert (True, "gateway agent (main)", None) == (main.main, keeper.name, keeper.board)


async def test_an_organization_keeps_its_name(ports: Any, there: There) -> None:
    """
    If the import founded it.
    """
    await import_boards(ports, there.url)

    assert "Second" == (await ports.credentials.organization(f"imported-{there.ids['second'].hex[:12]}")).name


async def _ticket(ports: Any, me: SystemPrincipal, task: UUID) -> int:
    return int((await ports.reads.tasks.get(me, task)).ticket)


async def test_what_was_left_is_told_with_its_reason(ports: Any, there: There) -> None:
    """
    Row by row, and nothing is left in silence.
    """
    told = (await import_boards(ports, there.url)).plain()
    ids = {str(id): name for name, id in there.ids.items()}
    skipped = {(each["table"], *(ids[id] for id in each["examples"])): each["why"] for each in told["skipped"]}
    changed = {(each["table"], ids[id]): each["why"] for each in told["changed"] for id in each["examples"]}

    for table, name in (
        ("tasks", "nowhere"), ("agents", "lost agent"), ("comments", "lost"),
        ("board_memory", "blank"), ("board_group_memory", "no group"),
        ("board_webhook_payloads", "stray"), ("skill_packs", "skills"), ("users", "local"),
        ("activity_events", "beat"), ("approvals", "adrift"),
        ("approval_task_links", "loose"), ("approval_task_links", "twice link"),
    ):  # fmt: skip
        assert skipped.get((table, name)), (table, name)
    assert "gateways" in {each["table"] for each in told["skipped"]}
    assert "itself" in changed["tasks", "round"] or "itself" in changed["tasks", "last"]
    assert "key" in changed["agents", "ada"]
    assert "tags" in changed["board_memory", "tagged"]
    assert changed["tags", "bad"]
    assert "status" in changed["tasks", "odd"]
    assert "confidence" in changed["approvals", "unsure"]
    assert "signature_header" in changed["board_webhooks", "odd header"]
    assert "agent" in changed["board_webhooks", "orphan"]
    assert "headers" in changed["board_webhook_payloads", "came"]


async def test_importing_again_changes_nothing(ports: Any, there: There) -> None:
    """
    The log does not grow, and nothing is there twice.
    """
    await import_boards(ports, there.url)
    me = await owner(ports)
    before = (await ports.log.head(me.organization)).position
    total = (await ports.reads.tasks.page(me, TaskFilter(), PageRequest())).total
    told = (await import_boards(ports, there.url)).plain()

    assert {} == {table: count for table, count in told["taken"].items() if count}
    assert 6 == told["there"]["tasks"]
    assert (before, total) == (
        (await ports.log.head(me.organization)).position,
        (await ports.reads.tasks.page(me, TaskFilter(), PageRequest())).total,
    )


async def test_another_organization_stays_another(ports: Any, there: There) -> None:
    """
    What belongs to it is not seen from the first.
    """
    await import_boards(ports, there.url)
    other = await ensure_organization(ports, slug=f"imported-{there.ids['second'].hex[:12]}")

    assert ["Far"] == [
        row.title
        for row in (
            await ports.reads.tasks.page(SystemPrincipal(organization=other.id), TaskFilter(), PageRequest())
        ).rows
    ]


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "nonsense"])
async def test_a_database_that_is_not_there_is_refused(ports: Any, url: str) -> None:
    """
    With the reason.
    """
    with pytest.raises(ValueError, match="cannot be opened"):
        await import_boards(ports, url)


async def test_a_database_of_something_else_is_refused(ports: Any, fresh_postgres: str) -> None:
    """
    With the tables it lacks.
    """
    with pytest.raises(ValueError, match="organizations"):
        await import_boards(ports, fresh_postgres)


def test_the_command_line_reports_what_it_took(there: There, tmp_path: Path) -> None:
    """
    To people or to programs.
    """
    command = [sys.executable, "-m", "mission_http.main", "import", "boards", there.url]
    run = partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True)
    first, second = run(command), run([*command, "--json"])

    assert (3, 3) == (first.returncode, second.returncode), first.stderr + second.stderr
    assert "tasks: 6 imported" in first.stdout
    assert 6 == json.loads(second.stdout)["there"]["tasks"]


async def test_people_come_with_their_places(ports: Any, there: There) -> None:
    """
    Roles, flags and grants; the provider's name for them tells who they are, and nothing merges two of them.
    """
    told = (await import_boards(ports, there.url, issuer="https://issuer.example")).plain()
    me = await owner(ports)
    people = {each.user.id: each for each in await ports.reads.members.every(me)}
    person, twin = people[there.ids["person"]], people[there.ids["twin"]]
    grants = await ports.reads.entities.every(me, GRANTS, member=twin.member.id)

    assert ("owner", True, True) == (
        person.member.role, person.member.all_boards_read, person.member.all_boards_write,
    )  # fmt: skip
    assert ("guest", False, False) == (twin.member.role, twin.member.all_boards_read, twin.member.all_boards_write)
    assert [(there.ids["two"], True, True)] == [(each.on_board, each.can_read, each.can_write) for each in grants]
    assert person.user.email == twin.user.email
    assert person.user.username_key != twin.user.username_key
    assert not person.user.email_verified
    assert there.ids["local"] not in people
    assert told["there"]["users"] + told["taken"].get("users", 0) == 2


async def test_invites_wait_under_new_tokens(ports: Any, there: There) -> None:
    """
    With their boards; the old token opens nothing.
    """
    await import_boards(ports, there.url)
    me = await owner(ports)
    invite = await ports.reads.entities.get(me, INVITES, there.ids["invite"])
    (offer,) = await ports.reads.entities.every(me, INVITE_GRANTS, invite=invite.id)

    assert ("new@x.io", "admin", there.ids["person"], True) == (
        invite.email, invite.role, invite.created_by, invite.pending,
    )  # fmt: skip
    assert (there.ids["one"], True, False) == (offer.on_board, offer.can_read, offer.can_write)
    assert invite.id == ports.secrets.invite_of_token(ports.secrets.invite_token(invite.id))


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "4000-01-01 BC"])
async def test_moments_that_no_calendar_holds_cost_no_row(there: There, clock: ManualClock, moment: str) -> None:
    """
    They are left out, or others stand for them, and that is told.
    """
    whole = (await import_boards(ports_over(MemoryStore(clock), clock), there.url)).plain()
    columns = (("tasks", "due_at"), ("tasks", "created_at"), ("boards", "target_date"), ("agents", "last_seen_at"),
               ("organizations", "created_at"), ("activity_events", "created_at"))  # fmt: skip
    for table, column in columns:
        keep = f"CREATE TABLE kept_rows AS TABLE {table}; UPDATE {table} SET {column} = '{moment}'"
        await run_in(there.url, keep)
        try:
            told = (await import_boards(ports_over(MemoryStore(clock), clock), there.url)).plain()
        finally:
            await run_in(there.url, f"DELETE FROM {table}; INSERT INTO {table} TABLE kept_rows; DROP TABLE kept_rows")

        assert whole["taken"] == told["taken"], (table, column)
        if table != "organizations":
            assert any(each["why"].startswith(f"{column} is not a time") for each in told["changed"]), (table, column)


NASTY = {
    "text": ("NULL", "''", "' '", "repeat('x', 50000)", "'nonsense'", "E'a\\u0001\\u2028b'"),
    "json": ("NULL", "'7'", "'\"x\"'", "'[[1], {}]'", "'{\"a\": 1e999}'", "'{\"a\": \"\\ud800\\u0000\"}'",
             "repeat('[', 5000) || repeat(']', 5000)"),
    "integer": ("NULL", "-1", "2147483647"),
    "double precision": ("NULL", "-1", "'NaN'", "'infinity'"),
    "timestamp without time zone": ("NULL", "'infinity'", "'9999-12-31'"),
}  # fmt: skip
IDENTITY = {
    "name", "role", "slug", "secret", "clerk_user_id", "invited_email", "field_key", "content", "message", "event_type",
    "accepted_at", "value",
}  # fmt: skip
"""Columns without which a row is another one, or would let somebody do more than it did."""


@pytest.mark.parametrize("turn", range(max(map(len, NASTY.values()))))
async def test_columns_that_are_spoiled_cost_no_row_that_can_stand_without_them(
    there: There, clock: ManualClock, turn: int
) -> None:
    """
    In the first row of each table all at once: the import tells what it took otherwise, and changes nothing when it is
    repeated.
    """
    whole = (await import_boards(ports_over(MemoryStore(clock), clock), there.url)).plain()
    ports = ports_over(MemoryStore(clock), clock)
    nasty = {
        table: {
            name: f"({NASTY[kind][turn % len(NASTY[kind])]})::{kind}"
            for name, kind in columns.items()
            if kind in NASTY and name not in IDENTITY
        }
        for table, columns in (await columns_of(there.url)).items()
    }
    async with spoiled(there.url, nasty):
        told, again = [(await import_boards(ports, there.url)).plain() for _ in range(2)]

    assert whole["taken"] == told["taken"], told["skipped"]
    assert {} == {table: count for table, count in again["taken"].items() if count}
    assert not [each["why"] for each in (*told["skipped"], *told["changed"]) if "Error" in each["why"]]


PARENTS = {
    "board_groups": "organization_id", "boards": "organization_id", "tags": "organization_id",
    "organization_members": "organization_id", "organization_invites": "organization_id",
    "organization_board_access": "organization_member_id", "agents": "board_id",
    "organization_invite_board_access": "organization_invite_id", "tasks": "board_id",
    "task_custom_field_definitions": "organization_id", "board_onboarding_sessions": "board_id",
    "board_memory": "board_id", "board_group_memory": "board_group_id", "board_webhooks": "board_id",
    "board_webhook_payloads": "webhook_id", "approvals": "board_id", "approval_task_links": "approval_id",
}  # fmt: skip
JOINS = {
    "board_task_custom_fields": "task_custom_field_definition_id", "task_dependencies": "task_id",
    "tag_assignments": "task_id", "task_custom_field_values": "task_id",
}  # fmt: skip
"""Tables whose rows become a part of another row."""


async def test_every_row_is_taken_or_told_of(there: There, clock: ManualClock) -> None:
    """
    Also where what it belongs to is not there, or was left behind itself.
    """
    async with spoiled(there.url, {each: {name: "gen_random_uuid()"} for each, name in (PARENTS | JOINS).items()}):
        report = await import_boards(ports_over(MemoryStore(clock), clock), there.url)
        counts = await counted_rows(there.url)
    found = Counter(report.taken)
    for (table, _), reason in report.skipped.items():
        found[table] += reason.count

    assert {} == {each: (counts[each], found[each]) for each in PARENTS if found[each] < counts[each]}
    assert {} == {each: found[each] for each in JOINS if not found[each]}
    assert report.failures


@asynccontextmanager
async def spoiled(url: str, values: dict[str, dict[str, str]]) -> AsyncIterator[None]:
    """
    The other database, meanwhile with these values in the first row of each table.
    """
    tables = {table: ", ".join(f"{name} = {value}" for name, value in new.items()) for table, new in values.items()}
    tables = {table: new for table, new in tables.items() if new}
    await run_in(
        url,
        "; ".join(
            f"CREATE TABLE kept_{table} AS TABLE {table};"
            f"UPDATE {table} SET {new} WHERE ctid = (SELECT min(ctid) FROM {table})"
            for table, new in tables.items()
        ),
    )
    try:
        yield
    finally:
        await run_in(
            url,
            "; ".join(
                f"DELETE FROM {table}; INSERT INTO {table} TABLE kept_{table}; DROP TABLE kept_{table}"
                for table in tables
            ),
        )


async def columns_of(url: str) -> dict[str, dict[str, str]]:
    """
    The columns of each table with their types.
    """
    found: dict[str, dict[str, str]] = {}
    connection = await asyncpg.connect(url)
    for row in await connection.fetch(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
    ):
        found.setdefault(row[0], {})[row[1]] = row[2]
    await connection.close()
    return found


async def counted_rows(url: str) -> dict[str, int]:
    """
    How many rows each table has.
    """
    tables = await columns_of(url)
    connection = await asyncpg.connect(url)
    counted = {each: await connection.fetchval(f"SELECT count(*) FROM {each}") for each in tables}
    await connection.close()
    return counted


async def run_in(url: str, statements: str) -> None:
    """
    Run statements in the other database.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


async def test_a_reference_to_what_is_not_there_is_told(there: There, clock: ManualClock) -> None:
    """
    The task stands without its agent, its tag and what it waits for.
    """
    task, missing = there.ids["odd"], uuid4()
    await run_in(
        there.url,
        "CREATE TABLE kept_rows AS TABLE tasks;"
        f"UPDATE tasks SET assigned_agent_id = '{missing}' WHERE id = '{task}';"
        "INSERT INTO tag_assignments (id, task_id, tag_id, created_at)"
        f" VALUES ('{missing}', '{task}', '{missing}', now());"
        "INSERT INTO task_dependencies (id, task_id, depends_on_task_id, created_at)"
        f" VALUES ('{missing}', '{task}', '{missing}', now())",
    )
    try:
        told = (await import_boards(ports_over(MemoryStore(clock), clock), there.url)).plain()
    finally:
        await run_in(
            there.url,
            "DELETE FROM tasks; INSERT INTO tasks TABLE kept_rows; DROP TABLE kept_rows;"
            f"DELETE FROM tag_assignments WHERE id = '{missing}'; DELETE FROM task_dependencies WHERE id = '{missing}'",
        )
    why = " ".join(each["why"] for each in told["changed"] if str(task) in each["examples"])

    for word in ("assigned", "tag", "depends on"):
        assert word in why
