"""
Importing the database of the Fleet API's reference system: an SQLite file, which is only read.

Numbers and moments stay as they are. Ids are made of the organization, the table and the number there, so the same row
has the same id however often it is imported. Columns and tables that an older file lacks are read as empty.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID, uuid5

from attrs import define, evolve, field

from mission_adapters.importing.report import Report
from mission_adapters.importing.taking import Into, Taker, in_turn
from mission_core.accounts.model import SCOPES, ApiKey
from mission_core.agents.founding import found_organization
from mission_core.agents.model import Agent, Presence
from mission_core.boards.model import GENERAL, Board, BoardStatus, handle_from, prefix_from
from mission_core.errors import Invalid
from mission_core.events.model import Actor
from mission_core.ids import (
    AgentId,
    AgentNumber,
    ApiKeyId,
    ApiKeyNumber,
    BoardId,
    BoardNumber,
    CommentId,
    CommentNumber,
    OrganizationId,
    TaskId,
    TaskNumber,
)
from mission_core.ports import Ports
from mission_core.tasks.comments import COMMENTS, LONGEST_COMMENT, Comment
from mission_core.tasks.model import Status, Task
from mission_core.tasks.runs import Assignee, Result
from mission_core.tasks.tracking import Tracking
from mission_core.values import EMPTY_OBJECT, JsonText, canonical

Row = Mapping[str, Any]
SOURCE: Final = "fleet"
LATER: Final = {
    "users": "people sign in anew; set up the first admin after the import",
    "user_sessions": "people sign in anew",
    "access_requests": "people ask anew",
    "quality_reviews": "reviews are not kept here yet",
    "task_subscriptions": "who follows a task is told from who works on it and speaks about it",
    "activities": "the log here begins with the import; what was before stays readable in the file",
    "audit_log": "the log here begins with the import; what was before stays readable in the file",
    "security_events": "the log here begins with the import; what was before stays readable in the file",
    "notifications": "notifications are not kept here yet",
    "messages": "conversations are not kept here yet",
    "token_usage": "usage is not accounted for here yet",
    "webhooks": "webhooks are not sent here yet",
    "alert_rules": "alerts are not kept here yet",
    "workflow_templates": "workflows are not kept here yet",
    "workflow_pipelines": "pipelines are not kept here yet",
    "gateways": "every organization has its own local gateway here",
}
"""Tables that are left behind, and why."""


async def import_fleet(ports: Ports, file: Path) -> Report:
    """
    Take in all workspaces of a Fleet database, each as the organization of its slug.

    Raises:
        ValueError: If the file is no such database.
    """
    report = Report()
    with closing(_opened(file)) as database:
        known = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"tasks", "agents", "projects"} <= known:
            raise ValueError(f"{file} has no tables tasks, agents and projects; is it a mission-control.db?")
        database.row_factory = sqlite3.Row
        spaces = _rows(database, known, "workspaces") or [{"id": 1, "slug": "default"}]
        for space in spaces:
            organization = await found_organization(ports, slug=str(space["slug"]))
            taker = Taker(ports, organization.id, SOURCE, report)
            await Workspace(taker, database, known, int(space["id"])).take()
        for table, why in LATER.items():
            for row in _rows(database, known, table):
                report.skip(table, row.get("id", "?"), why)
    return report


def _opened(file: Path) -> sqlite3.Connection:
    if not file.is_file():
        raise ValueError(f"{file} is not there, or is no file")
    try:
        database = sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode=ro", uri=True)
        database.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.Error as e:
        raise ValueError(f"{file} cannot be read as an SQLite database ({e})") from e
    return database


def _rows(database: sqlite3.Connection, known: set[str], table: str, where: str = "1", *given: Any) -> list[Row]:
    if table not in known:
        return []
    return [dict(row) for row in database.execute(f"SELECT * FROM {table} WHERE {where} ORDER BY rowid", given)]


@define
class Workspace:
    """
    One workspace of the file, on its way into an organization.
    """

    taker: Taker
    database: sqlite3.Connection
    known: set[str]
    number: int
    boards: dict[int, BoardId] = field(factory=dict)
    general: BoardId | None = None

    @property
    def organization(self) -> OrganizationId:
        """
        Where it goes.
        """
        return self.taker.organization

    async def take(self) -> None:
        """
        Take it in: projects, agents and their keys, tasks and what was said about them.
        """
        await self._make_way()
        await self._take_projects()
        await self._take("agents", lambda unit: unit.agents, self.agent, "agent")
        await self._take("agent_api_keys", lambda unit: unit.keys, self.key, "key")
        await self._take("tasks", lambda unit: unit.tasks, self.task, "task")
        await self._take("comments", lambda unit: unit.rows(COMMENTS), self.comment, "comment")

    async def _take(self, table: str, into: Into, make: Callable[[Row], Any], numbered: str) -> None:
        rows = self._own(table)
        highest = max((int(row["id"]) for row in rows), default=0)
        await self.taker.take(table, into, in_turn(rows, make), numbered=numbered, highest=highest)

    def _own(self, table: str) -> list[Row]:
        rows = _rows(self.database, self.known, table)
        return [row for row in rows if row.get("workspace_id", 1) == self.number]

    def id(self, table: str, number: Any) -> UUID:
        """
        The id that a row has here.
        """
        return uuid5(self.organization, f"{SOURCE}:{table}:{int(number)}")

    async def _make_way(self) -> None:
        """
        Give the built-in agent, who came first, a number that nobody in the file has.
        """
        numbers = {int(row["id"]) for row in self._own("agents")}
        async with self.taker.ports.unit(self.taker.principal) as unit:
            main = await unit.agents.main()
            if main is None or main.number not in numbers or main.id in {self.id("agents", each) for each in numbers}:
                return
            await self.taker.ports.numbers.reach((self.organization, "agent", max(numbers)))
            (number,) = await self.taker.ports.numbers.draw((self.organization, "agent"))
            unit.agents.save(evolve(main, number=AgentNumber(number)))
            await unit.commit()

    async def _take_projects(self) -> None:
        """
        Take in the projects. The general one becomes what the organization's general board is.
        """
        rows = self._own("projects")
        principal = self.taker.principal
        async with self.taker.ports.unit(principal) as unit:
            general = await unit.boards.find_handle(GENERAL)
        self.general = general.id if general else None
        others = []
        for row in rows:
            if row["slug"] == GENERAL and general is not None:
                self.boards[int(row["id"])] = general.id
                await self._become_general(general, row)
            else:
                self.boards[int(row["id"])] = BoardId(self.id("projects", row["id"]))
                others.append(row)
            drawn = (self.boards[int(row["id"])], "ticket", int(row.get("ticket_counter") or 0))
            await self.taker.ports.numbers.reach(drawn)
        highest = max((int(row["id"]) for row in others), default=0)
        rows_made = in_turn(others, self.board)
        await self.taker.take("projects", lambda unit: unit.boards, rows_made, numbered="board", highest=highest)

    async def _become_general(self, general: Board, row: Row) -> None:
        made = self.board(row)
        kept = {
            name: getattr(made, name)
            for name in ("name", "ticket_prefix", "description", "github_repo", "color", "deadline", "created_at")
        }
        async with self.taker.ports.unit(self.taker.principal) as unit:
            general = await unit.boards.get(general.id)
            if general.version == 0 and any(getattr(general, name) != value for name, value in kept.items()):
                unit.boards.save(evolve(general, **kept))
                await unit.commit()
                self.taker.report.taken["projects"] += 1
            else:
                self.taker.report.there["projects"] += 1

    def board(self, row: Row) -> Board:
        """
        A project as a board.
        """
        created = _moment(row, "created_at")
        return Board(
            id=BoardId(self.id("projects", row["id"])),
            number=BoardNumber(int(row["id"])),
            organization=self.organization,
            name=_text(row, "name", 200),
            slug=_text(row, "slug", 200),
            handle=handle_from(_text(row, "slug", 200)),
            ticket_prefix=prefix_from(_text(row, "ticket_prefix", 24)),
            description=self._maybe(row, "projects", "description", 5000),
            status=BoardStatus.ARCHIVED if row.get("status") == "archived" else BoardStatus.ACTIVE,
            github_repo=self._maybe(row, "projects", "github_repo", 200),
            github_sync_enabled=bool(row.get("github_sync_enabled")),
            github_labels_initialized=bool(row.get("github_labels_initialized")),
            github_default_branch=_text(row, "github_default_branch", 255) or "main",
            deadline=_maybe_moment(row, "deadline"),
            color=self._maybe(row, "projects", "color", 32),
            board_type=GENERAL,
            created_at=created,
            updated_at=_maybe_moment(row, "updated_at") or created,
        )

    def agent(self, row: Row) -> Agent:
        """
        An agent, with its presence.
        """
        created = _moment(row, "created_at")
        presence = Presence(
            reported=_text(row, "status", 100) or "offline",
            last_seen_at=_maybe_moment(row, "last_seen"),
            activity=self._maybe(row, "agents", "last_activity", 500),
        )
        return Agent(
            id=AgentId(self.id("agents", row["id"])),
            number=AgentNumber(int(row["id"])),
            organization=self.organization,
            name=_text(row, "name", 1000),
            role=_text(row, "role", 100) or "agent",
            config=_object(row, "config"),
            session_key=self._maybe(row, "agents", "session_key", 300),
            soul=self._maybe(row, "agents", "soul_content", 50_000),
            working_memory=self._maybe(row, "agents", "working_memory", 524_288) or "",
            runtime_type=self._maybe(row, "agents", "runtime_type", 100),
            source=_text(row, "source", 100) or "manual",
            workspace_path=self._maybe(row, "agents", "workspace_path", 500),
            hidden=bool(row.get("hidden")),
            created_at=created,
            updated_at=_maybe_moment(row, "updated_at") or created,
            presence=presence,
        )

    def key(self, row: Row) -> ApiKey:
        """
        An agent's key: its digest is kept as ours are, so it goes on opening the door.
        """
        created = _moment(row, "created_at")
        agent = AgentId(self.id("agents", row["agent_id"]))
        self.taker.must_be_here("agent", agent)
        scopes = tuple(scope for scope in _list(row, "scopes") if scope in SCOPES)
        digest = bytes.fromhex(str(row["key_hash"]))
        if len(digest) != 32:
            raise ValueError("its digest is not a SHA-256")
        return ApiKey(
            id=ApiKeyId(self.id("agent_api_keys", row["id"])),
            number=ApiKeyNumber(int(row["id"])),
            organization=self.organization,
            agent=agent,
            name=_text(row, "name", 128) or "default",
            digest=digest,
            prefix=_text(row, "key_prefix", 100),
            scopes=scopes or ("viewer", "agent:self"),
            created_by=self._maybe(row, "agent_api_keys", "created_by", 200),
            created_at=created,
            updated_at=_maybe_moment(row, "updated_at") or created,
            expires_at=_maybe_moment(row, "expires_at"),
            revoked_at=_maybe_moment(row, "revoked_at"),
            last_used_at=_maybe_moment(row, "last_used_at"),
        )

    def task(self, row: Row) -> Task:
        """
        A task. One that nobody's lease stands behind is held by whoever it says.
        """
        created = _moment(row, "created_at")
        updated = _maybe_moment(row, "updated_at") or created
        status, completed = self._status(row), _maybe_moment(row, "completed_at")
        name = str(row.get("assigned_to") or "").strip()
        creator = _text(row, "created_by", 200) or "system"
        project = row.get("project_id")
        board = self.boards.get(int(project)) if project is not None else None
        return Task(
            id=TaskId(self.id("tasks", row["id"])),
            number=TaskNumber(int(row["id"])),
            organization=self.organization,
            board=board or self._general(row),
            ticket=row.get("project_ticket_no") if board is not None else None,
            title=_text(row, "title", 500),
            description=self._maybe(row, "tasks", "description", 20_000),
            status=status,
            priority=_text(row, "priority", 100) or "medium",
            assignee=Assignee(name[:100]) if name else None,
            creator=Actor("system", None, creator),
            creator_name=creator,
            due_at=_maybe_moment(row, "due_date"),
            estimated_hours=row.get("estimated_hours"),
            actual_hours=row.get("actual_hours"),
            tags=tuple(str(tag) for tag in _list(row, "tags")),
            metadata=_object(row, "metadata"),
            result=Result(row["outcome"]) if row.get("outcome") in set(Result) else None,
            error_message=self._maybe(row, "tasks", "error_message", 5000),
            resolution=self._maybe(row, "tasks", "resolution", 5000),
            feedback_rating=row.get("feedback_rating"),
            feedback_notes=self._maybe(row, "tasks", "feedback_notes", 5000),
            retry_count=int(row.get("retry_count") or 0),
            recorded=status is Status.DONE,
            created_at=created,
            updated_at=updated,
            moved_at=completed or updated,
            started_at=updated if status is Status.IN_PROGRESS else None,
            completed_at=completed or (updated if status is Status.DONE else None),
            tracking=Tracking(
                repo=self._maybe(row, "tasks", "github_repo", 200) or None,
                issue=row.get("github_issue_number") or None,
                branch=self._maybe(row, "tasks", "github_branch", 255) or None,
                pull_request=row.get("github_pr_number") or None,
                pull_request_state=self._maybe(row, "tasks", "github_pr_state", 50),
                synced_at=_maybe_moment(row, "github_synced_at"),
            ),
        )

    def comment(self, row: Row) -> Comment:
        """
        What somebody said about a task.
        """
        parent, task = row.get("parent_id"), TaskId(self.id("tasks", row["task_id"]))
        self.taker.must_be_here("task", task)
        return Comment(
            id=CommentId(self.id("comments", row["id"])),
            number=CommentNumber(int(row["id"])),
            organization=self.organization,
            task=task,
            author=_text(row, "author", 200),
            author_kind="system",
            content=self._maybe(row, "comments", "content", LONGEST_COMMENT) or "",
            parent=CommentId(self.id("comments", parent)) if parent is not None else None,
            mentions=tuple(str(each) for each in _list(row, "mentions")),
            created_at=_moment(row, "created_at"),
        )

    def _status(self, row: Row) -> Status:
        try:
            return Status(row.get("status") or "inbox")
        except ValueError:
            self.taker.report.change("tasks", row["id"], f"its status {row['status']!r} is unknown; it is in the inbox")
            return Status.INBOX

    def _general(self, row: Row) -> BoardId:
        if row.get("project_id") is not None:
            why = f"its project {row['project_id']} is not there; it is in the general one"
            self.taker.report.change("tasks", row["id"], why)
        if self.general is None:
            raise ValueError("there is no project it could belong to")
        return self.general

    def _maybe(self, row: Row, table: str, name: str, most: int) -> str | None:
        """
        A text, cut where it is too long for us.
        """
        value = row.get(name)
        if value is None:
            return None
        if len(str(value)) > most:
            self.taker.report.change(table, row["id"], f"{name} is cut at {most} characters")
        return str(value)[:most]


def _text(row: Row, name: str, most: int) -> str:
    return str(row.get(name) if row.get(name) is not None else "")[:most]


def _moment(row: Row, name: str) -> datetime:
    found = _maybe_moment(row, name)
    if found is None:
        raise ValueError(f"it has no {name}")
    return found


def _maybe_moment(row: Row, name: str) -> datetime | None:
    value = row.get(name)
    return None if value is None else datetime.fromtimestamp(float(value), UTC)


def _object(row: Row, name: str) -> JsonText:
    found = _json(row, name)
    return canonical(found) if isinstance(found, dict) else EMPTY_OBJECT


def _list(row: Row, name: str) -> list[Any]:
    found = _json(row, name)
    return found if isinstance(found, list) else []


def _json(row: Row, name: str) -> Any:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        return None
    try:
        return json.loads(value)
    except ValueError:
        raise Invalid(f"{name} is no JSON") from None
