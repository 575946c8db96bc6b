"""
Conversion of the rows of a Fleet database into entities.
"""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID, uuid5

from attrs import field

from mission_adapters.data_import.entity_import import EntityImporter
from mission_adapters.data_import.fleet_file import (
    Row,
    datetime_of,
    json_list_of,
    json_object_of,
    optional_datetime_of,
    optional_integer_of,
    text_of,
)
from mission_adapters.data_import.row_repairs import InvalidRow
from mission_core.accounts.members import Member
from mission_core.accounts.model import SCOPES, ApiKey, Role
from mission_core.accounts.organization_settings import LONGEST_VALUE, Setting
from mission_core.accounts.ownership_rules import MEMBERSHIP_OF_ROLE
from mission_core.accounts.users import MAX_EMAIL, MAX_USERNAME, IdentityProvider, User
from mission_core.agents.model import Agent, Presence
from mission_core.agents.tool_connections import ToolConnection
from mission_core.boards.assignments import DEFAULT_ASSIGNMENT_ROLE, BoardAssignment
from mission_core.boards.model import GENERAL_HANDLE, Board, BoardStatus, handle_from, prefix_from
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
from mission_core.lazy_attrs import define
from mission_core.tasks.comments import LONGEST_COMMENT, Comment
from mission_core.tasks.github_links import GitHubLinks
from mission_core.tasks.model import Status, Task
from mission_core.tasks.runs import Assignee, TaskResult
from mission_core.values import name_key

SOURCE: Final = "fleet"
MAX_TICKET: Final = 2**53
"""The exclusive upper bound of ticket numbers."""
SCRYPT_HASH: Final = re.compile(r"[0-9a-f]{32}:[0-9a-f]{64}")
"""The format of a password hash: the salt and the digest, in hexadecimal."""


SHA256_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")


@define
class FleetEntityFactory:
    """
    Makes entities from the rows of one workspace.

    *boards* maps the numbers of imported projects to their boards, *general_board* is the board of tasks without a
    project, and *imported_comments* has the numbers of the imported comments.
    """

    importer: EntityImporter
    boards: dict[int, BoardId] = field(factory=dict)
    general_board: BoardId | None = None
    imported_comments: set[int] = field(factory=set)

    @property
    def organization(self) -> OrganizationId:
        """
        The organization of this system that the rows are imported into.
        """
        return self.importer.organization

    def user(self, row: Row) -> User:
        """
        The user made from a row. The password stays valid, because its hash has a format that this system knows.
        """
        username = str(row["username"]).strip()
        hashed = text_of(row, "password_hash", 500)
        provider = IdentityProvider.GOOGLE if row.get("provider") == "google" else IdentityProvider.LOCAL
        made = optional_datetime_of(row, "created_at") or self.importer.ports.clock.now()
        approved = optional_integer_of(row, "is_approved")
        return User(
            id=UserId(self.id("users", row["id"])), number=UserNumber(int(row["id"])), username=username,
            username_key=name_key(username), provider=provider, subject=text_of(row, "provider_user_id", 500) or None,
            email=text_of(row, "email", MAX_EMAIL).strip().lower() or None,
            avatar_url=text_of(row, "avatar_url", 2000) or None,
            password=hashed if SCRYPT_HASH.fullmatch(hashed) else None, approved=approved is None or bool(approved),
            active=self.organization, name=text_of(row, "display_name", MAX_USERNAME) or None, created_at=made,
            updated_at=optional_datetime_of(row, "updated_at") or made,
            last_login_at=optional_datetime_of(row, "last_login_at"),
        )  # fmt: skip

    def member(self, row: Row) -> Member:
        """
        The membership made from a user's row, with the rights of the user's role.
        """
        user = self.id("users", row["id"])
        self.importer.require_imported("user", user)
        role = str(row.get("role") or Role.OPERATOR)
        if role not in set(Role):
            raise InvalidRow(f"its role {role!r} is unknown")
        made = optional_datetime_of(row, "created_at") or self.importer.ports.clock.now()
        return Member(
            id=MemberId(self.id("members", row["id"])), organization=self.organization, user=UserId(user),
            created_at=made, updated_at=made, **MEMBERSHIP_OF_ROLE[Role(role)],
        )  # fmt: skip

    def id(self, table: str, key: Any) -> UUID:
        """
        The id in this system of an imported row, derived from its table and key.
        """
        return uuid5(self.organization, f"{SOURCE}:{table}:{key}")

    def board(self, row: Row) -> Board:
        """
        The board made from a project's row.
        """
        created = datetime_of(row, "created_at")
        return Board(
            id=BoardId(self.id("projects", row["id"])),
            number=BoardNumber(int(row["id"])),
            organization=self.organization,
            name=self._optional_text(row, "projects", "name", 200) or "",
            slug=text_of(row, "slug", 200),
            handle=handle_from(text_of(row, "slug", 200)),
            ticket_prefix=prefix_from(text_of(row, "ticket_prefix", 24)),
            description=self._optional_text(row, "projects", "description", 5000),
            status=BoardStatus.ARCHIVED if row.get("status") == "archived" else BoardStatus.ACTIVE,
            github_repo=self._optional_text(row, "projects", "github_repo", 200),
            github_sync_enabled=bool(row.get("github_sync_enabled")),
            github_labels_initialized=bool(row.get("github_labels_initialized")),
            github_default_branch=text_of(row, "github_default_branch", 255) or "main",
            deadline=optional_datetime_of(row, "deadline"),
            color=self._optional_text(row, "projects", "color", 32),
            board_type=GENERAL_HANDLE,
            created_at=created,
            updated_at=optional_datetime_of(row, "updated_at") or created,
        )

    def agent(self, row: Row) -> Agent:
        """
        The agent made from a row, with its presence.
        """
        created = datetime_of(row, "created_at")
        presence = Presence(
            reported=text_of(row, "status", 100) or "offline",
            last_seen_at=optional_datetime_of(row, "last_seen"),
            activity=self._optional_text(row, "agents", "last_activity", 500),
        )
        return Agent(
            id=AgentId(self.id("agents", row["id"])),
            number=AgentNumber(int(row["id"])),
            organization=self.organization,
            name=text_of(row, "name", 1000),
            role=text_of(row, "role", 100) or "agent",
            config=json_object_of(row, "config"),
            session_key=self._optional_text(row, "agents", "session_key", 300),
            soul=self._optional_text(row, "agents", "soul_content", 50_000),
            working_memory=self._optional_text(row, "agents", "working_memory", 524_288) or "",
            runtime_type=self._optional_text(row, "agents", "runtime_type", 100),
            source=text_of(row, "source", 100) or "manual",
            workspace_path=self._optional_text(row, "agents", "workspace_path", 500),
            hidden=bool(row.get("hidden")),
            created_at=created,
            updated_at=optional_datetime_of(row, "updated_at") or created,
            presence=presence,
        )

    def key(self, row: Row) -> ApiKey:
        """
        The agent API key made from a row. The key stays valid, because its digest is stored in the same way here.
        """
        created = datetime_of(row, "created_at")
        agent = AgentId(self.id("agents", row["agent_id"]))
        self.importer.require_imported("agent", agent)
        scopes = tuple(scope for scope in json_list_of(row, "scopes") if scope in SCOPES)
        if not SHA256_DIGEST.fullmatch(str(row["key_hash"])):
            raise InvalidRow("its key_hash is not a SHA-256 in hexadecimal")
        return ApiKey(
            id=ApiKeyId(self.id("agent_api_keys", row["id"])),
            number=ApiKeyNumber(int(row["id"])),
            organization=self.organization,
            agent=agent,
            name=text_of(row, "name", 128) or "default",
            digest=bytes.fromhex(str(row["key_hash"])),
            prefix=text_of(row, "key_prefix", 100),
            scopes=scopes or ("viewer", "agent:self"),
            created_by=self._optional_text(row, "agent_api_keys", "created_by", 200),
            created_at=created,
            updated_at=optional_datetime_of(row, "updated_at") or created,
            expires_at=optional_datetime_of(row, "expires_at"),
            revoked_at=optional_datetime_of(row, "revoked_at"),
            last_used_at=optional_datetime_of(row, "last_used_at"),
        )

    def connection(self, row: Row) -> ToolConnection:
        """
        The direct connection of a tool made from a row, with the connection id that the tool knows.
        """
        agent = AgentId(self.id("agents", row["agent_id"]))
        self.importer.require_imported("agent", agent)
        created = datetime_of(row, "created_at")
        return ToolConnection(
            id=ConnectionId(_uuid_of(row, "connection_id")),
            number=ConnectionNumber(int(row["id"])),
            organization=self.organization,
            agent=agent,
            live_for=agent if row.get("status") == "connected" else None,
            tool_name=text_of(row, "tool_name", 100),
            tool_version=self._optional_text(row, "direct_connections", "tool_version", 50),
            metadata=None if row.get("metadata") is None else json_object_of(row, "metadata"),
            last_heartbeat_at=optional_datetime_of(row, "last_heartbeat"),
            created_at=created,
            updated_at=optional_datetime_of(row, "updated_at") or created,
        )

    def task(self, row: Row) -> Task:
        """
        The task made from a row. A task in progress keeps its assignee and has no lease.
        """
        created = datetime_of(row, "created_at")
        updated = optional_datetime_of(row, "updated_at") or created
        status, completed = self._status(row), optional_datetime_of(row, "completed_at")
        name = str(row.get("assigned_to") or "").strip()
        creator = text_of(row, "created_by", 200) or "system"
        project = row.get("project_id")
        board = self.boards.get(int(project)) if project is not None else None
        return Task(
            id=TaskId(self.id("tasks", row["id"])),
            number=TaskNumber(int(row["id"])),
            organization=self.organization,
            board=board or self._general(row),
            ticket=_ticket_of(row) if board is not None else None,
            title=self._optional_text(row, "tasks", "title", 500) or "",
            description=self._optional_text(row, "tasks", "description", 20_000),
            status=status,
            priority=text_of(row, "priority", 100) or "medium",
            assignee=Assignee(name[:100]) if name else None,
            creator=Actor("system", None, creator),
            creator_name=creator,
            due_at=optional_datetime_of(row, "due_date"),
            estimated_hours=row.get("estimated_hours"),
            actual_hours=row.get("actual_hours"),
            tags=tuple(str(tag) for tag in json_list_of(row, "tags")),
            metadata=json_object_of(row, "metadata"),
            result=TaskResult(row["outcome"]) if row.get("outcome") in set(TaskResult) else None,
            error_message=self._optional_text(row, "tasks", "error_message", 5000),
            resolution=self._optional_text(row, "tasks", "resolution", 5000),
            feedback_rating=row.get("feedback_rating"),
            feedback_notes=self._optional_text(row, "tasks", "feedback_notes", 5000),
            retry_count=int(row.get("retry_count") or 0),
            recorded=status is Status.DONE,
            created_at=created,
            updated_at=updated,
            moved_at=completed or updated,
            started_at=updated if status is Status.IN_PROGRESS else None,
            completed_at=completed or (updated if status is Status.DONE else None),
            tracking=GitHubLinks(
                repo=self._optional_text(row, "tasks", "github_repo", 200) or None,
                issue=row.get("github_issue_number") or None,
                branch=self._optional_text(row, "tasks", "github_branch", 255) or None,
                pull_request=row.get("github_pr_number") or None,
                pull_request_state=self._optional_text(row, "tasks", "github_pr_state", 50),
                synced_at=optional_datetime_of(row, "github_synced_at"),
            ),
        )

    def comment(self, row: Row) -> Comment:
        """
        The task comment made from a row.
        """
        parent, task = row.get("parent_id"), TaskId(self.id("tasks", row["task_id"]))
        self.importer.require_imported("task", task)
        if parent is not None and parent not in self.imported_comments:
            why = f"comment {parent}, to which it replied, was not imported; it is not a reply any more"
            self.importer.report.change("comments", row["id"], why)
            parent = None
        comment = Comment(
            id=CommentId(self.id("comments", row["id"])),
            number=CommentNumber(int(row["id"])),
            organization=self.organization,
            task=task,
            author=text_of(row, "author", 200),
            author_kind="system",
            content=self._optional_text(row, "comments", "content", LONGEST_COMMENT) or "",
            parent=CommentId(self.id("comments", parent)) if parent is not None else None,
            mentions=tuple(str(each) for each in json_list_of(row, "mentions")),
            created_at=datetime_of(row, "created_at"),
        )
        self.imported_comments.add(int(row["id"]))
        return comment

    def assignment(self, row: Row) -> BoardAssignment:
        """
        The board assignment made from a row.
        """
        board = self.boards.get(row["project_id"])
        if board is None:
            raise InvalidRow("its project was not imported")
        name = text_of(row, "agent_name", 1000).strip()
        return BoardAssignment(
            id=AssignmentId(self.id("project_agent_assignments", row["id"])),
            number=AssignmentNumber(0),
            organization=self.organization,
            board=board,
            agent_name=name,
            name_key=name_key(name),
            role=text_of(row, "role", 100) or DEFAULT_ASSIGNMENT_ROLE,
            assigned_at=datetime_of(row, "assigned_at"),
        )

    def setting(self, row: Row) -> Setting:
        """
        The setting made from a row. In the other system it holds for all workspaces.
        """
        return Setting(
            id=SettingId(self.id("settings", row["key"])),
            organization=self.organization,
            key=str(row["key"]),
            value=text_of(row, "value", LONGEST_VALUE),
            updated_by=text_of(row, "updated_by", 200) or "system",
            updated_at=optional_datetime_of(row, "updated_at") or self.importer.ports.clock.now(),
        )

    def _status(self, row: Row) -> Status:
        try:
            return Status(row.get("status") or "inbox")
        except ValueError:
            self.importer.report.change(
                "tasks", row["id"], f"its status {row['status']!r} is unknown; it is in the inbox"
            )
            return Status.INBOX

    def _general(self, row: Row) -> BoardId:
        if row.get("project_id") is not None:
            why = f"its project {row['project_id']} does not exist; it is in the general project"
            self.importer.report.change("tasks", row["id"], why)
        if self.general_board is None:
            raise InvalidRow("it has no project, and there is no general project")
        return self.general_board

    def _optional_text(self, row: Row, table: str, name: str, most: int) -> str | None:
        """
        The text of a column, cut at *most* characters, or None.
        """
        value = row.get(name)
        if value is None:
            return None
        if len(str(value)) > most:
            self.importer.report.change(table, row["id"], f"{name} is cut at {most} characters")
        return str(value)[:most]


def _uuid_of(row: Row, name: str) -> UUID:
    try:
        return UUID(str(row[name]))
    except ValueError:
        raise InvalidRow(f"{name} is not a UUID") from None


def _ticket_of(row: Row) -> int | None:
    """
    The ticket number of a task, or None.

    Raises:
        InvalidRow: If it is no positive integer below `MAX_TICKET`.
    """
    found = optional_integer_of(row, "project_ticket_no")
    if found is not None and not 0 < found < MAX_TICKET:
        raise InvalidRow(f"project_ticket_no is not from 1 to {MAX_TICKET - 1}")
    return found
