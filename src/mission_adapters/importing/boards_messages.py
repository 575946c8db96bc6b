"""
Import of the memory entries of boards and groups, and of board webhooks with their payloads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from attrs import define

from mission_adapters.importing.boards_values import Row, cut, json_of
from mission_adapters.importing.repairs import moment_from
from mission_adapters.importing.taking import Taker, in_turn
from mission_core.automation.board_webhooks import (
    BOARD_WEBHOOKS,
    LONGEST_DESCRIPTION,
    BoardWebhook,
    header_name_from,
    sealed,
)
from mission_core.automation.payloads import LONGEST_HEADER, PAYLOADS, WebhookPayload, kept_headers, stored_form
from mission_core.conversations.entries import (
    BOARD_MEMORY,
    GROUP_MEMORY,
    LONGEST_ENTRY,
    LONGEST_SOURCE,
    LONGEST_TAG,
    MOST_TAGS,
    BoardEntry,
    GroupEntry,
)
from mission_core.ids import (
    AgentId,
    BoardId,
    GroupId,
    MemoryId,
    MemoryNumber,
    PayloadId,
    PayloadNumber,
    WebhookId,
    WebhookNumber,
)
from mission_core.values import JsonText


@define
class MessageSource:
    """
    The import of one organization's memory entries, webhooks and payloads.
    """

    taker: Taker
    tables: Mapping[str, list[Row]]

    async def take(self, *, boards: set[UUID], groups: set[UUID]) -> None:
        """
        Import the entries, webhooks and payloads of these boards and groups.
        """
        take, draw, tables = self.taker.take, self.taker.drawn, self.tables
        await take(
            "board_memory", lambda unit: unit.rows(BOARD_MEMORY),
            in_turn((row for row in tables["board_memory"] if row["board_id"] in boards), self.board_entry),
            finish=draw("board_memory"),
        )  # fmt: skip
        await take(
            "board_group_memory", lambda unit: unit.rows(GROUP_MEMORY),
            in_turn((row for row in tables["board_group_memory"] if row["board_group_id"] in groups), self.group_entry),
            finish=draw("group_memory"),
        )  # fmt: skip
        await take(
            "board_webhooks", lambda unit: unit.rows(BOARD_WEBHOOKS),
            in_turn((row for row in tables["board_webhooks"] if row["board_id"] in boards), self.webhook),
            finish=draw("webhook"),
        )  # fmt: skip
        await take(
            "board_webhook_payloads", lambda unit: unit.rows(PAYLOADS),
            in_turn((row for row in tables["board_webhook_payloads"] if row["board_id"] in boards), self.payload),
            finish=draw("payload"),
        )  # fmt: skip

    def board_entry(self, row: Row) -> BoardEntry:
        """
        The memory entry of a board made from a row.
        """
        self.taker.must_be_here("board", row["board_id"])
        return BoardEntry(board=BoardId(row["board_id"]), **self._said_in("board_memory", row))

    def group_entry(self, row: Row) -> GroupEntry:
        """
        The memory entry of a board group made from a row.
        """
        self.taker.must_be_here("group", row["board_group_id"])
        return GroupEntry(group=GroupId(row["board_group_id"]), **self._said_in("board_group_memory", row))

    def webhook(self, row: Row) -> BoardWebhook:
        """
        The webhook made from a row. It keeps its id and secret, so senders need no change.
        """
        self.taker.must_be_here("board", row["board_id"])
        report, agent = self.taker.report, row.get("agent_id")
        if agent is not None and agent not in self.taker.here:
            report.change("board_webhooks", row["id"], "its agent was not imported; payloads go to the board's lead")
            agent = None
        id = WebhookId(row["id"])
        return BoardWebhook(
            id=id,
            number=WebhookNumber(0),
            organization=self.taker.organization,
            board=BoardId(row["board_id"]),
            agent=AgentId(agent) if agent else None,
            description=cut(report, row, "board_webhooks", "description", LONGEST_DESCRIPTION) or "webhook",
            enabled=bool(row["enabled"]),
            secret=sealed(self.taker.ports, row.get("secret"), id),
            signature_header=header_name_from(str(row.get("signature_header") or "")),
            created_at=moment_from(row["created_at"]),
            updated_at=moment_from(row["updated_at"]),
        )

    def payload(self, row: Row) -> WebhookPayload:
        """
        The webhook payload made from a row, without headers that may contain a secret.
        """
        self.taker.must_be_here("webhook", row["webhook_id"])
        report, table = self.taker.report, "board_webhook_payloads"
        raw = "null" if row["payload"] is None else str(row["payload"])
        return WebhookPayload(
            id=PayloadId(row["id"]),
            number=PayloadNumber(0),
            organization=self.taker.organization,
            board=BoardId(row["board_id"]),
            webhook=WebhookId(row["webhook_id"]),
            payload=stored_form(raw.encode(), "application/json"),
            headers=self._headers(row),
            source_ip=cut(report, row, table, "source_ip", 200),
            content_type=cut(report, row, table, "content_type", LONGEST_HEADER),
            received_at=moment_from(row["received_at"]),
        )

    def _said_in(self, table: str, row: Row) -> dict[str, Any]:
        report = self.taker.report
        there = json_of(row.get("tags"))
        tags = None if there is None else tuple(str(tag)[:LONGEST_TAG] for tag in there)[:MOST_TAGS]
        if tags is not None and list(tags) != there:
            report.change(table, row["id"], f"its tags are limited to {MOST_TAGS} of {LONGEST_TAG} characters each")
        return {
            "id": MemoryId(row["id"]),
            "number": MemoryNumber(0),
            "organization": self.taker.organization,
            "content": cut(report, row, table, "content", LONGEST_ENTRY) or "",
            "tags": tags,
            "source": cut(report, row, table, "source", LONGEST_SOURCE),
            "chat": bool(row["is_chat"]),
            "created_at": moment_from(row["created_at"]),
        }

    def _headers(self, row: Row) -> JsonText | None:
        there = json_of(row.get("headers")) or {}
        signed_in = next(each for each in self.tables["board_webhooks"] if each["id"] == row["webhook_id"])
        kept = kept_headers(
            ((str(name), str(value)) for name, value in there.items()), signature_header=signed_in["signature_header"]
        )
        if len(json_of(kept) or {}) < len(there):
            told = "headers that are not stored here, or may contain a secret, are left out"
            self.taker.report.change("board_webhook_payloads", row["id"], told)
        return kept
