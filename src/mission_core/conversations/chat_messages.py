"""
Chat messages: texts that people and agents of an organization send each other, grouped by conversation.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

from attrs import field
from attrs.validators import optional

from mission_core.accounts.model import AgentPrincipal, Principal, Role, identity_of, readable_boards
from mission_core.errors import Denied, NotFound
from mission_core.events.model import Event
from mission_core.field_types import with_type_validators
from mission_core.ids import ChatMessageId, ChatMessageNumber, OrganizationId
from mission_core.kinds import Kind
from mission_core.lazy_attrs import frozen
from mission_core.values import JsonText, json_object, name_key, text, utc_moment

LONGEST_MESSAGE: Final = 1_000_000
LONGEST_NAME: Final = 200
LONGEST_CONVERSATION: Final = 200
LONGEST_TYPE: Final = 100
AGENT_CONVERSATIONS: Final = ("a2a:", "coord:", "session:", "agent_")
"""The beginnings of the ids of conversations between agents."""
COORDINATOR_CHANNEL: Final = "coordinator-inbox"
"""The `channel` in the metadata of messages to the coordinator, which are messages between agents, too."""


class ChatMessageNotFound(NotFound):
    """
    There is no such message, or it is private to others.
    """

    code = "message_not_found"
    says = "Message not found"


class NotYourMessage(Denied):
    """
    A message is deleted by its sender or by an admin.
    """

    says = "only the sender of a message or an admin may delete it"


@frozen(kw_only=True, field_transformer=with_type_validators)
class ChatMessage:
    """
    A chat message. *sender* is the sender's identity and *sender_name* their name at the time; *recipient* is a name,
    or None for everybody. The keys are the names without regard to case.
    """

    id: ChatMessageId
    number: ChatMessageNumber
    organization: OrganizationId
    conversation: str = field(validator=text(least=1, most=LONGEST_CONVERSATION))
    sender: str
    sender_name: str = field(validator=text(most=LONGEST_NAME))
    sender_key: str
    recipient: str | None = field(default=None, validator=optional(text(least=1, most=LONGEST_NAME)))
    recipient_key: str | None = None
    content: str = field(validator=text(least=1, most=LONGEST_MESSAGE))
    message_type: str = field(default="text", validator=text(least=1, most=LONGEST_TYPE))
    metadata: JsonText | None = field(default=None, validator=optional(json_object))
    between_agents: bool = False
    read_at: datetime | None = field(default=None, validator=optional(utc_moment))
    created_at: datetime = field(validator=utc_moment)
    version: int = 0


CHAT_MESSAGES: Final = Kind(
    entity=ChatMessage,
    name="chat_messages",
    missing=ChatMessageNotFound,
    indexed_by=(("conversation",), ("recipient_key",), ("between_agents",)),
)


@frozen(kw_only=True, eq=False, repr=False)
class ChatMessageSent(Event):
    """
    A chat message was sent. The event has its length, not its text, which can be deleted.
    """

    kind = "chat.message_sent"

    message: ChatMessageId
    number: int
    conversation: str
    sender_name: str
    recipient: str | None
    message_type: str
    length: int


@frozen(kw_only=True, eq=False, repr=False)
class ChatMessageRead(Event):
    """
    A chat message was marked as read.
    """

    kind = "chat.message_read"

    message: ChatMessageId
    number: int
    conversation: str


@frozen(kw_only=True, eq=False, repr=False)
class ChatMessageDeleted(Event):
    """
    A chat message was deleted.
    """

    kind = "chat.message_deleted"

    message: ChatMessageId
    number: int
    conversation: str


@frozen
class ChatReader:
    """
    A principal who does not see all chat messages: it sees those that it sent, those to an agent with the key *agent*
    of its name, and with *unaddressed* those to everybody.
    """

    identity: str
    agent: str | None
    unaddressed: bool

    def may_read(self, message: ChatMessage) -> bool:
        """
        Whether it sees the message.
        """
        if message.recipient_key is None and self.unaddressed:
            return True
        return message.sender == self.identity or (self.agent is not None and message.recipient_key == self.agent)


def chat_reader_of(principal: Principal) -> ChatReader | None:
    """
    The limit of what a principal sees of the chat, or None if it sees everything: agents below admin and whoever is
    limited to some boards see only their own messages. What is sent to everybody is for those who see all boards.
    """
    all_boards, is_agent = readable_boards(principal) is None, isinstance(principal, AgentPrincipal)
    if all_boards and not (is_agent and principal.role is not Role.ADMIN):
        return None
    # Recipients are names of agents, and a user may have the name of an agent.
    agent = name_key(principal.name) if is_agent else None
    return ChatReader(identity_of(principal), agent, unaddressed=all_boards)


def may_read_message(message: ChatMessage, principal: Principal) -> bool:
    """
    Whether the principal sees the message.
    """
    reader = chat_reader_of(principal)
    return reader is None or reader.may_read(message)


def is_between_agents(conversation: str, metadata: JsonText | None) -> bool:
    """
    Whether a message of this conversation and with these metadata is one between agents.
    """
    if conversation.startswith(AGENT_CONVERSATIONS):
        return True
    return metadata is not None and json.loads(metadata).get("channel") == COORDINATOR_CHANNEL
