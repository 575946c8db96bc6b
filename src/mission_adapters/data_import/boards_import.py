"""
Import of the database of the Boards API's reference system: a PostgreSQL database, which is only read.

Ids and times are kept. Numbers and tickets, which that database lacks, are drawn in the order of creation. Its oldest
organization becomes the default organization here, which keeps its own id.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from attrs import evolve, field

from mission_adapters.data_import.boards_approvals import ApprovalImport
from mission_adapters.data_import.boards_database import RowsByTable, read_tables
from mission_adapters.data_import.boards_memory_and_webhooks import MemoryAndWebhookImport
from mission_adapters.data_import.boards_users import UserImport
from mission_adapters.data_import.boards_values import Row, json_of, object_of, optional_datetime, truncated_text
from mission_adapters.data_import.entity_import import EntityImporter, find_entity, rows_with_factory
from mission_adapters.data_import.import_report import ImportReport
from mission_adapters.data_import.row_repairs import InvalidRow, utc_datetime_from
from mission_core.accounts.model import SystemPrincipal
from mission_core.accounts.organizations import DEFAULT_ORGANIZATION_SLUG, built_in_gateway
from mission_core.agents.model import Agent, Presence
from mission_core.agents.onboarding import ONBOARDINGS, Onboarding, OnboardingStage, gateway_session_key
from mission_core.agents.organization_creation import ensure_organization
from mission_core.boards.custom_fields import CUSTOM_FIELDS, CustomField, CustomFieldType, FieldVisibility
from mission_core.boards.groups import GROUPS, BoardGroup
from mission_core.boards.model import Board, GateSet, handle_from, prefix_from
from mission_core.boards.queries import BoardFilter
from mission_core.boards.tags import DEFAULT_TAG_COLOR, TAGS, Tag, color_from
from mission_core.errors import InvalidField
from mission_core.events.model import Actor
from mission_core.ids import (
    AgentId,
    AgentNumber,
    BoardId,
    BoardNumber,
    CommentId,
    CommentNumber,
    FieldId,
    GroupId,
    GroupNumber,
    OnboardingId,
    OrganizationId,
    TagId,
    TaskId,
    TaskNumber,
)
from mission_core.lazy_attrs import define
from mission_core.ports import Ports
from mission_core.tasks.comments import COMMENTS, LONGEST_COMMENT, Comment
from mission_core.tasks.model import Status, Task
from mission_core.tasks.runs import Assignee
from mission_core.values import canonical, name_key

SOURCE: Final = "boards"
UUID_PATTERN: Final = re.compile(r"[0-9a-fA-F-]{36}")


async def import_boards(ports: Ports, url: str, *, issuer: str | None = None) -> ImportReport:
    """
    Import all organizations of a Boards database. *issuer* is the OpenID Connect issuer of its users here.

    Raises:
        ValueError: If there is no such database.
    """
    report = ImportReport()
    await _import_all(ports, await read_tables(url, report), report, issuer)
    return report


async def _import_all(ports: Ports, tables: RowsByTable, report: ImportReport, issuer: str | None) -> None:
    """
    Import the organizations, then the users, then the contents of each organization.
    """
    takers: dict[UUID, EntityImporter] = {}
    for place, organization in enumerate(sorted(tables["organizations"], key=_creation_order)):
        slug = DEFAULT_ORGANIZATION_SLUG if place == 0 else f"imported-{organization['id'].hex[:12]}"
        here = await ensure_organization(ports, slug=slug, name=str(organization["name"])[:200] or None)
        report.change("organizations", organization["id"], f"it is the organization {slug} here, with a new id")
        takers[organization["id"]] = EntityImporter(ports, here.id, SOURCE, report)
    if not takers:
        return
    places = {there: taker.organization for there, taker in takers.items()}
    people = UserImport(next(iter(takers.values())), tables, places, issuer)
    await people.import_users()
    for there, taker in takers.items():
        await BoardsSource(taker, tables, there).run()
        await people.import_members(there, taker)


def _creation_order(row: Row) -> tuple[Any, ...]:
    made = row.get("created_at")
    return (made if isinstance(made, datetime) else datetime.max).replace(tzinfo=None), row["id"]


@define
class BoardsSource:
    """
    The import of one organization of the database.
    """

    importer: EntityImporter
    tables: RowsByTable
    number: UUID
    handles: set[str] = field(factory=set)
    prefixes: set[str] = field(factory=set)
    names_of_boards: dict[UUID, tuple[str, str]] = field(factory=dict)
    names: dict[UUID, str] = field(factory=dict)
    people: dict[UUID, str] = field(factory=dict)
    depends: dict[UUID, list[UUID]] = field(factory=lambda: defaultdict(list))
    tags: dict[UUID, list[UUID]] = field(factory=lambda: defaultdict(list))
    values: dict[UUID, dict[str, Any]] = field(factory=lambda: defaultdict(dict))
    boards_of_fields: dict[UUID, list[BoardId]] = field(factory=lambda: defaultdict(list))
    imported_tasks: set[UUID] = field(factory=set)

    @property
    def organization(self) -> OrganizationId:
        """
        The organization of this system that the rows are imported into.
        """
        return self.importer.organization

    @property
    def principal(self) -> SystemPrincipal:
        """
        The principal that performs the import.
        """
        return self.importer.principal

    async def run(self) -> None:
        """
        Import the organization: groups, boards, tags, custom fields and agents, then tasks with their comments and
        approvals.
        """
        own = [board for board in self.tables["boards"] if board["organization_id"] == self.number]
        boards = {board["id"] for board in own}
        await self._load_taken_names()
        self._index_rows()
        take, draw = self.importer.import_rows, self.importer.with_next_number
        groups = [row for row in self.tables["board_groups"] if row["organization_id"] == self.number]
        await take(
            "board_groups",
            lambda unit: unit.repository(GROUPS),
            rows_with_factory(groups, self.group),
            finish=draw("group"),
        )
        await take("boards", lambda unit: unit.boards, rows_with_factory(own, self.board), finish=draw("board"))
        tags = [row for row in self.tables["tags"] if row["organization_id"] == self.number]
        await take("tags", lambda unit: unit.repository(TAGS), rows_with_factory(tags, self.tag))
        fields = [row for row in self.tables["task_custom_field_definitions"] if row["organization_id"] == self.number]
        await take(
            "task_custom_field_definitions",
            lambda unit: unit.repository(CUSTOM_FIELDS),
            rows_with_factory(fields, self.custom_field),
        )
        agents = self._agents(boards)
        await self._choose_agent_names(agents)
        await take("agents", lambda unit: unit.agents, rows_with_factory(agents, self.agent), finish=draw("agent"))
        for agent in agents:
            self.importer.report.change("agents", agent["id"], "its token is not imported; create an API key for it")
        tasks = [task for task in self.tables["tasks"] if task["board_id"] in boards]
        await take(
            "tasks",
            lambda unit: unit.tasks,
            rows_with_factory(self._in_order(tasks), self.task),
            finish=self._with_ticket,
        )
        ids = {task["id"] for task in tasks}
        said = [each for each in self.tables["comments"] if each["task_id"] in ids]
        await take(
            "comments",
            lambda unit: unit.repository(COMMENTS),
            rows_with_factory(said, self.comment),
            finish=draw("comment"),
        )
        await ApprovalImport(self.importer, self.tables, self.names).run(boards)
        messages = MemoryAndWebhookImport(self.importer, self.tables)
        await messages.run(boards=boards, groups={group["id"] for group in groups})
        talks = [row for row in self.tables["board_onboarding_sessions"] if row["board_id"] in boards]
        await take(
            "board_onboarding_sessions",
            lambda unit: unit.repository(ONBOARDINGS),
            rows_with_factory(talks, self.onboarding),
        )

    async def _load_taken_names(self) -> None:
        everything = BoardFilter(archived=True)
        for row in (await self.importer.ports.reads.boards.page(self.principal, everything)).rows:
            self.handles.add(row.handle)
            self.prefixes.add(row.ticket_prefix)

    def _index_rows(self) -> None:
        for row in self.tables["users"]:
            self.people[row["id"]] = row.get("name") or row.get("email") or "somebody"
        for row in self.tables["task_dependencies"]:
            self.depends[row["task_id"]].append(row["depends_on_task_id"])
        for row in self.tables["tag_assignments"]:
            self.tags[row["task_id"]].append(row["tag_id"])
        for row in self.tables["task_custom_field_values"]:
            custom = row["task_custom_field_definition_id"]
            try:
                value = json_of(row.get("value"))
                canonical(value)
            except (InvalidRow, InvalidField):
                why = f"its value of the custom field {custom} is not valid JSON; it is left out"
                self.importer.report.change("tasks", row["task_id"], why)
                continue
            if value is not None:
                self.values[row["task_id"]][str(custom)] = value
        for row in self.tables["board_task_custom_fields"]:
            self.boards_of_fields[row["task_custom_field_definition_id"]].append(BoardId(row["board_id"]))

    def _agents(self, boards: set[UUID]) -> list[Row]:
        """
        The organization's agents: those on its boards, and those without a board that belong to its gateways.
        """
        gateways = {row["id"] for row in self.tables["gateways"] if row["organization_id"] == self.number}
        return [
            agent
            for agent in self.tables["agents"]
            if agent["board_id"] in boards or (agent["board_id"] is None and agent.get("gateway_id") in gateways)
        ]

    async def _choose_agent_names(self, agents: list[Row]) -> None:
        """
        Give every agent a unique name. In the other system names are unique on a board, here in the organization. An
        agent that was imported before keeps its name.
        """
        boards = {board["id"]: board["name"] for board in self.tables["boards"]}
        taken: set[str] = set()
        async with self.importer.ports.unit(self.principal) as unit:
            for agent in agents:
                if (known := await find_entity(unit.agents, agent["id"])) is not None:
                    self.names[agent["id"]] = known.name
                    taken.add(name_key(known.name))
            for agent in (agent for agent in agents if agent["id"] not in self.names):
                wanted = str(agent["name"]).strip()[:100] or "agent"
                longer = f"{wanted[:60]} ({str(boards.get(agent['board_id'], 'main'))[:30]})"
                for name in (wanted, longer, f"{wanted[:60]} ({agent['id']})"):
                    if name_key(name) not in taken and await unit.agents.find(name) is None:
                        break
                if name != wanted:
                    self.importer.report.change(
                        "agents", agent["id"], "another agent has its name; it has a longer one"
                    )
                taken.add(name_key(name))
                self.names[agent["id"]] = name

    def _in_order(self, tasks: list[Row]) -> list[Row]:
        """
        The tasks ordered so that dependencies come first. One dependency of each cycle is left out.
        """
        known = {task["id"]: task for task in tasks}
        done: dict[UUID, None] = {}
        for task in tasks:
            path: list[tuple[UUID, Iterable[UUID]]] = [(task["id"], iter(list(self.depends[task["id"]])))]
            on_path = {task["id"]}
            while path and task["id"] not in done:
                id, rest = path[-1]
                below = next((each for each in rest if each in known and each not in done), None)
                if below is None:
                    done[id] = None
                    on_path.discard(id)
                    path.pop()
                elif below in on_path:
                    self.depends[id].remove(below)
                    self.importer.report.change("tasks", id, "it depends on itself; one dependency is left out")
                else:
                    on_path.add(below)
                    path.append((below, iter(list(self.depends[below]))))
        return [known[id] for id in done]

    async def _with_ticket(self, task: Task) -> tuple[Task, None]:
        number, ticket = await self.importer.ports.numbers.next((self.organization, "task"), (task.board, "ticket"))
        return evolve(task, number=TaskNumber(number), ticket=ticket), None

    def group(self, row: Row) -> BoardGroup:
        """
        The board group made from a row.
        """
        return BoardGroup(
            id=GroupId(row["id"]),
            number=GroupNumber(0),
            organization=self.organization,
            name=str(row["name"])[:200],
            slug=str(row["slug"] or row["id"])[:200],
            description=self._text(row, "board_groups", "description", 5000),
            created_at=utc_datetime_from(row["created_at"]),
            updated_at=utc_datetime_from(row["updated_at"]),
        )

    def board(self, row: Row) -> Board:
        """
        The board made from a row.
        """
        group = row.get("board_group_id")
        if row["id"] not in self.names_of_boards:
            handle = _unique_name(_first_valid(handle_from, row["slug"], row["name"]) or "board", self.handles)
            prefix = _unique_name(_first_valid(_ticket_prefix, row["name"], row["slug"]) or "B", self.prefixes, "")
            self.names_of_boards[row["id"]] = handle, prefix
        handle, prefix = self.names_of_boards[row["id"]]
        return Board(
            id=BoardId(row["id"]),
            number=BoardNumber(0),
            organization=self.organization,
            name=str(row["name"])[:200],
            slug=str(row["slug"])[:200],
            handle=handle,
            ticket_prefix=prefix,
            description=self._text(row, "boards", "description", 5000) or None,
            gates=GateSet(**{name: _value_or(row.get(name), default) for name, default in DEFAULT_GATES.items()}),
            gateway=built_in_gateway(self.organization) if row.get("gateway_id") else None,
            group=group if group in self.importer.imported_ids else None,
            board_type=str(row.get("board_type") or "goal")[:100],
            objective=self._text(row, "boards", "objective", 20_000),
            success_metrics=object_of(row.get("success_metrics")),
            target_date=optional_datetime(row.get("target_date")),
            goal_confirmed=bool(row.get("goal_confirmed")),
            goal_source=self._text(row, "boards", "goal_source", 200),
            max_agents=int(row.get("max_agents") or 0),
            created_at=utc_datetime_from(row["created_at"]),
            updated_at=utc_datetime_from(row["updated_at"]),
        )

    def tag(self, row: Row) -> Tag:
        """
        The tag made from a row.
        """
        return Tag(
            id=TagId(row["id"]),
            organization=self.organization,
            name=(self._text(row, "tags", "name", 100) or "tag").strip() or "tag",
            slug=str(row["slug"])[:100],
            color=DEFAULT_TAG_COLOR if row["color"] is None else color_from(str(row["color"])),
            description=self._text(row, "tags", "description", 5000),
            created_at=utc_datetime_from(row["created_at"]),
            updated_at=utc_datetime_from(row["updated_at"]),
        )

    def custom_field(self, row: Row) -> CustomField:
        """
        The custom field made from a row, with its boards.
        """
        default = json_of(row.get("default_value"))
        return CustomField(
            id=FieldId(row["id"]),
            organization=self.organization,
            field_key=str(row["field_key"]),
            label=self._text(row, "task_custom_field_definitions", "label", 200) or str(row["field_key"]),
            field_type=CustomFieldType(row["field_type"] or CustomFieldType.TEXT),
            ui_visibility=FieldVisibility(row["ui_visibility"] or FieldVisibility.ALWAYS),
            validation_regex=row.get("validation_regex"),
            description=self._text(row, "task_custom_field_definitions", "description", 5000),
            required=bool(row.get("required")),
            default_value=None if default is None else canonical(default),
            boards=self._boards_of_field(row["id"]),
            created_at=utc_datetime_from(row["created_at"]),
            updated_at=utc_datetime_from(row["updated_at"]),
        )

    def _boards_of_field(self, custom: UUID) -> tuple[BoardId, ...]:
        named = self.boards_of_fields[custom]
        here = tuple(board for board in named if board in self.importer.imported_ids)
        if len(here) < len(named):
            why = "one of its boards was not imported; the board is left out"
            self.importer.report.change("task_custom_field_definitions", custom, why)
        return here

    def agent(self, row: Row) -> Agent:
        """
        The agent made from a row, with its presence.
        """
        if row["board_id"] is not None:
            self.importer.require_imported("board", row["board_id"])
        presence = Presence(
            reported=str(row.get("status") or "provisioning")[:100],
            last_seen_at=optional_datetime(row.get("last_seen_at")),
        )
        return Agent(
            id=AgentId(row["id"]),
            number=AgentNumber(0),
            organization=self.organization,
            name=self.names[row["id"]],
            board=BoardId(row["board_id"]) if row["board_id"] else None,
            lead=bool(row.get("is_board_lead")),
            session_key=self._text(row, "agents", "openclaw_session_id", 300),
            soul=self._text(row, "agents", "soul_template", 50_000),
            source=SOURCE,
            heartbeat_config=object_of(row.get("heartbeat_config")),
            identity_profile=object_of(row.get("identity_profile")),
            identity_template=self._text(row, "agents", "identity_template", 50_000),
            created_at=utc_datetime_from(row["created_at"]),
            updated_at=utc_datetime_from(row["updated_at"]),
            presence=presence,
        )

    def task(self, row: Row) -> Task:
        """
        The task made from a row, with those of its tags, field values and dependencies that were imported.
        """
        self.importer.require_imported("board", row["board_id"])
        agent = row.get("assigned_agent_id") if row.get("assigned_agent_id") in self.importer.imported_ids else None
        status = self._status(row)
        creator = self._creator(row)
        updated, started = utc_datetime_from(row["updated_at"]), optional_datetime(row.get("in_progress_at"))
        here, made = self.importer.imported_ids, self.imported_tasks
        self._report_missing(row, agent)
        task = Task(
            id=TaskId(row["id"]),
            number=TaskNumber(0),
            organization=self.organization,
            board=BoardId(row["board_id"]),
            title=self._text(row, "tasks", "title", 500) or "",
            description=self._text(row, "tasks", "description", 20_000),
            status=Status.ASSIGNED if agent and status is Status.INBOX else status,
            priority=str(row.get("priority") or "medium")[:100],
            assignee=Assignee(self.names[agent], AgentId(agent)) if agent else None,
            creator=creator,
            creator_name=creator.name[:200],
            due_at=optional_datetime(row.get("due_at")),
            depends_on=tuple(TaskId(each) for each in dict.fromkeys(self.depends[row["id"]]) if each in made),
            recorded=status is Status.DONE,
            tag_ids=tuple(TagId(each) for each in dict.fromkeys(self.tags[row["id"]]) if each in here),
            field_values=canonical({id: each for id, each in self.values[row["id"]].items() if UUID(id) in here}),
            created_at=utc_datetime_from(row["created_at"]),
            updated_at=updated,
            moved_at=started or updated,
            started_at=started,
            begun_at=started or optional_datetime(row.get("previous_in_progress_at")),
            completed_at=updated if status is Status.DONE else None,
        )
        made.add(task.id)
        return task

    def _report_missing(self, row: Row, agent: UUID | None) -> None:
        id, here, tell = row["id"], self.importer.imported_ids, self.importer.report.change
        if agent is None and row.get("assigned_agent_id") is not None:
            tell("tasks", id, "its assigned agent was not imported; it is unassigned")
        if not here.issuperset(self.tags[id]):
            tell("tasks", id, "one of its tags was not imported; the tag is left out")
        if not self.imported_tasks.issuperset(self.depends[id]):
            tell("tasks", id, "a task that it depends on was not imported; the dependency is left out")
        if any(UUID(custom) not in here for custom in self.values[id]):
            tell("tasks", id, "one of its custom fields was not imported; the value is left out")

    def _status(self, row: Row) -> Status:
        found = STATUSES.get(row["status"])
        if found is None:
            self.importer.report.change(
                "tasks", row["id"], f"its status {row['status']!r} is unknown; it is in the inbox"
            )
        return found or Status.INBOX

    def _creator(self, row: Row) -> Actor:
        reason = str(row.get("auto_reason") or "")
        lead = reason.removeprefix("lead_agent:")
        if lead != reason and UUID_PATTERN.fullmatch(lead):
            id = UUID(lead)
            return Actor("agent", id, self.names.get(id, "lead"))
        user = row.get("created_by_user_id")
        return Actor("user", user, self.people.get(user, "somebody")) if user else Actor("system", None, "import")

    def comment(self, row: Row) -> Comment:
        """
        The task comment made from a row.
        """
        self.importer.require_imported("task", row["task_id"])
        agent = row.get("agent_id")
        return Comment(
            id=CommentId(row["id"]),
            number=CommentNumber(0),
            organization=self.organization,
            task=TaskId(row["task_id"]),
            author=self.names.get(agent, "agent") if agent else "somebody",
            author_kind="agent" if agent else "user",
            author_id=agent,
            content=self._text(row, "activity_events", "message", LONGEST_COMMENT) or "",
            created_at=utc_datetime_from(row["created_at"]),
        )

    def onboarding(self, row: Row) -> Onboarding:
        """
        The onboarding session of a board made from a row.
        """
        self.importer.require_imported("board", row["board_id"])
        draft = json_of(row.get("draft_goal"))
        return Onboarding(
            id=OnboardingId(row["id"]),
            organization=self.organization,
            board=BoardId(row["board_id"]),
            session_key=str(row.get("session_key") or "")[:300]
            or gateway_session_key(built_in_gateway(self.organization)),
            stage=OnboardingStage(row["status"] or OnboardingStage.ACTIVE),
            messages=canonical(json_of(row.get("messages")) or []),
            draft=canonical(draft) if draft else None,
            created_at=utc_datetime_from(row["created_at"]),
            updated_at=utc_datetime_from(row["updated_at"]),
        )

    def _text(self, row: Row, table: str, name: str, most: int) -> str | None:
        return truncated_text(self.importer.report, row, table, name, most)


DEFAULT_GATES: Final = {
    "require_approval_for_done": True, "require_review_before_done": False, "comment_required_for_review": False,
    "block_status_changes_with_pending_approval": False, "only_lead_can_change_status": False,
}  # fmt: skip
STATUSES: Final = {
    "inbox": Status.INBOX, "in_progress": Status.IN_PROGRESS, "review": Status.REVIEW, "done": Status.DONE,
}  # fmt: skip


def _value_or(value: bool | None, otherwise: bool) -> bool:
    return otherwise if value is None else value


def _ticket_prefix(name: str) -> str:
    return prefix_from(name, most=5)


def _first_valid(make: Any, *names: str | None) -> str | None:
    for name in names:
        try:
            if name:
                return str(make(name))
        except InvalidField:
            continue
    return None


def _unique_name(wanted: str, taken: set[str], between: str = "-") -> str:
    """
    The name itself if it is free, else the name with the first number that makes it unique.
    """
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}{between}{number}", number + 1
    taken.add(name)
    return name
