"""
Rotation of the server's API key while the server runs: a generated key replaces the one from the environment.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from attrs import evolve, field

from mission_core.accounts.members import MEMBERS, OWNER
from mission_core.accounts.model import (
    MemberPrincipal,
    Principal,
    Role,
    SystemPrincipal,
    require_organization_admin,
    require_role,
)
from mission_core.accounts.server_keys import SERVER_KEYS, ServerKey, ServerKeyRotated
from mission_core.accounts.sign_in import token_digest
from mission_core.errors import Conflict, Denied, InvalidField, StaleWrite
from mission_core.ids import ServerKeyId
from mission_core.kinds import DEPLOYMENT
from mission_core.lazy_attrs import frozen
from mission_core.use_case import use_case

if TYPE_CHECKING:
    from mission_core.ports import Ports, UnitOfWork

MAX_OVERLAP: Final = timedelta(days=1)
SERVER_KEY_NUMBERS: Final = (DEPLOYMENT, "server_key")
SHOWN_FIRST, SHOWN_LAST, HIDDEN = 4, 5, "****"


class ServerKeyRotationDenied(Denied):
    """
    The server's key has an owner's rights, so only an owner or a holder of that key may replace it.
    """

    code = "key_too_wide"
    says = "the server's key has an owner's rights; only an owner or a holder of that key may replace it"


@frozen(kw_only=True)
class RotateServerKey:
    """
    Create a new server key for the caller's organization. Older keys stay valid for *overlap*, or until their earlier
    expiry.

    Args:
        given: The configured key of the environment, if there is one. It is replaced if it belongs to the organization.
    """

    given: str | None = field(default=None, repr=False)
    overlap: timedelta = timedelta(0)


@frozen
class RotatedServerKey:
    """
    A created key, its secret if it is shown, and the expiry of the older keys.
    """

    key: ServerKey
    secret: str | None = field(repr=False)
    old_good_until: datetime


@frozen
class ServerKeyState:
    """
    The source of an organization's server key.

    Args:
        source: `database` if the key was rotated at runtime, else `environment` or `none`.
        masked: The masked key of the environment.
        newest: The newest key that was created at runtime.
        old_good_until: The latest expiry of an older key that is still valid.
    """

    source: str
    masked: str | None = None
    newest: ServerKey | None = None
    old_good_until: datetime | None = None


def masked_key(key: str) -> str:
    """
    The masked form of a key, which is enough to recognize it.
    """
    if len(key) <= SHOWN_FIRST + SHOWN_LAST:
        return HIDDEN
    return f"{key[:SHOWN_FIRST]}-{HIDDEN}-{HIDDEN}-{key[-SHOWN_LAST:]}"


@use_case
async def rotate_server_key(ports: Ports, principal: Principal, cmd: RotateServerKey) -> RotatedServerKey:
    """
    Replace the server's key. The new key is valid at once in every process. Of two concurrent rotations, the second
    replaces the key of the first.

    Raises:
        RoleTooLow: If the principal is no admin.
        ServerKeyRotationDenied: If it is neither an owner nor the server's key.
        InvalidField: If the overlap is longer than a day.
    """
    require_role(principal, Role.ADMIN)
    if not timedelta(0) <= cmd.overlap <= MAX_OVERLAP:
        raise InvalidField("overlap", f"must be from 0 to {MAX_OVERLAP.total_seconds():.0f} seconds", cmd.overlap)
    now = ports.clock.now()
    until, secret = now + cmd.overlap, ports.secrets.server_key()
    given = await _environment_key_of(ports, principal, cmd.given)
    async with ports.unit(principal) as unit:
        await _require_owner_or_server_key(unit, principal)
        known = await unit.repository(SERVER_KEYS).every(of=principal.organization)
        if known:
            _expire_keys(unit, known, at=now, until=until)
        else:
            await _keep_first_keys(ports, unit, principal, given, at=now, until=until)
        made = unit.repository(SERVER_KEYS).add(await _new_key(ports, principal, secret, at=now))
        old = known[-1].masked if known else masked_key(given) if given else None
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
            raise StaleWrite("server key", principal.organization) from None  # another request created the first key
    return RotatedServerKey(made, secret, until)


async def _require_owner_or_server_key(unit: UnitOfWork, principal: Principal) -> None:
    if isinstance(principal, SystemPrincipal):
        return
    own = await unit.repository(MEMBERS).find(id=principal.member) if isinstance(principal, MemberPrincipal) else None
    if own is None or own.role != OWNER:
        raise ServerKeyRotationDenied
    unit.rely_on(own)


def _expire_keys(unit: UnitOfWork, known: list[ServerKey], *, at: datetime, until: datetime) -> None:
    """
    Limit the validity of all valid keys to *until*, and remove expired ones.
    """
    keys = unit.repository(SERVER_KEYS)
    for each in known:
        if not each.is_valid(at=at):
            keys.remove(each)
        elif each.expires_at is None or each.expires_at > until:
            keys.save(evolve(each, expires_at=until))


async def _keep_first_keys(
    ports: Ports, unit: UnitOfWork, principal: Principal, given: str | None, *, at: datetime, until: datetime
) -> None:
    """
    Before the first rotation, add a placeholder key that only one of two concurrent rotations can add. Also add the
    environment's key if it stays valid for a while.
    """
    keys = unit.repository(SERVER_KEYS)
    keys.add(await _new_key(ports, principal, f"no key of {principal.organization}", at=at, until=at))
    if given and until > at:
        keys.add(await _new_key(ports, principal, given, at=at, until=until))


async def get_rotated_server_key(ports: Ports, principal: Principal, key: UUID) -> RotatedServerKey:
    """
    A key that was created before, without its secret.
    """
    made = await ports.reads.entities.get(principal, SERVER_KEYS, key)
    others = await ports.reads.entities.every(principal, SERVER_KEYS, of=made.of)
    until = (each.expires_at for each in others if each.number < made.number and each.expires_at)
    return RotatedServerKey(made, None, max(until, default=made.created_at))


async def server_key_state(ports: Ports, principal: Principal, given: str | None) -> ServerKeyState:
    """
    The source of the server key of the principal's organization.

    Raises:
        RoleTooLow: If the principal is no admin.
        BoardAgentConfined: If the principal is an agent of one board.
    """
    require_organization_admin(principal)
    now = ports.clock.now()
    known = await ports.reads.entities.every(principal, SERVER_KEYS, of=principal.organization)
    if known:
        old = max((each.expires_at for each in known if each.expires_at and each.is_valid(at=now)), default=None)
        return ServerKeyState("database", newest=known[-1], old_good_until=old)
    own = await _environment_key_of(ports, principal, given)
    return ServerKeyState("environment", masked=masked_key(own)) if own else ServerKeyState("none")


async def _environment_key_of(ports: Ports, principal: Principal, given: str | None) -> str | None:
    """
    The environment's key, if it belongs to the principal's organization now.
    """
    if not given:
        return None
    stands_for = await ports.credentials.principal_of(token_digest(given), at=ports.clock.now())
    return given if stands_for is not None and stands_for.organization == principal.organization else None


async def _new_key(
    ports: Ports, principal: Principal, secret: str, *, at: datetime, until: datetime | None = None
) -> ServerKey:
    (number,) = await ports.numbers.next(SERVER_KEY_NUMBERS)
    return ServerKey(
        id=ServerKeyId(ports.ids.new()), of=principal.organization, number=number, digest=token_digest(secret),
        masked=masked_key(secret), created_by=principal.actor.name, created_at=at, expires_at=until,
    )  # fmt: skip
