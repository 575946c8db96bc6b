"""
Members joined with their user accounts: the member list, and the principal of a session or token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from sqlalchemy import Executable, Select, and_, select

from mission_adapters.sql.mapping import id_from
from mission_adapters.sql.plain import SHELVES
from mission_adapters.sql.session import Session, Steps
from mission_adapters.sql.statements import Statement, shaped, value
from mission_core.accounts.members import MEMBERS, Colleague, Granted, Member, acting
from mission_core.accounts.sessions import SESSIONS
from mission_core.accounts.users import USERS, UserNotFound
from mission_core.boards.grants import GRANTS
from mission_core.ids import BoardId, SessionId, UserNumber
from mission_core.kinds import DEPLOYMENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mission_adapters.sql.session import Ask
    from mission_core.accounts.model import MemberPrincipal, Principal
    from mission_core.ids import OrganizationId, UserId

_users: Final = SHELVES[USERS].table
_members: Final = SHELVES[MEMBERS].table
_grants: Final = SHELVES[GRANTS].table
_sessions: Final = SHELVES[SESSIONS].table
_member: Final = len(_members.c)

_acting: Final = (
    *_members.c, _users.c.number, _users.c.username, _users.c.name, _grants.c.on_board, _grants.c.can_read,
    _grants.c.can_write,
)  # fmt: skip
_granted: Final = and_(_grants.c.organization == _members.c.organization, _grants.c.member == _members.c.id)

SIGNED_IN: Final = Statement(
    select(*_acting, _sessions.c.id)
    .select_from(
        _sessions.join(_users, _users.c.id == _sessions.c.user)
        .join(_members, and_(_members.c.organization == _sessions.c.workspace, _members.c.user == _sessions.c.user))
        .outerjoin(_grants, _granted)
    )
    .where(
        _sessions.c.organization == value("deployment"),
        _sessions.c.digest == value("digest"),
        _sessions.c.expires_at > value("at", int),
        _users.c.approved == 1,
    )
)

GRANTED: Final = Statement(
    select(_grants.c.on_board, _grants.c.can_read, _grants.c.can_write).where(
        _grants.c.organization == value("organization"), _grants.c.member == value("member")
    )
)


@shaped
def _acting_as(named: bool) -> Executable:
    """
    Select a user as a member of a given organization, or of the user's active one.
    """
    place = value("organization") if named else _users.c.active
    return (
        select(*_acting)
        .select_from(
            _users.join(_members, and_(_members.c.organization == place, _members.c.user == _users.c.id)).outerjoin(
                _grants, _granted
            )
        )
        .where(_users.c.id == value("user"), _users.c.approved == 1)
    )


@shaped
def _colleagues(by: str | None) -> Executable:
    found: Select[Any] = (
        select(*_members.c, *_users.c)
        .join(_users, _users.c.id == _members.c.user)
        .where(_members.c.organization == value("organization"))
    )
    if by is not None:
        found = found.where(_users.c[by] == value(by, _users.c[by].type.python_type))
    return found.order_by(_users.c.number)


def signed_in(dialect: str, digest: bytes, *, at: int) -> Steps[MemberPrincipal | None]:
    """
    Return the member whose session secret has this digest.
    """
    rows = yield SIGNED_IN(dialect, deployment=DEPLOYMENT.bytes, digest=digest, at=at)
    return _principal_from(rows, session=True)


def acting_as(dialect: str, user: UserId, organization: OrganizationId | None) -> Steps[MemberPrincipal | None]:
    """
    Return the user as a member of *organization*, by default of the user's active organization.
    """
    given = {} if organization is None else {"organization": organization.bytes}
    rows = yield _acting_as(organization is not None)(dialect, user=user.bytes, **given)
    return _principal_from(rows, session=False)


def granted_to(dialect: str, member: Member) -> Steps[list[Granted]]:
    """
    Return the member's grants on single boards.
    """
    rows = yield GRANTED(dialect, organization=member.organization.bytes, member=member.id.bytes)
    return _grants_from(map(tuple, rows))


def _grants_from(rows: Iterable[tuple[Any, ...]]) -> list[Granted]:
    return [Granted(BoardId(id_from(on)), bool(read), bool(write)) for on, read, write in rows if on is not None]


def _principal_from(rows: list[Any], *, session: bool) -> MemberPrincipal | None:
    """
    Return the principal described by rows that differ only in the board grant.
    """
    if not rows:
        return None
    first = tuple(rows[0])
    number, username, name = first[_member : _member + 3]
    grants = _grants_from(tuple(row[_member + 3 : _member + 6]) for row in rows)
    return acting(
        SHELVES[MEMBERS].entity_from(first[:_member]),
        grants,
        number=UserNumber(number),
        username=username,
        display=name if name and name.strip() else username,
        session=SessionId(id_from(first[-1])) if session else None,
    )


@frozen
class SqlMemberReads:
    """
    Reads the members of the principal's organization.
    """

    session: Session

    async def every(self, principal: Principal) -> list[Colleague]:
        """
        Return all members, by user number.
        """
        statement = _colleagues(None)
        return await self._rows(statement(self.session.dialect, organization=principal.organization.bytes))

    async def get(self, principal: Principal, user: UserId | UserNumber) -> Colleague:
        """
        Return the member with this user id or number.
        """
        given: dict[str, Any] = {"number": user} if isinstance(user, int) else {"id": user.bytes}
        statement = _colleagues(next(iter(given)))
        own = principal.organization.bytes
        found = await self._rows(statement(self.session.dialect, organization=own, **given))
        if not found:
            raise UserNotFound
        return found[0]

    async def _rows(self, ask: Ask) -> list[Colleague]:
        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield ask
            return rows

        return [
            Colleague(SHELVES[MEMBERS].entity_from(row[:_member]), SHELVES[USERS].entity_from(row[_member:]))
            for row in map(tuple, await self.session.read(steps))
        ]
