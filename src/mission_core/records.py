"""
The creation, change and removal of entities of a kind: the steps that all simple use cases have in common.

A `Records` declares what a kind's use cases share. Each use case is a function of its own that calls it, and passes the
rules that only this use case has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, cast
from uuid import UUID

from attrs import fields

from mission_core.accounts.model import Principal, require_organization_admin
from mission_core.entity_changes import require_version, with_changes
from mission_core.events.model import Event
from mission_core.kinds import EntityT, Kind
from mission_core.lazy_attrs import frozen
from mission_core.values import ABSENT

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

RecordEvents = tuple[type[Event], type[Event], type[Event]]


def record_events(
    noun: str, *, subject: str, logs: tuple[str, ...] = (), logs_change: tuple[str, ...] = ()
) -> RecordEvents:
    """
    The event classes of a kind: `<noun>.created`, `<noun>.updated` and `<noun>.deleted`.

    Args:
        subject: The event field with the id of the entity.
        logs: The entity's fields whose values the events of a creation and a deletion contain.
        logs_change: The entity's fields whose values the event of a change contains. It also has *changed*, the names
            of the changed fields.
    """

    def made(verb: str, names: tuple[str, ...]) -> type[Event]:
        body = {
            "__doc__": f"A {noun} was {verb}.",
            "__annotations__": dict.fromkeys((subject, *names)),  # without types, which are those of the entity
            "kind": f"{noun}.{verb}",
        }
        name = f"{noun}_{verb}".title().replace("_", "")
        return frozen(kw_only=True, eq=False, repr=False)(type(name, (Event,), body))

    return made("created", logs), made("updated", (*logs_change, "changed")), made("deleted", logs)


@frozen(kw_only=True)
class Draft(Generic[EntityT]):
    """
    The values of an entity that is about to be created or changed, which `prepare` may still normalize. *given* has the
    values that the command names, *before* is the present entity, or None for a new one.
    """

    ports: Ports
    unit: UnitOfWork
    id: UUID
    before: EntityT | None
    given: dict[str, Any]

    def value(self, name: str) -> Any:
        """
        The given value of a field, otherwise the present one.
        """
        return self.given[name] if name in self.given else getattr(self.before, name)


class ChangeCommand(Protocol):
    """
    A command that changes or removes one entity.
    """

    @property
    def expects(self) -> int | None:
        """
        The version that the caller expects, if it expects one.
        """


async def _unprepared(draft: Draft[Any]) -> None:
    pass


async def _unchecked(unit: UnitOfWork, row: Any) -> None:
    pass


@frozen(kw_only=True)
class Records(Generic[EntityT]):
    """
    Creates, changes and removes the entities of one kind. The fields of a command that the entity also has are its new
    values. A kind whose entities have a `number` draws it from the sequence that is named *noun*.

    Args:
        events: The event classes of a creation, a change and a removal, as `record_events` makes them.
        require: Requires the role that every use case needs.
        prepare: Normalizes the values of a draft before the entity is built.
    """

    kind: Kind[EntityT]
    noun: str
    events: RecordEvents
    require: Callable[[Principal], None] = require_organization_admin
    prepare: Callable[[Draft[EntityT]], Awaitable[None]] = _unprepared

    async def create(self, ports: Ports, principal: Principal, cmd: Any) -> EntityT:
        """
        Add an entity, with its event, and make it the result for the idempotency key.
        """
        self.require(principal)
        now, id = ports.clock.now(), ports.ids.new()
        async with ports.unit(principal) as unit:
            draft: Draft[EntityT] = Draft(ports=ports, unit=unit, id=id, before=None, given=self._given(cmd))
            await self.prepare(draft)
            if "number" in self._fields:
                (draft.given["number"],) = await ports.numbers.next((principal.organization, self.noun))
            made: Any = self.kind.entity
            row: EntityT = unit.repository(self.kind).add(
                made(id=id, organization=principal.organization, created_at=now, updated_at=now, **draft.given)
            )
            unit.record(self.events[0].of(row, at=now))
            unit.result(id)
            await unit.commit()
        return row

    async def change(
        self,
        ports: Ports,
        principal: Principal,
        key: UUID | int,
        cmd: ChangeCommand,
        *,
        check: Callable[[UnitOfWork, EntityT], Awaitable[None]] = _unchecked,
    ) -> EntityT:
        """
        Change an entity, with its event, and make it the result for the idempotency key. If no field changes, nothing
        is written or logged.

        Args:
            check: Checks the present entity before its version.

        Raises:
            NotFound: The kind's own error, if there is no such entity.
            VersionMismatch: If the caller expected another version.
        """
        self.require(principal)
        async with ports.unit(principal) as unit:
            before = await self._get(unit, key, cmd, check)
            draft = Draft(ports=ports, unit=unit, id=before.id, before=before, given=self._given(cmd))
            await self.prepare(draft)
            now = ports.clock.now()
            edited, changed = with_changes(cast(Any, before), draft.given, at=now)
            if not changed:
                return before
            after = unit.repository(self.kind).save(edited)
            unit.record(self.events[1].of(after, at=now, changed=changed))
            unit.result(before.id)
            await unit.commit()
        return after

    async def remove(
        self,
        ports: Ports,
        principal: Principal,
        key: UUID | int,
        cmd: ChangeCommand,
        *,
        check: Callable[[UnitOfWork, EntityT], Awaitable[None]] = _unchecked,
    ) -> EntityT:
        """
        Remove an entity, with its event, and return it.

        Args:
            check: Checks the entity before its version, and makes the changes that go with its removal.

        Raises:
            NotFound: The kind's own error, if there is no such entity.
            VersionMismatch: If the caller expected another version.
        """
        self.require(principal)
        async with ports.unit(principal) as unit:
            row = await self._get(unit, key, cmd, check)
            unit.repository(self.kind).remove(row)
            unit.record(self.events[2].of(row, at=ports.clock.now()))
            await unit.commit()
        return row

    @property
    def _fields(self) -> set[str]:
        entity: Any = self.kind.entity
        return {each.name for each in fields(entity)}

    def _given(self, cmd: Any) -> dict[str, Any]:
        names = (each.name for each in fields(type(cmd)) if each.name in self._fields)
        return {name: value for name in names if (value := getattr(cmd, name)) is not ABSENT}

    async def _get(
        self,
        unit: UnitOfWork,
        key: UUID | int,
        cmd: ChangeCommand,
        check: Callable[[UnitOfWork, EntityT], Awaitable[None]],
    ) -> EntityT:
        row = await unit.repository(self.kind).get(key)
        await check(unit, row)
        return require_version(row, cmd.expects)
