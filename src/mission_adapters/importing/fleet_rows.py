"""
Conversion of the rows of a Fleet database into entities.
"""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID, uuid5

from attrs import define, field

from mission_adapters.importing.fleet_file import (
    Row,
    list_in,
    maybe_moment_in,
    maybe_whole_in,
    moment_in,
    object_in,
    text_in,
)
from mission_adapters.importing.repairs import Unfit
from mission_adapters.importing.taking import Taker
from mission_core.accounts.members import Member
from mission_core.accounts.model import SCOPES, ApiKey, Role
from mission_core.accounts.settings import LONGEST_VALUE, Setting
from mission_core.accounts.standing import GIVES
from mission_core.accounts.users import LONGEST_EMAIL, LONGEST_NAME, Provider, User
from mission_core.agents.connections import Connection
from mission_core.agents.model import Agent, Presence
from mission_core.boards.model import GENERAL, Board, BoardStatus, handle_from, prefix_from
from mission_core.boards.staff import MEMBER, Assignment
from mission_core.events.model import Actor
from mission_core.ids import (
    AgentId,
    AgentNumber,
    ApiKeyId,
    ApiKeyNumber,
    AssignmentId,
    AssignmentNumber,
    BoardId,
    BoardNumber,
    CommentId,
    CommentNumber,
    ConnectionId,
    ConnectionNumber,
    MemberId,
    OrganizationId,
    SettingId,
    TaskId,
    TaskNumber,
    UserId,
    UserNumber,
)
from mission_core.tasks.comments import LONGEST_COMMENT, Comment
from mission_core.tasks.model import Status, Task
from mission_core.tasks.runs import Assignee, Result
from mission_core.tasks.tracking import Tracking
from mission_core.values import name_key

SOURCE: Final = "fleet"
HIGHEST: Final = 2**53
"""The exclusive upper bound of ticket numbers."""
SCRYPT: Final = re.compile(r"[0-9a-f]{32}:[0-9a-f]{64}")
"""The format of a password hash: the salt and the digest, in hexadecimal."""


@define
class Maker:
    """
    Makes entities from the rows of one workspace.

    *boards* maps the numbers of imported projects to their boards, *general* is the board of tasks without a project,
    and *said* has the numbers of the imported comments.
    """

    taker: Taker
    boards: dict[int, BoardId] = field(factory=dict)
    general: BoardId | None = None
    said: set[int] = field(factory=set)

    @property
    def organization(self) -> OrganizationId:
        """
        The organization here.
        """
        return self.taker.organization

    def user(self, row: Row) -> User:
        """
        The user made from a row. The password stays valid, because its hash has a format that is known here.
        """
        username = str(row["username"]).strip()
        hashed = text_in(row, "password_hash", 500)
        provider = Provider.GOOGLE if row.get("provider") == "google" else Provider.LOCAL
        made = maybe_moment_in(row, "created_at") or self.taker.ports.clock.now()
        approved = maybe_whole_in(row, "is_approved")
        return User(
            id=UserId(self.id("users", row["id"])), number=UserNumber(int(row["id"])), username=username,
            username_key=name_key(username), provider=provider, subject=text_in(row, "provider_user_id", 500) or None,
            email=text_in(row, "email", LONGEST_EMAIL).strip().lower() or None,
            avatar_url=text_in(row, "avatar_url", 2000) or None,
            password=hashed if SCRYPT.fullmatch(hashed) else None, approved=approved is None or bool(approved),
            active=self.organization, name=text_in(row, "display_name", LONGEST_NAME) or None, created_at=made,
            updated_at=maybe_moment_in(row, "updated_at") or made,
            last_login_at=maybe_moment_in(row, "last_login_at"),
        )  # fmt: skip

    def member(self, row: Row) -> Member:
        """
        The membership made from a user's row, with the rights of the user's role.
        """
        user = self.id("users", row["id"])
        self.taker.must_be_here("user", user)
        role = str(row.get("role") or Role.OPERATOR)
        if role not in set(Role):
            raise Unfit(f"its role {role!r} is unknown")
        made = maybe_moment_in(row, "created_at") or self.taker.ports.clock.now()
        return Member(
            id=MemberId(self.id("members", row["id"])), organization=self.organization, user=UserId(user),
            created_at=made, updated_at=made, **GIVES[Role(role)],
        )  # fmt: skip

    def id(self, table: str, key: Any) -> UUID:
        """
        The id of a row here.
        """
        return uuid5(self.organization, f"{SOURCE}:{table}:{key}")

    def board(self, row: Row) -> Board:
        """
        The board made from a project's row.
        """
        created = moment_in(row, "created_at")
        return Board(
            id=BoardId(self.id("projects", row["id"])),
            number=BoardNumber(int(row["id"])),
            organization=self.organization,
            name=self._maybe(row, "projects", "name", 200) or "",
            slug=text_in(row, "slug", 200),
            handle=handle_from(text_in(row, "slug", 200)),
            ticket_prefix=prefix_from(text_in(row, "ticket_prefix", 24)),
            description=self._maybe(row, "projects", "description", 5000),
            status=BoardStatus.ARCHIVED if row.get("status") == "archived" else BoardStatus.ACTIVE,
            github_repo=self._maybe(row, "projects", "github_repo", 200),
            github_sync_enabled=bool(row.get("github_sync_enabled")),
            github_labels_initialized=bool(row.get("github_labels_initialized")),
            github_default_branch=text_in(row, "github_default_branch", 255) or "main",
            deadline=maybe_moment_in(row, "deadline"),
            color=self._maybe(row, "projects", "color", 32),
            board_type=GENERAL,
            created_at=created,
            updated_at=maybe_moment_in(row, "updated_at") or created,
        )

    def agent(self, row: Row) -> Agent:
        """
        The agent made from a row, with its presence.
        """
        created = moment_in(row, "created_at")
        presence = Presence(
            reported=text_in(row, "status", 100) or "offline",
            last_seen_at=maybe_moment_in(row, "last_seen"),
            activity=self._maybe(row, "agents", "last_activity", 500),
        )
        return Agent(
            id=AgentId(self.id("agents", row["id"])),
            number=AgentNumber(int(row["id"])),
            organization=self.organization,
            name=text_in(row, "name", 1000),
            role=text_in(row, "role", 100) or "agent",
            config=object_in(row, "config"),
            session_key=self._maybe(row, "agents", "session_key", 300),
            soul=self._maybe(row, "agents", "soul_content", 50_000),
            working_memory=self._maybe(row, "agents", "working_memory", 524_288) or "",
            runtime_type=self._maybe(row, "agents", "runtime_type", 100),
            source=text_in(row, "source", 100) or "manual",
            workspace_path=self._maybe(row, "agents", "workspace_path", 500),
            hidden=bool(row.get("hidden")),
            created_at=created,
            updated_at=maybe_moment_in(row, "updated_at") or created,
            presence=presence,
        )

    def key(self, row: Row) -> ApiKey:
        """
        The agent API key made from a row. The key stays valid, because its digest is stored in the same way here.
        """
        created = moment_in(row, "created_at")
        agent = AgentId(self.id("agents", row["agent_id"]))
        self.taker.must_be_here("agent", agent)
        scopes = tuple(scope for scope in list_in(row, "scopes") if scope in SCOPES)
        digest = bytes.fromhex(str(row["key_hash"]))
        if len(digest) != 32:
            raise Unfit("its digest is not a SHA-256")
        return ApiKey(
            id=ApiKeyId(self.id("agent_api_keys", row["id"])),
            number=ApiKeyNumber(int(row["id"])),
            organization=self.organization,
            agent=agent,
            name=text_in(row, "name", 128) or "default",
            digest=digest,
            prefix=text_in(row, "key_prefix", 100),
            scopes=scopes or ("viewer", "agent:self"),
            created_by=self._maybe(row, "agent_api_keys", "created_by", 200),
            created_at=created,
            updated_at=maybe_moment_in(row, "updated_at") or created,
            expires_at=maybe_moment_in(row, "expires_at"),
            revoked_at=maybe_moment_in(row, "revoked_at"),
            last_used_at=maybe_moment_in(row, "last_used_at"),
        )

    def connection(self, row: Row) -> Connection:
        """
        The direct connection of a tool made from a row, with the connection id that the tool knows.
        """
        agent = AgentId(self.id("agents", row["agent_id"]))
        self.taker.must_be_here("agent", agent)
        created = moment_in(row, "created_at")
        return Connection(
            id=ConnectionId(UUID(str(row["connection_id"]))),
            number=ConnectionNumber(int(row["id"])),
            organization=self.organization,
            agent=agent,
            live_for=agent if row.get("status") == "connected" else None,
            tool_name=text_in(row, "tool_name", 100),
            tool_version=self._maybe(row, "direct_connections", "tool_version", 50),
            metadata=None if row.get("metadata") is None else object_in(row, "metadata"),
            last_heartbeat_at=maybe_moment_in(row, "last_heartbeat"),
            created_at=created,
            updated_at=maybe_moment_in(row, "updated_at") or created,
        )

    def task(self, row: Row) -> Task:
        """
        The task made from a row. A task in progress keeps its assignee and has no lease.
        """
        created = moment_in(row, "created_at")
        updated = maybe_moment_in(row, "updated_at") or created
        status, completed = self._status(row), maybe_moment_in(row, "completed_at")
        name = str(row.get("assigned_to") or "").strip()
        creator = text_in(row, "created_by", 200) or "system"
        project = row.get("project_id")
        board = self.boards.get(int(project)) if project is not None else None
        return Task(
            id=TaskId(self.id("tasks", row["id"])),
            number=TaskNumber(int(row["id"])),
            organization=self.organization,
            board=board or self._general(row),
            ticket=_ticket_in(row) if board is not None else None,
            title=self._maybe(row, "tasks", "title", 500) or "",
            description=self._maybe(row, "tasks", "description", 20_000),
            status=status,
            priority=text_in(row, "priority", 100) or "medium",
            assignee=Assignee(name[:100]) if name else None,
            creator=Actor("system", None, creator),
            creator_name=creator,
            due_at=maybe_moment_in(row, "due_date"),
            estimated_hours=row.get("estimated_hours"),
            actual_hours=row.get("actual_hours"),
            tags=tuple(str(tag) for tag in list_in(row, "tags")),
            metadata=object_in(row, "metadata"),
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
                synced_at=maybe_moment_in(row, "github_synced_at"),
            ),
        )

    def comment(self, row: Row) -> Comment:
        """
        The task comment made from a row.
        """
        parent, task = row.get("parent_id"), TaskId(self.id("tasks", row["task_id"]))
        self.taker.must_be_here("task", task)
        if parent is not None and parent not in self.said:
            why = f"comment {parent}, to which it replied, was not imported; it is not a reply any more"
            self.taker.report.change("comments", row["id"], why)
            parent = None
        comment = Comment(
            id=CommentId(self.id("comments", row["id"])),
            number=CommentNumber(int(row["id"])),
            organization=self.organization,
            task=task,
            author=text_in(row, "author", 200),
            author_kind="system",
            content=self._maybe(row, "comments", "content", LONGEST_COMMENT) or "",
            parent=CommentId(self.id("comments", parent)) if parent is not None else None,
            mentions=tuple(str(each) for each in list_in(row, "mentions")),
            created_at=moment_in(row, "created_at"),
        )
        self.said.add(int(row["id"]))
        return comment

    def assignment(self, row: Row) -> Assignment | None:
        """
        The board assignment made from a row, or None if the project is not in this workspace.
        """
        board = self.boards.get(row["project_id"])
        if board is None:
            return None
        name = text_in(row, "agent_name", 1000).strip()
        return Assignment(
            id=AssignmentId(self.id("project_agent_assignments", row["id"])),
            number=AssignmentNumber(0),
            organization=self.organization,
            board=board,
            agent_name=name,
            name_key=name_key(name),
            role=text_in(row, "role", 100) or MEMBER,
            assigned_at=moment_in(row, "assigned_at"),
        )

    def setting(self, row: Row) -> Setting:
        """
        The setting made from a row. In the other system it holds for all workspaces.
        """
        return Setting(
            id=SettingId(self.id("settings", row["key"])),
            organization=self.organization,
            key=str(row["key"]),
            value=text_in(row, "value", LONGEST_VALUE),
            updated_by=text_in(row, "updated_by", 200) or "system",
            updated_at=maybe_moment_in(row, "updated_at") or self.taker.ports.clock.now(),
        )

    def _status(self, row: Row) -> Status:
        try:
            return Status(row.get("status") or "inbox")
        except ValueError:
            self.taker.report.change("tasks", row["id"], f"its status {row['status']!r} is unknown; it is in the inbox")
            return Status.INBOX

    def _general(self, row: Row) -> BoardId:
        if row.get("project_id") is not None:
            why = f"its project {row['project_id']} does not exist; it is in the general project"
            self.taker.report.change("tasks", row["id"], why)
        if self.general is None:
            raise Unfit("it has no project, and there is no general project")
        return self.general

    def _maybe(self, row: Row, table: str, name: str, most: int) -> str | None:
        """
        The text of a column, cut at *most* characters, or None.
        """
        value = row.get(name)
        if value is None:
            return None
        if len(str(value)) > most:
            self.taker.report.change(table, row["id"], f"{name} is cut at {most} characters")
        return str(value)[:most]


def _ticket_in(row: Row) -> int | None:
    """
    The ticket number of a task, or None.

    Raises:
        Unfit: If it is no positive integer below `HIGHEST`.
    """
    found = maybe_whole_in(row, "project_ticket_no")
    if found is not None and not 0 < found < HIGHEST:
        raise Unfit(f"project_ticket_no is not from 1 to {HIGHEST - 1}")
    return found
