"""
Webhooks of a board: who makes them, how their secrets are kept, and what becomes of what is sent to them.
"""

import asyncio
import hashlib
import hmac
import json

import pytest
from attrs import evolve

from mission_adapters.testing.concurrent_writes import BOTH_ORDERS, in_turn
from mission_core.accounts.model import SystemPrincipal
from mission_core.accounts.ports import DecryptionFailed
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.update import UpdateAgent, update_agent
from mission_core.automation.board_webhooks import (
    BOARD_WEBHOOKS,
    CreateBoardWebhook,
    DeleteBoardWebhook,
    UpdateBoardWebhook,
    WebhookAgentNotOnBoard,
    WebhookDisabled,
    WebhookNotFound,
    create_board_webhook,
    delete_board_webhook,
    update_board_webhook,
)
from mission_core.automation.webhook_ingestion import (
    ReceivePayload,
    get_payload,
    get_webhook,
    receive_payload,
    webhook_sender,
)
from mission_core.automation.webhook_payloads import PAYLOADS, PayloadNotFound
from mission_core.automation.webhook_signatures import SignatureInvalid, SignatureMissing
from mission_core.boards.model import BoardDenied, BoardNotFound
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.conversations.memory_entries import BOARD_MEMORY
from mission_core.errors import InvalidField, RoleTooLow, VersionMismatch
from mission_core.tasks.agent_deletion import DeleteAgent, delete_agent
from mission_core.tasks.board_deletion import DeleteBoard, delete_board
from mission_core.values import PageRequest
from mission_http.settings import settings_from
from mission_http.wiring import ports_over_database, secret_keys
from tests.contract.conftest import viewer

SECRET = "a secret that both sides have"


async def made(world, description="Look at it", *, board=None, by=None, **more):
    command = CreateBoardWebhook(board=board or world.board.id, description=description, **more)
    return await create_board_webhook(world.ports, by or world.me, command)


async def changed(world, webhook, *, by=None, on=None, **changes):
    command = UpdateBoardWebhook(webhook=webhook.id, on=on or webhook.board, **changes)
    return await update_board_webhook(world.ports, by or world.me, command)


def sending(webhook, body=b'{"n": 1}', *, board=None, headers=(), **more):
    return ReceivePayload(
        board=board or webhook.board, webhook=webhook.id, body=body, headers=tuple(headers),
        payload_address=lambda payload: f"/there/{payload.id}", **more,
    )  # fmt: skip


async def sent(world, webhook, body=b'{"n": 1}', *, board=None, **more):
    sender = await webhook_sender(world.ports, board or webhook.board, webhook.id)
    return await receive_payload(world.ports, sender, sending(webhook, body, board=board, **more))


async def fresh(world, webhook):
    return await world.ports.reads.entities.get(world.me, BOARD_WEBHOOKS, webhook.id)


async def every(world, kind, **equal):
    return await world.ports.reads.entities.every(world.me, kind, **equal)


async def entries(world, kind):
    return [each for each in await world.ports.log.read(world.me.organization, limit=10_000) if each.kind == kind]


def signed(body, secret=SECRET):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def test_a_board_gets_a_webhook(world):
    """
    Whose secret no store and no log has.
    """
    ada = await world.agent("ada", board=world.board.id)
    webhook = await made(
        world, "  Look at it ", agent=ada.id, secret=f" {SECRET} ", signature_header=" X-Sig ", enabled=False
    )
    facts = await world.ports.log.read(world.me.organization, limit=1000)

    assert webhook == await fresh(world, webhook)
    assert ("Look at it", ada.id, "X-Sig", False, world.board.id, world.clock.now()) == (
        webhook.description, webhook.agent, webhook.signature_header, webhook.enabled, webhook.board,
        webhook.created_at,
    )  # fmt: skip
    assert SECRET == world.ports.vault.decrypt(webhook.secret, about=webhook.id)
    assert SECRET.encode() not in webhook.secret
    assert not [each for each in facts if SECRET in str(each)]
    assert SECRET not in repr(webhook)
    assert "secret=" not in repr(CreateBoardWebhook(board=world.board.id, description="x", secret=SECRET))


async def test_what_is_blank_is_none(world):
    """
    A secret as well as a header.
    """
    webhook = await made(world, secret="  ", signature_header=" ")

    assert (None, None, True) == (webhook.secret, webhook.signature_header, webhook.enabled)


async def test_only_what_is_named_changes(world):
    """
    Null clears, and a change that changes nothing leaves no trace.
    """
    ada = await world.agent("ada", board=world.board.id)
    before = await made(world, agent=ada.id, secret=SECRET, signature_header="X-Sig")
    world.clock.advance(minutes=1)
    same = await changed(world, before)
    same_too = await changed(world, before, description="Look at it", enabled=True, agent=ada.id)
    off = await changed(world, before, enabled=False)
    bare = await changed(world, off, agent=None, secret=None, signature_header=None, description="Else")

    assert before == same == same_too
    assert evolve(before, enabled=False, updated_at=world.clock.now(), version=1) == off
    assert (None, None, None, "Else", False) == (
        bare.agent, bare.secret, bare.signature_header, bare.description, bare.enabled,
    )  # fmt: skip
    assert bare == await fresh(world, before)
    assert [["enabled"], ["agent", "description", "secret", "signature_header"]] == [
        json.loads(each.payload)["changed"] for each in await entries(world, "webhook.updated")
    ]


async def test_what_cannot_be_is_refused(world):
    """
    By its name, or because of who asks; and nothing is kept.
    """
    webhook, other = await made(world), await world.another_board()
    far = await world.agent("far", board=other.id)
    lead = await world.principal("lea", board=world.board.id, lead=True)
    nobody = world.ports.ids.new()
    for refusal, wanted in (
        (InvalidField, made(world, " ")),
        (InvalidField, made(world, secret="a\0b")),
        (InvalidField, made(world, secret="x" * 1001)),
        (InvalidField, made(world, signature_header="no header")),
        (InvalidField, changed(world, webhook, description="")),
        (InvalidField, changed(world, webhook, signature_header="é")),
        (WebhookAgentNotOnBoard, made(world, agent=far.id)),
        (WebhookAgentNotOnBoard, made(world, agent=nobody)),
        (WebhookAgentNotOnBoard, changed(world, webhook, agent=far.id)),
        (RoleTooLow, made(world, by=viewer(world))),
        (RoleTooLow, made(world, by=lead)),
        (RoleTooLow, changed(world, webhook, by=lead, description="x")),
        (BoardNotFound, made(world, board=nobody)),
        (WebhookNotFound, changed(world, webhook, on=other.id, description="x")),
        (VersionMismatch, changed(world, webhook, expects=7, description="x")),
    ):
        with pytest.raises(refusal):
            await wanted

    assert [webhook] == await every(world, BOARD_WEBHOOKS)


async def test_what_is_sent_is_kept_and_told(world):
    """
    In one change: the payload, and what the board is to remember of it.
    """
    webhook = await made(world, "Look at it")
    headers = [("Content-Type", "application/json"), ("X-Event", "push"), ("X-Api-Key", "k"), ("Accept", "*/*")]
    payload = await sent(world, webhook, headers=headers, source_ip="203.0.113.7")
    (entry,) = await every(world, BOARD_MEMORY, board=world.board.id)
    (fact,) = await entries(world, "webhook.payload_received")

    assert [payload] == await every(world, PAYLOADS, webhook=webhook.id)
    assert ('{"n":1}', {"content-type": "application/json", "x-event": "push"}, "203.0.113.7", "application/json") == (
        payload.payload, json.loads(payload.headers), payload.source_ip, payload.content_type,
    )  # fmt: skip
    assert (world.board.id, webhook.id, world.clock.now()) == (payload.board, payload.webhook, payload.received_at)
    assert (("webhook", f"webhook:{webhook.id}", f"payload:{payload.id}"), "webhook", False) == (
        entry.tags, entry.source, entry.chat,
    )  # fmt: skip
    assert entry.content.startswith("WEBHOOK PAYLOAD RECEIVED\n")
    assert f"Inspect: /there/{payload.id}\n" in entry.content
    assert '\nPayload preview:\n{\n  "n": 1\n}\n' in entry.content
    assert ({"webhook": str(webhook.id), "board": str(world.board.id), "received": str(payload.id), "length": 8}) == (
        json.loads(fact.payload)
    )
    assert f"webhook:{webhook.id}" == fact.actor.name


async def test_a_webhook_with_a_secret_takes_what_is_signed(world):
    """
    And nothing else; the secret it has now is the one that counts.
    """
    webhook, body = await made(world, secret=SECRET), b"tide"
    for refusal, headers in (
        (SignatureMissing, []),
        (SignatureInvalid, [("X-Hub-Signature-256", "x")]),
        (SignatureInvalid, [("X-Webhook-Signature", signed(body, "another"))]),
        (SignatureInvalid, [("X-Webhook-Signature", signed(b"tides"))]),
    ):
        with pytest.raises(refusal):
            await sent(world, webhook, body, headers=headers)
    await sent(world, webhook, body, headers=[("X-Webhook-Signature", f"sha256={signed(body).upper()}")])
    await changed(world, webhook, secret="anew", signature_header="X-Sig")
    with pytest.raises(SignatureMissing):
        await sent(world, webhook, body, headers=[("X-Webhook-Signature", signed(body, "anew"))])
    kept = await sent(world, webhook, body, headers=[("x-sig", signed(body, "anew"))])

    assert (2, 2) == (len(await every(world, PAYLOADS)), len(await every(world, BOARD_MEMORY)))
    assert kept.headers is None


async def test_a_secret_that_cannot_be_read_lets_nobody_in(world):
    """
    As after the server's own secret changed; somebody may set it anew.
    """
    webhook, other = await made(world, secret=SECRET), await made(world, secret="x")
    async with world.ports.unit(world.me) as unit:
        row = await unit.repository(BOARD_WEBHOOKS).get(webhook.id)
        unit.repository(BOARD_WEBHOOKS).save(evolve(row, secret=other.secret))
        await unit.commit()
    with pytest.raises(DecryptionFailed):
        await sent(world, webhook, b"x", headers=[("X-Webhook-Signature", signed(b"x"))])
    await changed(world, webhook, secret=SECRET)

    assert await sent(world, webhook, b"x", headers=[("X-Webhook-Signature", signed(b"x"))])


async def test_what_takes_nothing_keeps_nothing(world, elsewhere):
    """
    A webhook that is off; one of another board or organization, which is as good as none.
    """
    off, webhook = await made(world, enabled=False), await made(world)
    other, theirs = await world.another_board(), await made(elsewhere)
    nobody = world.ports.ids.new()
    for refusal, board, asked in (
        (WebhookDisabled, world.board.id, off.id), (WebhookNotFound, other.id, webhook.id),
        (WebhookNotFound, world.board.id, theirs.id), (WebhookNotFound, elsewhere.board.id, webhook.id),
        (WebhookNotFound, nobody, webhook.id), (WebhookNotFound, world.board.id, nobody),
    ):  # fmt: skip
        with pytest.raises(refusal):
            await webhook_sender(world.ports, board, asked)
    sender = await webhook_sender(world.ports, webhook.board, webhook.id)
    for refusal, command in (
        (WebhookDisabled, sending(off)), (WebhookNotFound, sending(webhook, board=other.id)),
        (WebhookNotFound, sending(theirs, board=world.board.id)), (BoardNotFound, sending(theirs)),
    ):  # fmt: skip
        with pytest.raises(refusal):
            await receive_payload(world.ports, sender, command)

    assert [] == await every(world, PAYLOADS)


async def test_payloads_are_for_those_who_may_see_their_board(world):
    """
    Through the webhook they came in by, newest first.
    """
    webhook, another, other = await made(world), await made(world), await world.another_board()
    far_webhook = await made(world, board=other.id)
    first, second = [await sent(world, webhook, str(n).encode()) for n in (1, 2)]
    elsewhere = await sent(world, far_webhook)
    ada = await world.principal("ada", board=world.board.id)

    def looking(board=world.board.id, hook=webhook.id, payload=first.id, by=ada):
        return get_payload(world.ports, by, board, hook, payload)

    assert first == await looking() == await looking(by=world.me)
    assert ([second, first], 2) == await world.ports.reads.entities.page(
        ada, PAYLOADS, PageRequest(), newest=True, webhook=webhook.id
    )
    assert webhook == await get_webhook(world.ports, ada, world.board.id, webhook.id)
    for refusal, wanted in (
        (PayloadNotFound, looking(hook=another.id)),
        (PayloadNotFound, looking(payload=elsewhere.id)),
        (PayloadNotFound, looking(payload=webhook.id)),
        (PayloadNotFound, looking(payload=elsewhere.id, by=world.me)),
        (WebhookNotFound, looking(hook=far_webhook.id)),
        (WebhookNotFound, looking(hook=far_webhook.id, by=world.me)),
        (BoardDenied, looking(board=other.id, hook=far_webhook.id, payload=elsewhere.id)),
        (BoardNotFound, looking(board=world.ports.ids.new())),
    ):
        with pytest.raises(refusal):
            await wanted


async def test_a_webhook_takes_along_what_came_in_by_it(world):
    """
    And a board its webhooks with all of that; what others have stays.
    """
    other = await world.another_board()
    first, second, far = await made(world), await made(world), await made(world, board=other.id)
    for webhook in (first, second, far):
        await sent(world, webhook)
    gone = DeleteBoardWebhook(webhook=first.id, on=first.board)
    for wrong in (evolve(gone, on=other.id), evolve(gone, expects=3)):
        with pytest.raises((WebhookNotFound, VersionMismatch)):
            await delete_board_webhook(world.ports, world.me, wrong)
    await delete_board_webhook(world.ports, world.me, evolve(gone, expects=0))
    with pytest.raises(WebhookNotFound):
        await webhook_sender(world.ports, first.board, first.id)

    assert [second.id, far.id] == [each.webhook for each in await every(world, PAYLOADS)]
    assert 2 == len(await every(world, BOARD_MEMORY, board=world.board.id))
    await delete_board(world.ports, world.me, DeleteBoard(board=other.id))
    assert [second.id] == [each.webhook for each in await every(world, PAYLOADS)]
    assert [second] == await every(world, BOARD_WEBHOOKS)


@pytest.mark.parametrize("hand_over", [False, True])
async def test_a_webhook_forgets_an_agent_that_goes(world, hand_over):
    """
    Whichever way it goes, and stays for the lead; another's agent it keeps.
    """
    other = await world.another_board()
    ada, bob, eve = [await world.agent(name, board=world.board.id) for name in ("ada", "bob", "eve")]
    hooks = [await made(world, agent=agent.id) for agent in (ada, bob, eve)]
    await update_agent(world.ports, world.me, UpdateAgent(agent=bob.id, board=other.id))
    await delete_agent(world.ports, world.me, DeleteAgent(agent=ada.id))
    await delete_board(world.ports, world.me, DeleteBoard(board=other.id, hand_over=hand_over))

    assert [None, bob.id if hand_over else None, eve.id] == [(await fresh(world, each)).agent for each in hooks]
    assert [1, 0 if hand_over else 1, 0] == [(await fresh(world, each)).version for each in hooks]


@BOTH_ORDERS
async def test_nothing_comes_in_by_what_goes_meanwhile(world, last):
    """
    Neither by a webhook nor on a board.
    """
    other = await world.another_board()
    for goes in (
        lambda hook: (delete_board_webhook, DeleteBoardWebhook(webhook=hook.id, on=hook.board)),
        lambda hook: (delete_board, DeleteBoard(board=hook.board)),
    ):
        webhook = await made(world, board=other.id)
        await in_turn(world, (receive_payload, sending(webhook)), goes(webhook), last=last)

        assert [] == await every(world, PAYLOADS)
    assert [] == await every(world, BOARD_MEMORY)


@BOTH_ORDERS
async def test_no_board_that_goes_meanwhile_gets_a_webhook(world, last):
    """
    It would stay behind, and its address would lead nowhere.
    """
    other = await world.another_board()
    making = (create_board_webhook, CreateBoardWebhook(board=other.id, description="x"))
    await in_turn(world, making, (delete_board, DeleteBoard(board=other.id)), last=last)

    assert [] == await every(world, BOARD_WEBHOOKS)


@BOTH_ORDERS
async def test_no_webhook_is_for_an_agent_that_goes_meanwhile(world, last):
    """
    It is refused, or forgets it at once.
    """
    ada = await world.agent("ada", board=world.board.id)
    making = CreateBoardWebhook(board=world.board.id, description="x", agent=ada.id)
    await in_turn(world, (create_board_webhook, making), (delete_agent, DeleteAgent(agent=ada.id)), last=last)

    assert {None} >= {each.agent for each in await every(world, BOARD_WEBHOOKS)}


async def test_a_crowd_of_senders_loses_nothing(world):
    """
    However many come at once.
    """
    webhook = await made(world)
    payloads = await asyncio.gather(*(sent(world, webhook, str(n).encode()) for n in range(20)))

    assert {each.id for each in payloads} == {each.id for each in await every(world, PAYLOADS)}
    assert 20 == len({each.number for each in payloads})
    assert 20 == len(await every(world, BOARD_MEMORY))


async def test_no_file_of_a_server_has_a_secret(tmp_path):
    """
    Another server with the same `AUTH_SECRET` uses it; another secret does not open it.
    """
    settings = settings_from({"AUTH_SECRET": "one" * 20}, data_dir=tmp_path)
    async with ports_over_database(settings) as ports:
        me = SystemPrincipal(organization=(await ensure_organization(ports)).id)
        board = await create_board(ports, me, CreateBoard(name="Work"))
        webhook = await create_board_webhook(
            ports, me, CreateBoardWebhook(board=board.id, description="x", secret=SECRET)
        )
        kept = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    async with ports_over_database(settings) as ports:
        opened = ports.vault.decrypt(webhook.secret, about=webhook.id)
    with pytest.raises(DecryptionFailed):
        secret_keys("two" * 20).encryption.decrypt(webhook.secret, about=webhook.id)

    assert webhook.secret in kept
    assert SECRET.encode() not in kept
    assert SECRET == opened
