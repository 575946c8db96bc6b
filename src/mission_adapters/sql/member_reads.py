"""
Members joined with their user accounts: the member list, and the principal of a session or token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve
from sqlalchemy import ColumnElement, Executable, FromClause, Select, and_, select

from mission_adapters.sql.database_session import DatabaseSession, Steps
from mission_adapters.sql.kind_tables import MAPPINGS
from mission_adapters.sql.statements import cached_statement, parameter
from mission_core.accounts.members import MEMBERS, BoardPermission, Member, MemberWithUser, principal_of_member
from mission_core.accounts.sessions import SESSIONS
from mission_core.accounts.users import USERS, UserNotFound
from mission_core.boards.grants import GRANTS
from mission_core.ids import BoardId, SessionId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.lazy_attrs import frozen
from mission_core.row_mapping import uuid_of_bytes
from mission_core.values import moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mission_adapters.sql.database_session import BoundStatement
    from mission_core.accounts.model import MemberPrincipal, Principal
    from mission_core.ids import OrganizationId, UserId

_users: Final = MAPPINGS[USERS].table
_members: Final = MAPPINGS[MEMBERS].table
_member_column_count: Final = len(_members.c)


def _select_principals(source: FromClause, *more: ColumnElement[Any]) -> Select[Any]:
    """
    Select members of *source* with their users and grants, and further columns. A member with several grants is in
    several rows.
    """
    grants = MAPPINGS[GRANTS].table
    of_member = and_(grants.c.organization == _members.c.organization, grants.c.member == _members.c.id)
    of_user = _users.c.number, _users.c.username, _users.c.name
    of_grant = grants.c.on_board, grants.c.can_read, grants.c.can_write
    found = select(*_members.c, *of_user, *of_grant, *more).select_from(source.outerjoin(grants, of_member))
    return found.where(_users.c.approved == 1)


@cached_statement
def select_member_of_session() -> Executable:
    """
    Select the user of a session as a member of the organization in which the session is.
    """
    sessions = MAPPINGS[SESSIONS].table
    in_workspace = and_(_members.c.organization == sessions.c.workspace, _members.c.user == sessions.c.user)
    source = sessions.join(_users, _users.c.id == sessions.c.user).join(_members, in_workspace)
    return _select_principals(source, sessions.c.id, sessions.c.expires_at).where(
        sessions.c.organization == parameter("deployment"),
        sessions.c.digest == parameter("digest"),
        sessions.c.expires_at > parameter("at", int),
    )


@cached_statement
def _select_grants() -> Executable:
    grants = MAPPINGS[GRANTS].table
    return select(grants.c.on_board, grants.c.can_read, grants.c.can_write).where(
        grants.c.organization == parameter("organization"), grants.c.member == parameter("member")
    )


@cached_statement
def select_member(named: bool) -> Executable:
    """
    Select a user as a member of a given organization, or of the user's active one.
    """
    place = parameter("organization") if named else _users.c.active
    in_place = and_(_members.c.organization == place, _members.c.user == _users.c.id)
    return _select_principals(_users.join(_members, in_place)).where(_users.c.id == parameter("user"))


@cached_statement
def _select_colleagues(by: str | None) -> Executable:
    found: Select[Any] = (
        select(*_members.c, *_users.c)
        .join(_users, _users.c.id == _members.c.user)
        .where(_members.c.organization == parameter("organization"))
    )
    if by is not None:
        found = found.where(_users.c[by] == parameter(by, _users.c[by].type.python_type))
    return found.order_by(_users.c.number)


def read_session_principal(dialect: str, digest: bytes, *, at: int) -> Steps[tuple[MemberPrincipal, int] | None]:
    """
    Return the member whose session secret has this digest, and the microsecond at which the session expires.
    """
    rows = yield select_member_of_session()(dialect, deployment=DEPLOYMENT.bytes, digest=digest, at=at)
    if not rows:
        return None
    *_, session, expires_at = rows[0]
    member = _principal_from(rows, SessionId(uuid_of_bytes(session)))
    return evolve(member, expires_at=moment(expires_at)), expires_at


def read_member_principal(
    dialect: str, user: UserId, organization: OrganizationId | None
) -> Steps[MemberPrincipal | None]:
    """
    Return the user as a member of *organization*, by default of the user's active organization.
    """
    given = {} if organization is None else {"organization": organization.bytes}
    rows = yield select_member(organization is not None)(dialect, user=user.bytes, **given)
    return _principal_from(rows) if rows else None


def read_grants(dialect: str, member: Member) -> Steps[list[BoardPermission]]:
    """
    Return the member's grants on single boards.
    """
    rows = yield _select_grants()(dialect, organization=member.organization.bytes, member=member.id.bytes)
    return _grants_from(map(tuple, rows))


def _grants_from(rows: Iterable[tuple[Any, ...]]) -> list[BoardPermission]:
    return [
        BoardPermission(BoardId(uuid_of_bytes(on)), bool(read), bool(write))
        for on, read, write in rows
        if on is not None
    ]


def _principal_from(rows: list[Any], session: SessionId | None = None) -> MemberPrincipal:
    """
    Return the principal described by rows that differ only in the board grant.
    """
    first = tuple(rows[0])
    number, username, name = first[_member_column_count : _member_column_count + 3]
    grants = _grants_from(tuple(row[_member_column_count + 3 : _member_column_count + 6]) for row in rows)
    return principal_of_member(
        MAPPINGS[MEMBERS].rows.entity_from(first[:_member_column_count]),
        grants,
        number=UserNumber(number),
        username=username,
        display=name if name and name.strip() else username,
        session=session,
    )


@frozen(eq=False, repr=False)
class SqlMemberReads:
    """
    Reads the members of the principal's organization.
    """

    session: DatabaseSession

    async def every(self, principal: Principal) -> list[MemberWithUser]:
        """
        Return all members, by user number.
        """
        statement = _select_colleagues(None)
        return await self._rows(statement(self.session.dialect, organization=principal.organization.bytes))

    async def get(self, principal: Principal, user: UserId | UserNumber) -> MemberWithUser:
        """
        Return the member with this user id or number.
        """
        given: dict[str, Any] = {"number": user} if isinstance(user, int) else {"id": user.bytes}
        statement = _select_colleagues(next(iter(given)))
        own = principal.organization.bytes
        found = await self._rows(statement(self.session.dialect, organization=own, **given))
        if not found:
            raise UserNotFound
        return found[0]

    async def _rows(self, ask: BoundStatement) -> list[MemberWithUser]:
        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield ask
            return rows

        return [
            MemberWithUser(
                MAPPINGS[MEMBERS].rows.entity_from(row[:_member_column_count]),
                MAPPINGS[USERS].rows.entity_from(row[_member_column_count:]),
            )
            for row in map(tuple, await self.session.read(steps))
        ]
