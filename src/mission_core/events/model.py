"""
Events, and the log entries that store them in a hash chain.

An event is a frozen class with a `kind`. A flush writes its events as entries at the next positions of their
organization's log. The digest of an entry covers the digest of the entry before it, the envelope and the digest of the
payload.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from functools import cache
from hashlib import sha256
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, cast
from uuid import UUID

from attrs import NOTHING, Attribute, field, fields

from mission_core.lazy_attrs import frozen
from mission_core.values import JsonText, canonical, micros, utc_moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mission_core.ids import OrganizationId

GENESIS: Final = bytes(32)
"""The digest before the first entry."""
PLAIN_JSON_CLASSES: Final = frozenset({NoneType, str, int, float, bool})
"""The classes whose values are JSON as they are."""


@frozen
class Actor:
    """
    The originator of an event: a kind (`system`, `agent`, `user`), an id, if it has one, and its name at the time.
    """

    kind: str
    id: UUID | None
    name: str


@frozen(kw_only=True)
class Event:
    """
    A domain event. Subclasses set `kind`, and their first field holds the id of the subject.
    """

    kind: ClassVar[str]

    at: datetime = field(validator=utc_moment)

    # Written once for all events: generated for each class, they take a tenth of the time of the imports at a start.
    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        told = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(type(self)) if each.repr)
        return f"{type(self).__name__}({', '.join(told)})"

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, each.name) for each in fields(type(self)))

    @classmethod
    def subject_field(cls) -> str:
        """
        Return the name of the first field.
        """
        kind: Any = cls
        return _payload_fields_of(kind)[0]

    @classmethod
    def of(cls, entity: Any, *, at: datetime, **given: Any) -> Self:
        """
        Return an event of this class about an entity. Each field of the event has the value in *given*, or else the
        value of the entity's field of that name. Only a field with a default may be missing in both.
        """
        told = {
            each.name: getattr(entity, each.name)
            for each in fields(cls)[2:]
            if each.name not in given and (each.default is NOTHING or hasattr(entity, each.name))
        }
        return cls(at=at, **{cls.subject_field(): entity.id} | told | given)

    @property
    def subject(self) -> UUID:
        """
        The id of the entity that the event is about.
        """
        kind: Any = type(self)
        id: UUID = getattr(self, _payload_fields_of(kind)[0])
        return id

    def payload(self) -> JsonText:
        """
        Return the event's own fields in canonical JSON. The time is part of the envelope.
        """
        kind: Any = type(self)
        told = {}
        for name in _payload_fields_of(kind):
            value = getattr(self, name)
            told[name] = value if value.__class__ in PLAIN_JSON_CLASSES else json_value(value)
        return canonical(told)


@cache
def _payload_fields_of(kind: Any) -> tuple[str, ...]:
    """
    Return the names of the fields, without the time, which all events have.
    """
    return tuple(each.name for each in fields(kind) if each.name != "at")


def json_value(value: object) -> Any:
    """
    Return the JSON value of a field: ids as text, times as microseconds, enumerations as their values.
    """
    kind = value.__class__
    if kind in PLAIN_JSON_CLASSES:
        return value
    if kind is UUID:
        return str(value)
    if isinstance(value, Enum):
        return value._value_  # `value` itself is a property written in Python
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return micros(value)
    if isinstance(value, dict):
        return {k: json_value(v) for k, v in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [json_value(each) for each in value]
    own: tuple[Attribute[Any], ...] = fields(cast(Any, type(value)))
    return {a.name: json_value(getattr(value, a.name)) for a in own}


@frozen(kw_only=True)
class Entry:
    """
    An event as the log stores it. If the payload is erased, its digest remains, so the chain still verifies.
    """

    organization: OrganizationId
    position: int
    kind: str
    at: datetime
    actor: Actor
    subject: UUID
    payload: JsonText | None
    payload_digest: bytes
    digest: bytes

    @classmethod
    def of(cls, fact: Event, *, organization: OrganizationId, actor: Actor, position: int, previous: bytes) -> Entry:
        """
        Return the entry that stores *fact* at *position*, after the entry whose digest is *previous*.
        """
        payload = fact.payload()
        payload_digest = digest_of_payload(payload)
        return cls(
            organization=organization,
            position=position,
            kind=fact.kind,
            at=fact.at,
            actor=actor,
            subject=fact.subject,
            payload=payload,
            payload_digest=payload_digest,
            digest=chain_digest(previous, position, fact.kind, fact.at, actor, fact.subject, payload_digest),
        )


def digest_of_payload(payload: JsonText) -> bytes:
    """
    Return the SHA-256 digest of a payload.
    """
    return sha256(payload.encode()).digest()


def chain_digest(
    previous: bytes, position: int, kind: str, at: datetime, actor: Actor, subject: UUID, payload_digest: bytes
) -> bytes:
    """
    Return the digest of an entry: SHA-256 over the previous digest, the envelope and the payload's digest.
    """
    envelope = f"[{position},{envelope_after_position(kind, at, actor, subject)}"
    return sha256(previous + envelope.encode() + payload_digest).digest()


def envelope_after_position(kind: str, at: datetime, actor: Actor, subject: UUID) -> str:
    """
    Return the envelope of an entry, which is a canonical JSON list, from behind its first item, the position.
    """
    rest = canonical([kind, micros(at), actor.kind, str(actor.id) if actor.id else None, actor.name, str(subject)])
    return rest[1:]


@frozen
class ChainBreak:
    """
    The first entry that does not fit the chain, and the reason.
    """

    position: int
    reason: str


@frozen
class ChainHead:
    """
    The position and digest up to which the chain was verified.
    """

    position: int
    digest: bytes


def verify_chain(entries: Iterable[Entry], since: ChainHead = ChainHead(0, GENESIS)) -> ChainHead | ChainBreak:
    """
    Verify the chain over *entries*, which follow *since* in order.
    """
    position, digest = since.position, since.digest
    for entry in entries:
        if entry.position != position + 1:
            return ChainBreak(position + 1, f"is missing; the next entry found is {entry.position}")
        if entry.payload is not None and digest_of_payload(entry.payload) != entry.payload_digest:
            return ChainBreak(entry.position, "its payload does not match its digest")
        expected = chain_digest(
            digest, entry.position, entry.kind, entry.at, entry.actor, entry.subject, entry.payload_digest
        )
        if entry.digest != expected:
            return ChainBreak(entry.position, "its digest does not match the entry before it")
        position, digest = entry.position, entry.digest
    return ChainHead(position, digest)
