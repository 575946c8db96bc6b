"""
Import of the approvals of the Boards API's reference system, which does not store who asked and who decided.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid5

from attrs import define, field

from mission_adapters.importing.boards_values import Row, cut, maybe_moment, object_of
from mission_adapters.importing.repairs import moment_from
from mission_adapters.importing.taking import Taker, in_turn
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

SOMEBODY: Final = "somebody"


@define
class ApprovalSource:
    """
    The import of one organization's approvals. *names* has the names of its agents here.
    """

    taker: Taker
    tables: Mapping[str, list[Row]]
    names: Mapping[UUID, str]
    links: dict[UUID, list[Row]] = field(factory=lambda: defaultdict(list))
    made: dict[UUID, Approval] = field(factory=dict)
    done: set[UUID] = field(init=False)

    @done.default
    def _done(self) -> set[UUID]:
        return {row["id"] for row in self.tables["tasks"] if row["status"] == "done"}

    async def take(self, boards: set[UUID]) -> None:
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
        take, draw = self.taker.take, self.taker.drawn
        await take(
            "approvals", lambda unit: unit.rows(APPROVALS), in_turn(rows, self.approval), finish=draw("approval")
        )
        links = [link for row in rows for link in self.links[row["id"]]]
        await take("approval_task_links", lambda unit: unit.rows(APPROVAL_LINKS), in_turn(links, self.link))

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
        self.taker.must_be_here("board", row["board_id"])
        agent = row.get("agent_id") if row.get("agent_id") in self.taker.here else None
        action = cut(self.taker.report, row, "approvals", "action_type", LONGEST_ACTION) or ""
        arguments = object_of(row.get("payload"))
        approval = self.made[row["id"]] = Approval(
            id=ApprovalId(row["id"]),
            number=ApprovalNumber(0),
            organization=self.taker.organization,
            board=BoardId(row["board_id"]),
            action=action,
            arguments=arguments,
            confidence=float(row.get("confidence") or 0),
            scores=object_of(row.get("rubric_scores")),
            agent=AgentId(agent) if agent else None,
            digest=digest_of(action, arguments, ((TaskId(link["task"]), 0) for link in self.links[row["id"]])),
            status=ApprovalStatus(row["status"]),
            asker=self.names[agent] if agent else SOMEBODY,
            asker_kind="agent" if agent else "user",
            asker_id=agent,
            created_at=moment_from(row["created_at"]),
            resolved_at=maybe_moment(row.get("resolved_at")),
        )
        return approval

    def link(self, row: Row) -> ApprovalLink:
        """
        The approval link made from a row. An approval of a done task counts as used.
        """
        self.taker.must_be_here("approval", row["approval"])
        self.taker.must_be_here("task", row["task"])
        approval = self.made[row["approval"]]
        passed = approval.status is ApprovalStatus.APPROVED and row["task"] in self.done
        return ApprovalLink.of(
            approval,
            TaskId(row["task"]),
            id=ApprovalLinkId(row["id"]),
            place=row["place"],
            fence=0,
            used_at=(approval.resolved_at or approval.created_at) if passed else None,
        )
