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

from attrs import evolve, field

from mission_adapters.data_import.entity_import import EntityImporter, FinishEntity, RepositoryOf, rows_with_factory
from mission_adapters.data_import.fleet_entities import MAX_TICKET, SCRYPT_HASH, SOURCE, FleetEntityFactory
from mission_adapters.data_import.fleet_file import (
    FIRST_WORKSPACE,
    FleetFile,
    Row,
    open_fleet_file,
    text_of,
)
from mission_adapters.data_import.fleet_usage import (
    RECORDS,
    TOKENS_FILE,
    USAGE_TABLE,
    RecordMatcher,
    UsageEntryFactory,
    read_token_records,
    workspace_of,
)
from mission_adapters.data_import.import_report import MAX_EXAMPLES, ImportReport
from mission_adapters.data_import.imported_users import UniqueUsers, make_local_user_owner
from mission_adapters.data_import.row_repairs import ROW_ERRORS, make_entity, reason_text, repaired_row
from mission_core.accounts.members import MEMBERS
from mission_core.accounts.organization_settings import SETTINGS
from mission_core.accounts.organizations import Organization
from mission_core.accounts.users import USERS
from mission_core.agents.organization_creation import ensure_organization
from mission_core.agents.tool_connections import CONNECTIONS
from mission_core.boards.assignments import BOARD_ASSIGNMENTS
from mission_core.boards.model import GENERAL_HANDLE, Board
from mission_core.errors import Conflict, Invalid
from mission_core.ids import (
    AgentNumber,
    BoardId,
)
from mission_core.lazy_attrs import define
from mission_core.ports import Ports
from mission_core.tasks.comments import COMMENTS
from mission_core.tasks.model import Task
from mission_core.tasks.queries import TaskFilter
from mission_core.usage.use_cases import ledger_of
from mission_core.values import PageRequest

IMPORTED_TABLES: Final = frozenset(
    {
        "workspaces", "projects", "project_agent_assignments", "agents", "agent_api_keys", "direct_connections",
        "tasks", "comments", "settings", "users", USAGE_TABLE,
    }
)  # fmt: skip
TABLES_OF_WORKSPACES: Final = (
    "users", "projects", "agents", "agent_api_keys", "direct_connections", "tasks", "comments", USAGE_TABLE,
)  # fmt: skip
"""Tables each of whose rows belongs to a workspace."""
EVENTS_NOT_IMPORTED: Final = "the event log here begins with the import; older events stay in the file"
SESSIONS_NOT_IMPORTED: Final = "sessions are not imported; users sign in again with their passwords"
TABLES_NOT_IMPORTED: Final = {
    "user_sessions": SESSIONS_NOT_IMPORTED,
    "access_requests": "access requests are not imported; users ask again",
    "tenants": "workspaces are organizations here, and there are no tenants",
    "task_subscriptions": "subscribers are derived from the assignee and the comments of a task",
    "activities": EVENTS_NOT_IMPORTED,
    "audit_log": EVENTS_NOT_IMPORTED,
    "security_events": EVENTS_NOT_IMPORTED,
    "gateways": "every organization has its own local gateway here",
}
"""Tables that are not imported, and why."""
UNKNOWN_PASSWORD_HASH: Final = "its password hash has an unknown format; an admin can set a new password"
TABLE_NOT_SUPPORTED: Final = "this table is not supported yet"
INTERNAL_TABLE_PREFIXES: Final = ("sqlite_", "schema_migrations", "memory_fts")
"""Prefixes of the other system's internal tables."""
PAGE_SIZE: Final = 1000
LONGEST_SLUG: Final = 200
GENERAL_BOARD_FIELDS: Final = (
    "name", "ticket_prefix", "description", "github_repo", "github_sync_enabled", "github_labels_initialized",
    "github_default_branch", "color", "deadline", "created_at",
)  # fmt: skip
"""The fields of the general project that are merged into the general board."""


async def import_fleet(ports: Ports, file: Path, *, tokens: Path | None = None) -> ImportReport:
    """
    Import all workspaces of a Fleet database, each as the organization with its slug.

    Args:
        tokens: The file of token records; by default the one beside the database, if there is one.

    Raises:
        ValueError: If a file is not what it should be, or is damaged. Rows imported before that stay.
    """
    report = ImportReport()
    beside = file.with_name(TOKENS_FILE)
    tokens = tokens or (beside if beside.is_file() else None)
    records = [] if tokens is None else list(read_token_records(tokens, report))
    with open_fleet_file(file) as source:
        spaces = list(source.rows("workspaces")) or [{"id": FIRST_WORKSPACE, "slug": "default"}]
        projects, taken = set[int](), set[str]()
        for space in spaces:
            organization = await _organization(ports, space, report, taken)
            taker = EntityImporter(ports, organization.id, SOURCE, report)
            factory = FleetEntityFactory(taker)
            own = [record for record in records if workspace_of(record) == int(space["id"])]
            await WorkspaceImport(taker, source, int(space["id"]), factory, records=own).run()
            projects.update(factory.boards)
        numbers = [int(space["id"]) for space in spaces]
        _report_orphans(source, report, workspaces=numbers, projects=projects)
        for record in records:
            if workspace_of(record) not in numbers:
                report.skip(RECORDS, record["told_id"], "its workspace does not exist")
        for table in sorted(source.columns):
            if table not in IMPORTED_TABLES and not table.startswith(INTERNAL_TABLE_PREFIXES):
                report.leave(
                    table, TABLES_NOT_IMPORTED.get(table, TABLE_NOT_SUPPORTED), *source.examples(table, MAX_EXAMPLES)
                )
    return report


def _report_orphans(source: FleetFile, report: ImportReport, *, workspaces: list[int], projects: set[int]) -> None:
    """
    Report the rows that belong to no workspace, and the assignments to projects that were not imported.
    """
    for table in TABLES_OF_WORKSPACES:
        for number in source.numbers_elsewhere(table, workspaces):
            report.skip(table, number, "its workspace does not exist")
    for row in source.rows("project_agent_assignments"):
        if row["project_id"] not in projects:
            report.skip("project_agent_assignments", row["id"], "its project was not imported")


async def _organization(ports: Ports, space: Row, report: ImportReport, taken: set[str]) -> Organization:
    """
    The organization for a workspace. If its slug or name is not valid here, or another workspace of the file has the
    slug, it gets another one: two workspaces never become one organization.
    """
    tell = partial(report.change, "workspaces", space["id"])
    space = repaired_row(space, tell, at=ports.clock.now())
    slug, own = text_of(space, "slug", LONGEST_SLUG + 1).strip(), f"workspace-{space['id']}"
    why = "another workspace has its slug" if slug in taken else "it has no slug"
    if slug and slug not in taken:
        try:
            taken.add(slug)
            return await ensure_organization(ports, slug=slug, name=text_of(space, "name", 200) or None)
        except Invalid as refusal:
            why = str(refusal)
    while own in taken:
        own = f"{own}-{space['id']}"
    taken.add(own)
    tell(f"{why}; it is the organization {own} here")
    return await ensure_organization(ports, slug=own)


def check_fleet_file(file: Path, *, tokens: Path | None = None) -> None:
    """
    Check that the file is a database that can be imported, and the other one a file of token records.

    Raises:
        ValueError: If it is not.
    """
    with open_fleet_file(file):
        pass
    if tokens is not None:
        list(read_token_records(tokens, ImportReport()))


@define
class WorkspaceImport:
    """
    The import of one workspace of the file. *tickets* maps each board and ticket number to the task that has it, and
    *records* are the workspace's records of tokens.
    """

    importer: EntityImporter
    source: FleetFile
    number: int
    factory: FleetEntityFactory
    tickets: dict[tuple[UUID, int], UUID] = field(factory=dict)
    records: list[Row] = field(factory=list, kw_only=True)

    async def run(self) -> None:
        """
        Import the workspace: users, projects, agents, API keys, direct connections, tasks, comments, settings and the
        use of tokens.
        """
        await self._renumber_main_agent()
        await self._take_people()
        await self._take_projects()
        await self._take("agents", lambda unit: unit.agents, self.factory.agent, "agent")
        await self._take("agent_api_keys", lambda unit: unit.keys, self.factory.key, "key")
        await self._take(
            "direct_connections", lambda unit: unit.repository(CONNECTIONS), self.factory.connection, "connection"
        )
        staff = rows_with_factory(
            (row for row in self.source.rows("project_agent_assignments") if row["project_id"] in self.factory.boards),
            self.factory.assignment,
        )
        await self.importer.import_rows(
            "project_agent_assignments",
            lambda unit: unit.repository(BOARD_ASSIGNMENTS),
            staff,
            finish=self.importer.with_next_number("assignment"),
        )
        await self._reserve_tickets()
        await self._take("tasks", lambda unit: unit.tasks, self.factory.task, "task", finish=self._with_free_ticket)
        await self._take("comments", lambda unit: unit.repository(COMMENTS), self.factory.comment, "comment")
        settings = ((row["key"], row, self.factory.setting) for row in self.source.rows("settings"))
        await self.importer.import_rows("settings", lambda unit: unit.repository(SETTINGS), settings)
        await self._take_usage()

    async def _take_usage(self) -> None:
        entries, matcher = UsageEntryFactory(self.factory), RecordMatcher.of(self.records)
        rows = ((id, row, entries.of_row) for id, row in matcher.merged(self.source.rows(USAGE_TABLE, self.number)))
        await self.importer.import_rows(USAGE_TABLE, ledger_of, rows, finish=entries.with_agent_and_task)
        records = ((id, row, entries.of_record) for id, row in matcher.remaining())
        await self.importer.import_rows(RECORDS, ledger_of, records, finish=entries.with_agent_and_task)

    async def _take(
        self,
        table: str,
        into: RepositoryOf,
        make: Callable[[Row], Any],
        numbered: str,
        finish: FinishEntity | None = None,
    ) -> None:
        rows = rows_with_factory(self.source.rows(table, self.number), make)
        highest = max(self.source.numbers(table, self.number), default=0)
        await self.importer.import_rows(table, into, rows, numbered=numbered, highest=highest, finish=finish)

    async def _take_people(self) -> None:
        """
        Import the users and their memberships. If the organization has no owner then, the local user becomes its owner.
        """
        rows = list(self.source.rows("users", self.number))
        newcomers = UniqueUsers(self.importer)
        made = rows_with_factory(rows, self.factory.user)
        await self.importer.import_rows(
            "users", lambda unit: unit.repository(USERS), made, finish=newcomers.with_free_name_and_number
        )
        await self.importer.import_rows(
            "members", lambda unit: unit.repository(MEMBERS), rows_with_factory(rows, self.factory.member)
        )
        for row in rows:
            if not SCRYPT_HASH.fullmatch(text_of(row, "password_hash", 500)) and row.get("provider") != "google":
                self.importer.report.change("users", row["id"], UNKNOWN_PASSWORD_HASH)
        await make_local_user_owner(self.importer.ports, self.importer)

    async def _renumber_main_agent(self) -> None:
        """
        Give the main agent, which exists already, a number that no agent in the file has.
        """
        numbers = set(self.source.numbers("agents", self.number))
        async with self.importer.ports.unit(self.importer.principal) as unit:
            main = await unit.agents.main()
            if main is None or main.number not in numbers:
                return
            await self.importer.ports.numbers.advance_to((self.importer.organization, "agent", max(numbers)))
            (number,) = await self.importer.ports.numbers.next((self.importer.organization, "agent"))
            unit.agents.save(evolve(main, number=AgentNumber(number)))
            await unit.commit()

    async def _take_projects(self) -> None:
        """
        Import the projects. The general project is merged into the organization's general board.
        """
        async with self.importer.ports.unit(self.importer.principal) as unit:
            general = await unit.boards.find_handle(GENERAL_HANDLE)
        self.factory.general_board = general.id if general else None
        others = []
        boards: dict[int, tuple[BoardId, Any]] = {}
        for row in self.source.rows("projects", self.number):
            number, drawn = int(row["id"]), row.get("ticket_counter")
            if row["slug"] == GENERAL_HANDLE and general is not None:
                boards[number] = general.id, drawn
                await self._merge_general(general, row)
            else:
                boards[number] = BoardId(self.factory.id("projects", number)), drawn
                others.append(row)
        highest = max((int(row["id"]) for row in others), default=0)
        rows_made = rows_with_factory(others, self.factory.board)
        await self.importer.import_rows(
            "projects", lambda unit: unit.boards, rows_made, numbered="board", highest=highest
        )
        for number, (board, drawn) in boards.items():
            if board in self.importer.imported_ids:
                self.factory.boards[number] = board
                if isinstance(drawn, int) and 0 < drawn < MAX_TICKET:
                    await self.importer.ports.numbers.advance_to((board, "ticket", drawn))

    async def _merge_general(self, general: Board, row: Row) -> None:
        report = self.importer.report
        self.importer.imported_ids.add(general.id)
        try:
            made = make_entity(
                row,
                self.factory.board,
                partial(report.change, "projects", row["id"]),
                at=self.importer.ports.clock.now(),
            )
            kept = {name: getattr(made, name) for name in GENERAL_BOARD_FIELDS}
            async with self.importer.ports.unit(self.importer.principal) as unit:
                general = await unit.boards.get(general.id)
                if general.version == 0 and any(getattr(general, name) != value for name, value in kept.items()):
                    unit.boards.save(evolve(general, **kept))
                    await unit.commit()
                    report.taken["projects"] += 1
                else:
                    report.there["projects"] += 1
        except (*ROW_ERRORS, Conflict) as reason:
            report.change("projects", row["id"], f"the general board here stays as it is: {reason_text(reason)}")

    async def _reserve_tickets(self) -> None:
        """
        Load the tickets of the tasks that this system has already, and reserve the ticket numbers of the tasks in
        the file.
        """
        highest: dict[int, int] = {}
        for row in self.source.rows("tasks", self.number):
            project, ticket = row.get("project_id"), row.get("project_ticket_no")
            if isinstance(project, int) and isinstance(ticket, int) and 0 < ticket < MAX_TICKET:
                highest[project] = max(ticket, highest.get(project, 0))
        for project, ticket in highest.items():
            if project in self.factory.boards:
                await self.importer.ports.numbers.advance_to((self.factory.boards[project], "ticket", ticket))
        after: int | None = None
        while True:
            page = PageRequest(limit=PAGE_SIZE, after=after)
            rows = (await self.importer.ports.reads.tasks.page(self.importer.principal, TaskFilter(), page)).rows
            for row in rows:
                if row.ticket is not None:
                    self.tickets[UUID(bytes=row.board), row.ticket] = UUID(bytes=row.id)
            if len(rows) < PAGE_SIZE:
                break
            after = rows[-1].number

    async def _with_free_ticket(self, task: Task) -> tuple[Task, str | None]:
        """
        The task, with a new ticket number if another task of the board has the same one.
        """
        changed = None
        if task.ticket is not None and self.tickets.get((task.board, task.ticket), task.id) != task.id:
            (ticket,) = await self.importer.ports.numbers.next((task.board, "ticket"))
            task, changed = evolve(task, ticket=ticket), "another task has its ticket; it has a new one"
        if task.ticket is not None:
            self.tickets[task.board, task.ticket] = task.id
        return task, changed
