"""
The gateways of the Boards API: the built-in one, which every board and agent names.
"""

import pytest

from mission_core.accounts.organizations import built_in_gateway
from tests.contract.boards_driver import refusal

pytestmark = pytest.mark.parametrize("store_url", ["memory"], indirect=True)  # a gateway is no row of a store
NOBODY = "0195a000-0000-7000-8000-000000000001"


async def test_the_gateway_that_a_board_names_can_be_read(boards, world):
    (listed,) = (await boards.got("GET", "/api/v1/gateways"))["items"]
    board = await boards.got("GET", f"/api/v1/boards/{boards.board}")
    read = await boards.got("GET", f"/api/v1/gateways/{board['gateway_id']}")

    assert listed == read
    assert (str(built_in_gateway(world.me.organization)), str(world.me.organization)) == (
        read["id"], read["organization_id"],
    )  # fmt: skip
    assert [] == (await boards.got("GET", "/api/v1/gateways?offset=1"))["items"]


async def test_a_board_is_made_with_the_gateway_that_is_listed(boards):
    (gateway,) = (await boards.got("GET", "/api/v1/gateways"))["items"]
    body = {"name": "Launch", "slug": "launch", "description": "Ship", "gateway_id": gateway["id"]}

    assert gateway["id"] == (await boards.got("POST", "/api/v1/boards", body))["gateway_id"]


async def test_another_gateway_is_not_found(boards):
    assert (404, "Gateway not found") == refusal(await boards.call("GET", f"/api/v1/gateways/{NOBODY}"))
    assert 422 == (await boards.call("GET", "/api/v1/gateways/x")).status


async def test_no_gateway_is_connected(boards):
    """
    Whether it is named by a board or by an address, which nothing connects to.
    """
    by_board = await boards.got("GET", f"/api/v1/gateways/status?board_id={boards.board}")
    by_url = await boards.got("GET", "/api/v1/gateways/status?gateway_url=ws://10.0.0.1:1&gateway_token=x")

    assert [False, False] == [by_board["connected"], by_url["connected"]]
    assert "no live gateway" in by_board["error"]
    assert "ws://10.0.0.1:1" == by_url["gateway_url"]


async def test_whose_status_is_asked_must_be_said(boards):
    said = await boards.call("GET", "/api/v1/gateways/status")

    assert (422, "board_id or gateway_url is required") == refusal(said)
    answer = await boards.call("GET", f"/api/v1/gateways/status?board_id={NOBODY}")
    assert (404, "Board not found") == refusal(answer)


async def test_gateways_are_for_admins(boards):
    member = await boards.person("mel", role="member")

    for path in ("", f"/{NOBODY}", f"/status?board_id={boards.board}"):
        assert 403 == (await boards.call("GET", f"/api/v1/gateways{path}", user=member.token)).status
