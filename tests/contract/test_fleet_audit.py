"""
The audit log of the Fleet API, and exports.
"""

import csv
import json
from collections.abc import AsyncIterator
from io import StringIO
from uuid import uuid4

import pytest
from attrs import evolve

from mission_core.accounts.organizations import DEFAULT_ORGANIZATION_SLUG
from mission_core.reports.activity_feed import AUDITED_KINDS
from mission_http.fleet.audit_log import AUDIT_ACTIONS
from tests.contract.browser import PASSWORD, WRONG, allow_sign_in
from tests.contract.conftest import World
from tests.contract.fleet_driver import FleetDriver, fleet_over


@pytest.fixture
async def fleet_of_default(world: World) -> AsyncIterator[FleetDriver]:
    """
    The Fleet API over the organization to which people sign in.
    """
    await allow_sign_in(world.ports)
    home = await world.ports.credentials.organization(DEFAULT_ORGANIZATION_SLUG)
    assert home is not None
    async with fleet_over(world.ports, evolve(world.me, organization=home.id), 1) as fleet:
        yield fleet


async def test_sign_ins_are_audited_with_their_clients(fleet_of_default: FleetDriver) -> None:
    """
    Those that failed, too. Only a user who exists is named.
    """
    fleet, username = fleet_of_default, f"user-{uuid4()}"
    ada = (await fleet.got("POST", "/auth/users", {"username": username, "password": PASSWORD}, 201))["user"]["id"]
    for name, password in ((username, PASSWORD), (username, WRONG), ("nobody", WRONG)):
        sent = {"username": name, "password": password}
        await fleet.call("POST", "/auth/login", sent, key=None, peer="203.0.113.9", user_agent="curl/8")
    found = await fleet.got("GET", "/audit")

    assert [("login_failed", None), ("login_failed", username), ("login", None), ("user_create", username)] == [
        (each["action"], each["detail"].get("username")) for each in found["events"][:4]
    ]
    signed_in, created = found["events"][2:4]
    told = tuple(signed_in[name] for name in ("actor", "actor_id", "target_type", "target_id"))
    assert (username, ada, "user", ada) == told
    assert ("curl/8", "203.0.113.9") == (signed_in["user_agent"], signed_in["ip_address"])
    assert {"how", "session", "user"} == set(signed_in["detail"])
    assert (ada, None) == (created["target_id"], created["ip_address"])
    failed = await fleet.got("GET", "/audit?action=login_failed&limit=1&offset=1")
    assert found["events"][1:2] == failed["events"]
    after = await fleet.got("GET", f"/audit?limit=1&after={found['events'][0]['id']}")
    assert (found["total"], found["events"][1:2]) == (after["total"], after["events"])
    assert [signed_in] == (await fleet.got("GET", f"/audit?actor={username}"))["events"]
    at = signed_in["created_at"]
    of_user = f"/audit?actor={username}"
    assert 1 == (await fleet.got("GET", f"{of_user}&since={at - 3600}&until={at}"))["total"]
    assert 0 == (await fleet.got("GET", f"{of_user}&since={at + 1}"))["total"]
    assert 0 == (await fleet.got("GET", f"{of_user}&until={at - 3600}"))["total"]


async def test_the_audit_log_and_exports_are_for_admins(fleet: FleetDriver) -> None:
    _, token = await fleet.agent("ada")

    for path in ("/audit", "/export?type=audit"):
        assert 403 == (await fleet.call("GET", path, key=token)).status
    assert 400 == (await fleet.call("GET", "/export?type=everything")).status


@pytest.mark.every_store
async def test_an_export_has_all_rows_and_is_audited(fleet: FleetDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    However many batches it takes. What a spreadsheet would compute is text.
    """
    monkeypatch.setattr("mission_http.fleet.data_export.BATCH_SIZE", 2)
    titles = ["=1+1", 'say "hi", please', "two", "three", "four"]
    made = [await fleet.task(title) for title in titles]
    for kind in ("tasks", "activities", "audit", "pipelines"):
        as_json = await fleet.got("GET", f"/export?type={kind}&format=json")
        answer = await fleet.call("GET", f"/export?type={kind}")
        rows = list(csv.DictReader(StringIO(answer.body.decode())))

        assert (kind, len(as_json["data"])) == (as_json["type"], as_json["count"])
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        new = len(rows) - as_json["count"]  # the first export of a log is in the second
        assert ({"activities": 1, "audit": 1}.get(kind, 0)) == new
        if kind == "tasks":
            assert ["four", "three", "two", 'say "hi", please', "'=1+1"] == [row["title"] for row in rows]
            assert [each["id"] for each in reversed(made)] == [each["id"] for each in as_json["data"]]
        if kind == "audit":
            assert ["data_export"] * 5 == [row["action"] for row in rows[:5]]
            assert {"what": "activities", "format": "csv"}.items() <= json.loads(rows[1]["detail"]).items()
    exports = (await fleet.got("GET", "/audit"))["total"]
    assert 200 == (await fleet.call("HEAD", "/export?type=tasks")).status
    assert exports == (await fleet.got("GET", "/audit"))["total"]
    some = await fleet.got("GET", "/export?type=tasks&format=json&limit=3")
    assert ["four", "three", "two"] == [row["title"] for row in some["data"]]
    assert 0 == (await fleet.got("GET", "/export?type=tasks&format=json&until=1"))["count"]
    assert 5 == (await fleet.got("GET", "/export?type=tasks&format=json&since=1"))["count"]


def test_every_audited_kind_of_entry_has_an_action() -> None:
    """
    And the other way round.
    """
    assert set(AUDITED_KINDS) == AUDIT_ACTIONS.keys()
