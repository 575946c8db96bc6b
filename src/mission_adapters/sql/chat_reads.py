"""
The read model of chat messages in SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Executable, case, func, literal_column, or_, select

from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.statements import cached_statement, parameter
from mission_core.conversations.chat_messages import CHAT_MESSAGES, chat_reader_of
from mission_core.conversations.chat_queries import ALL_MESSAGES, ChatEdge, ChatFilter, ConversationRow
from mission_core.lazy_attrs import frozen
from mission_core.values import UNSTORABLE, PageOfRows, micros, moment

if TYPE_CHECKING:
    from datetime import datetime

    from mission_adapters.sql.database_session import DatabaseSession, Steps
    from mission_core.accounts.model import Principal
    from mission_core.values import PageRequest

messages: Final = MAPPINGS[CHAT_MESSAGES].table
message_rows: Final = MAPPINGS[CHAT_MESSAGES].rows


def _conditions(names: tuple[str, ...]) -> list[ColumnElement[bool]]:
    """
    Return the conditions of filters, by the names of their parameters.
    """
    found = [messages.c.organization == parameter("organization")]
    if "identity" in names:
        own = [messages.c.sender == parameter("identity", str)]
        if "own_key" in names:
            own.append(messages.c.recipient_key == parameter("own_key", str))
        if "unaddressed" in names:
            own.append(messages.c.recipient_key.is_(None))
        found.append(or_(*own))
    if "between_agents" in names:
        found.append(messages.c.between_agents == 1)
    if "participant_key" in names:
        key = parameter("participant_key", str)
        found.append(or_(messages.c.sender_key == key, messages.c.recipient_key == key))
    if "agent_key" in names:
        key = parameter("agent_key", str)
        found.append(
            or_(messages.c.sender_key == key, messages.c.recipient_key == key, messages.c.recipient_key.is_(None))
        )
    if "since" in names:
        found.append(messages.c.created_at >= parameter("since", int))
    for name in ("conversation", "sender_key", "recipient_key"):
        if name in names:
            found.append(messages.c[name] == parameter(name, str))
    return found


@cached_statement
def _select_page(newest: bool, after: bool, names: tuple[str, ...]) -> Executable:
    number = messages.c.number
    found = select(*messages.c).where(*_conditions(names)).order_by(number.desc() if newest else number)
    if after:
        found = found.where(number < parameter("after", int) if newest else number > parameter("after", int))
    return found.limit(parameter("limit", int)).offset(parameter("offset", int))


@cached_statement
def _count(names: tuple[str, ...]) -> Executable:
    return select(func.count()).select_from(messages).where(*_conditions(names))


@cached_statement
def _select_conversations(names: tuple[str, ...]) -> Executable:
    last = func.max(messages.c.number).label("last")
    unread: ColumnElement[Any] = literal_column("0")
    if "agent_key" in names:
        to_agent = messages.c.recipient_key == parameter("agent_key", str)
        unread = func.count(case((to_agent & messages.c.read_at.is_(None), 1)))
    grouped = (
        select(
            last,
            func.count().label("messages"),
            (func.count(messages.c.sender_key.distinct()) + func.count(messages.c.recipient_key.distinct())).label(
                "participants"
            ),
            unread.label("unread"),
        )
        .where(*_conditions(names))
        .group_by(messages.c.conversation)
        .order_by(last.desc())
        .limit(parameter("limit", int))
        .offset(parameter("offset", int))
        .subquery()
    )
    return (
        select(*messages.c, grouped.c.messages, grouped.c.participants, grouped.c.unread)
        .join(grouped, messages.c.number == grouped.c.last)
        .where(messages.c.organization == parameter("organization"))
        .order_by(messages.c.number.desc())
    )


@cached_statement
def _count_conversations(names: tuple[str, ...]) -> Executable:
    return select(func.count(messages.c.conversation.distinct())).where(*_conditions(names))


@cached_statement
def _select_edges(names: tuple[str, ...]) -> Executable:
    by = (messages.c.sender_name, messages.c.recipient)
    found = select(*by, func.count(), func.max(messages.c.created_at)).where(*_conditions(names))
    return found.where(messages.c.recipient.is_not(None)).group_by(*by).order_by(*by)


@frozen
class SqlChatReads:
    """
    Reads chat messages.
    """

    session: DatabaseSession

    async def page(
        self, principal: Principal, page: PageRequest, wanted: ChatFilter = ALL_MESSAGES, *, newest: bool = False
    ) -> PageOfRows:
        """
        Return a page of the messages, with their total count.
        """
        told = {
            name: getattr(wanted, name)
            for name in ("conversation", "sender_key", "recipient_key", "participant_key")
            if getattr(wanted, name) is not None
        }
        if any(UNSTORABLE.search(value) for value in told.values()):
            return PageOfRows([], 0)
        names, given = _filters(principal, told, since=wanted.since, between_agents=wanted.between_agents)
        limits = {"limit": page.limit, "offset": page.offset} | ({} if page.after is None else {"after": page.after})
        found = _select_page(newest, page.after is not None, names)(self.session.dialect, **given, **limits)
        counted = _count(names)(self.session.dialect, **given)

        def steps() -> Steps[PageOfRows]:
            rows = yield found
            ((total,),) = yield counted
            return PageOfRows([message_rows.entity_from(row) for row in rows], total)

        return await self.session.read(steps)

    async def conversations(self, principal: Principal, page: PageRequest, agent_key: str | None = None) -> PageOfRows:
        """
        Return a page of the conversations, the latest first, with their total count.
        """
        if agent_key is not None and UNSTORABLE.search(agent_key):
            return PageOfRows([], 0)
        names, given = _filters(principal, {} if agent_key is None else {"agent_key": agent_key})
        limits = {"limit": page.limit, "offset": page.offset}
        found = _select_conversations(names)(self.session.dialect, **given, **limits)
        counted = _count_conversations(names)(self.session.dialect, **given)

        def steps() -> Steps[PageOfRows]:
            rows = yield found
            ((total,),) = yield counted
            return PageOfRows([ConversationRow(message_rows.entity_from(row[:-3]), *row[-3:]) for row in rows], total)

        return await self.session.read(steps)

    async def edges(self, principal: Principal, *, since: datetime | None = None) -> list[ChatEdge]:
        """
        Return the counts of messages between agents by sender and recipient.
        """
        names, given = _filters(principal, {}, since=since, between_agents=True)
        asked = _select_edges(names)(self.session.dialect, **given)

        def steps() -> Steps[list[ChatEdge]]:
            rows = yield asked
            return [ChatEdge(sender, recipient, count, moment(last)) for sender, recipient, count, last in rows]

        return await self.session.read(steps)


def _filters(
    principal: Principal, told: dict[str, str], *, since: datetime | None = None, between_agents: bool = False
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """
    Return the names of the conditions, and the values of their parameters.
    """
    names, given = set(told), dict[str, Any](told, organization=principal.organization.bytes)
    reader = chat_reader_of(principal)
    if reader is not None:
        of_reader = {"identity": reader.identity} | ({} if reader.agent is None else {"own_key": reader.agent})
        names |= of_reader.keys() | ({"unaddressed"} if reader.unaddressed else set())
        given |= of_reader
    if since is not None:
        names.add("since")
        given["since"] = micros(since)
    if between_agents:
        names.add("between_agents")
    return tuple(sorted(names)), given
