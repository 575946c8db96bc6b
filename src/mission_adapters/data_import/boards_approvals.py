"""
Import of the approvals of the Boards API's reference system, which does not store who asked and who decided.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid5

from attrs import field

from mission_adapters.data_import.boards_values import Row, object_of, optional_datetime, truncated_text
from mission_adapters.data_import.entity_import import EntityImporter, rows_with_factory
from mission_adapters.data_import.row_repairs import utc_datetime_from
from mission_core.approvals.model import (
    APPROVAL_LINKS,
    APPROVALS,
    LONGEST_ACTION,
    Approval,
    ApprovalLink,
    ApprovalStatus,
    digest_of,
)
from mission_core.ids import AgentId, ApprovalId, ApprovalLinkId, ApprovalNumber, BoardId, TaskId
from mission_core.lazy_attrs import define

UNKNOWN_USER: Final = "somebody"


@define
class ApprovalImport:
    """
    The import of one organization's approvals. *names* maps its agents to their names in this system.
    """

    importer: EntityImporter
    tables: Mapping[str, list[Row]]
    names: Mapping[UUID, str]
    links: dict[UUID, list[Row]] = field(factory=lambda: defaultdict(list))
    approvals: dict[UUID, Approval] = field(factory=dict)
    done_tasks: set[UUID] = field(init=False)

    @done_tasks.default
    def _done(self) -> set[UUID]:
        return {row["id"] for row in self.tables["tasks"] if row["status"] == "done"}

    async def run(self, boards: set[UUID]) -> None:
        """
        Import the approvals of these boards, then their links to tasks.
        """
        rows = [row for row in self.tables["approvals"] if row["board_id"] in boards]
        for row in rows:
            if row.get("task_id") is not None:
                self._link(row["id"], row["task_id"])
        own = {row["id"] for row in rows}
        for row in self.tables["approval_task_links"]:
            if row["approval_id"] in own:
                self._link(row["approval_id"], row["task_id"], row["id"])
        take, draw = self.importer.import_rows, self.importer.with_next_number
        await take(
            "approvals",
            lambda unit: unit.repository(APPROVALS),
            rows_with_factory(rows, self.approval),
            finish=draw("approval"),
        )
        links = [link for row in rows for link in self.links[row["id"]]]
        await take(
            "approval_task_links", lambda unit: unit.repository(APPROVAL_LINKS), rows_with_factory(links, self.link)
        )

    def _link(self, approval: UUID, task: UUID, id: UUID | None = None) -> None:
        """
        Add a link between an approval and a task, once. The approval's own task comes first; it may have no link row.
        """
        links = self.links[approval]
        known = next((link for link in links if link["task"] == task), None)
        if known is None:
            made = id or uuid5(approval, str(task))
            links.append({"id": made, "approval": approval, "task": task, "place": len(links)})
        elif id is not None:
            links[known["place"]] = {**known, "id": id}

    def approval(self, row: Row) -> Approval:
        """
        The approval made from a row. Its asker is its agent, if it names one.
        """
        self.importer.require_imported("board", row["board_id"])
        agent = row.get("agent_id") if row.get("agent_id") in self.importer.imported_ids else None
        action = truncated_text(self.importer.report, row, "approvals", "action_type", LONGEST_ACTION) or ""
        arguments = object_of(row.get("payload"))
        approval = self.approvals[row["id"]] = Approval(
            id=ApprovalId(row["id"]),
            number=ApprovalNumber(0),
            organization=self.importer.organization,
            board=BoardId(row["board_id"]),
            action=action,
            arguments=arguments,
            confidence=float(row.get("confidence") or 0),
            scores=object_of(row.get("rubric_scores")),
            agent=AgentId(agent) if agent else None,
            digest=digest_of(action, arguments, ((TaskId(link["task"]), 0) for link in self.links[row["id"]])),
            status=self._status(row),
            asker=self.names[agent] if agent else UNKNOWN_USER,
            asker_kind="agent" if agent else "user",
            asker_id=agent,
            created_at=utc_datetime_from(row["created_at"]),
            resolved_at=optional_datetime(row.get("resolved_at")),
        )
        return approval

    def _status(self, row: Row) -> ApprovalStatus:
        try:
            return ApprovalStatus(row["status"])
        except ValueError:
            self.importer.report.change(
                "approvals", row["id"], f"its status {row['status']!r} is unknown; it is pending"
            )
            return ApprovalStatus.PENDING

    def link(self, row: Row) -> ApprovalLink:
        """
        The approval link made from a row. An approval of a done task counts as used.
        """
        self.importer.require_imported("approval", row["approval"])
        self.importer.require_imported("task", row["task"])
        approval = self.approvals[row["approval"]]
        passed = approval.status is ApprovalStatus.APPROVED and row["task"] in self.done_tasks
        return ApprovalLink.of(
            approval,
            TaskId(row["task"]),
            id=ApprovalLinkId(row["id"]),
            place=row["place"],
            fence=0,
            used_at=(approval.resolved_at or approval.created_at) if passed else None,
        )
