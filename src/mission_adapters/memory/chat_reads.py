"""
The read model of chat messages in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.conversations.chat_messages import ChatMessage, chat_reader_of
from mission_core.conversations.chat_queries import ALL_MESSAGES, ChatEdge, ChatFilter, ConversationRow
from mission_core.lazy_attrs import frozen
from mission_core.values import PageOfRows

if TYPE_CHECKING:
    from datetime import datetime

    from mission_adapters.memory.kind_tables import KindTable
    from mission_core.accounts.model import Principal
    from mission_core.values import PageRequest


@frozen
class MemoryChatReads:
    """
    Reads chat messages.
    """

    table: KindTable[ChatMessage]

    async def page(
        self, principal: Principal, page: PageRequest, wanted: ChatFilter = ALL_MESSAGES, *, newest: bool = False
    ) -> PageOfRows:
        """
        A page of the messages, and their total count.
        """
        told = {name: getattr(wanted, name) for name in ("conversation", "sender_key", "recipient_key")}
        equal = {name: value for name, value in told.items() if value is not None}
        equal |= {"between_agents": True} if wanted.between_agents else {}
        found = [
            each
            for each in self._seen(principal, equal)
            if (wanted.since is None or each.created_at >= wanted.since)
            and wanted.participant_key in (None, each.sender_key, each.recipient_key)
        ]
        total = len(found)
        if newest:
            found.reverse()
        if page.after is not None:
            found = [each for each in found if (each.number < page.after if newest else each.number > page.after)]
        return PageOfRows(found[page.offset : page.offset + page.limit], total)

    async def conversations(self, principal: Principal, page: PageRequest, agent_key: str | None = None) -> PageOfRows:
        """
        A page of the conversations, the latest first, and their total count.
        """
        groups: dict[str, list[ChatMessage]] = {}
        for each in self._seen(principal, {}):
            if agent_key in (None, each.sender_key, each.recipient_key) or each.recipient_key is None:
                groups.setdefault(each.conversation, []).append(each)
        found = [
            ConversationRow(
                last_message=group[-1],
                messages=len(group),
                participants=len({each.sender_key for each in group})
                + len({each.recipient_key for each in group} - {None}),
                unread=sum(
                    agent_key is not None and each.recipient_key == agent_key and each.read_at is None for each in group
                ),
            )
            for group in groups.values()
        ]
        found.sort(key=lambda each: each.last_message.number, reverse=True)
        return PageOfRows(found[page.offset : page.offset + page.limit], len(found))

    async def edges(self, principal: Principal, *, since: datetime | None = None) -> list[ChatEdge]:
        """
        The counts of messages between agents by sender and recipient.
        """
        edges: dict[tuple[str, str], list[ChatMessage]] = {}
        for each in self._seen(principal, {"between_agents": True}):
            if each.recipient is not None and (since is None or each.created_at >= since):
                edges.setdefault((each.sender_name, each.recipient), []).append(each)
        return [
            ChatEdge(*names, len(group), max(each.created_at for each in group))
            for names, group in sorted(edges.items())
        ]

    def _seen(self, principal: Principal, equal: dict[str, object]) -> list[ChatMessage]:
        reader = chat_reader_of(principal)
        found = self.table.matching(principal, equal)
        return found if reader is None else [each for each in found if reader.may_read(each)]
