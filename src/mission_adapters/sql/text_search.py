"""
Text search in tasks and agents.

The statement that decides scans every row that the principal may see. If there are many tasks or agents, it
looks only at the candidates of the trigram index (`search_index`), unless these are many, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Executable,
    FromClause,
    Select,
    Table,
    case,
    column,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy import table as table_named
from sqlalchemy import text as text_clause

from mission_adapters.sql.board_visibility import BOARD_FILTERS
from mission_adapters.sql.columns import INTEGER, TEXT
from mission_adapters.sql.database_session import Steps
from mission_adapters.sql.search_index import (
    AGENT_TEXT_ON_POSTGRES,
    CREATED_ON_POSTGRES,
    MAX_CANDIDATES,
    PLACE_BITS,
    is_searchable,
    match_of,
)
from mission_adapters.sql.statements import cached_statement, parameter
from mission_adapters.sql.tables import NOT_ASCII, agents, search_changes, search_progress, tasks, workloads
from mission_core.reports.queries import FoundAgent, FoundTask
from mission_core.reports.text_search import ascii_lowercased
from mission_core.values import name_key

if TYPE_CHECKING:
    from mission_core.ids import OrganizationId

Parameters = dict[str, Any]
TASK_FIELDS: Final = FoundTask._fields
AGENT_FIELDS: Final = FoundAgent._fields
TEXTS: Final = {"tasks": ("title", ("description", "assignee")), "agents": ("name", ("role", "activity"))}
"""The column of each table whose matches are the most relevant, and the other columns that are searched."""
FIELDS: Final = {"tasks": TASK_FIELDS, "agents": AGENT_FIELDS}
ESCAPE: Final = "!"
FEW_ROWS = {"tasks": 2000, "agents": 1000}
"""With lower numbers of the last task or agent, a scan of all is as fast."""
FILTERS: Final = {
    **{
        (table.name, name): condition(table.c.board)
        for table in (tasks, agents)
        for name, condition in BOARD_FILTERS.items()
    },
    ("tasks", "name"): tasks.c.assignee_key == parameter("name", str),
}
TABLES: Final = {table.name: table for table in (tasks, agents)}
_organization: Final = parameter("organization")
_zero: Final[ColumnElement[Any]] = literal_column("0")
task_texts: Final = table_named(
    "task_texts", column("organization", search_changes.c.organization.type), column("number", INTEGER),
    column("text", TEXT),
)  # fmt: skip
task_trigrams: Final = table_named("task_trigrams", column("rowid", BigInteger()))
assignee_trigrams: Final = table_named("assignee_trigrams", column("rowid", BigInteger()))
assignee_names: Final = table_named(
    "assignee_names", column("id", BigInteger()), column("organization", search_changes.c.organization.type),
    column("assignee_key", TEXT),
)  # fmt: skip


def like_pattern(text: str) -> str:
    """
    Return the LIKE pattern for columns that contain a text, in the form in which the columns are compared.
    """
    text = ascii_lowercased(text)
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return f"%{text}%"


def _contains_text(dialect: str, column: ColumnElement[Any]) -> ColumnElement[bool]:
    """
    Return the condition that a column contains the text, ignoring the case of A to Z. LIKE does that on SQLite, and
    lower() on PostgreSQL because the columns have the collation "C".
    """
    wanted = parameter("text", str)
    return (func.lower(column) if dialect == "postgresql" else column).like(wanted, escape=ESCAPE)


def _select_hits(
    dialect: str, table: Table, title: str, others: Iterable[str], *conditions: ColumnElement[bool]
) -> tuple[Any, Any, Any]:
    """
    Select what contains the text: the most relevant rows, the number of all, and the order of those that are shown.
    """
    in_title = _contains_text(dialect, table.c[title])
    hits = (
        select(table.c.id, table.c.number, case((in_title, 2), else_=1).label("relevance"))
        .where(
            table.c.organization == _organization,
            *conditions,
            or_(in_title, *(_contains_text(dialect, table.c[name]) for name in others)),
        )
        .cte("hits")
    )
    line = (hits.c.relevance.desc(), hits.c.number.desc())
    best = select(hits).order_by(*line).limit(parameter("most", int)).subquery("best")
    total = select(func.count()).select_from(hits).scalar_subquery()
    return best, total, (best.c.relevance.desc(), best.c.number.desc())


def _select_shown(best: Any, table: Table) -> Iterable[Any]:
    return (best.c.relevance if name == "relevance" else table.c[name] for name in FIELDS[table.name])


def _conditions(table: Table, board_filters: Iterable[str]) -> list[ColumnElement[bool]]:
    return [FILTERS[table.name, name] for name in board_filters]


@cached_statement
def search_all(dialect: str, name: str, *board_filters: str) -> Executable:
    """
    Select the most relevant tasks or agents that contain a text, each with the number of all matches.
    """
    table = TABLES[name]
    best, total, line = _select_hits(dialect, table, *TEXTS[name], *_conditions(table, board_filters))
    rows = best.join(table, table.c.id == best.c.id)
    found: Executable = select(*_select_shown(best, table), total).select_from(rows).order_by(*line)
    return found


@cached_statement
def search_indexed(dialect: str, name: str, max_candidates: int, *board_filters: str) -> Executable:
    """
    Select the most relevant tasks or agents that contain a text, each with the number of all matches and that of the
    candidates, which alone are looked at. If these are too many, none is. There is one row, with nulls, if nothing is
    found.
    """
    table, each = TABLES[name], CANDIDATES[name](dialect).subquery("each_candidate")
    candidates = select(each).limit(literal_column(str(max_candidates + 1))).cte("candidates")
    if dialect == "postgresql":
        candidates = candidates.prefix_with("MATERIALIZED")
    amount = select(func.count()).select_from(candidates).scalar_subquery()
    conditions = _conditions(table, board_filters)
    conditions += [amount <= literal_column(str(max_candidates)), table.c.number.in_(select(candidates.c.number))]
    best, total, line = _select_hits(dialect, table, *TEXTS[name], *conditions)
    one = select(literal_column("1").label("one")).subquery("one")
    rows = one.outerjoin(best, true()).outerjoin(table, table.c.id == best.c.id)
    found: Executable = select(*_select_shown(best, table), total, amount).select_from(rows).order_by(*line)
    return found


@cached_statement
def _index_state(dialect: str, name: str) -> Executable:
    """
    Select the organization's place in the index, the number of the last task or agent that the index may have, and
    whether it has those before.
    """
    own, place = search_progress.c.organization == _organization, search_progress.c.place
    if name == "tasks":
        return select(place, search_progress.c.indexed, literal_column("1")).where(own)
    newest = select(func.max(agents.c.number)).where(agents.c.organization == _organization).scalar_subquery()
    if dialect == "postgresql":
        return select(_zero, newest, literal_column(f"({CREATED_ON_POSTGRES})"))
    return select(place, newest, search_progress.c.closing_at).where(own)


def matching_rows(
    dialect: str, name: str, organization: OrganizationId, text: str, board_filters: Parameters, *, limit: int
) -> Steps[list[Any]]:
    """
    Return the most relevant tasks or agents that contain a text, each with the number of all matches as its last value.
    """
    given = {"organization": organization.bytes, "text": like_pattern(text), "most": limit, **board_filters}
    candidates = yield from candidate_parameters(dialect, name, organization, text)
    if candidates is not None:
        found = yield search_indexed(dialect, name, MAX_CANDIDATES, *board_filters)(dialect, **given, **candidates)
        if found[0][-1] <= MAX_CANDIDATES:
            return [row[:-1] for row in found if row[0] is not None]
    rows: list[Any] = yield search_all(dialect, name, *board_filters)(dialect, **given)
    return rows


def candidate_parameters(dialect: str, name: str, organization: OrganizationId, text: str) -> Steps[Parameters | None]:
    """
    Return the parameters of the candidates for a text, or None if the index cannot find the text or has few rows.
    """
    if not is_searchable(dialect, text) or (name_key(text).isascii() and not text.isascii()):
        return None
    found = yield _index_state(dialect, name)(dialect, organization=organization.bytes)
    place, last_number, is_usable = found[0] if found else (0, 0, 0)
    if not is_usable or (last_number or 0) < FEW_ROWS[name]:
        return None
    given = {"indexed": last_number} if name == "tasks" else {}
    if dialect == "postgresql":
        return given
    base, most = place << PLACE_BITS, (1 << PLACE_BITS - 1) - 1
    first, last = (base + 1, base + most) if name == "tasks" else (base - most, base - 1)
    return given | {"match": match_of(text), "base": base, "first": first, "last": last}


def _task_candidates(dialect: str) -> Any:
    """
    Select the numbers of the tasks that may contain the text. It may select one more than once.
    """
    own, changes = tasks.c.organization == _organization, search_changes.c
    if dialect == "postgresql":
        indexed = _trigram_matches(task_texts.c.number, task_texts, _contains_text(dialect, task_texts.c.text))
    else:
        indexed = _indexed_on_sqlite(task_trigrams.c.rowid - parameter("base", int))
    return union_all(
        indexed,
        select(changes.number).where(changes.organization == _organization, changes.number > _zero),
        select(tasks.c.number).where(own, tasks.c.number > parameter("indexed", int)),
        select(tasks.c.number).where(own, tasks.c.assignee_key.in_(_assignee_keys(dialect))),
    )


def _agent_candidates(dialect: str) -> Any:
    """
    Select the numbers of the agents that may contain the text. It may select one more than once.
    """
    if dialect == "postgresql":
        text = literal_column(f"({AGENT_TEXT_ON_POSTGRES})", TEXT)
        return _trigram_matches(agents.c.number, agents, _contains_text(dialect, text))
    changes = search_changes.c
    return union_all(
        _indexed_on_sqlite(parameter("base", int) - task_trigrams.c.rowid),
        select(-changes.number).where(changes.organization == _organization, changes.number < _zero),
    )


def _indexed_on_sqlite(number: ColumnElement[Any]) -> Select[Any]:
    return select(number.label("number")).where(
        literal_column("task_trigrams").op("MATCH")(parameter("match", str)),
        task_trigrams.c.rowid >= parameter("first", int),
        task_trigrams.c.rowid <= parameter("last", int),
    )


CANDIDATES: Final = {"tasks": _task_candidates, "agents": _agent_candidates}


def _assignee_keys(dialect: str) -> CompoundSelect[Any]:
    """
    Select the keys of assignees whose name may contain the text.

    A name in ASCII has its lower case as key. Another name may lose the letters of the text in its key, or gain them,
    but then its key is not in ASCII, unless all letters of the name become ASCII in the key.
    """
    # SQLite, which has no statistics, takes the partial index for no better than the primary key.
    indexed = "workloads INDEXED BY ix_workloads_not_ascii" if dialect == "sqlite" else "workloads"
    own = literal_column("organization") == _organization
    not_ascii: Select[Any] = select(literal_column("assignee_key")).select_from(text_clause(indexed))
    return union_all(*_keys_with_text(dialect), not_ascii.where(own, literal_column(NOT_ASCII[dialect])))


def _keys_with_text(dialect: str) -> Iterable[Select[Any]]:
    """
    Select the keys of assignees that contain the text: on SQLite those in the index, then those that it lacks.
    """
    keys = workloads if dialect == "postgresql" else assignee_names
    has_text = keys.c.assignee_key.like(parameter("text", str), escape=ESCAPE)
    if dialect == "postgresql":
        # With a column that is not in the primary key, which would otherwise be read instead of the table.
        return (_trigram_matches(keys.c.assignee_key, keys, has_text, keys.c.amount > literal_column("0")),)
    found = select(keys.c.assignee_key).where(has_text)
    matches = select(assignee_trigrams.c.rowid).where(
        literal_column("assignee_trigrams").op("MATCH")(parameter("match", str))
    )
    # The plus sign keeps SQLite from reading all names of the organization: it looks up those that match.
    indexed = found.where(keys.c.id.in_(matches), literal_column("+organization") == _organization)
    lacking = found.where(keys.c.organization == _organization, literal_column("indexed") == literal_column("0"))
    return indexed, lacking


def _trigram_matches(wanted: ColumnElement[Any], rows: FromClause, *conditions: ColumnElement[bool]) -> Select[Any]:
    """
    Select a column of the organization's rows that meet conditions for which PostgreSQL has a trigram index.
    """
    # The organization is no plain condition, or the planner would read all its rows by their primary key. Nor does the
    # limit of the candidates reach a materialized subquery: for it, a scan of all rows would seem to start earlier.
    own = func.coalesce(rows.c.organization, rows.c.organization) == _organization
    matches = select(wanted).where(*conditions, own).cte(f"matching_{rows.description}").prefix_with("MATERIALIZED")
    return select(matches.c[wanted.name])
