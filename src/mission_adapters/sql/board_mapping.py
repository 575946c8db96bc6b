"""
The mapping of boards to rows of the boards table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mission_adapters.sql.conversions import (
    ColumnValues,
    members_by_value,
    optional_bytes,
    optional_micros,
    optional_moment,
    optional_uuid,
    trusted_constructor,
    uuid_of_bytes,
)
from mission_core.boards.model import Board, BoardStatus, GateSet
from mission_core.values import micros, moment, name_key

STATUS: Final = members_by_value(BoardStatus)
make_board = trusted_constructor(Board)
make_gates = trusted_constructor(GateSet)


def board_row(board: Board) -> ColumnValues:
    """
    Return the column values of a board.
    """
    gates = board.gates
    return {
        "id": board.id.bytes,
        "number": board.number,
        "organization": board.organization.bytes,
        "name": board.name,
        "name_key": name_key(board.name),
        "slug": board.slug,
        "handle": board.handle,
        "ticket_prefix": board.ticket_prefix,
        "description": board.description,
        "status": board.status.value,
        "require_approval_for_done": int(gates.require_approval_for_done),
        "require_review_before_done": int(gates.require_review_before_done),
        "comment_required_for_review": int(gates.comment_required_for_review),
        "block_status_changes_with_pending_approval": int(gates.block_status_changes_with_pending_approval),
        "only_lead_can_change_status": int(gates.only_lead_can_change_status),
        "gateway": optional_bytes(board.gateway),
        "group": optional_bytes(board.group),
        "board_type": board.board_type,
        "objective": board.objective,
        "success_metrics": board.success_metrics,
        "target_date": optional_micros(board.target_date),
        "goal_confirmed": int(board.goal_confirmed),
        "goal_source": board.goal_source,
        "max_agents": board.max_agents,
        "github_repo": board.github_repo,
        "github_sync_enabled": int(board.github_sync_enabled),
        "github_labels_initialized": int(board.github_labels_initialized),
        "github_default_branch": board.github_default_branch,
        "deadline": optional_micros(board.deadline),
        "color": board.color,
        "created_at": micros(board.created_at),
        "updated_at": micros(board.updated_at),
        "version": board.version,
        "gates_version": board.gates_version,
    }


def board_of_row(row: Mapping[str, Any]) -> Board:
    """
    Return the board that a row holds.
    """
    return make_board(
        id=uuid_of_bytes(row["id"]),
        number=row["number"],
        organization=uuid_of_bytes(row["organization"]),
        name=row["name"],
        slug=row["slug"],
        handle=row["handle"],
        ticket_prefix=row["ticket_prefix"],
        description=row["description"],
        status=STATUS[row["status"]],
        gates=make_gates(
            require_approval_for_done=bool(row["require_approval_for_done"]),
            require_review_before_done=bool(row["require_review_before_done"]),
            comment_required_for_review=bool(row["comment_required_for_review"]),
            block_status_changes_with_pending_approval=bool(row["block_status_changes_with_pending_approval"]),
            only_lead_can_change_status=bool(row["only_lead_can_change_status"]),
        ),
        gateway=optional_uuid(row["gateway"]),
        group=optional_uuid(row["group"]),
        board_type=row["board_type"],
        objective=row["objective"],
        success_metrics=row["success_metrics"],
        target_date=optional_moment(row["target_date"]),
        goal_confirmed=bool(row["goal_confirmed"]),
        goal_source=row["goal_source"],
        max_agents=row["max_agents"],
        github_repo=row["github_repo"],
        github_sync_enabled=bool(row["github_sync_enabled"]),
        github_labels_initialized=bool(row["github_labels_initialized"]),
        github_default_branch=row["github_default_branch"],
        deadline=optional_moment(row["deadline"]),
        color=row["color"],
        created_at=moment(row["created_at"]),
        updated_at=moment(row["updated_at"]),
        version=row["version"],
        gates_version=row["gates_version"],
    )
