"""
Organizations, and who a secret stands for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from mission_adapters.sql.mapping import id_from, maybe_id, maybe_moment, trusted
from mission_adapters.sql.session import Ask, Session, Steps
from mission_adapters.sql.statements import Statement, value
from mission_adapters.sql.tables import agents, api_keys, organizations
from mission_core.accounts.model import AgentPrincipal, Organization, Principal, role_from
from mission_core.values import micros, moment

if TYPE_CHECKING:
    from datetime import datetime

    from mission_core.ids import OrganizationId

make_principal = trusted(AgentPrincipal)

SHOWN: Final = Statement(
    select(
        api_keys.c.organization,
        agents.c.id,
        agents.c.name,
        agents.c.board,
        agents.c.lead,
        api_keys.c.scopes,
        api_keys.c.id,
        agents.c.last_seen_at,
    )
    .join(agents, agents.c.id == api_keys.c.agent)
    .where(
        api_keys.c.digest == value("digest"),
        api_keys.c.revoked_at.is_(None),
        api_keys.c.expires_at.is_(None) | (api_keys.c.expires_at > value("at", int)),
    )
)
BY_ID: Final = Statement(select(*organizations.c).where(organizations.c.id == value("organization")))
BY_SLUG: Final = Statement(select(*organizations.c).where(organizations.c.slug == value("slug", str)))
ALL: Final = Statement(select(organizations.c.id).order_by(organizations.c.number))
FOUND: Final = {
    dialect: Statement(dialects.insert(organizations).on_conflict_do_nothing(index_elements=["slug"]))
    for dialect, dialects in (("sqlite", sqlite), ("postgresql", postgresql))
}


@frozen
class SqlCredentials:
    """
    The only port that reads unscoped.
    """

    session: Session

    async def principal_of(self, digest: bytes, *, at: datetime) -> Principal | None:
        """
        The principal of the key with this SHA-256, if it is live at *at* and its agent exists.
        """
        rows = await self._rows(SHOWN(self.session.dialect, digest=digest, at=micros(at)))
        if not rows:
            return None
        organization, agent, name, board, lead, scopes, key, seen_at = rows[0]
        principal: Principal = make_principal(
            organization=id_from(organization),
            agent=id_from(agent),
            name=name,
            board=maybe_id(board),
            lead=bool(lead),
            role=role_from(tuple(json.loads(scopes))),
            key=id_from(key),
            seen_at=maybe_moment(seen_at),
        )
        return principal

    async def organization(self, slug: str) -> Organization | None:
        """
        The organization with this slug, if there is one.
        """
        rows = await self._rows(BY_SLUG(self.session.dialect, slug=slug))
        return _organization_from(rows[0]) if rows else None

    async def found(self, organization: Organization) -> Organization:
        """
        Keep the organization if its slug is free; the answer is the one that is kept.
        """
        dialect, row = self.session.dialect, _row_from(organization)

        def steps() -> Steps[list[Any]]:
            yield FOUND[dialect].count(dialect, **row)
            rows: list[Any] = yield BY_SLUG(dialect, slug=organization.slug)
            return rows

        return _organization_from((await self.session.write(steps))[0])

    async def organizations(self) -> list[OrganizationId]:
        """
        All organizations.
        """
        return [id_from(row[0]) for row in await self._rows(ALL(self.session.dialect))]

    async def _rows(self, ask: Ask) -> list[Any]:
        def steps() -> Steps[list[Any]]:
            rows: list[Any] = yield ask
            return rows

        return await self.session.read(steps)


def organization_of(dialect: str, principal: Principal) -> Steps[Organization]:
    """
    The principal's own organization.
    """
    rows = yield BY_ID(dialect, organization=principal.organization.bytes)
    return _organization_from(rows[0])


def _row_from(organization: Organization) -> dict[str, Any]:
    return {
        "id": organization.id.bytes,
        "number": organization.number,
        "slug": organization.slug,
        "name": organization.name,
        "gateway": organization.gateway.bytes,
        "created_at": micros(organization.created_at),
    }


def _organization_from(row: Any) -> Organization:
    id, number, slug, name, gateway, created_at = row
    return Organization(
        id=id_from(id),
        number=number,
        slug=slug,
        name=name,
        gateway=id_from(gateway),
        created_at=moment(created_at),
    )
