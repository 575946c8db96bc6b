"""
Two organizations on one store, and two boards of one organization: whatever one's ids and names are put into, in
whatever operation, the other's words do not come back, nothing of it changes, and it makes no difference whether it is
there at all.

Each operation is asked on SQLite. PostgreSQL runs the same statements, and `test_isolation_machine.py` compares two
worlds on every store.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from attrs import evolve, frozen

from mission_adapters.board_scope import has_board
from mission_adapters.kind_registry import KINDS
from mission_core.accounts.profiles import local_user_of
from mission_core.agents.tool_connections import CONNECTIONS
from mission_core.agents.use_cases import secret_digest
from mission_core.boards.groups import GROUPS
from mission_core.conversations.memory_entries import GROUP_MEMORY
from mission_core.conversations.notifications import make_notifications
from mission_core.ids import AgentId, BoardId, GroupId, TaskId
from mission_core.ports import Ports
from mission_core.tasks.comments import COMMENTS
from mission_http.app import create_app
from mission_http.platform.endpoints import Dialect, Endpoint
from mission_http.platform.field_annotations import fields_of, wire_name
from mission_http.wiring import ServerSecretCredentials
from tests.contract.boards_driver import TOKEN, run_lifespan
from tests.contract.generated_requests import names_in
from tests.contract.granted_boards import nothing_known
from tests.contract.planted_rows import MARK, NAME, OPEN, POLLS, SAID, Planted, lasting, planted_in, planted_on_a_board
from tests.contract.populated_app import (
    DIALECTS,
    KEY,
    OPERATIONS,
    UNKNOWN_ID,
    PopulatedApp,
    SharedApp,
    operation_id,
)
from tests.unit.http.platform.sample_app import Answer

Operation = tuple[Dialect, Endpoint]

NOBODYS = f"{SAID}-0000000000"
"""A name like that, of nothing."""
NOTHING = 60
"""A number of nothing."""

of_operations = pytest.mark.parametrize("operation", OPERATIONS, ids=operation_id)


async def with_picture(side: PopulatedApp) -> tuple[Planted, Any]:
    """
    Another organization, which is marked, and how it looks.
    """
    planted = await planted_in(side)
    await make_notifications(side.world.ports, side.world.me.organization)  # so that no list makes them
    return planted, await planted.picture()


@pytest.fixture(scope="module")
async def askers(ports: Ports) -> AsyncIterator[SharedApp]:
    async with AsyncExitStack() as stack:
        yield SharedApp(ports, open=stack)


@pytest.fixture(scope="module")
async def others(ports: Ports) -> AsyncIterator[SharedApp]:
    async with AsyncExitStack() as stack:
        yield SharedApp(ports, with_picture, open=stack)


@pytest.fixture
async def asking(askers: SharedApp) -> PopulatedApp:
    """
    The side that asks.
    """
    return await askers.unchanged()


@pytest.fixture
async def other(others: SharedApp) -> tuple[Planted, Any]:
    """
    Another organization, which is marked, and how it looks.
    """
    await others.unchanged()
    seen: tuple[Planted, Any] = others.planted
    return seen


Words = list[tuple[str, str]]
"""What names the other side, each with what names nothing in its place."""


@frozen
class Try:
    """
    A request that names the other side, and in which words. A number alone may be anything: it is sent, and its answer
    is compared with no other.
    """

    path: str
    body: Any
    words: Words

    @property
    def control(self) -> "Try":
        """
        The same that names nothing.
        """
        path, body = self.path, json.dumps(self.body)
        for there, nothing in self.words:
            path = path.replace(quote(there), quote(nothing))
            body = body.replace(json.dumps(there), json.dumps(nothing))
        return Try(path, json.loads(body), [])


def words_of(planted: Planted) -> Words:
    """
    What the rows of the other side are called.
    """
    ids = [(id, nothing_like(id)) for id in planted.ids.values()]
    return [*ids, *((str(number), str(NOTHING)) for number in planted.numbers.values()), (NAME, NOBODYS)]


def nothing_like(id: str) -> str:
    """
    An id of nothing that begins alike: the Fleet reads the digits at the beginning of a text as a number.
    """
    return id[:8] + UNKNOWN_ID[8:]


def asked_by(endpoint: Endpoint) -> list[str]:
    """
    The parameters of an operation's query, but those that only cut what is found into pages.
    """
    names = map(wire_name, fields_of(endpoint.query)) if endpoint.query else ()
    return [name for name in names if name not in ("limit", "offset", "after")]


def tries(operation: Operation, asking: PopulatedApp, planted: Planted) -> Iterator[Try]:
    """
    Each way in which a request of this operation can name the other side: in its path, all at once and each by itself,
    in its query and in a field of its body.
    """
    endpoint, serial = operation[1], count(1)

    def own() -> dict[str, Any]:
        fields = names_in(endpoint.takes) if endpoint.takes is not None else []
        given = {name: OWN[name] for name in fields if name in OWN}
        return {name: f"x-{next(serial):06}" if value == "x" else value for name, value in given.items()}

    instead = planted.instead(operation)
    together = [list(instead)] if len(instead) > 1 and operation_id(operation) not in OPEN else []
    for names in [[name] for name in instead] + together:
        named_there = [instead[name] for name in names]
        words = [(each, str(NOTHING) if each.isdigit() else nothing_like(each)) for each in named_there]
        yield Try(asking.path(operation, **{name: instead[name] for name in names}), own(), words)
    path = asking.path(operation)
    for name in asked_by(endpoint):
        for there, nothing in [*words_of(planted), (SAID, "zebrafisk")]:
            yield Try(f"{path}?{name}={quote(there)}", own(), [] if there.isdigit() else [(there, nothing)])
    for name in names_in(endpoint.takes) if endpoint.takes is not None else ():
        for there, nothing in words_of(planted):
            word = int(there) if there.isdigit() else there
            for value in (word, [word]):
                yield Try(path, own() | {name: value}, [] if there.isdigit() else [(there, nothing)])


OWN: dict[str, Any] = {
    "title": "x", "name": "x", "message": "x", "content": "x", "status": "idle", "agent": "x", "agent_name": "x",
    "tool_name": "x", "question": "x", "options": [{"id": "1", "label": "x"}], "answer": "x", "board_type": "general",
    "field_key": "x", "label": "x", "slug": "x", "run": UNKNOWN_ID, "token": "x",
    "settings": {"general.site_name": "x"},
    "action_type": "x", "confidence": 1, "lead_reasoning": "x",
}  # fmt: skip
"""What operations must have, where they have such a field."""


def check_alike(one: Try, answer: Answer, control: Answer, *, reads: bool) -> None:
    """
    What the other side has is refused like what nobody has, and what can be read is the same.
    """
    told, alike = lasting(answer), lasting(control)
    for there, nothing in one.words:
        told, alike = told.replace(there, nothing), alike.replace(there, nothing)
    if one.words and (control.status in (400, 404, 422) or reads):
        assert (control.status, alike) == (answer.status, told), one


@pytest.mark.one_store
@of_operations
async def test_another_organization_might_as_well_not_be_there(
    asking: PopulatedApp, other: tuple[Planted, Any], operation: Operation
) -> None:
    """
    Its ids, numbers and names, in paths, queries and bodies, are those of nothing.
    """
    (there, before), sent = other, False
    for one in tries(operation, asking, there):
        answer, control = [
            await asking.call(
                operation, path=each.path, raw=json.dumps(each.body).encode() if operation[1].takes else b""
            )
            for each in (one, one.control)
        ]
        sent = sent or NAME in one.path or NAME in str(one.body)  # what was said once may be shown again
        told = answer.body.decode().replace(NAME, "") if sent else answer.body.decode()

        assert MARK not in told, (one, told)
        check_alike(one, answer, control, reads=operation[1].method == "GET" and operation[1].operation_id not in POLLS)

    if operation[1].is_change:  # others are known to write nothing, and looking at everything takes long
        assert before == await there.picture()


@pytest.fixture(scope="module")
async def two_boards(ports: Ports) -> AsyncIterator[SharedApp]:
    async with AsyncExitStack() as stack:
        yield SharedApp(ports, planted_on_a_board, open=stack)


@pytest.fixture
async def hidden(two_boards: SharedApp) -> Planted:
    """
    Another board of the organization that asks, which is marked.
    """
    await two_boards.unchanged()
    planted: Planted = two_boards.planted
    return planted


@pytest.fixture
async def granted(hidden: Planted) -> AsyncIterator[PopulatedApp]:
    """
    The side that asks, as an admin who is granted its one board, through either dialect; and as that board's lead.
    """
    asking = hidden.side
    world = asking.world
    owner = await world.ports.credentials.member(local_user_of(world.me.organization))
    assert owner is not None
    member = evolve(owner, reads=frozenset({world.board.id}), writes=frozenset({world.board.id}))
    known = {secret_digest(KEY): member, secret_digest(TOKEN): member}
    ports = evolve(world.ports, credentials=ServerSecretCredentials(world.ports.credentials, known))
    app = create_app(partial(nullcontext, ports), DIALECTS)
    async with run_lifespan(app):
        yield evolve(asking, app=app)


async def looks(planted: Planted) -> list[Any]:
    """
    All that belongs to the board of a side, as its organization's owner sees it.
    """
    world, board = planted.side.world, BoardId(UUID(planted.ids["board_id"]))
    reads, me = world.ports.reads, world.me
    view = await reads.snapshots.board(me, board, nothing_known)
    names = [row.name for row in view.agents]
    rows = [await reads.entities.every(me, kind, board=board) for kind in KINDS if has_board(kind.entity)]
    rows += [await reads.entities.every(me, COMMENTS, task=TaskId(UUID(bytes=task))) for task in view.tasks]
    rows += [await reads.entities.every(me, CONNECTIONS, agent=AgentId(UUID(bytes=row.id))) for row in view.agents]
    group = GroupId(UUID(planted.ids["group_id"]))
    return [
        view, rows, await reads.entities.get(me, GROUPS, group),
        await reads.entities.every(me, GROUP_MEMORY, group=group),
        await reads.tasks.count_by_status(me, tuple(names)),
        [await reads.tasks.runs(me, TaskId(UUID(bytes=each))) for each in view.tasks],
    ]  # fmt: skip


ENDING = {"DELETE /api/v1/organizations/me"}
"""What ends everything there is in the organization, for whoever owns it."""


@pytest.mark.one_store
@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if operation_id(each) not in ENDING], ids=operation_id
)
async def test_nothing_of_a_board_comes_to_who_is_granted_another(
    granted: PopulatedApp, hidden: Planted, operation: Operation
) -> None:
    """
    Nor can they change anything of it, whatever names it in paths, queries and bodies.
    """
    before, sent = await looks(hidden) if operation[1].is_change else None, False
    for one in tries(operation, granted, hidden):
        answer = await granted.call(
            operation, path=one.path, raw=json.dumps(one.body).encode() if operation[1].takes else b""
        )
        sent = sent or NAME in one.path or NAME in str(one.body)  # what was said once may be shown again
        told = answer.body.decode().replace(NAME, "") if sent else answer.body.decode()

        assert MARK not in told, (one, told)

    if operation[1].is_change:
        assert before == await looks(hidden)
