"""
Import of the memory entries of boards and groups, and of board webhooks with their payloads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from mission_adapters.data_import.boards_values import Row, json_of, truncated_text
from mission_adapters.data_import.entity_import import EntityImporter, rows_with_factory
from mission_adapters.data_import.row_repairs import utc_datetime_from
from mission_core.automation.board_webhooks import (
    BOARD_WEBHOOKS,
    MAX_DESCRIPTION_LENGTH,
    BoardWebhook,
    encrypted_secret,
    header_name_from,
)
from mission_core.automation.webhook_payloads import (
    MAX_HEADER_LENGTH,
    PAYLOADS,
    WebhookPayload,
    json_from_body,
    kept_headers,
)
from mission_core.conversations.memory_entries import (
    BOARD_MEMORY,
    GROUP_MEMORY,
    MAX_ENTRY_LENGTH,
    MAX_SOURCE_LENGTH,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    BoardMemoryEntry,
    GroupMemoryEntry,
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
from mission_core.lazy_attrs import define
from mission_core.values import JsonText


@define
class MemoryAndWebhookImport:
    """
    The import of one organization's memory entries, webhooks and payloads.
    """

    importer: EntityImporter
    tables: Mapping[str, list[Row]]

    async def run(self, *, boards: set[UUID], groups: set[UUID]) -> None:
        """
        Import the entries, webhooks and payloads of these boards and groups.
        """
        take, draw, tables = self.importer.import_rows, self.importer.with_next_number, self.tables
        await take(
            "board_memory", lambda unit: unit.repository(BOARD_MEMORY),
            rows_with_factory((row for row in tables["board_memory"] if row["board_id"] in boards), self.board_entry),
            finish=draw("board_memory"),
        )  # fmt: skip
        await take(
            "board_group_memory", lambda unit: unit.repository(GROUP_MEMORY),
            rows_with_factory((row for row in tables["board_group_memory"] if row["board_group_id"] in groups),
            self.group_entry),
            finish=draw("group_memory"),
        )  # fmt: skip
        await take(
            "board_webhooks", lambda unit: unit.repository(BOARD_WEBHOOKS),
            rows_with_factory((row for row in tables["board_webhooks"] if row["board_id"] in boards), self.webhook),
            finish=draw("webhook"),
        )  # fmt: skip
        await take(
            "board_webhook_payloads", lambda unit: unit.repository(PAYLOADS),
            rows_with_factory((row for row in tables["board_webhook_payloads"] if row["board_id"] in boards),
            self.payload),
            finish=draw("payload"),
        )  # fmt: skip

    def board_entry(self, row: Row) -> BoardMemoryEntry:
        """
        The memory entry of a board made from a row.
        """
        self.importer.require_imported("board", row["board_id"])
        return BoardMemoryEntry(board=BoardId(row["board_id"]), **self._entry_fields("board_memory", row))

    def group_entry(self, row: Row) -> GroupMemoryEntry:
        """
        The memory entry of a board group made from a row.
        """
        self.importer.require_imported("group", row["board_group_id"])
        return GroupMemoryEntry(group=GroupId(row["board_group_id"]), **self._entry_fields("board_group_memory", row))

    def webhook(self, row: Row) -> BoardWebhook:
        """
        The webhook made from a row. It keeps its id and secret, so senders need no change.
        """
        self.importer.require_imported("board", row["board_id"])
        report, agent = self.importer.report, row.get("agent_id")
        if agent is not None and agent not in self.importer.imported_ids:
            report.change("board_webhooks", row["id"], "its agent was not imported; payloads go to the board's lead")
            agent = None
        id = WebhookId(row["id"])
        return BoardWebhook(
            id=id,
            number=WebhookNumber(0),
            organization=self.importer.organization,
            board=BoardId(row["board_id"]),
            agent=AgentId(agent) if agent else None,
            description=truncated_text(report, row, "board_webhooks", "description", MAX_DESCRIPTION_LENGTH)
            or "webhook",
            enabled=bool(row["enabled"]),
            secret=encrypted_secret(self.importer.ports, row.get("secret"), id),
            signature_header=header_name_from(str(row.get("signature_header") or "")),
            created_at=utc_datetime_from(row["created_at"]),
            updated_at=utc_datetime_from(row["updated_at"]),
        )

    def payload(self, row: Row) -> WebhookPayload:
        """
        The webhook payload made from a row, without headers that may contain a secret.
        """
        self.importer.require_imported("webhook", row["webhook_id"])
        report, table = self.importer.report, "board_webhook_payloads"
        raw = "null" if row["payload"] is None else str(row["payload"])
        return WebhookPayload(
            id=PayloadId(row["id"]),
            number=PayloadNumber(0),
            organization=self.importer.organization,
            board=BoardId(row["board_id"]),
            webhook=WebhookId(row["webhook_id"]),
            payload=json_from_body(raw.encode(), "application/json"),
            headers=self._headers(row),
            source_ip=truncated_text(report, row, table, "source_ip", 200),
            content_type=truncated_text(report, row, table, "content_type", MAX_HEADER_LENGTH),
            received_at=utc_datetime_from(row["received_at"]),
        )

    def _entry_fields(self, table: str, row: Row) -> dict[str, Any]:
        report = self.importer.report
        there = json_of(row.get("tags"))
        tags = None if there is None else tuple(str(tag)[:MAX_TAG_LENGTH] for tag in there)[:MAX_TAGS]
        if tags is not None and list(tags) != there:
            report.change(table, row["id"], f"its tags are limited to {MAX_TAGS} of {MAX_TAG_LENGTH} characters each")
        return {
            "id": MemoryId(row["id"]),
            "number": MemoryNumber(0),
            "organization": self.importer.organization,
            "content": truncated_text(report, row, table, "content", MAX_ENTRY_LENGTH) or "",
            "tags": tags,
            "source": truncated_text(report, row, table, "source", MAX_SOURCE_LENGTH),
            "chat": bool(row["is_chat"]),
            "created_at": utc_datetime_from(row["created_at"]),
        }

    def _headers(self, row: Row) -> JsonText | None:
        there = json_of(row.get("headers")) or {}
        signed_in = next(each for each in self.tables["board_webhooks"] if each["id"] == row["webhook_id"])
        kept = kept_headers(
            ((str(name), str(value)) for name, value in there.items()), signature_header=signed_in["signature_header"]
        )
        if len(json_of(kept) or {}) < len(there):
            told = "headers that are not stored here, or may contain a secret, are left out"
            self.importer.report.change("board_webhook_payloads", row["id"], told)
        return kept
