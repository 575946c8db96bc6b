"""
Import of the database of the Fleet API's reference system: a SQLite file, which is only read.

Numbers and times are kept. The id of a row is derived from the organization, the table and the number there, so it is
the same in every import. Tables and columns that an older file lacks are read as empty.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from attrs import define, evolve, field

from mission_adapters.importing.fleet_file import (
    FIRST_WORKSPACE,
    FleetFile,
    Row,
    opened,
    text_in,
)
from mission_adapters.importing.fleet_rows import HIGHEST, SCRYPT, SOURCE, Maker
from mission_adapters.importing.people import Newcomers, give_to_local_user
from mission_adapters.importing.repairs import WRONG, made_of, said
from mission_adapters.importing.report import MOST_EXAMPLES, Report
from mission_adapters.importing.taking import Finish, Into, Taker, in_turn
from mission_core.accounts.members import MEMBERS
from mission_core.accounts.organizations import Organization
from mission_core.accounts.settings import SETTINGS
from mission_core.accounts.users import USERS
from mission_core.agents.connections import CONNECTIONS
from mission_core.agents.founding import found_organization
from mission_core.boards.model import GENERAL, Board
from mission_core.boards.staff import STAFF
from mission_core.errors import Conflict, Invalid
from mission_core.ids import (
    AgentNumber,
    BoardId,
)
from mission_core.ports import Ports
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.model import Task
from mission_core.tasks.queries import TaskFilter
from mission_core.values import Page

TAKEN: Final = frozenset(
    {
        "workspaces", "projects", "project_agent_assignments", "agents", "agent_api_keys", "direct_connections",
        "tasks", "comments", "settings", "users",
    }
)  # fmt: skip
LOGGED: Final = "the event log here begins with the import; older events stay in the file"
ANEW: Final = "sessions are not imported; users sign in again with their passwords"
LATER: Final = {
    "user_sessions": ANEW,
    "access_requests": "access requests are not imported; users ask again",
    "tenants": "workspaces are organizations here, and there are no tenants",
    "task_subscriptions": "subscribers are derived from the assignee and the comments of a task",
    "activities": LOGGED,
    "audit_log": LOGGED,
    "security_events": LOGGED,
    "gateways": "every organization has its own local gateway here",
}
"""Tables that are not imported, and why."""
NO_PASSWORD: Final = "its password hash has an unknown format; an admin can set a new password"
OTHERS: Final = "this table is not supported yet"
OWN_BUSINESS: Final = ("sqlite_", "schema_migrations", "memory_fts")
"""Prefixes of the other system's internal tables."""
MANY: Final = 1000
BECOMES: Final = (
    "name", "ticket_prefix", "description", "github_repo", "github_sync_enabled", "github_labels_initialized",
    "github_default_branch", "color", "deadline", "created_at",
)  # fmt: skip
"""The fields of the general project that are merged into the general board."""


async def import_fleet(ports: Ports, file: Path) -> Report:
    """
    Import all workspaces of a Fleet database, each as the organization with its slug.

    Raises:
        ValueError: If the file is no such database, or is damaged. Rows imported before that stay.
    """
    report = Report()
    with opened(file) as source:
        spaces = list(source.rows("workspaces")) or [{"id": FIRST_WORKSPACE, "slug": "default"}]
        for space in spaces:
            organization = await _organization(ports, space, report)
            taker = Taker(ports, organization.id, SOURCE, report)
            await Workspace(taker, source, int(space["id"]), Maker(taker)).take()
        for table in sorted(source.columns):
            if table not in TAKEN and not table.startswith(OWN_BUSINESS):
                report.leave(table, LATER.get(table, OTHERS), *source.examples(table, MOST_EXAMPLES))
    return report


async def _organization(ports: Ports, space: Row, report: Report) -> Organization:
    """
    The organization for a workspace. If its slug or name is not valid here, it gets another one.
    """
    try:
        return await found_organization(ports, slug=str(space["slug"]), name=text_in(space, "name", 200) or None)
    except Invalid as refusal:
        slug = f"workspace-{space['id']}"
        report.change("workspaces", space["id"], f"{refusal}; it is the organization {slug} here")
        return await found_organization(ports, slug=slug)


def check_fleet(file: Path) -> None:
    """
    Check that the file is a database that can be imported.

    Raises:
        ValueError: If it is not.
    """
    with opened(file):
        pass


@define
class Workspace:
    """
    The import of one workspace of the file. *tickets* maps each board and ticket number to the task that has it.
    """

    taker: Taker
    source: FleetFile
    number: int
    make: Maker
    tickets: dict[tuple[UUID, int], UUID] = field(factory=dict)

    async def take(self) -> None:
        """
        Import the workspace: users, projects, agents, API keys, direct connections, tasks, comments and settings.
        """
        await self._make_way()
        await self._take_people()
        await self._take_projects()
        await self._take("agents", lambda unit: unit.agents, self.make.agent, "agent")
        await self._take("agent_api_keys", lambda unit: unit.keys, self.make.key, "key")
        await self._take("direct_connections", lambda unit: unit.rows(CONNECTIONS), self.make.connection, "connection")
        staff = in_turn(self.source.rows("project_agent_assignments"), self.make.assignment)
        await self.taker.take(
            "project_agent_assignments", lambda unit: unit.rows(STAFF), staff, finish=self.taker.drawn("assignment")
        )
        await self._see_tickets()
        await self._take("tasks", lambda unit: unit.tasks, self.make.task, "task", finish=self._ticketed)
        await self._take("comments", lambda unit: unit.rows(COMMENTS), self.make.comment, "comment")
        settings = ((row["key"], row, self.make.setting) for row in self.source.rows("settings"))
        await self.taker.take("settings", lambda unit: unit.rows(SETTINGS), settings)

    async def _take(
        self, table: str, into: Into, make: Callable[[Row], Any], numbered: str, finish: Finish | None = None
    ) -> None:
        rows = in_turn(self.source.rows(table, self.number), make)
        highest = max(self.source.numbers(table, self.number), default=0)
        await self.taker.take(table, into, rows, numbered=numbered, highest=highest, finish=finish)

    async def _take_people(self) -> None:
        """
        Import the users and their memberships. If the organization has no owner then, the local user becomes its owner.
        """
        rows = list(self.source.rows("users", self.number))
        newcomers = Newcomers(self.taker)
        made = in_turn(rows, self.make.user)
        await self.taker.take("users", lambda unit: unit.rows(USERS), made, finish=newcomers.settled)
        await self.taker.take("members", lambda unit: unit.rows(MEMBERS), in_turn(rows, self.make.member))
        for row in rows:
            if not SCRYPT.fullmatch(text_in(row, "password_hash", 500)) and row.get("provider") != "google":
                self.taker.report.change("users", row["id"], NO_PASSWORD)
        await give_to_local_user(self.taker.ports, self.taker)

    async def _make_way(self) -> None:
        """
        Give the main agent, which exists already, a number that no agent in the file has.
        """
        numbers = set(self.source.numbers("agents", self.number))
        async with self.taker.ports.unit(self.taker.principal) as unit:
            main = await unit.agents.main()
            if main is None or main.number not in numbers:
                return
            await self.taker.ports.numbers.reach((self.taker.organization, "agent", max(numbers)))
            (number,) = await self.taker.ports.numbers.draw((self.taker.organization, "agent"))
            unit.agents.save(evolve(main, number=AgentNumber(number)))
            await unit.commit()

    async def _take_projects(self) -> None:
        """
        Import the projects. The general project is merged into the organization's general board.
        """
        async with self.taker.ports.unit(self.taker.principal) as unit:
            general = await unit.boards.find_handle(GENERAL)
        self.make.general = general.id if general else None
        others = []
        boards: dict[int, tuple[BoardId, Any]] = {}
        for row in self.source.rows("projects", self.number):
            number, drawn = int(row["id"]), row.get("ticket_counter")
            if row["slug"] == GENERAL and general is not None:
                boards[number] = general.id, drawn
                await self._become_general(general, row)
            else:
                boards[number] = BoardId(self.make.id("projects", number)), drawn
                others.append(row)
        highest = max((int(row["id"]) for row in others), default=0)
        rows_made = in_turn(others, self.make.board)
        await self.taker.take("projects", lambda unit: unit.boards, rows_made, numbered="board", highest=highest)
        for number, (board, drawn) in boards.items():
            if board in self.taker.here:
                self.make.boards[number] = board
                if isinstance(drawn, int) and 0 < drawn < HIGHEST:
                    await self.taker.ports.numbers.reach((board, "ticket", drawn))

    async def _become_general(self, general: Board, row: Row) -> None:
        report = self.taker.report
        self.taker.here.add(general.id)
        try:
            made = made_of(
                row, self.make.board, partial(report.change, "projects", row["id"]), at=self.taker.ports.clock.now()
            )
            kept = {name: getattr(made, name) for name in BECOMES}
            async with self.taker.ports.unit(self.taker.principal) as unit:
                general = await unit.boards.get(general.id)
                if general.version == 0 and any(getattr(general, name) != value for name, value in kept.items()):
                    unit.boards.save(evolve(general, **kept))
                    await unit.commit()
                    report.taken["projects"] += 1
                else:
                    report.there["projects"] += 1
        except (*WRONG, Conflict) as reason:
            report.change("projects", row["id"], f"the general board here stays as it is: {said(reason)}")

    async def _see_tickets(self) -> None:
        """
        Load the tickets of the tasks here, and reserve the ticket numbers of the tasks in the file.
        """
        highest: dict[int, int] = {}
        for row in self.source.rows("tasks", self.number):
            project, ticket = row.get("project_id"), row.get("project_ticket_no")
            if isinstance(project, int) and isinstance(ticket, int) and 0 < ticket < HIGHEST:
                highest[project] = max(ticket, highest.get(project, 0))
        for project, ticket in highest.items():
            if project in self.make.boards:
                await self.taker.ports.numbers.reach((self.make.boards[project], "ticket", ticket))
        after: int | None = None
        while True:
            page = Page(limit=MANY, after=after)
            rows = (await self.taker.ports.reads.tasks.page(self.taker.principal, TaskFilter(), page)).rows
            for row in rows:
                if row.ticket is not None:
                    self.tickets[UUID(bytes=row.board), row.ticket] = UUID(bytes=row.id)
            if len(rows) < MANY:
                break
            after = rows[-1].number

    async def _ticketed(self, task: Task) -> tuple[Task, str | None]:
        """
        The task, with a new ticket number if another task has its own.
        """
        changed = None
        if task.ticket is not None and self.tickets.get((task.board, task.ticket), task.id) != task.id:
            (ticket,) = await self.taker.ports.numbers.draw((task.board, "ticket"))
            task, changed = evolve(task, ticket=ticket), "another task has its ticket; it has a new one"
        if task.ticket is not None:
            self.tickets[task.board, task.ticket] = task.id
        return task, changed
