"""
Replacing the server's key while the server runs.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from attrs import evolve, field, frozen

from mission_core.accounts.members import MEMBERS, OWNER
from mission_core.accounts.model import MemberPrincipal, Principal, Role, System, require, require_over_all
from mission_core.accounts.server_keys import SERVER_KEYS, ServerKey, ServerKeyRotated
from mission_core.accounts.signing_in import digest_of
from mission_core.errors import Conflict, Denied, InvalidField, StaleWrite
from mission_core.ids import ServerKeyId
from mission_core.kinds import DEPLOYMENT
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

LONGEST_OVERLAP: Final = timedelta(days=1)
NUMBERS: Final = (DEPLOYMENT, "server_key")
SHOWN_FIRST, SHOWN_LAST, HIDDEN = 4, 5, "****"


class KeyTooWide(Denied):
    """
    The server's key may do what the caller may not: change owners.
    """

    def __str__(self) -> str:
        return "the server's key may do all that an owner may; only an owner, or whoever has that key, may replace it"


@frozen(kw_only=True)
class RotateServerKey:
    """
    Make a new key of the server for the caller's organization. Those before it are good for *overlap* longer, or as
    long as they were told already if that ends sooner.

    Args:
        given: The key that the environment gives, if it gives one: it is replaced where it stands for the organization.
    """

    given: str | None = field(default=None, repr=False)
    overlap: timedelta = timedelta(0)


@frozen
class Rotated:
    """
    A key that was made, its secret where it is told, and until when those before it are good.
    """

    key: ServerKey
    secret: str | None = field(repr=False)
    old_good_until: datetime


@frozen
class KeyState:
    """
    Where the server's key of an organization comes from.

    Args:
        source: `database` if it was made while the server ran, `environment`, or `none`.
        masked: What may be shown of the one in the environment.
        newest: The last one that was made while the server ran.
        old_good_until: Until when another one is good, if one is.
    """

    source: str
    masked: str | None = None
    newest: ServerKey | None = None
    old_good_until: datetime | None = None


def masked(key: str) -> str:
    """
    What may be shown of a key: enough to tell it from others.
    """
    if len(key) <= SHOWN_FIRST + SHOWN_LAST:
        return HIDDEN
    return f"{key[:SHOWN_FIRST]}-{HIDDEN}-{HIDDEN}-{key[-SHOWN_LAST:]}"


@use_case
async def rotate_server_key(ports: Ports, principal: Principal, cmd: RotateServerKey) -> Rotated:
    """
    Replace the server's key. The new one works at once in every process; of two who rotate at the same moment, one
    replaces the key of the other.

    Raises:
        RoleTooLow: If the principal is no admin.
        KeyTooWide: If it is neither an owner nor the server's key.
        InvalidField: If the overlap is longer than a day.
    """
    require(principal, Role.ADMIN)
    if not timedelta(0) <= cmd.overlap <= LONGEST_OVERLAP:
        raise InvalidField("overlap", f"must be from 0 to {LONGEST_OVERLAP.total_seconds():.0f} seconds", cmd.overlap)
    now = ports.clock.now()
    until, secret = now + cmd.overlap, ports.secrets.server_key()
    given = await _given_for(ports, principal, cmd.given)
    async with ports.unit(principal) as unit:
        await _check_reach(unit, principal)
        known = await unit.rows(SERVER_KEYS).every(of=principal.organization)
        if known:
            _end(unit, known, at=now, until=until)
        else:
            await _begin(ports, unit, principal, given, at=now, until=until)
        made = unit.rows(SERVER_KEYS).add(await _key(ports, principal, secret, at=now))
        old = known[-1].masked if known else masked(given) if given else None
        unit.record(
            ServerKeyRotated(
                organization=principal.organization, old=old, new=made.masked, old_good_until=until, at=now
            )
        )
        unit.result(made.id)
        try:
            await unit.commit()
        except StaleWrite:
            raise
        except Conflict:
            raise StaleWrite("server key", principal.organization) from None  # somebody else made the first one
    return Rotated(made, secret, until)


async def _check_reach(unit: UnitOfWork, principal: Principal) -> None:
    if isinstance(principal, System):
        return
    own = await unit.rows(MEMBERS).find(id=principal.member) if isinstance(principal, MemberPrincipal) else None
    if own is None or own.role != OWNER:
        raise KeyTooWide
    unit.rely_on(own)


def _end(unit: UnitOfWork, known: list[ServerKey], *, at: datetime, until: datetime) -> None:
    """
    Let every key end that has not ended, and forget those that have.
    """
    keys = unit.rows(SERVER_KEYS)
    for each in known:
        if not each.lives(at=at):
            keys.remove(each)
        elif each.expires_at is None or each.expires_at > until:
            keys.save(evolve(each, expires_at=until))


async def _begin(
    ports: Ports, unit: UnitOfWork, principal: Principal, given: str | None, *, at: datetime, until: datetime
) -> None:
    """
    Keep what is there before any other: a key that nobody has, of which there can be one only, so that of two who would
    both be the first the store refuses the second; and the environment's, if it is to be good for a while.
    """
    keys = unit.rows(SERVER_KEYS)
    keys.add(await _key(ports, principal, f"no key of {principal.organization}", at=at, until=at))
    if given and until > at:
        keys.add(await _key(ports, principal, given, at=at, until=until))


async def server_key_again(ports: Ports, principal: Principal, key: UUID) -> Rotated:
    """
    A key that was made before, without its secret.
    """
    made = await ports.reads.rows.get(principal, SERVER_KEYS, key)
    others = await ports.reads.rows.every(principal, SERVER_KEYS, of=made.of)
    until = (each.expires_at for each in others if each.number < made.number and each.expires_at)
    return Rotated(made, None, max(until, default=made.created_at))


async def server_key_state(ports: Ports, principal: Principal, given: str | None) -> KeyState:
    """
    Which key of the server stands for the principal's organization.

    Raises:
        RoleTooLow: If the principal is no admin.
        OneBoardAlone: If the principal is an agent of one board.
    """
    require_over_all(principal)
    now = ports.clock.now()
    known = await ports.reads.rows.every(principal, SERVER_KEYS, of=principal.organization)
    if known:
        old = max((each.expires_at for each in known if each.expires_at and each.lives(at=now)), default=None)
        return KeyState("database", newest=known[-1], old_good_until=old)
    own = await _given_for(ports, principal, given)
    return KeyState("environment", masked=masked(own)) if own else KeyState("none")


async def _given_for(ports: Ports, principal: Principal, given: str | None) -> str | None:
    """
    The environment's key, if it stands for the principal's organization now.
    """
    if not given:
        return None
    stands_for = await ports.credentials.principal_of(digest_of(given), at=ports.clock.now())
    return given if stands_for is not None and stands_for.organization == principal.organization else None


async def _key(
    ports: Ports, principal: Principal, secret: str, *, at: datetime, until: datetime | None = None
) -> ServerKey:
    (number,) = await ports.numbers.draw(NUMBERS)
    return ServerKey(
        id=ServerKeyId(ports.ids.new()), of=principal.organization, number=number, digest=digest_of(secret),
        masked=masked(secret), created_by=principal.actor.name, created_at=at, expires_at=until,
    )  # fmt: skip
