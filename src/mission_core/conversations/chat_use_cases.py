"""
Use cases of chat messages: send, read, mark as read and delete one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mission_core.accounts.model import Principal, Role, identity_of, readable_boards, require_role
from mission_core.conversations.chat_messages import (
    CHAT_MESSAGES,
    ChatMessage,
    ChatMessageDeleted,
    ChatMessageNotFound,
    ChatMessageRead,
    ChatMessageSent,
    NotYourMessage,
    is_between_agents,
    may_read_message,
)
from mission_core.entity_changes import evolve
from mission_core.ids import ChatMessageId, ChatMessageNumber
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case
from mission_core.values import JsonText, checked_object, micros, name_key

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork


@frozen(kw_only=True)
class SendChatMessage:
    """
    Send a chat message to *recipient*, or to everybody. Without a conversation it begins a new one.
    """

    content: str
    recipient: str | None = None
    conversation: str | None = None
    message_type: str = "text"
    metadata: JsonText | None = None


@frozen(kw_only=True)
class MarkChatMessageRead:
    """
    Mark a chat message as read now, also if it was read before.
    """

    message: ChatMessageId | ChatMessageNumber


@frozen(kw_only=True)
class DeleteChatMessage:
    """
    Delete a chat message.
    """

    message: ChatMessageId | ChatMessageNumber


@use_case
async def send_chat_message(ports: Ports, principal: Principal, cmd: SendChatMessage) -> ChatMessage:
    """
    Send a chat message. The sender is the principal.

    Raises:
        RoleTooLow: If the principal is a viewer.
        InvalidField: If a value is too long or cannot be stored.
    """
    require_role(principal, Role.OPERATOR)
    now, recipient = ports.clock.now(), (cmd.recipient or "").strip() or None
    conversation = cmd.conversation or f"conv_{micros(now) // 1000}"
    metadata = None if cmd.metadata is None else checked_object("metadata", cmd.metadata)
    async with ports.unit(principal) as unit:
        (number,) = await ports.numbers.next((principal.organization, "chat_message"))
        message = ChatMessage(
            id=ChatMessageId(ports.ids.new()),
            number=ChatMessageNumber(number),
            organization=principal.organization,
            conversation=conversation,
            sender=identity_of(principal),
            sender_name=principal.display,
            sender_key=name_key(principal.display),
            recipient=recipient,
            recipient_key=None if recipient is None else name_key(recipient),
            content=cmd.content.strip(),
            message_type=cmd.message_type,
            metadata=metadata,
            between_agents=is_between_agents(conversation, metadata),
            created_at=now,
        )
        unit.repository(CHAT_MESSAGES).add(message)
        unit.record(ChatMessageSent.of(message, length=len(message.content), at=now))
        unit.result(message.id)
        await unit.commit()
    return message


async def read_chat_message(
    ports: Ports, principal: Principal, message: ChatMessageId | ChatMessageNumber
) -> ChatMessage:
    """
    Return a chat message.

    Raises:
        ChatMessageNotFound: If there is no such message for this principal.
    """
    return _seen(principal, await ports.reads.entities.get(principal, CHAT_MESSAGES, message))


@use_case
async def mark_chat_message_read(ports: Ports, principal: Principal, cmd: MarkChatMessageRead) -> ChatMessage:
    """
    Mark a chat message as read.

    Raises:
        ChatMessageNotFound: If there is no such message for this principal.
        RoleTooLow: If the principal is a viewer.
    """
    require_role(principal, Role.OPERATOR)
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        message = evolve(await _found(unit, principal, cmd.message), read_at=now)
        message = unit.repository(CHAT_MESSAGES).save(message)
        unit.record(ChatMessageRead.of(message, at=now))
        unit.result(message.id)
        await unit.commit()
    return message


@use_case
async def delete_chat_message(ports: Ports, principal: Principal, cmd: DeleteChatMessage) -> ChatMessage:
    """
    Delete a chat message.

    Raises:
        ChatMessageNotFound: If there is no such message for this principal.
        NotYourMessage: If the principal neither sent it nor is an admin of the whole organization.
        RoleTooLow: If the principal is a viewer.
    """
    require_role(principal, Role.OPERATOR)
    async with ports.unit(principal) as unit:
        message = await _found(unit, principal, cmd.message)
        is_admin = principal.role is Role.ADMIN and readable_boards(principal) is None
        if message.sender != identity_of(principal) and not is_admin:
            raise NotYourMessage
        unit.repository(CHAT_MESSAGES).remove(message)
        unit.record(ChatMessageDeleted.of(message, at=ports.clock.now()))
        await unit.commit()
    return message


async def _found(unit: UnitOfWork, principal: Principal, message: ChatMessageId | ChatMessageNumber) -> ChatMessage:
    return _seen(principal, await unit.repository(CHAT_MESSAGES).get(message))


def _seen(principal: Principal, message: ChatMessage) -> ChatMessage:
    if not may_read_message(message, principal):
        raise ChatMessageNotFound
    return message
