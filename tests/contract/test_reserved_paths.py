"""
Paths that the two APIs are known to have and nothing is served at, beside others that take a parameter in that place.
"""

import re

import pytest
from attrs import evolve

from mission_core.agents.model import RESERVED_AGENT_NAMES
from mission_http.platform.routes import RouteTree
from tests.contract.fleet_driver import KEY, wrong_fields
from tests.contract.populated_app import DIALECTS
from tests.unit.http.platform.sample_app import ask

pytestmark = pytest.mark.parametrize("store_url", ["memory"], indirect=True)  # no store knows of paths
SERVED = {dialect.path_of(endpoint) for dialect in DIALECTS for endpoint in dialect.endpoints}
RESERVED = [dialect.prefix + path for dialect in DIALECTS for path in dialect.reserved]


@pytest.mark.parametrize("path", RESERVED)
async def test_a_reserved_path_is_unknown_for_every_method(boards, fleet, path):
    """
    It is not taken for one of the agents, tasks or gateways beside it.
    """
    path = re.sub(r"{\w+}", str(boards.board), path)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        if path.startswith("/api/v1"):
            answer = await ask(boards.app, method, path)
            assert (404, "Not Found") == (answer.status, answer.json["detail"])
        else:
            answer = await ask(fleet.app, method, path, key=KEY)
            assert (404, "Not found") == (answer.status, answer.json["error"])


def test_a_reserved_path_is_not_served_and_would_be_taken_for_another(store_url):
    """
    So whoever serves one takes it off the list.
    """
    unreserved = RouteTree.of(DIALECTS)
    for path in RESERVED:
        unreserved.find(path)
        segments = path.split("/")[1:]
        node = unreserved.root
        for segment in segments[:-1]:
            node = node.parameter if segment.startswith("{") else node.literals[segment]
        assert node.parameter is not None
    assert SERVED.isdisjoint(RESERVED)


@pytest.mark.parametrize("name", [*sorted(RESERVED_AGENT_NAMES), "Sync", "team/ada"])
async def test_no_new_agent_gets_a_name_that_its_path_cannot_have(fleet, name):
    answer = await fleet.call("POST", "/agents", {"name": name, "role": "coder"})
    await fleet.agent("ada")
    renamed = await fleet.call("POST", "/agents/register", {"name": name, "role": "coder"})

    assert ["name"] == wrong_fields(answer)
    assert 400 == renamed.status


async def test_an_agent_that_has_such_a_name_already_is_reached_by_its_ids(world, boards, fleet):
    """
    And can be changed, for as long as its name stays as it is, or becomes one that it may have.
    """
    ada = await world.agent("ada")
    async with world.ports.unit(world.me) as unit:
        unit.agents.save(evolve(await unit.agents.get(ada.id), name="team/ada"))
        await unit.commit()

    for id in (ada.number, ada.id):
        assert "team/ada" == (await fleet.got("GET", f"/agents/{id}"))["agent"]["name"]
        await fleet.got("PUT", f"/agents/{id}", {"role": "tester"})
    path = f"/api/v1/agents/{ada.id}"
    assert "team/ada" == (await boards.got("PATCH", path, {"name": "team/ada"}))["name"]
    assert 422 == (await boards.call("PATCH", path, {"name": "team/bob"})).status
    assert "ada" == (await boards.got("PATCH", path, {"name": "ada"}))["name"]


def test_the_names_that_no_agent_gets_are_the_words_of_paths(store_url):
    below = {path.split("/")[3] for path in (*SERVED, *RESERVED) if path.startswith("/api/agents/")}

    assert {word for word in below if not word.startswith("{")} == RESERVED_AGENT_NAMES - {".", ".."}
