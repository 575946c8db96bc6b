"""
Two worlds that differ only in what other organizations do: whoever acts in one organization gets the same answers in
both, to every operation of both dialects, with ids of their own, of the others, and of nothing.

So nobody sees, changes, counts or infers, by a status, a total or a number, what is another's. The operations are read
off the endpoint tables.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from shutil import copy
from typing import Any, ClassVar
from uuid import UUID, uuid5

import pytest
from attrs import define, field
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import Executable, select

from mission_adapters.memory import memory_ports, tasks
from mission_adapters.memory.encryption import MemorySecretEncryption
from mission_adapters.memory.kind_tables import KindTable
from mission_adapters.memory.number_sequences import MemoryNumberSequences
from mission_adapters.sql import entity_reads
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.migrations import migrate
from mission_adapters.sql.statements import cached_statement, parameter
from mission_adapters.sql.store import SqlStore
from mission_adapters.testing import ManualClock, ports_over, seeded_secrets, weak_argon2_hasher
from mission_core.accounts.model import Principal, Role
from mission_core.agents.use_cases import CreateKey, create_key
from mission_core.errors import NotFound
from mission_core.kinds import DEPLOYMENT, Kind
from mission_core.ports import Ports
from tests import postgres_server
from tests.contract.boards_driver import TOKEN
from tests.contract.browser import PASSWORD, cookies_of, make_person
from tests.contract.conftest import World, make_world
from tests.contract.generated_requests import Id, Operation, RequestDraft, request_drafts
from tests.contract.planted_rows import OPEN, POLLS, lasting
from tests.contract.populated_app import KEY, OPERATIONS, PopulatedApp, operation_id, populated_app
from tests.example_counts import max_examples
from tests.unit.http.platform.sample_app import Answer, ask

Databases = Callable[[], AbstractContextManager[str | None]]
"""Lends an empty database by its URL, or none."""
ORGANIZATIONS = 3
UUIDS = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
SECRETS = re.compile(r"mca?_[0-9a-f*-]{8,48}|(?<![\w-])[\w-]{32,64}(?![\w-])", re.ASCII)
COUNTED_THROUGHOUT = {
    "fleet_createUser", "fleet_postApiWorkspaces", "fleet_putApiWorkspacesId",
    "create_organization_api_v1_organizations_post",
}  # fmt: skip
"""What draws a number, or takes a name, of which there is one in the deployment: by design others can notice."""
UNPOLLED = [each for each in OPERATIONS if each[1].operation_id not in POLLS]
ASKED = [each for each in UNPOLLED if operation_id(each) not in OPEN]
assert {each[1].operation_id for each in UNPOLLED} > COUNTED_THROUGHOUT
OTHERS_DO = [each for each in UNPOLLED if each[1].operation_id not in COUNTED_THROUGHOUT]


@define(repr=False)
class Side:
    """
    One organization of a world, who may call there, and the ids that its answers have shown, in order.
    """

    made: PopulatedApp
    callers: list[dict[str, str]]
    seen: dict[str, int] = field(factory=dict)

    @classmethod
    async def of(cls, stack: AsyncExitStack, ports: Ports, name: str) -> "Side":
        world = await make_world(ports, name)
        made = await stack.enter_async_context(populated_app(world))
        low = await _token(world, Role.VIEWER)
        confined = await _token(world, Role.OPERATOR, board=world.board.id)
        callers = [
            {"x-api-key": KEY}, {"authorization": f"Bearer {TOKEN}"}, {"x-agent-token": made.lead},
            {"x-api-key": low}, {"x-api-key": confined}, {"x-agent-token": confined},
            await _signed_in(made, f"viewer-{name}", Role.VIEWER),
            await _signed_in(made, f"operator-{name}", Role.OPERATOR),
            await _signed_in(made, f"confined-{name}", Role.OPERATOR, alone=True),
        ]  # fmt: skip
        side = cls(made, callers)
        for known in made.known.values():
            side.learn(known)
        return side

    def learn(self, text: str) -> None:
        """
        Note the ids in a text, in the order in which they appear.
        """
        for id in UUIDS.findall(text):
            self.seen.setdefault(id, len(self.seen))

    def id(self, which: int) -> str:
        """
        One of the ids that were seen.
        """
        every = list(self.seen)
        return every[which % len(every)]

    async def call(self, operation: Operation, caller: int, path: str, raw: bytes) -> Answer:
        """
        As one of those who call here, or else as somebody who may.
        """
        headers = self.callers[caller] if caller < len(self.callers) else self.made.caller(operation)
        return await ask(self.made.app, operation[1].method, path, raw, key=None, **headers)


async def _token(world: World, role: Role, **place: Any) -> str:
    agent = await world.agent(f"agent-{role}-{len(place)}", **place)
    made = await create_key(
        world.ports, world.me, CreateKey(agent=agent.id, name="key", scopes=(role.value, "agent:self"))
    )
    return made[1]


async def _signed_in(made: PopulatedApp, username: str, role: Role, *, alone: bool = False) -> dict[str, str]:
    """
    A person's session in a browser; of somebody who is granted the one board *alone*, or all that their role gives.
    """
    person = await make_person(made.world, username=username, role=role)
    if alone:
        grants = [{"board_id": str(made.world.board.id), "can_read": True, "can_write": True}]
        access = {"all_boards_read": False, "all_boards_write": False, "board_access": grants}
        path, owner = f"/api/v1/organizations/me/members/{person.found.member.id}/access", f"Bearer {TOKEN}"
        given = await ask(made.app, "PUT", path, json.dumps(access).encode(), key=None, authorization=owner)
        assert 200 == given.status, given.body
    said = json.dumps({"username": username, "password": PASSWORD}).encode()
    answer = await ask(made.app, "POST", "/api/auth/login", said, key=None)
    (session,) = cookies_of(answer)
    return {"cookie": f"{session.key}={session.value}"}


async def _opened(stack: AsyncExitStack, clock: ManualClock, url: str | None) -> Ports:
    """
    Ports over the database at a URL, or in memory.
    """
    common: dict[str, Any] = {
        "clock": clock, "secrets": seeded_secrets(), "passwords": weak_argon2_hasher(),
        "vault": MemorySecretEncryption()
    }  # fmt: skip
    if url is None:
        return memory_ports(**common)
    store = await stack.enter_async_context(SqlStore.open(url, migrated=False, clock=clock))
    return ports_over(store, **common)


class Borders(RuleBasedStateMachine):
    """
    The two worlds. Only in the first do others act; everybody was there in both from the start.
    """

    databases: ClassVar[Databases] = staticmethod(lambda: nullcontext(None))
    asked: ClassVar[tuple[Operation, ...]] = tuple(ASKED)
    others_do: ClassVar[tuple[Operation, ...]] = tuple(OTHERS_DO)

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()  # a Runner would look at its signal handlers for each request
        self.open, self.kept = AsyncExitStack(), ExitStack()
        self.worlds: list[list[Side]] = []

    @initialize()
    def found(self) -> None:
        """
        As many organizations in either world, founded in the same order.
        """
        for _ in range(2):
            clock, url = ManualClock(), self.kept.enter_context(self.databases())
            ports = self.loop.run_until_complete(_opened(self.open, clock, url))
            sides = [Side.of(self.open, ports, f"side-{n}") for n in range(ORGANIZATIONS)]
            self.worlds.append([self.loop.run_until_complete(each) for each in sides])

    @rule(data=st.data(), who=st.integers(1, ORGANIZATIONS - 1), caller=st.integers(0, 17))
    def others_act(self, data: st.DataObject, who: int, caller: int) -> None:
        """
        In the first world alone, on what is theirs.
        """
        operation = data.draw(st.sampled_from(self.others_do))
        draft = data.draw(request_drafts(operation, ("own", "nothing")))
        side = self.worlds[0][who]
        path, raw = draft.written({each: self._id(each, side, side) for each in draft.places()})
        answer = self.loop.run_until_complete(side.call(operation, caller, path, raw))

        assert 500 != answer.status, (draft, answer.body)
        side.learn(answer.body.decode())

    @rule(data=st.data(), caller=st.integers(0, 17))
    def we_ask(self, data: st.DataObject, caller: int) -> None:
        """
        In both worlds, for anything: the answers do not differ.
        """
        operation = data.draw(st.sampled_from(self.asked))
        draft = data.draw(request_drafts(operation, ("own", "own", "theirs", "nothing")))
        (ours, theirs, *_), (alone, *_) = self.worlds
        answers = [self._ours(*each, operation, draft, caller) for each in ((ours, theirs), (alone, None))]

        assert answers[0] == answers[1], f"{operation_id(operation)} {draft.path} {draft.body}"

    def _ours(
        self, side: Side, theirs: Side | None, operation: Operation, draft: RequestDraft, caller: int
    ) -> tuple[int, str]:
        path, raw = draft.written({each: self._id(each, side, theirs) for each in draft.places()})
        answer = self.loop.run_until_complete(side.call(operation, caller, path, raw))
        body = lasting(answer)
        asked = set(UUIDS.findall(path)) | set(UUIDS.findall(raw.decode()))
        for id in sorted(asked - side.seen.keys()):
            body = body.replace(id, "what was asked for")
        side.learn(body)
        known = UUIDS.sub(lambda found: f"id-{side.seen[found[0]]}", body)
        return answer.status, SECRETS.sub("secret", known)

    @staticmethod
    def _id(place: Id, own: Side, theirs: Side | None) -> str:
        if place.whose == "own":
            return own.id(place.which)
        if place.whose == "theirs" and theirs is not None:
            return theirs.id(place.which)
        return str(uuid5(DEPLOYMENT, f"nothing {place}"))

    def teardown(self) -> None:
        self.loop.run_until_complete(self.open.aclose())
        self.loop.close()
        self.kept.close()


FEW = settings(
    max_examples=max_examples(50), stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False, phases=(Phase.generate,),
)  # fmt: skip
UNTIL_FOUND = settings(FEW, max_examples=2000, database=None)


def test_what_others_do_makes_no_difference() -> None:
    """
    To anybody, in any operation.
    """
    run_state_machine_as_test(Borders, settings=FEW)


def test_what_others_do_makes_no_difference_in_a_database(databases: Databases) -> None:
    """
    There each statement keeps to its organization by itself.
    """
    run_state_machine_as_test(_over(databases), settings=settings(FEW, max_examples=max_examples(15)))


@pytest.fixture(params=["sqlite", "postgres"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """
    Copies of an empty database that has its tables.
    """
    if request.param == "sqlite":
        empty, numbers = tmp_path / "empty.db", count()
        migrate(f"sqlite:///{empty}")

        @contextmanager
        def copied() -> Iterator[str]:
            yield f"sqlite:///{copy(empty, tmp_path / f'{next(numbers)}.db')}"

        yield copied
    else:
        server = request.getfixturevalue("postgres_url")
        with postgres_server.empty_database(server) as url:
            migrate(url)
            yield lambda: postgres_server.empty_database(server, like=url)


def _over(databases: Databases, **more: Any) -> type[Borders]:
    return type("InDatabases", (Borders,), {"databases": staticmethod(databases), **more})


def unscoped(principal: Principal, row: Any, board: Any, missing: type[NotFound]) -> Any:
    """
    The row itself, whoever's it is.
    """
    if row is None:
        raise missing
    return row


def found_anywhere(table: KindTable[Any], principal: Principal, key: UUID) -> Any:
    """
    The row of this id, whoever's it is.
    """
    return unscoped(principal, table.rows.get(key), None, table.kind_declaration.missing)


def counting_for_all(numbers: MemoryNumberSequences, scope: tuple[UUID, str]) -> int:
    """
    A number, of which there is one in the deployment.
    """
    numbers.drawn[scope] = numbers.drawn[DEPLOYMENT, scope[1]] = numbers.drawn[DEPLOYMENT, scope[1]] + 1
    return numbers.drawn[scope]


@pytest.mark.parametrize(
    ("planted", "about"),
    [
        ((tasks, "require_visible", unscoped), r"tasks/\{\w+\}$"),
        ((KindTable, "find", found_anywhere), r"(tags|board-groups)/\{\w+\}$"),
        ((MemoryNumberSequences, "_next", counting_for_all), r"/(tags|projects|agents)$"),
    ],
    ids=["tasks", "plain rows", "numbers"],
)  # fmt: skip
def test_a_leak_that_is_planted_is_found(
    monkeypatch: pytest.MonkeyPatch, planted: tuple[Any, str, Any], about: str
) -> None:
    """
    Whether a row can be reached that is another's, or a number tells of it. Only what is about such rows is asked, so
    that chance finds it soon.
    """

    def some(operations: list[Operation]) -> tuple[Operation, ...]:
        return tuple(each for each in operations if re.search(about, each[0].path_of(each[1])))

    class About(Borders):
        asked, others_do = some(ASKED), some(OTHERS_DO)

    monkeypatch.setattr(*planted)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(About, settings=UNTIL_FOUND)


@cached_statement
def rows_of_all(kind: Kind[Any], filters: Any = (), borders: Any = ()) -> Executable:
    """
    The rows whose columns have these values, whoever's they are.
    """
    columns = MAPPINGS[kind].table.c
    return select(*columns).where(
        *(
            columns[name].is_(None) if empty else columns[name] == parameter(name, columns[name].type.python_type)
            for name, empty in filters
        )
    )


def test_a_leak_that_is_planted_in_a_statement_is_found(monkeypatch: pytest.MonkeyPatch, databases: Databases) -> None:
    """
    One that forgets whose rows it wants.
    """
    about = tuple(each for each in ASKED if re.search(r"(tags|board-groups)/\{\w+\}$", each[0].path_of(each[1])))
    monkeypatch.setattr(entity_reads, "select_rows", rows_of_all)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(_over(databases, asked=about, others_do=about), settings=UNTIL_FOUND)
