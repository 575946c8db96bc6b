"""
The reference model: the rules of tasks, runs and the queue, implemented a second time with plain dictionaries and small
functions. It shares no code with the core.

Ids are integers, times are microseconds, and enumerations are their values. An answer is a pair of its kind and its
fields; an error is an answer too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

Answer = tuple[str, dict[str, Any]]
Row = dict[str, Any]
Caller = tuple[str, str, str | None, str]

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
IMPLICIT_TERM = 10 * MINUTE
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

UNUSED_ID = 1 << 60
"""The first of the ids that no row has."""

RANKS = ("critical", "high", "medium", "low")
IDLE = ("inbox", "assigned")
FINISHED = ("done", "failed")
REVIEW = ("review", "quality_review")
SUBMITTED = (*REVIEW, "done")
GATE_RULES = ("approval", "review", "comment", "leads")
ROLES = ("viewer", "operator", "admin")
PRINCIPALS: dict[str, Row] = {
    "boss": {"role": "admin", "agent": None, "board": None, "team_role": "person"},
    "clerk": {"role": "operator", "agent": None, "board": None, "team_role": "person"},
    "guest": {"role": "viewer", "agent": None, "board": None, "team_role": "person"},
    "Carl": {"role": "operator", "agent": "Carl", "board": "open", "team_role": "worker"},
    "Dora": {"role": "operator", "agent": "Dora", "board": None, "team_role": "worker"},
    "Gus": {"role": "operator", "agent": "Gus", "board": "gated", "team_role": "worker"},
    "Lea": {"role": "operator", "agent": "Lea", "board": "open", "team_role": "lead"},
}
"""The principals: three people, and four agents on two boards or on none, one of them a lead."""

REGISTERED = {str(own["agent"]).casefold(): own for own in PRINCIPALS.values() if own["agent"]}
TEAM_STATUSES = {
    "inbox": ("inbox", "assigned", "backlog", "awaiting_owner"),
    "in_progress": ("in_progress",),
    "review": ("review", "quality_review", "failed"),
    "done": ("done",),
}
"""The four statuses of a task in team mode, with the statuses that each stands for."""

RETRY_CLASSES = {
    "transient": "retry",
    "rate_limited": "retry",
    "timeout": "retry",
    "crashed": "retry",
    "tool_failed": "retry",
    "lease_expired": "retry",
    "unclear": "person",
    "access_missing": "person",
    "impossible": "never",
    "refused": "never",
}
"""The retry class of each failure reason."""


def iso_text(moment: int) -> str:
    """
    The time as error messages write it.
    """
    return (EPOCH + timedelta(microseconds=moment)).isoformat()


class ModelRefusal(Exception):
    """
    An operation of the model is refused with an error of this kind. *late* is the run whose late result the store
    keeps, with its content.
    """

    def __init__(self, kind: str, *, late: tuple[Row, Row] | None = None, **fields: object) -> None:
        super().__init__(kind)
        self.kind = kind
        self.late = late
        self.fields = fields


class ReferenceModel:
    """
    The tasks, runs and log of one organization. Operations have the names of the steps, and a refused operation changes
    nothing.
    """

    def __init__(self, *, now: int, boards: dict[str, Row]) -> None:
        self.now = now
        self.boards = boards
        self.tasks: dict[int, Row] = {}
        self.runs: dict[int, Row] = {}
        self.ids_by_number: dict[int, int] = {}
        self.last_numbers: dict[str, int] = {}
        self.log: list[tuple[str, int, str]] = []
        self.commented_at: dict[tuple[int, str], int] = {}
        self.authors: dict[int, frozenset[str]] = {}
        self.passed_gates: dict[int, frozenset[str]] = {}
        self.late_results: dict[int, Row] = {}
        self.ids: Iterator[int] = iter(())
        self.who = ""
        self.begun_run = 0

    def copy(self) -> ReferenceModel:
        """
        A copy of the state.
        """
        other = ReferenceModel(now=self.now, boards={name: dict(board) for name, board in self.boards.items()})
        other.tasks = {id: dict(task) for id, task in self.tasks.items()}
        other.runs = {id: dict(run) for id, run in self.runs.items()}
        other.ids_by_number, other.last_numbers, other.log = (
            dict(self.ids_by_number),
            dict(self.last_numbers),
            list(self.log),
        )
        other.commented_at, other.authors, other.passed_gates = (
            dict(self.commented_at),
            dict(self.authors),
            dict(self.passed_gates),
        )
        other.late_results = dict(self.late_results)
        return other

    def replace_with(self, other: ReferenceModel) -> None:
        """
        Take over the state of the other model.
        """
        self.now, self.boards, self.tasks, self.runs = other.now, other.boards, other.tasks, other.runs
        self.ids_by_number, self.last_numbers, self.log = other.ids_by_number, other.last_numbers, other.log
        self.commented_at, self.authors, self.passed_gates = other.commented_at, other.authors, other.passed_gates
        self.late_results = other.late_results

    def answer(self, name: str, who: str, fields: dict[str, Any], *, ids: int) -> Answer:
        """
        Perform the operation as *who*, and return its answer. New ids count from *ids* on.
        """
        trial = self.copy()
        trial.ids, trial.who = count(ids), who
        operation: Callable[..., Answer] = getattr(trial, name)
        try:
            answer = operation(**fields)
        except ModelRefusal as refusal:
            self.last_numbers, self.who = trial.last_numbers, who
            if refusal.late is not None and refusal.late[0]["id"] not in self.late_results:
                self.late_results[refusal.late[0]["id"]] = refusal.late[1]
                self.record("run.result_late", refusal.late[0]["task"])
            return refusal.kind, refusal.fields
        self.replace_with(trial)
        return answer

    # Helpers of the operations.

    def require_role(self, role: str) -> None:
        own = PRINCIPALS[self.who]["role"]
        if ROLES.index(own) < ROLES.index(role):
            raise ModelRefusal("RoleTooLow", needed=role, role=own)

    def require_board(self, board: str) -> None:
        if PRINCIPALS[self.who]["board"] not in (None, board):
            raise ModelRefusal("BoardDenied")

    def find_task(self, number: int, on: str | None = None, expects: int | None = None) -> Row:
        task = self.tasks.get(self.ids_by_number.get(number, 0))
        if task is None:
            raise ModelRefusal("TaskNotFound")
        self.require_board(task["board"])
        return self.check_expectations(task, on, expects)

    def check_expectations(self, task: Row, on: str | None, expects: int | None) -> Row:
        if on is not None and task["board"] != on:
            raise ModelRefusal("TaskNotFound")
        if expects is not None and expects != task["version"]:
            raise ModelRefusal("VersionMismatch", expected=expects, current=task["version"])
        return task

    def record(self, kind: str, about: int) -> None:
        self.log.append((kind, about, self.who))

    def open_dependencies(self, task: Row) -> tuple[int, ...]:
        return tuple(each for each in task["depends_on"] if self.tasks[each]["status"] != "done")

    def live_run(self, task: Row) -> Row | None:
        run = self.runs.get(task["run"])
        return run if run and self.now < run["expires_at"] else None

    def expired_run(self, task: Row) -> Row | None:
        run = self.runs.get(task["run"])
        return run if run and self.now >= run["expires_at"] else None

    def move(self, task: Row, to: str, *, at: int | None = None, note: bool = True) -> None:
        at = self.now if at is None else at
        if task["status"] == "failed" and to != "failed":
            task["attempts"] = 0
        task.update(status=to, moved_at=at, updated_at=at)
        if self.tasks.get(task["id"]) is task:  # not for the copy in an explanation
            self.passed_gates.pop(task["id"], None)
        if to == "in_progress":
            task["started_at"] = at
        elif to not in ("awaiting_owner", "done"):
            task["started_at"] = None
        if to == "done" and task["completed_at"] is None:
            task["completed_at"] = at
        if note:
            self.record("task.moved", task["id"])

    def end_run(self, run: Row, state: str, kind: str, **fields: object) -> None:
        run.update(state=state, ended_at=self.now, version=run["version"] + (run["id"] != self.begun_run), **fields)
        self.record(kind, run["task"])

    def clear_run(self, task: Row, run: Row) -> None:
        task["run"] = None
        if run["from_queue"]:
            task["assignee"] = None

    def cancelled(self, run: Row) -> bool:
        return any(kind == "cancel" for _, kind, _, _ in run["orders"])

    def idle_status(self, task: Row) -> str:
        return "assigned" if task["assignee"] else "inbox"

    def dependents(self, id: int) -> list[Row]:
        return sorted((t for t in self.tasks.values() if id in t["depends_on"]), key=lambda t: t["number"])

    # Creating, updating and deleting tasks.

    def create(
        self, *, board: str, title: str = "", status: str = "inbox", priority: str = "medium",
        assignee: str | None = None, due_at: int | None = None, not_before: int | None = None,
        depends_on: Sequence[int] = (), by_id: bool = False, max_attempts: int = 5, team: bool = False,
    ) -> Answer:  # fmt: skip
        self.require_role("operator")
        if status in FINISHED and PRINCIPALS[self.who]["role"] != "admin":
            raise ModelRefusal("FinishedTaskDenied")
        self.require_board(board)
        if team:
            assignee = self.check_assignee(assignee, board)
        number = self.last_numbers["task"] = self.last_numbers.get("task", 0) + 1
        ticket = self.last_numbers[board] = self.last_numbers.get(board, 0) + 1
        if assignee and status == "inbox":
            status = "assigned"
        task: Row = {
            "id": next(self.ids), "number": number, "ticket": ticket, "board": board, "title": title,
            "status": status, "priority": priority, "assignee": assignee, "due_at": due_at,
            "not_before": not_before, "depends_on": (), "result": None, "error_message": None, "resolution": None,
            "output": None, "hand_over": None, "recorded": status == "done", "fence": 0, "attempts": 0,
            "max_attempts": max_attempts, "run": None, "submitter": None, "created_at": self.now,
            "updated_at": self.now, "moved_at": self.now, "started_at": self.now if status == "in_progress" else None,
            "completed_at": self.now if status == "done" else None, "version": 0,
        }  # fmt: skip
        if depends_on:
            self.set_dependencies(task, depends_on, by_id)
            late = self.open_dependencies(task)
            if late and status != "backlog" and (assignee or status != "inbox"):
                raise ModelRefusal("BlockedByDependencies", task=task["id"], by=late)
        if status != "done":
            self.check_gates(None, task, board, status, spoke=False)
        lead = board == "open" and status in REVIEW and (assignee or "").casefold() == "lea"
        self.record_authors(None, task, None if lead else assignee)
        self.tasks[task["id"]] = task
        self.ids_by_number[number] = task["id"]
        self.record("task.created", task["id"])
        return "Task", dict(task)

    def set_dependencies(self, task: Row, named: Sequence[int], by_id: bool) -> None:
        ids = [self.ids_by_number.get(n, UNUSED_ID + n) if by_id else self.dependency_id(n) for n in named]
        wanted = tuple(dict.fromkeys(ids))
        if wanted == task["depends_on"]:
            return
        if task["id"] in wanted:
            raise ModelRefusal("SelfDependency")
        here = {id for id, other in self.tasks.items() if other["board"] == task["board"]}
        missing = tuple(id for id in wanted if id not in here and id not in task["depends_on"])
        if missing:
            raise ModelRefusal("DependencyNotFound", missing=missing)
        if task["id"] in self.upstream(wanted):
            raise ModelRefusal("DependencyCycle")
        if not self.is_idle(task):
            for each in wanted:
                self.tasks[each]["version"] += self.tasks[each]["status"] == "done"
        task["depends_on"] = wanted

    def dependency_id(self, number: int) -> int:
        id = self.ids_by_number.get(number)
        if id not in self.tasks:
            raise ModelRefusal("DependencyNotFound", missing=(number,))
        return int(self.find_task(number)["id"])

    def upstream(self, ids: Sequence[int]) -> set[int]:
        """
        These tasks and all that they depend on, directly or through others.
        """
        reached: set[int] = set()
        ahead = list(ids)
        while ahead:
            id = ahead.pop()
            if id not in reached and id in self.tasks:
                reached.add(id)
                ahead.extend(self.tasks[id]["depends_on"])
        return reached

    def edit(
        self, *, task: int, on: str | None = None, expects: int | None = None, own: bool = False,
        by_id: bool = False, team: bool = False, comment: str | None = None, agent: str | None = None,
        instance: str | None = None, changes: dict[str, Any],
    ) -> Answer:  # fmt: skip
        self.require_role("operator")
        caller = self.caller(agent, instance)
        found = self.find_task(task, on)
        late = self.late_result_of(found, caller, changes, comment)
        try:
            return self.apply_edit(
                found,
                caller,
                expects=expects,
                own=own,
                by_id=by_id,
                team=team,
                comment=comment,
                instance=instance,
                changes=changes,
            )
        except ModelRefusal as refusal:
            if refusal.kind in ("LeaseHeldByAnother", "NotYourTask", "TaskAssigneeMismatch"):
                refusal.late = late
            raise

    def apply_edit(
        self, found: Row, caller: Caller | None, *, expects: int | None, own: bool, by_id: bool, team: bool,
        comment: str | None, instance: str | None, changes: dict[str, Any],
    ) -> Answer:  # fmt: skip
        sent, seen = changes, self.in_team_statuses(found, changes) if team else changes
        asked = seen.get("status")
        if team and sent.get("status") == found["status"] == "in_progress":
            asked = "in_progress"
        returns = self.returns_to_expired(found, caller, asked)
        self.check_expectations(self.check_own(found, own and not returns), None, expects)
        if team:
            self.check_team_fields(found, changes.keys(), comment, moves="status" in seen)
        stored, run = dict(found), found["run"]
        if comment:
            next(self.ids)
        if caller and (asked or "assignee" in changes):
            self.refresh(found, caller, returns)
            found["version"] = stored["version"]
        before = dict(found)
        if team:
            changes = self.in_team_statuses(before, changes)
        plain = {k: v for k, v in changes.items() if k not in ("status", "assignee", "board", "depends_on")}
        found.update(plain)
        if "board" in changes:
            self.move_to_board(found, changes["board"])
        if "depends_on" in changes:
            self.set_dependencies(found, changes["depends_on"], by_id)
            if before["status"] == "done" and found["depends_on"] != before["depends_on"]:
                raise ModelRefusal("DependenciesFrozen")
        status, assignee = (self.team_target if team else self.plain_target)(before, found, changes)
        begins = caller is not None and self.starts_lease(before, status, assignee, caller)
        if status != before["status"]:
            self.move(found, status, note=not begins)
            if team and self.team_role == "lead" and status == "in_progress":
                found["started_at"] = before["started_at"]
            enters = status in TEAM_STATUSES["review"] and before["status"] not in TEAM_STATUSES["review"]
            if enters and self.team_role == "worker" and PRINCIPALS[self.who]["board"] == found["board"]:
                found["submitter"] = self.who
        if assignee != before["assignee"]:
            found["assignee"] = assignee
            self.record("task.assigned", found["id"])
        brought = changes.get("assignee") or None
        brought = self.check_assignee(brought, found["board"]) if team else brought
        if any(before[name] != found[name] for name in ("status", "assignee", "board")):
            self.check_all_gates(before, found, spoke=bool(comment) or self.has_commented(before, changes))
            self.record_authors(
                before, found, before["assignee"] or (None if team and brought == assignee else brought)
            )
        if found == stored and not comment:
            self.renew_if_in_progress(found, run, caller, instance, asked)
            return "Task", stored
        if comment:
            self.record("task.commented", found["id"])
            self.commented_at[found["id"], (PRINCIPALS[self.who]["agent"] or "").casefold()] = self.now
        if begins:
            self.start_lease(before, found, caller)
        else:
            self.settle_lease(before, found, caller, instance, sent)
        self.renew_if_in_progress(found, run, caller, instance, asked)
        found["updated_at"] = self.now
        found["version"] += 1
        if before["status"] == "done" != found["status"]:
            self.reset_dependents(found["id"])
        elif before["status"] != "done":
            self.notify_dependents(found)
        self.record("task.updated", found["id"])
        return "Task", dict(found)

    def is_unregistered(self, name: str | None) -> bool:
        """
        Whether the name belongs to no registered agent.
        """
        return name is not None and name.casefold() not in REGISTERED

    def check_own(self, task: Row, only: bool) -> Row:
        """
        The task.

        Raises:
            ModelRefusal: If *only* own tasks are allowed and the task is not the agent's own.
        """
        own = PRINCIPALS[self.who]["agent"]
        if only and own is not None and (task["assignee"] or "").casefold() != own.casefold():
            raise ModelRefusal("NotYourTask")
        return task

    def move_to_board(self, task: Row, board: str) -> None:
        self.require_board(board)
        if board != task["board"]:
            self.last_numbers[board] = self.last_numbers.get(board, 0) + 1
            task.update(board=board, ticket=self.last_numbers[board])

    def plain_target(self, before: Row, after: Row, changes: dict[str, Any]) -> tuple[str, str | None]:
        """
        The status and assignee after an update outside team mode.
        """
        status: str = changes["status"] if "status" in changes else before["status"]
        assignee: str | None = (changes["assignee"] or None) if "assignee" in changes else before["assignee"]
        if status != before["status"]:
            self.check_may_move(before)
        if "status" not in changes and "assignee" in changes:
            if assignee and status == "inbox":
                return "assigned", assignee
            if not assignee and status == "assigned":
                return "inbox", assignee
        return status, assignee

    def has_commented(self, task: Row, changes: dict[str, Any]) -> bool:
        """
        Whether the assignee commented on the task since it started.
        """
        owner, since = changes.get("assignee") or task["assignee"], task["started_at"]
        if owner is None or since is None:
            return False
        return self.commented_at.get((task["id"], str(owner).casefold()), -1) >= int(since)

    @property
    def team_role(self) -> str:
        """
        The caller's role on a team: person, worker or lead.
        """
        return str(PRINCIPALS[self.who]["team_role"])

    def check_may_move(self, task: Row) -> None:
        if self.team_role == "worker" and self.boards[task["board"]]["leads"]:
            raise ModelRefusal("OnlyLeadMovesTasks")

    def in_team_statuses(self, task: Row, changes: dict[str, Any]) -> dict[str, Any]:
        """
        The changes in team statuses, without a status that the task already has.
        """
        seen = dict(changes)
        if "status" in seen:
            seen["status"] = next(place for place, those in TEAM_STATUSES.items() if seen["status"] in those)
            takes = self.team_role == "worker" and task["assignee"] is None and seen["status"] == "in_progress"
            if task["status"] in TEAM_STATUSES[seen["status"]] and not takes:
                del seen["status"]
        return seen

    def check_team_fields(self, task: Row, named: Iterable[str], comment: str | None, *, moves: bool) -> None:
        """
        Refuse an update that the team rules do not allow to a lead or a worker.
        """
        if self.team_role == "lead":
            if comment:
                raise ModelRefusal("LeadCommentRefused")
            more = set(named) - {"status", "assignee", "depends_on"}
            if more:
                raise ModelRefusal("LeadFieldsRefused", fields=tuple(sorted(more)))
        if self.team_role == "worker":
            other = task["assignee"] is not None and task["assignee"].casefold() != self.who.casefold()
            if moves and other:
                raise ModelRefusal("TaskAssigneeMismatch")
            if set(named) - {"status"}:
                raise ModelRefusal("UpdateFieldForbidden")

    def check_assignee(self, assignee: str | None, board: str) -> str | None:
        """
        The assignee by its registered name. Refuse an agent of another board, and a lead that a lead assigns.
        """
        agent = REGISTERED.get((assignee or "").casefold())
        if agent is None:
            return assignee or None
        if self.team_role == agent["team_role"] == "lead":
            raise ModelRefusal("LeadNotAssignable")
        if agent["board"] not in (None, board):
            raise ModelRefusal("AssigneeOnAnotherBoard")
        return str(agent["agent"])

    def team_target(self, before: Row, after: Row, changes: dict[str, Any]) -> tuple[str, str | None]:
        """
        The status and assignee after an update in team mode.
        """
        to = changes.get("status")
        named = "assignee" in changes
        blocked = self.open_dependencies(after)
        if self.team_role != "person":
            if to is not None:
                self.check_may_move(before)
            if (blocked or before["status"] in ("backlog", "awaiting_owner")) and (
                named or to not in ((None,) if self.team_role == "lead" else (None, "inbox"))
            ):
                raise ModelRefusal("BlockedByDependencies", task=before["id"], by=blocked)
        assignee: str | None = self.check_assignee(changes["assignee"], after["board"]) if named else before["assignee"]
        if self.team_role == "person" and blocked and (to or before["status"] not in (*FINISHED, "backlog")):
            return "inbox", None
        if (
            assignee
            and not self.is_unregistered(assignee)
            and assignee.casefold() == (before["assignee"] or "").casefold()
        ):
            assignee = before["assignee"]
        if to is None:
            changed = assignee != before["assignee"] and before["status"] in IDLE
            return (self.idle_status({"assignee": assignee}) if changed else before["status"]), assignee
        if self.team_role == "lead":
            assignee = self.lead_target(before, after, to, assignee, named)
        elif self.team_role == "worker":
            assignee = self.who if to in ("in_progress", "done") else None
        elif to in ("inbox", "review") and not named:
            assignee = None
        if to == "review" and after["board"] == "open":
            assignee = "Lea"
        return (self.idle_status({"assignee": assignee}) if to == "inbox" else to), assignee

    def lead_target(self, before: Row, after: Row, to: str, assignee: str | None, named: bool) -> str | None:
        """
        The assignee after a lead moves the task. Refuse moves that a lead may not make.
        """
        begins = before["status"] in TEAM_STATUSES["inbox"] and to == "in_progress" and named and assignee
        if before["status"] not in TEAM_STATUSES["review"] and not begins:
            raise ModelRefusal(
                "LeadCannotMove", current=next(p for p, those in TEAM_STATUSES.items() if before["status"] in those)
            )
        if before["status"] in TEAM_STATUSES["review"] and to not in ("inbox", "done"):
            raise ModelRefusal("LeadCannotMoveTo", requested=to)
        if to != "inbox" or named:
            return assignee
        agent = REGISTERED.get((before["submitter"] or "").casefold())
        return (
            before["submitter"] if agent and agent["board"] == after["board"] and agent["team_role"] != "lead" else None
        )

    def check_all_gates(self, before: Row, found: Row, *, spoke: bool) -> None:
        """
        Check the gates of the task's board, and of the board that it moves to.
        """
        here, there = before["board"], found["board"]
        weaker = any(self.boards[here][rule] and not self.boards[there][rule] for rule in GATE_RULES)
        if weaker and PRINCIPALS[self.who]["agent"] is not None and PRINCIPALS[self.who]["role"] != "admin":
            raise ModelRefusal("WeakerGates")
        places = [here] if here != there and before["status"] != found["status"] else []
        alone = [self.check_gates(before, found, each, found["status"], spoke=spoke) for each in (*places, there)]
        if here != there:
            self.passed_gates[found["id"]] = self.passed_gates.get(found["id"], frozenset()) | {here}
        if any(alone):
            self.record("task.self_reviewed", found["id"])

    def check_gates(self, before: Row | None, task: Row, board: str, to: str, *, spoke: bool) -> bool:
        """
        Check the gates of one board.

        Returns:
            Whether the caller closes the review of its own work.
        """
        rules, was = self.boards[board], before["status"] if before else None
        arrives = before is None or before["board"] != board
        if was == to and (not arrives or board in self.passed_gates.get(task["id"], ())):
            return False
        if not arrives and {was, to} <= set(IDLE):
            return False
        if self.team_role == "worker" and rules["leads"] and not (arrives and to in (*IDLE, "backlog")):
            raise ModelRefusal("OnlyLeadMovesTasks")
        if to == "done" and rules["review"] and was not in REVIEW:
            raise ModelRefusal("GateClosed", rule="require_review_before_done", task=task["id"])
        if to == "done" and rules["approval"]:
            raise ModelRefusal("GateClosed", rule="require_approval_for_done", task=task["id"])
        if to in REVIEW and rules["comment"] and not spoke:
            raise ModelRefusal("CommentRequired", rule="comment_required_for_review", task=task["id"])
        own = to == "done" and rules["review"] and self.author in self.authors.get(task["id"], ())
        if own and (PRINCIPALS[self.who]["agent"] is not None or PRINCIPALS[self.who]["role"] != "admin"):
            raise ModelRefusal("OwnReviewRefused", rule="require_review_before_done", task=task["id"])
        return bool(own)

    @property
    def author(self) -> str:
        """
        The name under which the caller is recorded as an author.
        """
        return (PRINCIPALS[self.who]["agent"] or f"by {self.who}").casefold()

    def record_authors(self, before: Row | None, task: Row, worker: str | None) -> None:
        """
        Record the authors of the task: its assignee in progress, and who submits it.
        """
        enters = task["status"] in SUBMITTED and (before is None or before["status"] not in SUBMITTED)
        working = task["assignee"] if task["status"] == "in_progress" else None
        authors = [working, *((self.author, worker) if enters else ())]
        self.authors[task["id"]] = self.authors.get(task["id"], frozenset()) | {
            each.casefold() for each in authors if each
        }

    def revoke_lease(self, before: Row, after: Row) -> None:
        """
        Revoke the lease and raise the fence after a change of status or assignee. On a move to another board the lease
        stays.
        """
        run = self.runs.get(before["run"])
        if run is None or self.keeps_lease(run, before, after):
            return
        after["run"] = None
        after["fence"] += 1
        self.end_run(run, "revoked", "run.revoked", note="the task was changed by hand")

    def is_idle(self, task: Row) -> bool:
        return task["status"] == "backlog" or (task["status"] == "inbox" and not task["assignee"])

    def notify_dependents(self, task: Row) -> None:
        """
        Record an event for each unfinished dependent of a done task.
        """
        if task["status"] == "done":
            for each in self.dependents(task["id"]):
                if each["status"] != "done":
                    self.record("task.dependency_toggled", each["id"])

    def keeps_lease(self, run: Row, before: Row, after: Row) -> bool:
        moves = run["board"] != after["board"]
        run["board"] = after["board"]
        stays: bool = before["status"] == after["status"] and before["assignee"] == after["assignee"]
        run["version"] += stays and moves and run["id"] != self.begun_run
        return stays

    # Implicit leases. A caller is the principal, the folded name of the agent, the instance, and the name itself.

    def caller(self, agent: str | None, instance: str | None) -> Caller | None:
        own = PRINCIPALS[self.who]["agent"]
        if own is not None and agent is not None and agent.casefold() != own.casefold():
            raise ModelRefusal("KeyOfAnotherAgent")
        name = own or agent
        return (self.who, name.casefold(), instance, name) if name else None

    def holds(self, run: Row, caller: Caller | None, instance: str | None) -> bool:
        holder = run["holder"]
        if holder is None:
            return False
        if caller is None:
            return holder[0] == self.who and instance in (None, holder[2])
        taken_for_it = PRINCIPALS[self.who]["agent"] is not None and PRINCIPALS[holder[0]]["agent"] is None
        return bool(holder == caller[:3] or (taken_for_it and holder[1:] == caller[1:3]))

    def worker(self, run: Row) -> str:
        instance = run["holder"][2] if run["holder"] else None
        return f"{run['by']} ({instance})" if instance else str(run["by"])

    def assigned_to_another(self, assignee: str | None, caller: Caller | None) -> bool:
        return assignee is not None and caller is not None and assignee.casefold() != caller[1]

    def returns_to_expired(self, task: Row, caller: Caller | None, asked: str | None) -> bool:
        """
        Whether an update comes from the holder of an expired implicit lease, and takes the task back.
        """
        if caller is None or asked in (None, *IDLE, "backlog"):
            return False
        run = self.live_run(task)
        own = [r for r in self.runs.values() if r["task"] == task["id"] and r["holder"] == caller[:3]]
        if not own or (run and self.holds(run, caller, caller[2])):
            return False
        last = max(own, key=lambda r: r["fence"])
        if last["state"] != "expired" and last is not self.expired_run(task):
            return False
        if task["run"] is not None or task["status"] in IDLE:
            return True
        if task["status"] == "failed":
            return bool(task["fence"] == last["fence"])
        return task["status"] == "in_progress" and self.assigned_to_another(task["assignee"], caller)

    def refresh(self, task: Row, caller: Caller, returns: bool) -> None:
        """
        Expire the lease if it is over, and claim the task again for a holder that returns.
        """
        if self.expired_run(task):
            self.expire(task)
        if not returns:
            return
        run = self.live_run(task)
        if run:
            raise ModelRefusal("LeaseHeldByAnother", task=task["id"], by=self.worker(run), until=run["expires_at"])
        if self.assigned_to_another(task["assignee"], caller):
            raise ModelRefusal("LeaseHeldByAnother", task=task["id"], by=task["assignee"], until=None)
        if self.open_dependencies(task):
            raise ModelRefusal("NotClaimable", task=task["id"], why="blocked")
        self.check_may_move(task)
        self.begun_run = next(self.ids)
        self.start_run(task, caller[3], self.begun_run, IMPLICIT_TERM, caller[:3])
        own = [r for r in self.runs.values() if r["task"] == task["id"] and r["holder"] == caller[:3]]
        task["started_at"] = sorted(own, key=lambda r: r["fence"])[-2]["claimed_at"]

    def starts_lease(self, before: Row, status: str, assignee: str | None, caller: Caller) -> bool:
        arrives = before["status"] != "in_progress"
        takes_over = assignee is not None and assignee != before["assignee"]
        free = before["run"] is None and not self.assigned_to_another(assignee, caller)
        return free and status == "in_progress" and (arrives or takes_over)

    def start_lease(self, before: Row, after: Row, caller: Caller | None) -> None:
        assert caller is not None
        if self.open_dependencies(after):
            raise ModelRefusal("NotClaimable", task=after["id"], why="blocked")
        if after["not_before"] is not None and self.now < after["not_before"]:
            raise ModelRefusal("NotClaimable", task=after["id"], why="resting")
        after["assignee"] = before["assignee"]
        version = after["version"]
        self.start_run(after, caller[3], next(self.ids), IMPLICIT_TERM, caller[:3])
        after["version"] = version

    def settle_lease(self, before: Row, after: Row, caller: Caller | None, instance: str | None, named: Row) -> None:
        run = self.live_run(before)
        if run is None or (before["status"] == after["status"] and before["assignee"] == after["assignee"]):
            self.revoke_lease(before, after)
        elif self.holds(run, caller, instance):
            run["board"] = after["board"]
            self.end_by_status(run, after, named)
        elif caller and run["holder"] is None and run["by"].casefold() == caller[1]:
            raise ModelRefusal("LeaseRequired", task=after["id"])
        elif caller and self.team_role != "lead":
            raise ModelRefusal("LeaseHeldByAnother", task=after["id"], by=self.worker(run), until=run["expires_at"])
        else:
            self.revoke_lease(before, after)

    def end_by_status(self, run: Row, task: Row, named: Row) -> None:
        """
        End the run of an implicit lease by its holder's update, with the outcome that the new status implies.
        """
        task["run"] = None
        if task["status"] in ("done", "review", "quality_review"):
            self.end_run(run, "completed", "run.completed", result="success")
            task["hand_over"] = None
        elif task["status"] == "failed":
            self.end_run(run, "failed", "run.failed", failure="impossible")
        else:
            self.end_run(run, "released", "run.released")
            task.update(hand_over=None, attempts=max(task["attempts"] - 1, 0))
            if run["from_queue"] and task["status"] in ("inbox", "backlog") and "assignee" not in named:
                task["assignee"] = None

    def renew_if_in_progress(
        self, task: Row, run: int | None, caller: Caller | None, instance: str | None, asked: str | None
    ) -> None:
        if asked == "in_progress" and run is not None and task["run"] == run:
            self.renew_run(self.runs[run], caller, instance)

    def renew_run(self, run: Row, caller: Caller | None, instance: str | None) -> bool:
        """
        Renew an implicit lease, at most once a minute, without a new version and without an event.
        """
        alive = run["state"] == "leased" and self.now < run["expires_at"]
        due = alive and self.holds(run, caller, instance) and self.now - run["heartbeat_at"] >= MINUTE
        if due:
            run.update(expires_at=self.now + run["term"], heartbeat_at=self.now)
        return due

    def tasks_in_progress(self, key: str) -> list[Row]:
        own = PRINCIPALS[self.who]["board"]
        found = [t for t in self.tasks.values() if t["status"] == "in_progress" and own in (None, t["board"])]
        found = [t for t in found if (t["assignee"] or "").casefold() == key]
        return sorted(found, key=lambda t: (t["updated_at"], t["number"]), reverse=True)

    def renew(self, *, agent: str | None, instance: str | None = None) -> Answer:
        caller = self.caller(agent, instance)
        found = self.tasks_in_progress(caller[1]) if caller else []
        renewed = [t for t in found if t["run"] is not None and self.renew_run(self.runs[t["run"]], caller, instance)]
        return "int", {"value": len(renewed)}

    def poll(self, *, agent: str | None, instance: str | None = None, max_in_progress: int | None = None) -> Answer:
        self.require_role("operator")
        caller = self.caller(agent, instance)
        if caller is None:
            raise ModelRefusal("InvalidField", field="agent")
        self.renew(agent=agent, instance=instance)
        counted = [t for t in self.tasks_in_progress(caller[1]) if t["run"] is None or self.live_run(t)]
        for task in counted:
            if instance is None if task["run"] is None else self.runs[task["run"]]["holder"] == caller[:3]:
                return "PollResult", {"reason": "continue_current", "task": task["id"]}
        if max_in_progress is not None and len(counted) >= max_in_progress:
            return "PollResult", {"reason": "at_capacity", "task": None}
        first, id = self.first_claimable(caller[3], PRINCIPALS[self.who]["board"]), next(self.ids)
        if first is None:
            return "PollResult", {"reason": "no_tasks_available", "task": None}
        self.start_run(first, caller[3], id, IMPLICIT_TERM, caller[:3])
        return "PollResult", {"reason": "assigned", "task": first["id"]}

    def reset_dependents(self, id: int) -> None:
        for each in self.dependents(id):
            if each["status"] == "done":
                continue
            if each["status"] == "failed" or self.is_idle(each):
                self.record("task.dependency_toggled", each["id"])
                continue
            before = dict(each)
            each["assignee"] = None
            self.move(each, "inbox", note=False)
            self.revoke_lease(before, each)
            self.record("task.moved", each["id"])
            if before["assignee"]:
                self.record("task.assigned", each["id"])
            each["version"] += 1

    def delete(self, *, task: int, on: str | None = None, expects: int | None = None, own: bool = False) -> Answer:
        self.require_role("operator")
        found = self.check_expectations(self.check_own(self.find_task(task, on), own), None, expects)
        if found["run"] is not None:
            self.end_run(self.runs[found["run"]], "revoked", "run.revoked", note="the task was deleted")
        for each in self.dependents(found["id"]):
            left = tuple(other for other in each["depends_on"] if other != found["id"])
            each.update(depends_on=left, updated_at=self.now, version=each["version"] + 1)
            self.record("task.updated", each["id"])
        del self.tasks[found["id"]]
        self.runs = {id: run for id, run in self.runs.items() if run["task"] != found["id"]}
        self.record("task.deleted", found["id"])
        return "Task", found

    def gates(self, *, board: str, approval: bool, review: bool, comment: bool, leads: bool) -> Answer:
        self.require_role("operator")
        if PRINCIPALS[self.who]["agent"] is not None:
            self.require_role("admin")
        self.require_board(board)
        kept, rules = self.boards[board], {"approval": approval, "review": review, "comment": comment, "leads": leads}
        if any(kept[rule] != asked for rule, asked in rules.items()):
            kept.update(rules, version=kept["version"] + 1)
            self.record("board.updated", kept["id"])
        return "Board", dict(kept)

    # Claims and expiry.

    def claimant(self, agent: str | None) -> str:
        own = PRINCIPALS[self.who]["agent"]
        if own is not None:
            if agent is not None and agent.casefold() != own.casefold():
                raise ModelRefusal("KeyOfAnotherAgent")
            return str(own)
        if not agent:
            raise ModelRefusal("InvalidField", field="agent")
        return agent

    def claim_next(self, *, agent: str | None, board: str | None = None, term: int = 300 * SECOND) -> Answer:
        self.require_role("operator")
        by, run = self.claimant(agent), next(self.ids)
        if board is not None:
            self.require_board(board)
        wanted = board or PRINCIPALS[self.who]["board"]
        first = self.first_claimable(by, wanted)
        return ("None", {}) if first is None else self.start_run(first, by, run, term)

    def first_claimable(self, by: str, board: str | None) -> Row | None:
        self.expire_all()
        closed = [name for name, rules in self.boards.items() if rules["leads"] and self.team_role == "worker"]
        queue = [t for t in self.tasks.values() if board in (None, t["board"]) and t["board"] not in closed]
        queue = [t for t in queue if not self.claim_obstacle(t, by)]
        return min(queue, key=self.queue_key, default=None)

    def queue_key(self, task: Row) -> tuple[Any, ...]:
        return self.rank(task), task["due_at"] is None, task["due_at"] or 0, task["number"]

    def claim(
        self, *, task: int, agent: str | None, on: str | None = None, expects: int | None = None,
        term: int = 300 * SECOND,
    ) -> Answer:  # fmt: skip
        self.require_role("operator")
        by, run = self.claimant(agent), next(self.ids)
        found = self.find_task(task, on, expects)
        version = found["version"]
        if self.expired_run(found):
            self.expire(found)
        why = self.claim_obstacle(found, by)
        if why:
            raise ModelRefusal("NotClaimable", task=found["id"], why=why)
        if self.team_role == "worker":
            self.check_may_move(found)
        found["version"] = version
        return self.start_run(found, by, run, term)

    def rank(self, task: Row) -> int:
        return RANKS.index(task["priority"]) if task["priority"] in RANKS else len(RANKS)

    def claim_obstacle(self, task: Row, by: str) -> str | None:
        if self.live_run(task):
            return "leased"
        if task["status"] not in IDLE:
            return "status"
        if self.open_dependencies(task):
            return "blocked"
        if task["not_before"] is not None and self.now < task["not_before"]:
            return "resting"
        if task["assignee"] and task["assignee"].casefold() != by.casefold():
            return "assigned"
        return None

    def start_run(self, task: Row, by: str, id: int, term: int, holder: tuple[Any, ...] | None = None) -> Answer:
        if task["status"] != "in_progress":
            self.move(task, "in_progress", note=False)
        delay = min(5 * SECOND * 2 ** task["attempts"], 10 * MINUTE)
        self.runs[id] = run = {
            "id": id, "task": task["id"], "board": task["board"], "fence": task["fence"] + 1,
            "attempt": task["attempts"] + 1, "by": by,
            "from_queue": task["assignee"] is None, "state": "leased", "term": term, "delay": delay,
            "claimed_at": self.now, "expires_at": self.now + term, "heartbeat_at": self.now, "progress": None,
            "orders": (), "paused": False, "waiting_for": None, "resumes_at": None, "ended_at": None,
            "result": None, "resolution": None, "output": None, "failure": None, "message": None, "note": None,
            "holder": holder, "version": 0,
        }  # fmt: skip
        workers = {by.casefold(), (PRINCIPALS[self.who]["agent"] or by).casefold()}
        self.authors[task["id"]] = self.authors.get(task["id"], frozenset()) | workers
        task.update(assignee=by, fence=run["fence"], attempts=run["attempt"], run=id, not_before=None)
        task["version"] += 1
        self.record("task.claimed", task["id"])
        return "ClaimResult", {"task": dict(task), "run": dict(run)}

    def sweep(self, *, passes_over: Sequence[int] = ()) -> Answer:
        return "int", {"value": self.expire_all(passes_over)}

    def expire_all(self, passes_over: Sequence[int] = ()) -> int:
        ended = [t for t in self.tasks.values() if self.expired_run(t) and t["number"] not in passes_over]
        for task in sorted(ended, key=lambda t: (self.runs[t["run"]]["expires_at"], t["run"])):
            self.expire(task)
        return len(ended)

    def expire(self, task: Row) -> None:
        run = self.runs[task["run"]]
        silence = f"no {'request' if run['holder'] else 'heartbeat'} since {iso_text(run['heartbeat_at'])}"
        self.end_run(run, "expired", "run.expired", failure="lease_expired", message=silence)
        run["ended_at"] = run["expires_at"]
        self.apply_failure(task, run, "lease_expired", silence, since=run["expires_at"])
        task["version"] += 1

    def apply_failure(
        self, task: Row, run: Row, reason: str, message: str | None, *, since: int, at: int | None = None,
        note: bool = True,
    ) -> None:  # fmt: skip
        self.clear_run(task, run)
        if self.cancelled(run):
            to = "backlog"
        elif RETRY_CLASSES[reason] == "never":
            to = "failed"
        elif RETRY_CLASSES[reason] == "person":
            to = "awaiting_owner"
        elif task["attempts"] >= task["max_attempts"]:
            to = "failed"
        else:
            to = self.idle_status(task)
        self.move(task, to, at=at, note=note)
        task["not_before"] = since + run["delay"] if to in IDLE else None
        task["error_message"] = message or reason
        if to == "failed":
            task["result"] = "failed"

    # Working under a lease.

    def heartbeat(
        self, *, task: int, lease: int, on: str | None = None, expects: int | None = None,
        progress: str | None = None, acknowledges: int | None = None, waiting_for: str | None = None,
        wait: int = DAY,
    ) -> Answer:  # fmt: skip
        self.require_role("operator")
        run = self.run_of_lease(lease)
        found = self.tasks.get(run["task"])
        if found is None:
            raise ModelRefusal("RunNotFound")
        self.require_board(found["board"])
        if self.ids_by_number.get(task) != found["id"] or run["holder"]:
            raise ModelRefusal("LeaseUnknown")
        self.check_expectations(found, on, expects)
        self.require_live_lease(run, found)
        cancels = any(id == acknowledges and kind == "cancel" for id, kind, _, _ in run["orders"])
        acknowledged = self.acknowledge(run, acknowledges)
        waits = run["state"] == "suspended" and self.now < run["resumes_at"]
        run.update(heartbeat_at=self.now, progress=progress or run["progress"])
        if not waits:
            run["expires_at"] = self.now + run["term"]
        if cancels:
            self.end_run(run, "revoked", "run.revoked", note="an operator cancelled it")
            self.clear_run(found, run)
            self.move(found, "backlog")
            found["version"] += 1
        elif waiting_for is not None and run["state"] == "leased":
            until = self.now + wait
            run.update(state="suspended", waiting_for=waiting_for, resumes_at=until, expires_at=until + run["term"])
            run["version"] += 1
            self.record("run.suspended", found["id"])
            self.move(found, "awaiting_owner")
            found["version"] += 1
        elif run["state"] == "suspended" and not waits:
            self.resume(found, run)
        elif acknowledged:
            run["version"] += 1
        order = None if cancels else self.next_order(run)
        kind = order[1] if order else "cancel" if cancels else "pause" if run["paused"] else "continue"
        instruction = "continue" if kind == "resume" else kind
        return "HeartbeatResult", {"run": dict(run), "order": order, "instruction": instruction}

    def run_of_lease(self, lease: int) -> Row:
        """
        The run of the lease. Zero stands for a malformed lease, and an unknown number for a lease that was never given
        out.
        """
        if lease == 0:
            raise ModelRefusal("LeaseUnknown")
        if lease not in self.runs:
            raise ModelRefusal("RunNotFound")
        return self.runs[lease]

    def require_live_lease(self, run: Row, task: Row, content: Row | None = None) -> None:
        if not self.has_ended(run):
            return
        late = content is not None and run["state"] not in ("completed", "failed")
        known = self.late_results.get(run["id"], content)
        note = None if not late else "kept" if known == content else "another"
        refusal = {"task": task["id"], "fence": run["fence"], "current": task["fence"], "note": note}
        raise ModelRefusal("LeaseLost", late=(run, content) if late and content is not None else None, **refusal)

    def has_ended(self, run: Row) -> bool:
        return run["state"] not in ("leased", "suspended") or self.now >= run["expires_at"]

    def late_result_of(
        self, task: Row, caller: Caller | None, changes: Row, comment: str | None
    ) -> tuple[Row, Row] | None:
        """
        The run and content of the late result that a refused update of an implicit lease's holder leaves, or None.
        """
        own = [r for r in self.runs.values() if caller and r["task"] == task["id"] and r["holder"] == caller[:3]]
        last = max(own, key=lambda r: r["fence"], default=None)
        if last is None or not self.has_ended(last) or last["state"] in ("completed", "failed"):
            return None
        status, said = changes.get("status"), changes.get("resolution") or comment
        if status == "failed":
            return last, {"failure": "impossible", "message": changes.get("error_message") or said}
        if status in ("done", "review", "quality_review"):
            return last, {"result": "success", "resolution": said, "output": None}
        return None

    def acknowledge(self, run: Row, order: int | None) -> bool:
        for id, kind, _, _ in run["orders"]:
            if id == order:
                run["orders"] = tuple(each for each in run["orders"] if each[0] != order)
                if kind in ("pause", "resume"):
                    run["paused"] = kind == "pause"
                self.record("run.acknowledged", run["task"])
                return True
        return False

    def resume(self, task: Row, run: Row) -> None:
        run.update(
            state="leased", waiting_for=None, resumes_at=None, expires_at=self.now + run["term"],
            heartbeat_at=self.now, version=run["version"] + 1,
        )  # fmt: skip
        self.record("run.resumed", task["id"])
        self.move(task, "in_progress")
        task["version"] += 1

    def next_order(self, run: Row) -> tuple[int, str, str | None, str] | None:
        cancels = [order for order in run["orders"] if order[1] == "cancel"]
        return next(iter((*cancels, *run["orders"])), None)

    def find_task_and_run(self, task: int, lease: int, on: str | None) -> tuple[Row, Row]:
        self.require_role("operator")
        found = self.find_task(task, on)
        run = self.run_of_lease(lease)
        self.require_board(run["board"])
        if run["task"] != found["id"] or run["holder"]:
            raise ModelRefusal("LeaseUnknown")
        return found, run

    def complete(
        self, *, task: int, lease: int, on: str | None = None, expects: int | None = None,
        result: str = "success", resolution: str | None = None, output: str | None = None,
    ) -> Answer:  # fmt: skip
        found, run = self.find_task_and_run(task, lease, on)
        content = {"result": result, "resolution": resolution, "output": output}
        if run["state"] == "completed" and all(run[k] == v for k, v in content.items()):
            return "Task", dict(found)
        self.require_live_lease(run, found, content)
        self.check_expectations(found, None, expects)
        self.end_run(run, "completed", "run.completed", **content)
        rules, before = self.boards[found["board"]], dict(found)
        self.move(found, "review" if rules["approval"] or rules["review"] else "done")
        found.update(run=None, hand_over=None, error_message=None, result=result)
        found.update({k: v for k, v in content.items() if v is not None})
        if found["status"] == "review" and not self.is_unregistered(found["assignee"]):
            found["submitter"] = REGISTERED[found["assignee"].casefold()]["agent"]
        if found["status"] == "review" and found["board"] == "open" and found["assignee"] != "Lea":
            found["assignee"] = "Lea"
            self.record("task.assigned", found["id"])
        spoke = bool((resolution or "").strip()) or self.has_commented(before, {})
        self.check_gates(before, found, found["board"], found["status"], spoke=spoke)
        for each in (run["by"], before["assignee"]):
            self.record_authors(before, found, each)
        found["version"] += 1
        self.notify_dependents(found)
        return "Task", dict(found)

    def fail(
        self, *, task: int, lease: int, on: str | None = None, expects: int | None = None, reason: str,
        message: str | None = None,
    ) -> Answer:  # fmt: skip
        found, run = self.find_task_and_run(task, lease, on)
        if run["state"] == "failed" and (run["failure"], run["message"]) == (reason, message):
            return "Task", dict(found)
        self.require_live_lease(run, found, {"failure": reason, "message": message})
        self.check_expectations(found, None, expects)
        self.end_run(run, "failed", "run.failed", failure=reason, message=message)
        self.apply_failure(found, run, reason, message, since=self.now)
        found["version"] += 1
        return "Task", dict(found)

    def release(
        self, *, task: int, lease: int, on: str | None = None, expects: int | None = None, note: str | None = None
    ) -> Answer:
        found, run = self.find_task_and_run(task, lease, on)
        if run["state"] == "released" and run["note"] == note:
            return "Task", dict(found)
        self.check_expectations(found, None, expects)
        self.require_live_lease(run, found)
        self.end_run(run, "released", "run.released", note=note)
        self.clear_run(found, run)
        cancelled = any(kind == "cancel" for _, kind, _, _ in run["orders"])
        self.move(found, "backlog" if cancelled else self.idle_status(found))
        found.update(attempts=max(found["attempts"] - 1, 0), hand_over=note, version=found["version"] + 1)
        return "Task", dict(found)

    def order(
        self, *, task: int, kind: str, on: str | None = None, expects: int | None = None,
        message: str | None = None, to: str | None = None,
    ) -> Answer:  # fmt: skip
        self.require_role("operator")
        if kind == "steer" and not message:
            raise ModelRefusal("InvalidField", field="message")
        found = self.find_task(task, on, expects)
        run = self.live_run(found)
        if run is None:
            raise ModelRefusal("NoLiveLease", task=found["id"])
        own = PRINCIPALS[self.who]["agent"]
        if own is not None and self.team_role != "lead" and run["by"].casefold() != own.casefold():
            raise ModelRefusal("NotYourTask")
        id = next(self.ids)
        if kind == "steal":
            self.end_run(run, "revoked", "run.revoked", note=message or "an operator took it")
            found.update(run=None, assignee=to, fence=found["fence"] + 1)
            found.update(attempts=max(found["attempts"] - 1, 0), version=found["version"] + 1)
            self.move(found, self.idle_status(found))
        elif run["holder"] and kind == "cancel":
            self.end_run(run, "revoked", "run.revoked", note=message or "an operator cancelled it")
            self.clear_run(found, run)
            self.move(found, "backlog")
            found.update(fence=found["fence"] + 1, version=found["version"] + 1)
        elif run["holder"]:
            raise ModelRefusal("OrderNotDeliverable", task=found["id"], by=run["by"])
        elif kind in ("resume", "cancel") and run["state"] == "suspended":
            if message or kind == "cancel":
                self.add_order(run, id, "cancel" if kind == "cancel" else "steer", message)
            self.resume(found, run)
        else:
            self.add_order(run, id, kind, message)
            run["version"] += 1
        return "Task", dict(found)

    def add_order(self, run: Row, id: int, kind: str, message: str | None) -> None:
        kept = run["orders"]
        if kind == "cancel":
            kept = ()
        elif kind != "steer":
            kept = tuple(each for each in kept if each[1] not in ("pause", "resume"))
        if len(kept) == 16:
            raise ModelRefusal("TooManyOrders")
        run["orders"] = (*kept, (id, kind, message, self.who))
        self.record("run.ordered", run["task"])

    # The explanation of a task.

    def state_and_start(self, task: Row) -> tuple[str, int]:
        """
        The state of the task in its explanation, and its start.
        """
        run = self.live_run(task)
        if run is not None:
            if run["state"] == "suspended" and self.now < run["resumes_at"]:
                return "waiting", task["moved_at"]
            return "leased", run["claimed_at"]
        lapsed = self.expired_run(task)
        if lapsed is not None:
            task, end = dict(task), lapsed["expires_at"]
            self.apply_failure(task, lapsed, "lease_expired", None, since=end, at=end, note=False)
        state = self.state_of(task)
        rested = task["not_before"] if state == "claimable" else None
        return state, max(task["moved_at"], rested or 0)

    def assignee_cannot_claim(self, task: Row) -> bool:
        """
        Whether the assignee cannot claim the task: nobody registered, an agent of another board, or a worker on a board
        where only leads move tasks.
        """
        agent = REGISTERED.get((task["assignee"] or "").casefold())
        if agent is None:
            return self.is_unregistered(task["assignee"])
        led = self.boards[task["board"]]["leads"] and agent["team_role"] == "worker"
        return bool(led or agent["board"] not in (None, task["board"]))

    def state_of(self, task: Row) -> str:
        status = task["status"]
        if status in FINISHED:
            return "finished"
        if status == "in_progress":
            return "held"
        if status == "backlog":
            return "parked"
        if status not in IDLE:
            return "waiting"
        if self.open_dependencies(task) or self.assignee_cannot_claim(task):
            return "blocked"
        if task["not_before"] is not None and self.now < task["not_before"]:
            return "waiting"
        return "claimable"
