"""
The changes that people make on the page: they move tasks and decide approvals. The answer is the changed panel.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from mission_core.approvals.model import ApprovalStatus
from mission_core.approvals.use_cases import DecideApproval, decide_approval
from mission_core.errors import InvalidField
from mission_core.ids import ApprovalId, BoardId, TaskNumber
from mission_core.tasks.model import Status
from mission_core.tasks.use_cases import UpdateTask, update_task
from mission_http.pages.panels import approvals_response, board_id_of, board_response, id_in_path
from mission_http.platform.bodies import raw_body_of
from mission_http.platform.exchange import ports_of, principal_of

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)
MOST_FIELDS: Final = 20
MOST_DIGITS: Final = 18
"""A number of so many digits fits into 64 bits."""
DECISIONS: Final = (ApprovalStatus.APPROVED, ApprovalStatus.REJECTED)


async def move_task(request: Request) -> Response:
    """
    Move a task of a board to another status.
    """
    board = BoardId(board_id_of(request))
    form = await _form_of(request)
    task = form.get("task", "")
    if not (task.isascii() and task.isdigit() and len(task) <= MOST_DIGITS):
        raise InvalidField("task", "must be the number of a task")
    command = UpdateTask(task=TaskNumber(int(task)), on=board, status=_choice(form, "status", tuple(Status)))
    await update_task(ports_of(request), principal_of(request), command)
    return await board_response(request, board)


async def decide(request: Request) -> Response:
    """
    Approve or reject what an agent asked for.
    """
    form = await _form_of(request)
    command = DecideApproval(
        approval=ApprovalId(id_in_path(request, "approval")),
        status=_choice(form, "decision", DECISIONS),
        reason=form.get("reason", "").strip() or None,
        through="page",
    )
    await decide_approval(ports_of(request), principal_of(request), command)
    return await approvals_response(request)


async def _form_of(request: Request) -> dict[str, str]:
    """
    The fields of a form; the last value of each.

    Raises:
        InvalidField: If there are too many.
    """
    body = (await raw_body_of(request)).decode(errors="replace")
    try:
        return {name: values[-1] for name, values in parse_qs(body, max_num_fields=MOST_FIELDS).items()}
    except ValueError:
        raise InvalidField("form", f"must have at most {MOST_FIELDS} fields") from None


def _choice(form: dict[str, str], name: str, choices: tuple[ChoiceT, ...]) -> ChoiceT:
    """
    Raises:
        InvalidField: If the field is none of the choices.
    """
    for each in choices:
        if each.value == form.get(name):
            return each
    raise InvalidField(name, f"must be one of {', '.join(each.value for each in choices)}")
