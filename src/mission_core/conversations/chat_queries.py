"""
Read queries for chat messages and conversations.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mission_core.conversations.chat_messages import ChatMessage
from mission_core.lazy_attrs import frozen

if TYPE_CHECKING:
    from mission_core.accounts.model import Principal
    from mission_core.values import PageOfRows, PageRequest


@frozen(kw_only=True)
class ChatFilter:
    """
    The filter of a list of chat messages. A message must match every value that is set.

    Args:
        sender_key, recipient_key: The key of the sender's or the recipient's name.
        participant_key: The key of the name of either.
        since: The earliest time of sending.
        between_agents: Whether only messages between agents are listed.
    """

    conversation: str | None = None
    sender_key: str | None = None
    recipient_key: str | None = None
    participant_key: str | None = None
    since: datetime | None = None
    between_agents: bool = False


ALL_MESSAGES: Final = ChatFilter()


class ConversationRow(NamedTuple):
    """
    A conversation: its last message, and the counts of its messages, of its participants (everybody counts once as
    sender and once as recipient), and of unread messages.
    """

    last_message: ChatMessage
    messages: int
    participants: int
    unread: int


class ChatEdge(NamedTuple):
    """
    The messages between agents from one sender to one recipient: their names, the count, and the time of the last one.
    """

    sender: str
    recipient: str
    messages: int
    last_at: datetime


class ChatReads(Protocol):
    """
    Reads chat messages, limited to those that a principal may see.
    """

    async def page(
        self, principal: Principal, page: PageRequest, wanted: ChatFilter = ALL_MESSAGES, *, newest: bool = False
    ) -> PageOfRows:
        """
        A page of the messages, oldest or (with *newest*) newest first, and their total count.
        """

    async def conversations(self, principal: Principal, page: PageRequest, agent_key: str | None = None) -> PageOfRows:
        """
        A page of the conversations, the latest first, and their total count. With the key of a name only the messages
        from and to that name and to everybody count, and unread messages to it are counted.
        """

    async def edges(self, principal: Principal, *, since: datetime | None = None) -> list[ChatEdge]:
        """
        The counts of messages between agents by sender and recipient, from *since* on, ordered by their names.
        """
