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
Pair = tuple[str, str, str | None, str]

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
PAIR_TERM = 10 * MINUTE
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NOBODY = 1 << 60
"""The first of the ids that no row has."""

RANKS = ("critical", "high", "medium", "low")
IDLE = ("inbox", "assigned")
FINISHED = ("done", "failed")
REVIEW = ("review", "quality_review")
HANDED_IN = (*REVIEW, "done")
RULES = ("approval", "review", "comment", "leads")
ROLES = ("viewer", "operator", "admin")
WHO: dict[str, Row] = {
    "boss": {"role": "admin", "agent": None, "board": None, "part": "person"},
    "clerk": {"role": "operator", "agent": None, "board": None, "part": "person"},
    "guest": {"role": "viewer", "agent": None, "board": None, "part": "person"},
    "Carl": {"role": "operator", "agent": "Carl", "board": "open", "part": "worker"},
    "Dora": {"role": "operator", "agent": "Dora", "board": None, "part": "worker"},
    "Gus": {"role": "operator", "agent": "Gus", "board": "gated", "part": "worker"},
    "Lea": {"role": "operator", "agent": "Lea", "board": "open", "part": "lead"},
}
"""The principals: three people, and four agents on two boards or on none, one of them a lead."""

REGISTERED = {str(own["agent"]).casefold(): own for own in WHO.values() if own["agent"]}
PLACES = {
    "inbox": ("inbox", "assigned", "backlog", "awaiting_owner"),
    "in_progress": ("in_progress",),
    "review": ("review", "quality_review", "failed"),
    "done": ("done",),
}
"""The four statuses of a task in team mode, with the statuses that each stands for."""

FOLLOWS = {
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


def written(moment: int) -> str:
    """
    The time as error messages write it.
    """
    return (EPOCH + timedelta(microseconds=moment)).isoformat()


class ModelRefusal(Exception):
    """
    An operation of the model is refused with an error of this kind. *late* is the run whose late result the store
    keeps, with its content.
    """

    def __init__(self, kind: str, *, late: tuple[Row, Row] | None = None, **facts: object) -> None:
        super().__init__(kind)
        self.kind = kind
        self.late = late
        self.facts = facts


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
        self.born: dict[int, int] = {}
        self.drawn: dict[str, int] = {}
        self.log: list[tuple[str, int, str]] = []
        self.spoken: dict[tuple[int, str], int] = {}
        self.authors: dict[int, frozenset[str]] = {}
        self.passed: dict[int, frozenset[str]] = {}
        self.late: dict[int, Row] = {}
        self.ids: Iterator[int] = iter(())
        self.who = ""
        self.begun = 0

    def copy(self) -> ReferenceModel:
        """
        A copy of the state.
        """
        other = ReferenceModel(now=self.now, boards={name: dict(board) for name, board in self.boards.items()})
        other.tasks = {id: dict(task) for id, task in self.tasks.items()}
        other.runs = {id: dict(run) for id, run in self.runs.items()}
        other.born, other.drawn, other.log = dict(self.born), dict(self.drawn), list(self.log)
        other.spoken, other.authors, other.passed = dict(self.spoken), dict(self.authors), dict(self.passed)
        other.late = dict(self.late)
        return other

    def become(self, other: ReferenceModel) -> None:
        """
        Take over the state of the other model.
        """
        self.now, self.boards, self.tasks, self.runs = other.now, other.boards, other.tasks, other.runs
        self.born, self.drawn, self.log = other.born, other.drawn, other.log
        self.spoken, self.authors, self.passed = other.spoken, other.authors, other.passed
        self.late = other.late

    def answer(self, name: str, who: str, facts: dict[str, Any], *, ids: int) -> Answer:
        """
        Perform the operation as *who*, and return its answer. New ids count from *ids* on.
        """
        world = self.copy()
        world.ids, world.who = count(ids), who
        operation: Callable[..., Answer] = getattr(world, name)
        try:
            answer = operation(**facts)
        except ModelRefusal as no:
            self.drawn, self.who = world.drawn, who
            if no.late is not None and no.late[0]["id"] not in self.late:
                self.late[no.late[0]["id"]] = no.late[1]
                self.note("run.result_late", no.late[0]["task"])
            return no.kind, no.facts
        self.become(world)
        return answer

    # What operations share.

    def at_least(self, role: str) -> None:
        own = WHO[self.who]["role"]
        if ROLES.index(own) < ROLES.index(role):
            raise ModelRefusal("RoleTooLow", needed=role, role=own)

    def may_see(self, board: str) -> None:
        if WHO[self.who]["board"] not in (None, board):
            raise ModelRefusal("BoardDenied")

    def found(self, number: int, on: str | None = None, expects: int | None = None) -> Row:
        task = self.tasks.get(self.born.get(number, 0))
        if task is None:
            raise ModelRefusal("TaskNotFound")
        self.may_see(task["board"])
        return self.expected(task, on, expects)

    def expected(self, task: Row, on: str | None, expects: int | None) -> Row:
        if on is not None and task["board"] != on:
            raise ModelRefusal("TaskNotFound")
        if expects is not None and expects != task["version"]:
            raise ModelRefusal("VersionMismatch", expected=expects, current=task["version"])
        return task

    def note(self, kind: str, about: int) -> None:
        self.log.append((kind, about, self.who))

    def open_of(self, task: Row) -> tuple[int, ...]:
        return tuple(each for each in task["depends_on"] if self.tasks[each]["status"] != "done")

    def live(self, task: Row) -> Row | None:
        run = self.runs.get(task["run"])
        return run if run and self.now < run["expires_at"] else None

    def lapsed(self, task: Row) -> Row | None:
        run = self.runs.get(task["run"])
        return run if run and self.now >= run["expires_at"] else None

    def move(self, task: Row, to: str, *, at: int | None = None, note: bool = True) -> None:
        at = self.now if at is None else at
        if task["status"] == "failed" and to != "failed":
            task["attempts"] = 0
        task.update(status=to, moved_at=at, updated_at=at)
        if self.tasks.get(task["id"]) is task:  # not where it is only told how the task will stand
            self.passed.pop(task["id"], None)
        if to == "in_progress":
            task["started_at"] = at
        elif to not in ("awaiting_owner", "done"):
            task["started_at"] = None
        if to == "done" and task["completed_at"] is None:
            task["completed_at"] = at
        if note:
            self.note("task.moved", task["id"])

    def end(self, run: Row, state: str, kind: str, **facts: object) -> None:
        run.update(state=state, ended_at=self.now, version=run["version"] + (run["id"] != self.begun), **facts)
        self.note(kind, run["task"])

    def free(self, task: Row, run: Row) -> None:
        task["run"] = None
        if run["from_queue"]:
            task["assignee"] = None

    def cancelled(self, run: Row) -> bool:
        return any(kind == "cancel" for _, kind, _, _ in run["orders"])

    def rest(self, task: Row) -> str:
        return "assigned" if task["assignee"] else "inbox"

    def dependents(self, id: int) -> list[Row]:
        return sorted((t for t in self.tasks.values() if id in t["depends_on"]), key=lambda t: t["number"])

    # Making, editing, removing.

    def create(
        self, *, board: str, title: str = "", status: str = "inbox", priority: str = "medium",
        assignee: str | None = None, due_at: int | None = None, not_before: int | None = None,
        depends_on: Sequence[int] = (), by_id: bool = False, max_attempts: int = 5, team: bool = False,
    ) -> Answer:  # fmt: skip
        self.at_least("operator")
        if status in FINISHED and WHO[self.who]["role"] != "admin":
            raise ModelRefusal("FinishedTaskDenied")
        self.may_see(board)
        if team:
            assignee = self.fit(assignee, board)
        number = self.drawn["task"] = self.drawn.get("task", 0) + 1
        ticket = self.drawn[board] = self.drawn.get(board, 0) + 1
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
            self.depend(task, depends_on, by_id)
            late = self.open_of(task)
            if late and status != "backlog" and (assignee or status != "inbox"):
                raise ModelRefusal("BlockedByDependencies", task=task["id"], by=late)
        if status != "done":
            self.meet(None, task, board, status, spoke=False)
        lead = board == "open" and status in REVIEW and (assignee or "").casefold() == "lea"
        self.work(None, task, None if lead else assignee)
        self.tasks[task["id"]] = task
        self.born[number] = task["id"]
        self.note("task.created", task["id"])
        return "Task", dict(task)

    def depend(self, task: Row, named: Sequence[int], by_id: bool) -> None:
        ids = [self.born.get(n, NOBODY + n) if by_id else self.named(n) for n in named]
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
        if not self.at_rest(task):
            for each in wanted:
                self.tasks[each]["version"] += self.tasks[each]["status"] == "done"
        task["depends_on"] = wanted

    def named(self, number: int) -> int:
        id = self.born.get(number)
        if id not in self.tasks:
            raise ModelRefusal("DependencyNotFound", missing=(number,))
        return int(self.found(number)["id"])

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
        self.at_least("operator")
        pair = self.pair(agent, instance)
        found = self.found(task, on)
        late = self.left_late(found, pair, changes, comment)
        try:
            return self.edited(
                found,
                pair,
                expects=expects,
                own=own,
                by_id=by_id,
                team=team,
                comment=comment,
                instance=instance,
                changes=changes,
            )
        except ModelRefusal as no:
            if no.kind in ("LeaseHeldByAnother", "NotYourTask", "TaskAssigneeMismatch"):
                no.late = late
            raise

    def edited(
        self, found: Row, pair: Pair | None, *, expects: int | None, own: bool, by_id: bool, team: bool,
        comment: str | None, instance: str | None, changes: dict[str, Any],
    ) -> Answer:  # fmt: skip
        sent, seen = changes, self.as_seen(found, changes) if team else changes
        asked = seen.get("status")
        if team and sent.get("status") == found["status"] == "in_progress":
            asked = "in_progress"
        returns = self.returns(found, pair, asked)
        self.expected(self.own(found, own and not returns), None, expects)
        if team:
            self.may_ask(found, changes.keys(), comment, moves="status" in seen)
        stored, run = dict(found), found["run"]
        if comment:
            next(self.ids)
        if pair and (asked or "assignee" in changes):
            self.find_as_it_is(found, pair, returns)
            found["version"] = stored["version"]
        before = dict(found)
        if team:
            changes = self.as_seen(before, changes)
        plain = {k: v for k, v in changes.items() if k not in ("status", "assignee", "board", "depends_on")}
        found.update(plain)
        if "board" in changes:
            self.to_board(found, changes["board"])
        if "depends_on" in changes:
            self.depend(found, changes["depends_on"], by_id)
            if before["status"] == "done" and found["depends_on"] != before["depends_on"]:
                raise ModelRefusal("DependenciesFrozen")
        status, assignee = (self.by_team if team else self.meant)(before, found, changes)
        begins = pair is not None and self.begins(before, status, assignee, pair)
        if status != before["status"]:
            self.move(found, status, note=not begins)
            if team and self.part == "lead" and status == "in_progress":
                found["started_at"] = before["started_at"]
            enters = status in PLACES["review"] and before["status"] not in PLACES["review"]
            if enters and self.part == "worker" and WHO[self.who]["board"] == found["board"]:
                found["submitter"] = self.who
        if assignee != before["assignee"]:
            found["assignee"] = assignee
            self.note("task.assigned", found["id"])
        brought = changes.get("assignee") or None
        brought = self.fit(brought, found["board"]) if team else brought
        if any(before[name] != found[name] for name in ("status", "assignee", "board")):
            self.pass_gates(before, found, spoke=bool(comment) or self.spoke(before, changes))
            self.work(before, found, before["assignee"] or (None if team and brought == assignee else brought))
        if found == stored and not comment:
            self.go_on(found, run, pair, instance, asked)
            return "Task", stored
        if comment:
            self.note("task.commented", found["id"])
            self.spoken[found["id"], (WHO[self.who]["agent"] or "").casefold()] = self.now
        if begins:
            self.begin(before, found, pair)
        else:
            self.settle(before, found, pair, instance, sent)
        self.go_on(found, run, pair, instance, asked)
        found["updated_at"] = self.now
        found["version"] += 1
        if before["status"] == "done" != found["status"]:
            self.reset_dependents(found["id"])
        elif before["status"] != "done":
            self.tell_dependents(found)
        self.note("task.updated", found["id"])
        return "Task", dict(found)

    def nobody(self, name: str | None) -> bool:
        """
        Whether the name belongs to no registered agent.
        """
        return name is not None and name.casefold() not in REGISTERED

    def own(self, task: Row, only: bool) -> Row:
        """
        The task.

        Raises:
            ModelRefusal: If *only* own tasks are allowed and the task is not the agent's own.
        """
        own = WHO[self.who]["agent"]
        if only and own is not None and (task["assignee"] or "").casefold() != own.casefold():
            raise ModelRefusal("NotYourTask")
        return task

    def to_board(self, task: Row, board: str) -> None:
        self.may_see(board)
        if board != task["board"]:
            self.drawn[board] = self.drawn.get(board, 0) + 1
            task.update(board=board, ticket=self.drawn[board])

    def meant(self, before: Row, after: Row, changes: dict[str, Any]) -> tuple[str, str | None]:
        """
        The status and assignee after an update outside team mode.
        """
        status: str = changes["status"] if "status" in changes else before["status"]
        assignee: str | None = (changes["assignee"] or None) if "assignee" in changes else before["assignee"]
        if status != before["status"]:
            self.may_move(before)
        if "status" not in changes and "assignee" in changes:
            if assignee and status == "inbox":
                return "assigned", assignee
            if not assignee and status == "assigned":
                return "inbox", assignee
        return status, assignee

    def spoke(self, task: Row, changes: dict[str, Any]) -> bool:
        """
        Whether the assignee commented on the task since it started.
        """
        owner, since = changes.get("assignee") or task["assignee"], task["started_at"]
        if owner is None or since is None:
            return False
        return self.spoken.get((task["id"], str(owner).casefold()), -1) >= int(since)

    @property
    def part(self) -> str:
        """
        The caller's role on a team: person, worker or lead.
        """
        return str(WHO[self.who]["part"])

    def may_move(self, task: Row) -> None:
        if self.part == "worker" and self.boards[task["board"]]["leads"]:
            raise ModelRefusal("OnlyLeadMovesTasks")

    def as_seen(self, task: Row, changes: dict[str, Any]) -> dict[str, Any]:
        """
        The changes in team statuses, without a status that the task already has.
        """
        seen = dict(changes)
        if "status" in seen:
            seen["status"] = next(place for place, those in PLACES.items() if seen["status"] in those)
            takes = self.part == "worker" and task["assignee"] is None and seen["status"] == "in_progress"
            if task["status"] in PLACES[seen["status"]] and not takes:
                del seen["status"]
        return seen

    def may_ask(self, task: Row, named: Iterable[str], comment: str | None, *, moves: bool) -> None:
        """
        Refuse an update that the team rules do not allow to a lead or a worker.
        """
        if self.part == "lead":
            if comment:
                raise ModelRefusal("LeadCommentRefused")
            more = set(named) - {"status", "assignee", "depends_on"}
            if more:
                raise ModelRefusal("LeadFieldsRefused", fields=tuple(sorted(more)))
        if self.part == "worker":
            other = task["assignee"] is not None and task["assignee"].casefold() != self.who.casefold()
            if moves and other:
                raise ModelRefusal("TaskAssigneeMismatch")
            if set(named) - {"status"}:
                raise ModelRefusal("UpdateFieldForbidden")

    def fit(self, assignee: str | None, board: str) -> str | None:
        """
        The assignee by its registered name. Refuse an agent of another board, and a lead that a lead assigns.
        """
        agent = REGISTERED.get((assignee or "").casefold())
        if agent is None:
            return assignee or None
        if self.part == agent["part"] == "lead":
            raise ModelRefusal("LeadNotAssignable")
        if agent["board"] not in (None, board):
            raise ModelRefusal("AssigneeOnAnotherBoard")
        return str(agent["agent"])

    def by_team(self, before: Row, after: Row, changes: dict[str, Any]) -> tuple[str, str | None]:
        """
        The status and assignee after an update in team mode.
        """
        to = changes.get("status")
        named = "assignee" in changes
        blocked = self.open_of(after)
        if self.part != "person":
            if to is not None:
                self.may_move(before)
            if (blocked or before["status"] in ("backlog", "awaiting_owner")) and (
                named or to not in ((None,) if self.part == "lead" else (None, "inbox"))
            ):
                raise ModelRefusal("BlockedByDependencies", task=before["id"], by=blocked)
        assignee: str | None = self.fit(changes["assignee"], after["board"]) if named else before["assignee"]
        if self.part == "person" and blocked and (to or before["status"] not in (*FINISHED, "backlog")):
            return "inbox", None
        if assignee and not self.nobody(assignee) and assignee.casefold() == (before["assignee"] or "").casefold():
            assignee = before["assignee"]
        if to is None:
            changed = assignee != before["assignee"] and before["status"] in IDLE
            return (self.rest({"assignee": assignee}) if changed else before["status"]), assignee
        if self.part == "lead":
            assignee = self.led(before, after, to, assignee, named)
        elif self.part == "worker":
            assignee = self.who if to in ("in_progress", "done") else None
        elif to in ("inbox", "review") and not named:
            assignee = None
        if to == "review" and after["board"] == "open":
            assignee = "Lea"
        return (self.rest({"assignee": assignee}) if to == "inbox" else to), assignee

    def led(self, before: Row, after: Row, to: str, assignee: str | None, named: bool) -> str | None:
        """
        The assignee after a lead moves the task. Refuse moves that a lead may not make.
        """
        begins = before["status"] in PLACES["inbox"] and to == "in_progress" and named and assignee
        if before["status"] not in PLACES["review"] and not begins:
            raise ModelRefusal(
                "LeadCannotMove", current=next(p for p, those in PLACES.items() if before["status"] in those)
            )
        if before["status"] in PLACES["review"] and to not in ("inbox", "done"):
            raise ModelRefusal("LeadCannotMoveTo", requested=to)
        if to != "inbox" or named:
            return assignee
        agent = REGISTERED.get((before["submitter"] or "").casefold())
        return before["submitter"] if agent and agent["board"] == after["board"] and agent["part"] != "lead" else None

    def pass_gates(self, before: Row, found: Row, *, spoke: bool) -> None:
        """
        Check the gates of the task's board, and of the board that it moves to.
        """
        here, there = before["board"], found["board"]
        weaker = any(self.boards[here][rule] and not self.boards[there][rule] for rule in RULES)
        if weaker and WHO[self.who]["agent"] is not None and WHO[self.who]["role"] != "admin":
            raise ModelRefusal("WeakerGates")
        places = [here] if here != there and before["status"] != found["status"] else []
        alone = [self.meet(before, found, each, found["status"], spoke=spoke) for each in (*places, there)]
        if here != there:
            self.passed[found["id"]] = self.passed.get(found["id"], frozenset()) | {here}
        if any(alone):
            self.note("task.self_reviewed", found["id"])

    def meet(self, before: Row | None, task: Row, board: str, to: str, *, spoke: bool) -> bool:
        """
        Check the gates of one board.

        Returns:
            Whether the caller closes the review of its own work.
        """
        rules, was = self.boards[board], before["status"] if before else None
        arrives = before is None or before["board"] != board
        if was == to and (not arrives or board in self.passed.get(task["id"], ())):
            return False
        if not arrives and {was, to} <= set(IDLE):
            return False
        if self.part == "worker" and rules["leads"] and not (arrives and to in (*IDLE, "backlog")):
            raise ModelRefusal("OnlyLeadMovesTasks")
        if to == "done" and rules["review"] and was not in REVIEW:
            raise ModelRefusal("GateClosed", rule="require_review_before_done", task=task["id"])
        if to == "done" and rules["approval"]:
            raise ModelRefusal("GateClosed", rule="require_approval_for_done", task=task["id"])
        if to in REVIEW and rules["comment"] and not spoke:
            raise ModelRefusal("CommentRequired", rule="comment_required_for_review", task=task["id"])
        own = to == "done" and rules["review"] and self.author in self.authors.get(task["id"], ())
        if own and (WHO[self.who]["agent"] is not None or WHO[self.who]["role"] != "admin"):
            raise ModelRefusal("OwnReviewRefused", rule="require_review_before_done", task=task["id"])
        return bool(own)

    @property
    def author(self) -> str:
        """
        The name under which the caller is recorded as an author.
        """
        return (WHO[self.who]["agent"] or f"by {self.who}").casefold()

    def work(self, before: Row | None, task: Row, worker: str | None) -> None:
        """
        Record the authors of the task: its assignee in progress, and who submits it.
        """
        enters = task["status"] in HANDED_IN and (before is None or before["status"] not in HANDED_IN)
        working = task["assignee"] if task["status"] == "in_progress" else None
        who = [working, *((self.author, worker) if enters else ())]
        self.authors[task["id"]] = self.authors.get(task["id"], frozenset()) | {each.casefold() for each in who if each}

    def by_hand(self, before: Row, after: Row) -> None:
        """
        Revoke the lease and raise the fence after a change of status or assignee. On a move to another board the lease
        stays.
        """
        run = self.runs.get(before["run"])
        if run is None or self.goes_along(run, before, after):
            return
        after["run"] = None
        after["fence"] += 1
        self.end(run, "revoked", "run.revoked", note="the task was changed by hand")

    def at_rest(self, task: Row) -> bool:
        return task["status"] == "backlog" or (task["status"] == "inbox" and not task["assignee"])

    def tell_dependents(self, task: Row) -> None:
        """
        Record an event for each unfinished dependent of a done task.
        """
        if task["status"] == "done":
            for each in self.dependents(task["id"]):
                if each["status"] != "done":
                    self.note("task.dependency_toggled", each["id"])

    def goes_along(self, run: Row, before: Row, after: Row) -> bool:
        moves = run["board"] != after["board"]
        run["board"] = after["board"]
        stays: bool = before["status"] == after["status"] and before["assignee"] == after["assignee"]
        run["version"] += stays and moves and run["id"] != self.begun
        return stays

    # Implicit leases: a pair is who asks, the key of the name they work under, the instance, and the name itself.

    def pair(self, agent: str | None, instance: str | None) -> Pair | None:
        own = WHO[self.who]["agent"]
        if own is not None and agent is not None and agent.casefold() != own.casefold():
            raise ModelRefusal("KeyOfAnotherAgent")
        name = own or agent
        return (self.who, name.casefold(), instance, name) if name else None

    def holds(self, run: Row, pair: Pair | None, instance: str | None) -> bool:
        holder = run["holder"]
        if holder is None:
            return False
        if pair is None:
            return holder[0] == self.who and instance in (None, holder[2])
        taken_for_it = WHO[self.who]["agent"] is not None and WHO[holder[0]]["agent"] is None
        return bool(holder == pair[:3] or (taken_for_it and holder[1:] == pair[1:3]))

    def worker(self, run: Row) -> str:
        instance = run["holder"][2] if run["holder"] else None
        return f"{run['by']} ({instance})" if instance else str(run["by"])

    def somebody_elses(self, assignee: str | None, pair: Pair | None) -> bool:
        return assignee is not None and pair is not None and assignee.casefold() != pair[1]

    def returns(self, task: Row, pair: Pair | None, asked: str | None) -> bool:
        """
        Whether an update comes from the holder of an expired implicit lease, and takes the task back.
        """
        if pair is None or asked in (None, *IDLE, "backlog"):
            return False
        run = self.live(task)
        own = [r for r in self.runs.values() if r["task"] == task["id"] and r["holder"] == pair[:3]]
        if not own or (run and self.holds(run, pair, pair[2])):
            return False
        last = max(own, key=lambda r: r["fence"])
        if last["state"] != "expired" and last is not self.lapsed(task):
            return False
        if task["run"] is not None or task["status"] in IDLE:
            return True
        if task["status"] == "failed":
            return bool(task["fence"] == last["fence"])
        return task["status"] == "in_progress" and self.somebody_elses(task["assignee"], pair)

    def find_as_it_is(self, task: Row, pair: Pair, returns: bool) -> None:
        """
        Expire the lease if it is over, and claim the task again for a holder that returns.
        """
        if self.lapsed(task):
            self.notice(task)
        if not returns:
            return
        run = self.live(task)
        if run:
            raise ModelRefusal("LeaseHeldByAnother", task=task["id"], by=self.worker(run), until=run["expires_at"])
        if self.somebody_elses(task["assignee"], pair):
            raise ModelRefusal("LeaseHeldByAnother", task=task["id"], by=task["assignee"], until=None)
        if self.open_of(task):
            raise ModelRefusal("NotClaimable", task=task["id"], why="blocked")
        self.may_move(task)
        self.begun = next(self.ids)
        self.take(task, pair[3], self.begun, PAIR_TERM, pair[:3])
        own = [r for r in self.runs.values() if r["task"] == task["id"] and r["holder"] == pair[:3]]
        task["started_at"] = sorted(own, key=lambda r: r["fence"])[-2]["claimed_at"]

    def begins(self, before: Row, status: str, assignee: str | None, pair: Pair) -> bool:
        arrives = before["status"] != "in_progress"
        takes_over = assignee is not None and assignee != before["assignee"]
        free = before["run"] is None and not self.somebody_elses(assignee, pair)
        return free and status == "in_progress" and (arrives or takes_over)

    def begin(self, before: Row, after: Row, pair: Pair | None) -> None:
        assert pair is not None
        if self.open_of(after):
            raise ModelRefusal("NotClaimable", task=after["id"], why="blocked")
        if after["not_before"] is not None and self.now < after["not_before"]:
            raise ModelRefusal("NotClaimable", task=after["id"], why="resting")
        after["assignee"] = before["assignee"]
        version = after["version"]
        self.take(after, pair[3], next(self.ids), PAIR_TERM, pair[:3])
        after["version"] = version

    def settle(self, before: Row, after: Row, pair: Pair | None, instance: str | None, named: Row) -> None:
        run = self.live(before)
        if run is None or (before["status"] == after["status"] and before["assignee"] == after["assignee"]):
            self.by_hand(before, after)
        elif self.holds(run, pair, instance):
            run["board"] = after["board"]
            self.hand_in(run, after, named)
        elif pair and run["holder"] is None and run["by"].casefold() == pair[1]:
            raise ModelRefusal("LeaseRequired", task=after["id"])
        elif pair and self.part != "lead":
            raise ModelRefusal("LeaseHeldByAnother", task=after["id"], by=self.worker(run), until=run["expires_at"])
        else:
            self.by_hand(before, after)

    def hand_in(self, run: Row, task: Row, named: Row) -> None:
        """
        End the run of an implicit lease by its holder's update, with the outcome that the new status implies.
        """
        task["run"] = None
        if task["status"] in ("done", "review", "quality_review"):
            self.end(run, "completed", "run.completed", result="success")
            task["hand_over"] = None
        elif task["status"] == "failed":
            self.end(run, "failed", "run.failed", failure="impossible")
        else:
            self.end(run, "released", "run.released")
            task.update(hand_over=None, attempts=max(task["attempts"] - 1, 0))
            if run["from_queue"] and task["status"] in ("inbox", "backlog") and "assignee" not in named:
                task["assignee"] = None

    def go_on(self, task: Row, run: int | None, pair: Pair | None, instance: str | None, asked: str | None) -> None:
        if asked == "in_progress" and run is not None and task["run"] == run:
            self.renew_run(self.runs[run], pair, instance)

    def renew_run(self, run: Row, pair: Pair | None, instance: str | None) -> bool:
        """
        Renew an implicit lease, at most once a minute, without a new version and without an event.
        """
        alive = run["state"] == "leased" and self.now < run["expires_at"]
        due = alive and self.holds(run, pair, instance) and self.now - run["heartbeat_at"] >= MINUTE
        if due:
            run.update(expires_at=self.now + run["term"], heartbeat_at=self.now)
        return due

    def in_hand(self, key: str) -> list[Row]:
        own = WHO[self.who]["board"]
        found = [t for t in self.tasks.values() if t["status"] == "in_progress" and own in (None, t["board"])]
        found = [t for t in found if (t["assignee"] or "").casefold() == key]
        return sorted(found, key=lambda t: (t["updated_at"], t["number"]), reverse=True)

    def renew(self, *, agent: str | None, instance: str | None = None) -> Answer:
        pair = self.pair(agent, instance)
        found = self.in_hand(pair[1]) if pair else []
        renewed = [t for t in found if t["run"] is not None and self.renew_run(self.runs[t["run"]], pair, instance)]
        return "int", {"value": len(renewed)}

    def poll(self, *, agent: str | None, instance: str | None = None, max_in_progress: int | None = None) -> Answer:
        self.at_least("operator")
        pair = self.pair(agent, instance)
        if pair is None:
            raise ModelRefusal("InvalidField", field="agent")
        self.renew(agent=agent, instance=instance)
        counted = [t for t in self.in_hand(pair[1]) if t["run"] is None or self.live(t)]
        for task in counted:
            if instance is None if task["run"] is None else self.runs[task["run"]]["holder"] == pair[:3]:
                return "PollResult", {"reason": "continue_current", "task": task["id"]}
        if max_in_progress is not None and len(counted) >= max_in_progress:
            return "PollResult", {"reason": "at_capacity", "task": None}
        first, id = self.first_for(pair[3], WHO[self.who]["board"]), next(self.ids)
        if first is None:
            return "PollResult", {"reason": "no_tasks_available", "task": None}
        self.take(first, pair[3], id, PAIR_TERM, pair[:3])
        return "PollResult", {"reason": "assigned", "task": first["id"]}

    def reset_dependents(self, id: int) -> None:
        for each in self.dependents(id):
            if each["status"] == "done":
                continue
            if each["status"] == "failed" or self.at_rest(each):
                self.note("task.dependency_toggled", each["id"])
                continue
            before = dict(each)
            each["assignee"] = None
            self.move(each, "inbox", note=False)
            self.by_hand(before, each)
            self.note("task.moved", each["id"])
            if before["assignee"]:
                self.note("task.assigned", each["id"])
            each["version"] += 1

    def delete(self, *, task: int, on: str | None = None, expects: int | None = None, own: bool = False) -> Answer:
        self.at_least("operator")
        found = self.expected(self.own(self.found(task, on), own), None, expects)
        if found["run"] is not None:
            self.end(self.runs[found["run"]], "revoked", "run.revoked", note="the task was deleted")
        for each in self.dependents(found["id"]):
            left = tuple(other for other in each["depends_on"] if other != found["id"])
            each.update(depends_on=left, updated_at=self.now, version=each["version"] + 1)
            self.note("task.updated", each["id"])
        del self.tasks[found["id"]]
        self.runs = {id: run for id, run in self.runs.items() if run["task"] != found["id"]}
        self.note("task.deleted", found["id"])
        return "Task", found

    def gates(self, *, board: str, approval: bool, review: bool, comment: bool, leads: bool) -> Answer:
        self.at_least("operator")
        if WHO[self.who]["agent"] is not None:
            self.at_least("admin")
        self.may_see(board)
        kept, rules = self.boards[board], {"approval": approval, "review": review, "comment": comment, "leads": leads}
        if any(kept[rule] != asked for rule, asked in rules.items()):
            kept.update(rules, version=kept["version"] + 1)
            self.note("board.updated", kept["id"])
        return "Board", dict(kept)

    # Taking work.

    def claimant(self, agent: str | None) -> str:
        own = WHO[self.who]["agent"]
        if own is not None:
            if agent is not None and agent.casefold() != own.casefold():
                raise ModelRefusal("KeyOfAnotherAgent")
            return str(own)
        if not agent:
            raise ModelRefusal("InvalidField", field="agent")
        return agent

    def claim_next(self, *, agent: str | None, board: str | None = None, term: int = 300 * SECOND) -> Answer:
        self.at_least("operator")
        by, run = self.claimant(agent), next(self.ids)
        if board is not None:
            self.may_see(board)
        wanted = board or WHO[self.who]["board"]
        first = self.first_for(by, wanted)
        return ("None", {}) if first is None else self.take(first, by, run, term)

    def first_for(self, by: str, board: str | None) -> Row | None:
        self.notice_all()
        closed = [name for name, rules in self.boards.items() if rules["leads"] and self.part == "worker"]
        queue = [t for t in self.tasks.values() if board in (None, t["board"]) and t["board"] not in closed]
        queue = [t for t in queue if not self.in_the_way(t, by)]
        return min(queue, key=self.turn, default=None)

    def turn(self, task: Row) -> tuple[Any, ...]:
        return self.rank(task), task["due_at"] is None, task["due_at"] or 0, task["number"]

    def claim(
        self, *, task: int, agent: str | None, on: str | None = None, expects: int | None = None,
        term: int = 300 * SECOND,
    ) -> Answer:  # fmt: skip
        self.at_least("operator")
        by, run = self.claimant(agent), next(self.ids)
        found = self.found(task, on, expects)
        version = found["version"]
        if self.lapsed(found):
            self.notice(found)
        why = self.in_the_way(found, by)
        if why:
            raise ModelRefusal("NotClaimable", task=found["id"], why=why)
        if self.part == "worker":
            self.may_move(found)
        found["version"] = version
        return self.take(found, by, run, term)

    def rank(self, task: Row) -> int:
        return RANKS.index(task["priority"]) if task["priority"] in RANKS else len(RANKS)

    def in_the_way(self, task: Row, by: str) -> str | None:
        if self.live(task):
            return "leased"
        if task["status"] not in IDLE:
            return "status"
        if self.open_of(task):
            return "blocked"
        if task["not_before"] is not None and self.now < task["not_before"]:
            return "resting"
        if task["assignee"] and task["assignee"].casefold() != by.casefold():
            return "assigned"
        return None

    def take(self, task: Row, by: str, id: int, term: int, holder: tuple[Any, ...] | None = None) -> Answer:
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
        workers = {by.casefold(), (WHO[self.who]["agent"] or by).casefold()}
        self.authors[task["id"]] = self.authors.get(task["id"], frozenset()) | workers
        task.update(assignee=by, fence=run["fence"], attempts=run["attempt"], run=id, not_before=None)
        task["version"] += 1
        self.note("task.claimed", task["id"])
        return "ClaimResult", {"task": dict(task), "run": dict(run)}

    def sweep(self, *, passes_over: Sequence[int] = ()) -> Answer:
        return "int", {"value": self.notice_all(passes_over)}

    def notice_all(self, passes_over: Sequence[int] = ()) -> int:
        ended = [t for t in self.tasks.values() if self.lapsed(t) and t["number"] not in passes_over]
        for task in sorted(ended, key=lambda t: (self.runs[t["run"]]["expires_at"], t["run"])):
            self.notice(task)
        return len(ended)

    def notice(self, task: Row) -> None:
        run = self.runs[task["run"]]
        silence = f"no {'request' if run['holder'] else 'heartbeat'} since {written(run['heartbeat_at'])}"
        self.end(run, "expired", "run.expired", failure="lease_expired", message=silence)
        run["ended_at"] = run["expires_at"]
        self.lose(task, run, "lease_expired", silence, since=run["expires_at"])
        task["version"] += 1

    def lose(
        self, task: Row, run: Row, reason: str, message: str | None, *, since: int, at: int | None = None,
        note: bool = True,
    ) -> None:  # fmt: skip
        self.free(task, run)
        if self.cancelled(run):
            to = "backlog"
        elif FOLLOWS[reason] == "never":
            to = "failed"
        elif FOLLOWS[reason] == "person":
            to = "awaiting_owner"
        elif task["attempts"] >= task["max_attempts"]:
            to = "failed"
        else:
            to = self.rest(task)
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
        self.at_least("operator")
        run = self.leased(lease)
        found = self.tasks.get(run["task"])
        if found is None:
            raise ModelRefusal("RunNotFound")
        self.may_see(found["board"])
        if self.born.get(task) != found["id"] or run["holder"]:
            raise ModelRefusal("LeaseUnknown")
        self.expected(found, on, expects)
        self.alive(run, found)
        cancels = any(id == acknowledges and kind == "cancel" for id, kind, _, _ in run["orders"])
        acknowledged = self.acknowledge(run, acknowledges)
        waits = run["state"] == "suspended" and self.now < run["resumes_at"]
        run.update(heartbeat_at=self.now, progress=progress or run["progress"])
        if not waits:
            run["expires_at"] = self.now + run["term"]
        if cancels:
            self.end(run, "revoked", "run.revoked", note="an operator cancelled it")
            self.free(found, run)
            self.move(found, "backlog")
            found["version"] += 1
        elif waiting_for is not None and run["state"] == "leased":
            until = self.now + wait
            run.update(state="suspended", waiting_for=waiting_for, resumes_at=until, expires_at=until + run["term"])
            run["version"] += 1
            self.note("run.suspended", found["id"])
            self.move(found, "awaiting_owner")
            found["version"] += 1
        elif run["state"] == "suspended" and not waits:
            self.resume(found, run)
        elif acknowledged:
            run["version"] += 1
        order = None if cancels else self.standing(run)
        told = order[1] if order else "cancel" if cancels else "pause" if run["paused"] else "continue"
        instruction = "continue" if told == "resume" else told
        return "HeartbeatResult", {"run": dict(run), "order": order, "instruction": instruction}

    def leased(self, lease: int) -> Row:
        """
        The run of the lease. Zero stands for a malformed lease, and an unknown number for a lease that was never given
        out.
        """
        if lease == 0:
            raise ModelRefusal("LeaseUnknown")
        if lease not in self.runs:
            raise ModelRefusal("RunNotFound")
        return self.runs[lease]

    def alive(self, run: Row, task: Row, content: Row | None = None) -> None:
        if not self.lost(run):
            return
        late = content is not None and run["state"] not in ("completed", "failed")
        known = self.late.get(run["id"], content)
        note = None if not late else "kept" if known == content else "another"
        refusal = {"task": task["id"], "fence": run["fence"], "current": task["fence"], "note": note}
        raise ModelRefusal("LeaseLost", late=(run, content) if late and content is not None else None, **refusal)

    def lost(self, run: Row) -> bool:
        return run["state"] not in ("leased", "suspended") or self.now >= run["expires_at"]

    def left_late(self, task: Row, pair: Pair | None, changes: Row, comment: str | None) -> tuple[Row, Row] | None:
        """
        The run and content of the late result that a refused update of an implicit lease's holder leaves, or None.
        """
        own = [r for r in self.runs.values() if pair and r["task"] == task["id"] and r["holder"] == pair[:3]]
        last = max(own, key=lambda r: r["fence"], default=None)
        if last is None or not self.lost(last) or last["state"] in ("completed", "failed"):
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
                self.note("run.acknowledged", run["task"])
                return True
        return False

    def resume(self, task: Row, run: Row) -> None:
        run.update(
            state="leased", waiting_for=None, resumes_at=None, expires_at=self.now + run["term"],
            heartbeat_at=self.now, version=run["version"] + 1,
        )  # fmt: skip
        self.note("run.resumed", task["id"])
        self.move(task, "in_progress")
        task["version"] += 1

    def standing(self, run: Row) -> tuple[int, str, str | None, str] | None:
        cancels = [order for order in run["orders"] if order[1] == "cancel"]
        return next(iter((*cancels, *run["orders"])), None)

    def held(self, task: int, lease: int, on: str | None) -> tuple[Row, Row]:
        self.at_least("operator")
        found = self.found(task, on)
        run = self.leased(lease)
        self.may_see(run["board"])
        if run["task"] != found["id"] or run["holder"]:
            raise ModelRefusal("LeaseUnknown")
        return found, run

    def complete(
        self, *, task: int, lease: int, on: str | None = None, expects: int | None = None,
        result: str = "success", resolution: str | None = None, output: str | None = None,
    ) -> Answer:  # fmt: skip
        found, run = self.held(task, lease, on)
        content = {"result": result, "resolution": resolution, "output": output}
        if run["state"] == "completed" and all(run[k] == v for k, v in content.items()):
            return "Task", dict(found)
        self.alive(run, found, content)
        self.expected(found, None, expects)
        self.end(run, "completed", "run.completed", **content)
        rules, before = self.boards[found["board"]], dict(found)
        self.move(found, "review" if rules["approval"] or rules["review"] else "done")
        found.update(run=None, hand_over=None, error_message=None, result=result)
        found.update({k: v for k, v in content.items() if v is not None})
        if found["status"] == "review" and not self.nobody(found["assignee"]):
            found["submitter"] = REGISTERED[found["assignee"].casefold()]["agent"]
        if found["status"] == "review" and found["board"] == "open" and found["assignee"] != "Lea":
            found["assignee"] = "Lea"
            self.note("task.assigned", found["id"])
        spoke = bool((resolution or "").strip()) or self.spoke(before, {})
        self.meet(before, found, found["board"], found["status"], spoke=spoke)
        for each in (run["by"], before["assignee"]):
            self.work(before, found, each)
        found["version"] += 1
        self.tell_dependents(found)
        return "Task", dict(found)

    def fail(
        self, *, task: int, lease: int, on: str | None = None, expects: int | None = None, reason: str,
        message: str | None = None,
    ) -> Answer:  # fmt: skip
        found, run = self.held(task, lease, on)
        if run["state"] == "failed" and (run["failure"], run["message"]) == (reason, message):
            return "Task", dict(found)
        self.alive(run, found, {"failure": reason, "message": message})
        self.expected(found, None, expects)
        self.end(run, "failed", "run.failed", failure=reason, message=message)
        self.lose(found, run, reason, message, since=self.now)
        found["version"] += 1
        return "Task", dict(found)

    def release(
        self, *, task: int, lease: int, on: str | None = None, expects: int | None = None, note: str | None = None
    ) -> Answer:
        found, run = self.held(task, lease, on)
        if run["state"] == "released" and run["note"] == note:
            return "Task", dict(found)
        self.expected(found, None, expects)
        self.alive(run, found)
        self.end(run, "released", "run.released", note=note)
        self.free(found, run)
        cancelled = any(kind == "cancel" for _, kind, _, _ in run["orders"])
        self.move(found, "backlog" if cancelled else self.rest(found))
        found.update(attempts=max(found["attempts"] - 1, 0), hand_over=note, version=found["version"] + 1)
        return "Task", dict(found)

    def order(
        self, *, task: int, kind: str, on: str | None = None, expects: int | None = None,
        message: str | None = None, to: str | None = None,
    ) -> Answer:  # fmt: skip
        self.at_least("operator")
        if kind == "steer" and not message:
            raise ModelRefusal("InvalidField", field="message")
        found = self.found(task, on, expects)
        run = self.live(found)
        if run is None:
            raise ModelRefusal("NoLiveLease", task=found["id"])
        own = WHO[self.who]["agent"]
        if own is not None and self.part != "lead" and run["by"].casefold() != own.casefold():
            raise ModelRefusal("NotYourTask")
        id = next(self.ids)
        if kind == "steal":
            self.end(run, "revoked", "run.revoked", note=message or "an operator took it")
            found.update(run=None, assignee=to, fence=found["fence"] + 1)
            found.update(attempts=max(found["attempts"] - 1, 0), version=found["version"] + 1)
            self.move(found, self.rest(found))
        elif run["holder"] and kind == "cancel":
            self.end(run, "revoked", "run.revoked", note=message or "an operator cancelled it")
            self.free(found, run)
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
        self.note("run.ordered", run["task"])

    # Where a task stands.

    def stands(self, task: Row) -> tuple[str, int]:
        """
        The state of the task in its explanation, and its start.
        """
        run = self.live(task)
        if run is not None:
            if run["state"] == "suspended" and self.now < run["resumes_at"]:
                return "waiting", task["moved_at"]
            return "leased", run["claimed_at"]
        lapsed = self.lapsed(task)
        if lapsed is not None:
            task, end = dict(task), lapsed["expires_at"]
            self.lose(task, lapsed, "lease_expired", None, since=end, at=end, note=False)
        state = self.state_of(task)
        rested = task["not_before"] if state == "claimable" else None
        return state, max(task["moved_at"], rested or 0)

    def out_of_reach(self, task: Row) -> bool:
        """
        Whether the assignee cannot claim the task: nobody registered, an agent of another board, or a worker on a board
        where only leads move tasks.
        """
        agent = REGISTERED.get((task["assignee"] or "").casefold())
        if agent is None:
            return self.nobody(task["assignee"])
        led = self.boards[task["board"]]["leads"] and agent["part"] == "worker"
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
        if self.open_of(task) or self.out_of_reach(task):
            return "blocked"
        if task["not_before"] is not None and self.now < task["not_before"]:
            return "waiting"
        return "claimable"
