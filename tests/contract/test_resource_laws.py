"""
The laws of every resource of the Boards API, on every store. A new resource joins by being declared.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from itertools import count
from pkgutil import iter_modules
from typing import Any, Final, get_origin
from uuid import UUID

import pytest
from attrs import NOTHING, evolve, fields_dict, frozen

from mission_core.accounts.model import Role
from mission_http import boards as dialect
from mission_http.boards.resources import Resource
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.field_annotations import (
    SchemaOverride,
    annotations_of,
    bare_type,
    fields_of,
    union_members,
)
from mission_http.platform.json_schemas import declared_fields
from tests.contract.boards_driver import BoardsDriver, boards_over, field_refusal, refusal
from tests.contract.boards_examples import NOWHERE, names_of
from tests.contract.conftest import World

pytestmark = pytest.mark.every_store

PREFIX = "/api/v1"
FREE_TEXTS = ("name", "title", "label", "model", "description")
KEPT_BY_STORES = {"id", "version", "created_at", "updated_at"}


@frozen
class Operations:
    """
    A resource, and its operations by method: on the list (`GET`, `POST`) and on one row (`READ`, `PATCH`, `DELETE`).
    """

    resource: Resource[Any]
    endpoints: dict[str, Endpoint]

    @property
    def path(self) -> str:
        return f"{PREFIX}{self.resource.path}"

    def path_of(self, id: object) -> str:
        return f"{self.path}/{id}"

    def on_row(self, *, but: str = "") -> list[tuple[str, Any]]:
        """
        The method and a body of each operation on one row.
        """
        methods = {"READ": ("GET", None), "PATCH": ("PATCH", self.any_change()), "DELETE": ("DELETE", None)}
        return [sent for name, sent in methods.items() if name in self.endpoints and name != but]

    def any_change(self) -> dict[str, Any]:
        return {self.words()[0]: "Another"}

    def words(self) -> list[str]:
        """
        The fields that a change may set to any text.
        """
        return [each.name for each in self.changeable() if each.name in FREE_TEXTS]

    def changeable(self) -> list[Any]:
        """
        The fields that a change may set.
        """
        return [
            each
            for each in fields_of(self.endpoints["PATCH"].takes)
            if not any(
                isinstance(word, SchemaOverride) and word.schema == {"not": {}} for word in annotations_of(each.type)
            )
        ]


def resources() -> dict[str, Operations]:
    """
    All resources, found in the modules of the dialect that serve them.
    """
    found: dict[str, Operations] = {}
    for info in iter_modules(dialect.__path__, f"{dialect.__name__}."):
        module = import_module(info.name)
        if not hasattr(module, "ENDPOINTS"):
            continue
        for resource in (each for each in vars(module).values() if isinstance(each, Resource)):
            item = f"{resource.path}/{{{resource.parameter}}}"
            names = {("GET", item): "READ"}
            endpoints = {
                names.get((each.method, each.path), each.method): each
                for each in module.ENDPOINTS
                if each.path in (resource.path, item)
            }
            found[resource.noun] = Operations(resource, endpoints)
    return found


RESOURCES: Final = resources()
of_resources = pytest.mark.parametrize("noun", RESOURCES)
SERIAL = count(1)


def body_of(operations: Operations, boards: BoardsDriver) -> dict[str, Any]:
    """
    A body that makes a row: what is required, with words that no other row has.
    """
    required = [each for each in fields_of(operations.endpoints["POST"].takes) if each.default is NOTHING]
    values: dict[Any, Callable[[], Any]] = {
        str: lambda: f"word {next(SERIAL)}", list: lambda: [str(boards.board)], UUID: lambda: str(boards.board),
        float: lambda: 0.5,
    }  # fmt: skip

    def value(kind: Any) -> Any:
        plain = bare_type(kind)
        return values[get_origin(plain) or plain]()

    return {each.name: value(each.type) for each in required}


async def made(operations: Operations, boards: BoardsDriver, **fields: Any) -> Any:
    return await boards.got("POST", operations.path, body_of(operations, boards) | fields)


async def listed(operations: Operations, boards: BoardsDriver, query: str = "") -> list[Any]:
    answer = await boards.got("GET", f"{operations.path}{query}")
    return answer if isinstance(answer, list) else answer["items"]


async def events(world: World) -> list[str]:
    """
    What happened to rows of resources, by the last word of the kind of each event.
    """
    return [kind.rpartition(".")[2] for kind in await world.event_kinds()]


@of_resources
async def test_a_row_is_made_read_changed_and_deleted(noun: str, boards: BoardsDriver, world: World) -> None:
    """
    It is shown alike wherever it is shown, with its version as its tag; each step is one event, and what is deleted is
    not found.
    """
    the, head = RESOURCES[noun], len(await events(world))
    answer = await boards.call("POST", the.path, body_of(the, boards))
    row = answer.json
    path = the.path_of(row["id"])

    assert names_of(the.resource.gives) == row.keys()
    assert ('"0"', 0) == (answer.headers["etag"], row["version"])
    assert [row] == await listed(the, boards)
    if "READ" in the.endpoints:
        assert row == await boards.got("GET", path)

    world.clock.advance(seconds=5)
    change = the.any_change()
    changed = await boards.call("PATCH", path, change)
    assert '"1"' == changed.headers["etag"]
    assert row | change | {"version": 1, "updated_at": changed.json["updated_at"]} == changed.json
    assert row["updated_at"] < changed.json["updated_at"]
    assert [changed.json] == await listed(the, boards)

    assert {"ok": True} == await boards.got("DELETE", path)
    assert [] == await listed(the, boards)
    for method, body in the.on_row():
        assert (404, "Not Found") == refusal(await boards.call(method, path, body))
    assert ["created", "updated", "deleted"] == (await events(world))[head:]


@of_resources
async def test_what_is_not_sent_stays_and_null_is_a_value(noun: str, boards: BoardsDriver) -> None:
    """
    Each field that may be null is null when that is sent, and as it was when nothing is sent; where null is no value it
    is refused or leaves the field as it was. What a row derives from another field it may derive again.
    """
    the = RESOURCES[noun]
    row = await made(the, boards, **dict.fromkeys(the.words(), "Said"))
    for each in the.changeable():
        answer = await boards.call("PATCH", the.path_of(row["id"]), {each.name: None})
        now = (await listed(the, boards))[0]
        others = {each.name, "version", "updated_at"}

        assert answer.status in (200, 422), (each.name, answer.body)
        assert {name: row[name] for name in row.keys() - others} == {name: now[name] for name in now.keys() - others}
        if answer.status == 422:
            assert row == now
        elif type(None) in union_members(declared(the, each.name)):
            assert now[each.name] is None
        else:
            assert row[each.name] == now[each.name]
        row = now


def declared(operations: Operations, name: str) -> Any:
    """
    The type of a field as it is shown.
    """
    return next(each.type for each in declared_fields(operations.resource.gives) if each.name == name)


@of_resources
async def test_a_change_that_names_nothing_changes_nothing(noun: str, boards: BoardsDriver) -> None:
    """
    It is answered with the row, or refused as a whole.
    """
    the = RESOURCES[noun]
    row = await made(the, boards)
    answer = await boards.call("PATCH", the.path_of(row["id"]), {})

    if answer.status == 200:
        assert row == answer.json
    else:
        assert ["body"] == field_refusal(answer)[1]
    assert [row] == await listed(the, boards)


@of_resources
async def test_what_is_as_it_was_is_not_written(noun: str, boards: BoardsDriver, world: World) -> None:
    """
    All fields sent back as they were shown are no change, no version and no event.
    """
    the = RESOURCES[noun]
    row = await made(the, boards, **dict.fromkeys(the.words(), "Said"))
    sent = {each.name: row[each.name] for each in the.changeable()}
    head = await events(world)
    world.clock.advance(seconds=5)

    assert row == await boards.got("PATCH", the.path_of(row["id"]), sent)
    assert head == await events(world)


@of_resources
async def test_another_version_is_left_alone(noun: str, boards: BoardsDriver, world: World) -> None:
    """
    A version that is not the row's is refused, by a change and by a deletion; the row's own is taken.
    """
    the = RESOURCES[noun]
    row = await made(the, boards)
    path = the.path_of(row["id"])
    changed = await boards.got("PATCH", path, the.any_change(), **{"if-match": '"0"'})
    head = await events(world)
    for method, body in the.on_row(but="READ"):
        for stale in ('"0"', '"7"'):
            tagged: dict[str, Any] = {"if-match": stale}
            assert 412 == refusal(await boards.call(method, path, body, **tagged))[0]

    assert ([changed], head) == (await listed(the, boards), await events(world))
    assert {"ok": True} == await boards.got("DELETE", path, **{"if-match": '"1"'})


@of_resources
async def test_a_repeat_under_a_key_makes_one_row(noun: str, boards: BoardsDriver, world: World) -> None:
    """
    It gets the same answer; another body under the same key is refused.
    """
    the = RESOURCES[noun]
    body, before = body_of(the, boards), (await events(world)).count("created")
    key: dict[str, Any] = {"idempotency-key": "k"}
    first, again = [await boards.got("POST", the.path, body, **key) for _ in range(2)]
    other = await boards.call("POST", the.path, body_of(the, boards), **key)

    assert first == again
    assert 422 == other.status
    assert [first] == await listed(the, boards)
    assert before + 1 == (await events(world)).count("created")


@pytest.mark.parametrize("noun", [noun for noun, each in RESOURCES.items() if each.resource.kind.unique])
async def test_what_is_unique_is_refused_a_second_time(noun: str, boards: BoardsDriver, world: World) -> None:
    """
    In the organization; another one has rows of its own.
    """
    the = RESOURCES[noun]
    body = body_of(the, boards)
    row = await boards.got("POST", the.path, body)
    head = await events(world)

    assert 409 == refusal(await boards.call("POST", the.path, body))[0]
    assert ([row], head) == (await listed(the, boards), await events(world))


@of_resources
async def test_a_row_of_another_organization_is_not_there(noun: str, boards: BoardsDriver, elsewhere: World) -> None:
    """
    Whatever is sent: its id is like one of nothing. Both may have equal rows.
    """
    the = RESOURCES[noun]
    async with boards_over(elsewhere.ports, elsewhere.me, elsewhere.board.id) as others:
        body = body_of(the, others)
        theirs = await others.got("POST", the.path, body)
        wrong = {the.words()[0]: 1}
        for id in (theirs["id"], NOWHERE):
            for method, sent in the.on_row():
                for each in (sent, wrong) if method == "PATCH" else (sent,):
                    assert (404, "Not Found") == refusal(await boards.call(method, the.path_of(id), each))
        mine = await boards.got("POST", the.path, body | body_boards(body, boards))

        assert ([mine], [theirs]) == (await listed(the, boards), await listed(the, others))
    method, sent = the.on_row()[0]
    answer = field_refusal(await boards.call(method, the.path_of("x"), sent))
    assert ("uuid_parsing", ["path", the.resource.parameter]) == answer[:2]


def body_boards(body: dict[str, Any], boards: BoardsDriver) -> dict[str, Any]:
    """
    The lists of boards in a body, with the board of this organization instead.
    """
    return {name: [str(boards.board)] for name, value in body.items() if isinstance(value, list)}


@of_resources
async def test_who_is_no_admin_only_reads(noun: str, boards: BoardsDriver, world: World) -> None:
    """
    Whatever else is wrong with the request.
    """
    the = RESOURCES[noun]
    row = await made(the, boards)
    head = await events(world)
    async with boards_over(world.ports, evolve(world.me, role=Role.OPERATOR), world.board.id) as operator:
        assert [row] == await listed(the, operator)
        for method, body in the.on_row(but="READ"):
            assert (403, "Forbidden") == refusal(await operator.call(method, the.path_of(row["id"]), body))
        for body in (body_of(the, boards), {}):
            assert (403, "Forbidden") == refusal(await operator.call("POST", the.path, body))

    assert ([row], head) == (await listed(the, boards), await events(world))


@pytest.mark.parametrize("noun", [noun for noun, each in RESOURCES.items() if each.endpoints["GET"].query])
async def test_pages_are_parts_of_the_whole_list(noun: str, boards: BoardsDriver) -> None:
    """
    Each with the number of all rows, and in one order.
    """
    the = RESOURCES[noun]
    rows = [await made(the, boards) for _ in range(5)]
    whole = await boards.got("GET", the.path)
    ids = [each["id"] for each in whole["items"]]

    assert sorted(each["id"] for each in rows) == sorted(ids)
    for limit, offset in ((2, 0), (2, 1), (2, 4), (2, 5)):
        page = await boards.got("GET", f"{the.path}?limit={limit}&offset={offset}")
        assert whole["items"][offset : offset + limit] == page["items"]
        assert (5, limit, offset) == (page["total"], page["limit"], page["offset"])


def test_the_resources_are_found() -> None:
    """
    With the operations that the laws are about, and with nothing that a store keeps among what may be sent.
    """
    assert {"tag", "board_group", "org_custom_field"} <= RESOURCES.keys()
    for each in RESOURCES.values():
        assert {"GET", "POST", "PATCH", "DELETE"} <= each.endpoints.keys()
        assert not KEPT_BY_STORES & fields_dict(each.endpoints["PATCH"].takes).keys()
        assert each.words()
