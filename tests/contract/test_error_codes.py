"""
Codes of errors: stable words for programs beside the texts for people, in both dialects.
"""

from typing import Any
from uuid import UUID, uuid4

import pytest
from attrs import evolve

from mission_core.boards.model import GateSet
from mission_core.errors import OutcomeUnknown, Refusal, StaleWrite, StoreBusy, StoreFailed, StoreUnreachable
from mission_http.boards.dialect import boards_dialect
from mission_http.fleet.dialect import fleet_dialect
from mission_http.platform.openapi import document_of
from tests.contract.boards_driver import TOKEN, BoardsDriver, boards_over
from tests.contract.conftest import World
from tests.contract.fleet_driver import KEY, FleetDriver, fleet_over, fleet_settings
from tests.unit.http.platform.sample_app import Answer, ask

pytestmark = pytest.mark.parametrize("store_url", ["memory"], indirect=True, scope="session")
SHARED = set(
    """
    access_requested agent_name_taken already_assigned already_connected already_done already_member
    assignee_elsewhere blocked budget_reached comment_required conflict cursor_gone decided_already dependencies_frozen
    dependency_cycle
    exhausted field_in_use field_key_taken gate_closed handle_taken held_by_another home_stays invited_already
    keys_unavailable last_owner_stays lease_lost limiter_failed linked_already local_user_stays main_agent_stays
    more_in_hand not_adoptable not_claimable not_running onboarding_confirmed organization_in_use
    notification_repeated organization_name_taken out_of_reach outcome_unknown own_review pending_already prefix_taken
    report_id_reused
    report_raced reported_run_id_taken seal_broken
    server_busy session_key_taken setting_taken setup_raced slug_taken stale_write store_busy store_failed
    store_not_ready store_unreachable subject_taken tag_slug_taken token_minted too_many_agents too_many_orders
    too_many_price_overrides too_many_requests too_many_streams usage_is_carry_over usage_is_reversal
    usage_rebuild_superseded usage_voided use_the_lease username_taken version_mismatch
    """.split()  # noqa: SIM905
)
"""Once told, a code stays. A new error adds one here."""
FLEET = {"NO_USERS", "PENDING_APPROVAL", "SETUP_CODE", "account_remains", "project_exists"}
BOARDS = {"delegation_blocked", "name_taken"}


def test_the_document_lists_every_code_and_none_is_ever_renamed(store_url: str) -> None:
    """
    Of each dialect, where its errors are described.
    """
    document = document_of([boards_dialect(fleet_settings()), fleet_dialect(fleet_settings())])
    schemas = document["components"]["schemas"]
    fleet = schemas["FleetError"]["properties"]["code"]["enum"]
    boards = schemas["LLMErrorResponse"]["properties"]["code"]["anyOf"][0]["enum"]

    assert sorted(SHARED | FLEET) == fleet
    assert sorted(SHARED | BOARDS) == boards
    assert boards == schemas["BlockedTaskError"]["properties"]["code"]["enum"]


def told(answer: Answer) -> tuple[int, Any]:
    return answer.status, answer.json.get("code")


async def test_both_dialects_tell_the_same_conflicts_apart(
    fleet: FleetDriver, boards: BoardsDriver, world: World
) -> None:
    """
    A lost lease, another version, a closed gate; what its status tells has no code.
    """
    task, gates = await world.task(), GateSet(require_approval_for_done=True)
    guarded = await world.another_board(gates=gates)
    gated = await world.task(board=guarded.id)
    lost = await world.task()
    claimed = await world.claim(lost)
    assert claimed is not None
    world.clock.advance(hours=1)
    body, stale = {"lease": claimed.lease}, {"if-match": '"7"'}
    by_fleet = [
        await fleet.call("POST", f"/tasks/{lost.number}/complete", body),
        await fleet.call("PUT", f"/tasks/{task.number}", {"title": "x"}, if_match='"7"'),
        await fleet.call("PUT", f"/tasks/{gated.number}", {"status": "done"}),
        await fleet.call("GET", "/tasks/999999"),
    ]
    elsewhere = f"/api/v1/boards/{guarded.id}/tasks/{gated.id}"
    by_boards = [
        await boards.call("POST", f"{boards.tasks}/{lost.id}/complete", body),
        await boards.call("PATCH", f"{boards.tasks}/{task.id}", {"title": "x"}, **stale),
        await boards.call("PATCH", elsewhere, {"status": "done"}),
        await boards.call("DELETE", f"{boards.tasks}/{uuid4()}"),
    ]

    assert [(409, "lease_lost"), (412, "version_mismatch"), (403, "gate_closed"), (404, None)] == [
        told(each) for each in by_fleet
    ]
    assert [(409, "lease_lost"), (412, "version_mismatch"), (409, "gate_closed"), (404, None)] == [
        told(each) for each in by_boards
    ]


@pytest.mark.parametrize(
    ("error", "status", "code", "seconds"),
    [
        (StoreBusy("as asked"), 503, "store_busy", "2"), (StoreFailed("as asked"), 503, "store_failed", "2"),
        (StoreUnreachable("as asked"), 503, "store_unreachable", "2"),
        (OutcomeUnknown("as asked"), 503, "outcome_unknown", None),
        (StaleWrite("task", UUID(int=1)), 409, "stale_write", None),
    ],
)  # fmt: skip
async def test_a_store_that_keeps_nothing_is_told_with_when_to_come_back(
    world: World, error: Refusal, status: int, code: str, seconds: str | None
) -> None:
    """
    In both dialects. Where nobody knows what was kept, nobody is told to ask again.
    """
    failing: list[Refusal] = []

    def unit(*given: Any, **more: Any) -> Any:
        if failing:
            raise failing[0]
        return world.ports.unit(*given, **more)

    ports, task = evolve(world.ports, unit=unit), await world.task()
    async with (
        boards_over(ports, world.me, world.board.id) as boards, fleet_over(ports, world.me, world.board.number) as fleet
    ):  # fmt: skip
        failing.append(error)
        change = b'{"title": "x"}'  # not through the drivers: operations do not list what any of them may answer
        answers = [
            await ask(fleet.app, "PUT", f"/api/tasks/{task.number}", change, key=KEY),
            await ask(
                boards.app, "PATCH", f"{boards.tasks}/{task.id}", change, key=None, authorization=f"Bearer {TOKEN}"
            ),
        ]

    assert [(status, code)] * 2 == [told(each) for each in answers]
    assert [seconds] * 2 == [each.headers.get("retry-after") for each in answers]
