"""
Operations on chat messages, conversations and the preferences of chat sessions, and the list of messages between
agents.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import MESSAGES
from mission_core.accounts.model import BoardAgentConfined
from mission_core.conversations.chat_messages import (
    CHAT_MESSAGES,
    LONGEST_CONVERSATION,
    LONGEST_MESSAGE,
    LONGEST_NAME,
    LONGEST_TYPE,
    ChatMessage,
    ChatMessageNotFound,
    NotYourMessage,
)
from mission_core.conversations.chat_queries import ChatEdge, ChatFilter, ConversationRow
from mission_core.conversations.chat_use_cases import (
    DeleteChatMessage,
    MarkChatMessageRead,
    SendChatMessage,
    delete_chat_message,
    mark_chat_message_read,
    read_chat_message,
    send_chat_message,
)
from mission_core.conversations.session_preferences import (
    SessionColorInvalid,
    SessionKeyInvalid,
    SessionNameTooLong,
    SetSessionPreference,
    list_session_preferences,
    set_session_preference,
)
from mission_core.errors import KeyReused
from mission_core.prompt_injection import critical_findings
from mission_core.values import ABSENT, Absent, JsonText, PageRequest, name_key
from mission_http.fleet.access import OPERATOR, VIEWER
from mission_http.fleet.bodies import JsonObjectText, stripped_text
from mission_http.fleet.errors import PromptInjectionDetected
from mission_http.fleet.path_parameters import message_in
from mission_http.fleet.payloads import SuccessPayload
from mission_http.fleet.wire import (
    MAX_UNIX_SECONDS,
    WORKSPACE_NUMBER,
    FleetPayload,
    UnixSeconds,
    moment_of,
    page_number,
)
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import (
    Body,
    CustomCheck,
    Length,
    NumberRange,
    Query,
    SchemaOverride,
    WireName,
)
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Fixed, Of, Payload

MOST_LISTED: Final = 200
HIDDEN_NAMES: Final = frozenset({"human", "system", "operator"})
"""Names that are not agents, and not part of the graph of who writes to whom."""
UNDELIVERED: Final = "gateway_send_failed"
"""The reason why a message was not forwarded by a server without a host."""

Recipient = Annotated[str, CustomCheck(stripped_text), Length(0, LONGEST_NAME)]


class MessageQuery(Query):
    conversation_id: str | None = None
    from_agent: str | None = None
    to_agent: str | None = None
    since: Annotated[int | None, NumberRange(0, MAX_UNIX_SECONDS)] = None
    limit: Annotated[int, NumberRange(0)] = 50
    offset: Annotated[int, NumberRange(0)] = 0
    after: Annotated[int | None, NumberRange(0)] = None


class ConversationQuery(Query):
    agent: str | None = None
    limit: Annotated[int, NumberRange(0)] = 50
    offset: Annotated[int, NumberRange(0)] = 0


class CommsQuery(Query):
    limit: Annotated[int, NumberRange(0)] = 100
    offset: Annotated[int, NumberRange(0)] = 0
    after: Annotated[int | None, NumberRange(0)] = None
    since: Annotated[int | None, NumberRange(0, MAX_UNIX_SECONDS)] = None
    agent: str | None = None


class SendMessageBody(Body):
    """
    A chat message. *recipient* is an alias of *to*. The sender is the authenticated caller.
    """

    content: Annotated[str, CustomCheck(stripped_text), Length(1, LONGEST_MESSAGE, says='"content" is required')]
    to: Recipient | None = None
    recipient: Recipient | None = None
    conversation_id: Annotated[int, NumberRange(0)] | Annotated[str, Length(0, LONGEST_CONVERSATION)] | None = None
    message_type: Annotated[str, Length(0, LONGEST_TYPE)] | None = None
    metadata: JsonObjectText | None = None
    sender: Annotated[Any, WireName("from"), SchemaOverride({"type": "string"})] = None
    forward: bool = False
    session_key: Annotated[str | None, WireName("sessionKey")] = None
    attachments: Annotated[list[Any] | None, SchemaOverride({"type": "array", "items": {}})] = None

    @property
    def addressee(self) -> str | None:
        """
        The name of the recipient, if there is one.
        """
        return self.to or self.recipient or None

    def command(self) -> SendChatMessage:
        """
        The command.
        """
        conversation = self.conversation_id
        return SendChatMessage(
            content=self.content,
            recipient=self.addressee,
            conversation=str(conversation) if isinstance(conversation, int) else conversation or None,
            message_type=self.message_type or "text",
            metadata=None if self.metadata is None else JsonText(str(self.metadata)),
        )


class MarkMessageBody(Body):
    read: bool = False


class SessionPreferenceBody(Body):
    key: str = ""
    name: str | Absent | None = ABSENT
    color: str | Absent | None = ABSENT


class ChatMessagePayload(FleetPayload[ChatMessage]):
    id: Annotated[int, Of("number")]
    conversation_id: Annotated[str, Of("conversation")]
    from_agent: Annotated[str, Of("sender_name")]
    sender: Annotated[str, Of("sender_name")]
    to_agent: Annotated[str | None, Of("recipient")]
    content: str
    message_type: str
    metadata: dict[str, Any] | None
    read_at: UnixSeconds | None
    created_at: UnixSeconds
    workspace_id: Annotated[int, Fixed(WORKSPACE_NUMBER)]


class ChatMessageListPayload(Payload):
    messages: list[ChatMessagePayload]
    total: int
    page: int | None
    limit: int


class OneChatMessagePayload(Payload):
    message: ChatMessagePayload


class ForwardPayload(Payload):
    attempted: bool
    delivered: bool
    reason: str | UnsetType = UNSET


class SentChatMessagePayload(Payload):
    message: ChatMessagePayload
    forward: ForwardPayload | None


def shown_message(message: ChatMessage) -> ChatMessagePayload:
    """
    Render a message.
    """
    return ChatMessagePayload.of(message)


class ConversationPayload(FleetPayload[ConversationRow]):
    conversation_id: Annotated[str, Of("last_message.conversation")]
    last_message_at: Annotated[UnixSeconds, Of("last_message.created_at")]
    message_count: Annotated[int, Of("messages")]
    participant_count: Annotated[int, Of("participants")]
    unread_count: Annotated[int, Of("unread")]
    last_message: Annotated[ChatMessagePayload, Of("last_message", shown_message)]


class ConversationListPayload(Payload):
    conversations: list[ConversationPayload]
    total: int
    page: int | None
    limit: int


class SessionPreferencePayload(Payload):
    name: str | UnsetType = UNSET
    color: str | UnsetType = UNSET


class SessionPreferencesPayload(Payload):
    prefs: dict[str, SessionPreferencePayload]


class SavedPreferencePayload(Payload):
    ok: bool
    pref: SessionPreferencePayload | None


class EdgePayload(FleetPayload[ChatEdge]):
    from_agent: Annotated[str, Of("sender")]
    to_agent: Annotated[str, Of("recipient")]
    message_count: Annotated[int, Of("messages")]
    last_message_at: Annotated[UnixSeconds, Of("last_at")]


class AgentStatPayload(Payload):
    agent: str
    sent: int
    received: int


class GraphPayload(Payload):
    edges: list[EdgePayload]
    agentStats: list[AgentStatPayload]


class CommsSourcePayload(Payload):
    mode: Literal["empty", "seeded", "live", "mixed"]
    seededCount: int
    liveCount: int


class CommsPayload(Payload):
    messages: list[ChatMessagePayload]
    total: int
    graph: GraphPayload
    source: CommsSourcePayload


def later_than(seconds: int | None) -> datetime | None:
    """
    Convert the Unix seconds after which items are listed to the earliest time that they may have.
    """
    return None if seconds is None else moment_of(seconds + 1)


def _key(name: str | None) -> str | None:
    return name_key(name) if name else None


async def list_messages(request: Request) -> Response:
    """
    List chat messages, the oldest first.

    Agents below admin see only the messages that they sent, those to them, and with access to all projects also those
    to everybody. Users with grants on some projects see only those that they sent.
    """
    query = query_of(request, MessageQuery)
    limit = min(query.limit, MOST_LISTED)
    wanted = ChatFilter(
        conversation=query.conversation_id, sender_key=_key(query.from_agent), recipient_key=_key(query.to_agent),
        since=later_than(query.since),
    )  # fmt: skip
    page = PageRequest(limit=limit, offset=query.offset, after=query.after)
    found = await ports_of(request).reads.chat.page(principal_of(request), page, wanted)
    return json_response(
        ChatMessageListPayload(
            messages=[ChatMessagePayload.of(each) for each in found.rows],
            total=found.total, page=page_number(query.offset, limit), limit=limit,
        )
    )  # fmt: skip


async def send_message(request: Request) -> Response:
    """
    Send a chat message to somebody, or to everybody.

    A message that is to be forwarded to an agent is screened for prompt injection. It is kept also if it cannot be
    forwarded: forwarding needs a host tool, which this server does not have.
    """
    body = await body_of(request, SendMessageBody)
    forwards = body.forward and body.addressee is not None
    if forwards and (findings := critical_findings(body.content)):
        raise PromptInjectionDetected("Message blocked: potentially unsafe content detected", findings)
    message = await perform_once(request, send_chat_message, body.command(), read_row_again(CHAT_MESSAGES))
    forward = ForwardPayload(attempted=True, delivered=False, reason=UNDELIVERED) if forwards else None
    metadata = {} if message.metadata is None else json.loads(message.metadata)
    if forward is not None:
        metadata["forwardInfo"] = msgspec.to_builtins(forward)
    shown = msgspec.structs.replace(ChatMessagePayload.of(message), metadata=metadata)
    return json_response(SentChatMessagePayload(message=shown, forward=forward), 201)


async def read_message(request: Request) -> Response:
    """
    Read a chat message.
    """
    message = await read_chat_message(ports_of(request), principal_of(request), message_in(request))
    return json_response(OneChatMessagePayload(message=ChatMessagePayload.of(message)))


async def mark_message(request: Request) -> Response:
    """
    Mark a chat message as read now.

    Without `read` nothing changes.
    """
    body, id = await body_of(request, MarkMessageBody), message_in(request)
    ports, principal = ports_of(request), principal_of(request)
    message = (
        await mark_chat_message_read(ports, principal, MarkChatMessageRead(message=id))
        if body.read
        else await read_chat_message(ports, principal, id)
    )
    return json_response(OneChatMessagePayload(message=ChatMessagePayload.of(message)))


async def delete_message(request: Request) -> Response:
    """
    Delete a chat message.

    Only its sender or an admin may delete it.
    """
    await delete_chat_message(ports_of(request), principal_of(request), DeleteChatMessage(message=message_in(request)))
    return json_response(SuccessPayload(success=True))


async def list_conversations(request: Request) -> Response:
    """
    List conversations with their last messages, the latest first.

    With `agent`, only the messages from and to it and to everybody count, and its unread messages are counted.
    Everybody who both sent and received messages counts twice as a participant.
    """
    query = query_of(request, ConversationQuery)
    limit = min(query.limit, MOST_LISTED)
    page = PageRequest(limit=limit, offset=query.offset)
    found = await ports_of(request).reads.chat.conversations(principal_of(request), page, _key(query.agent))
    return json_response(
        ConversationListPayload(
            conversations=[ConversationPayload.of(each) for each in found.rows],
            total=found.total, page=page_number(query.offset, limit), limit=limit,
        )
    )  # fmt: skip


async def list_preferences(request: Request) -> Response:
    """
    List the names and colours of chat sessions.
    """
    found = await list_session_preferences(ports_of(request), principal_of(request))
    return json_response(
        SessionPreferencesPayload(prefs={key: SessionPreferencePayload(**told) for key, told in found.items()})
    )


async def set_preference(request: Request) -> Response:
    """
    Set the name or colour of a chat session.

    Null or a blank text clears it.
    """
    body = await body_of(request, SessionPreferenceBody)
    command = SetSessionPreference(key=body.key, name=body.name, color=body.color)
    told = await set_session_preference(ports_of(request), principal_of(request), command)
    pref = None if told is None else SessionPreferencePayload(**told)
    return json_response(SavedPreferencePayload(ok=True, pref=pref))


async def comms(request: Request) -> Response:
    """
    List messages between agents, and the graph of who writes to whom.

    The newest messages are returned, the oldest of them first. They are those of conversations whose ids begin with
    `a2a:`, `coord:`, `session:` or `agent_`, and those in the channel `coordinator-inbox`. `agent` does not limit the
    graph, and `since` only its edges.
    """
    query = query_of(request, CommsQuery)
    reads, principal, since = ports_of(request).reads.chat, principal_of(request), later_than(query.since)
    wanted = ChatFilter(participant_key=_key(query.agent), since=since, between_agents=True)
    page = PageRequest(limit=query.limit, offset=query.offset, after=query.after)
    found = await reads.page(principal, page, wanted, newest=True)
    every = _between_agents(await reads.edges(principal))
    edges = every if since is None else _between_agents(await reads.edges(principal, since=since))
    return json_response(
        CommsPayload(
            messages=[ChatMessagePayload.of(each) for each in reversed(found.rows)],
            total=found.total,
            graph=GraphPayload(edges=[EdgePayload.of(each) for each in edges], agentStats=_agent_stats(every)),
            source=CommsSourcePayload(mode="live" if found.total else "empty", seededCount=0, liveCount=found.total),
        )
    )


def _between_agents(edges: list[ChatEdge]) -> list[ChatEdge]:
    shown = [each for each in edges if HIDDEN_NAMES.isdisjoint((each.sender.lower(), each.recipient.lower()))]
    return sorted(shown, key=lambda each: -each.messages)


def _agent_stats(edges: list[ChatEdge]) -> list[AgentStatPayload]:
    stats: dict[str, AgentStatPayload] = {}
    for edge in edges:
        for name, sent, received in ((edge.sender, edge.messages, 0), (edge.recipient, 0, edge.messages)):
            known = stats.setdefault(name, AgentStatPayload(agent=name, sent=0, received=0))
            stats[name] = AgentStatPayload(agent=name, sent=known.sent + sent, received=known.received + received)
    return sorted(stats.values(), key=lambda each: (-each.sent - each.received, each.agent))


ENDPOINTS = [
    Endpoint(
        "GET", "/chat/messages", list_messages, query=MessageQuery, gives=ChatMessageListPayload, who=VIEWER,
        scope=MESSAGES, operation_id="fleet_listMessages",
    ),
    Endpoint(
        "POST", "/chat/messages", send_message, takes=SendMessageBody, gives=SentChatMessagePayload, status=201,
        who=OPERATOR, headers=(IDEMPOTENCY_KEY,), refuses=(PromptInjectionDetected, KeyReused), scope=MESSAGES,
        operation_id="fleet_sendMessage",
    ),
    Endpoint(
        "GET", "/chat/messages/{id}", read_message, gives=OneChatMessagePayload, who=VIEWER,
        refuses=(ChatMessageNotFound,), scope=MESSAGES, operation_id="fleet_getMessage",
    ),
    Endpoint(
        "PATCH", "/chat/messages/{id}", mark_message, takes=MarkMessageBody, gives=OneChatMessagePayload, who=OPERATOR,
        refuses=(ChatMessageNotFound,), scope=MESSAGES, operation_id="fleet_updateMessage",
    ),
    Endpoint(
        "DELETE", "/chat/messages/{id}", delete_message, gives=SuccessPayload, who=OPERATOR,
        refuses=(ChatMessageNotFound, NotYourMessage), scope=MESSAGES, operation_id="fleet_deleteMessage",
    ),
    Endpoint(
        "GET", "/chat/conversations", list_conversations, query=ConversationQuery, gives=ConversationListPayload,
        who=VIEWER, scope=MESSAGES, operation_id="fleet_listConversations",
    ),
    Endpoint(
        "GET", "/chat/session-prefs", list_preferences, gives=SessionPreferencesPayload, who=VIEWER,
        operation_id="fleet_listSessionPreferences",
    ),
    Endpoint(
        "PATCH", "/chat/session-prefs", set_preference, takes=SessionPreferenceBody, gives=SavedPreferencePayload,
        who=OPERATOR, refuses=(SessionKeyInvalid, SessionNameTooLong, SessionColorInvalid, BoardAgentConfined),
        operation_id="fleet_setSessionPreference",
    ),
    Endpoint(
        "GET", "/agents/comms", comms, query=CommsQuery, gives=CommsPayload, who=VIEWER,
        operation_id="fleet_getAgentComms",
    ),
]  # fmt: skip
