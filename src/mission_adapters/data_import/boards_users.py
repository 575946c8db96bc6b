"""
Import of the people of a Boards database: users, memberships, board access grants and invites.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from attrs import field

from mission_adapters.data_import.boards_values import optional_datetime
from mission_adapters.data_import.entity_import import EntityImporter, rows_with_factory
from mission_adapters.data_import.imported_users import UniqueUsers
from mission_adapters.data_import.row_repairs import utc_datetime_from
from mission_core.accounts.invites import INVITES, Invite
from mission_core.accounts.member_admin import normalized_role
from mission_core.accounts.members import MEMBERS, Member
from mission_core.accounts.profiles import LOCAL_LOGIN, PROFILE_ANSWERS, local_user_of
from mission_core.accounts.users import MAX_EMAIL, MAX_USERNAME, USERS, IdentityProvider, User
from mission_core.boards.grants import GRANTS, INVITE_GRANTS, Grant, InviteGrant
from mission_core.ids import BoardId, GrantId, InviteId, MemberId, OrganizationId, UserId, UserNumber
from mission_core.lazy_attrs import frozen
from mission_core.values import name_key

Row = Mapping[str, Any]
LOCAL_USER_REPLACES: Final = "the local user here takes its place"
ISSUER_MISSING: Final = (
    "no issuer is set, so they cannot sign in; set AUTH_MODE and its issuer, and import into an empty database"
)
TOKEN_NOT_IMPORTED: Final = "its token is not imported; it has a new one here"


@frozen
class UserImport:
    """
    The import of users and memberships. *organizations* maps the organizations of the other system to those of this
    one, and *local_users* its local users to those of this one. *issuer* is the OpenID Connect issuer of all other
    users.
    """

    importer: EntityImporter
    tables: Mapping[str, list[Row]]
    organizations: Mapping[UUID, OrganizationId]
    issuer: str | None = None
    local_users: dict[UUID, UserId] = field(factory=dict)

    async def import_users(self) -> None:
        """
        Import the users. Each signs in at the issuer, under the same subject as before; no secret is imported.
        """
        rows = []
        for row in self.tables["users"]:
            if row.get("clerk_user_id") == LOCAL_LOGIN:
                self.importer.report.skip("users", row["id"], LOCAL_USER_REPLACES, meant=True)
                local = local_user_of(self.importer.organization)
                if await self.importer.ports.reads.entities.every(self.importer.principal, USERS, id=local):
                    self.local_users[row["id"]] = local
            else:
                rows.append(row)
        if rows and self.issuer is None:
            for row in rows:
                self.importer.report.change("users", row["id"], ISSUER_MISSING)
        newcomers = UniqueUsers(self.importer)
        await self.importer.import_rows(
            "users",
            lambda unit: unit.repository(USERS),
            rows_with_factory(rows, self.user),
            finish=newcomers.with_free_name_and_number,
        )

    async def import_members(self, there: UUID, taker: EntityImporter) -> None:
        """
        Import the members and invites of one organization, with their board access grants.
        """
        take = taker.import_rows
        members = [row for row in self.tables["organization_members"] if row["organization_id"] == there]
        await take(
            "organization_members", lambda unit: unit.repository(MEMBERS), rows_with_factory(members, self.member)
        )
        ids = {row["id"] for row in members}
        grants = [row for row in self.tables["organization_board_access"] if row["organization_member_id"] in ids]
        made = rows_with_factory(grants, lambda row: self.grant(row, taker))
        await take("organization_board_access", lambda unit: unit.repository(GRANTS), made)
        invites = [row for row in self.tables["organization_invites"] if row["organization_id"] == there]
        await take(
            "organization_invites", lambda unit: unit.repository(INVITES), rows_with_factory(invites, self.invite)
        )
        for row in invites:
            if row.get("accepted_at") is None and row["id"] in taker.imported_ids:
                taker.report.change("organization_invites", row["id"], TOKEN_NOT_IMPORTED)
        ids = {row["id"] for row in invites}
        offers = [
            row for row in self.tables["organization_invite_board_access"] if row["organization_invite_id"] in ids
        ]
        made = rows_with_factory(offers, lambda row: self.invite_grant(row, taker))
        await take("organization_invite_board_access", lambda unit: unit.repository(INVITE_GRANTS), made)

    def user(self, row: Row) -> User:
        """
        The user made from a row. The e-mail address counts as not verified.
        """
        now = self.importer.ports.clock.now()
        known = str(row["clerk_user_id"])
        subject = f"{self.issuer} {known}" if self.issuer else known
        username = str(row.get("email") or row.get("name") or known).strip()[:MAX_USERNAME] or known
        email = str(row["email"]).strip().lower()[:MAX_EMAIL] if row.get("email") else None
        told: dict[str, Any] = {name: row.get(name) for name in ("name", *PROFILE_ANSWERS)}
        active = row.get("active_organization_id")
        return User(
            id=UserId(row["id"]), number=UserNumber(0), username=username, username_key=name_key(username),
            provider=IdentityProvider.OIDC, subject=subject, email=email,
            active=self.organizations.get(active) if active else None,
            created_at=now, updated_at=now, **told,
        )  # fmt: skip

    def member(self, row: Row) -> Member:
        """
        The member made from a row.
        """
        user = self.local_users.get(row["user_id"])
        if user is None:
            self.importer.require_imported("user", row["user_id"])
        return Member(
            id=MemberId(row["id"]), organization=self.organizations[row["organization_id"]],
            user=user or UserId(row["user_id"]),
            role=normalized_role(str(row.get("role") or "")), all_boards_read=bool(row.get("all_boards_read")),
            all_boards_write=bool(row.get("all_boards_write")), **_timestamps(row),
        )  # fmt: skip

    def grant(self, row: Row, taker: EntityImporter) -> Grant:
        """
        The board access grant of a member made from a row.
        """
        taker.require_imported("member", row["organization_member_id"])
        return Grant(member=MemberId(row["organization_member_id"]), **self._grant_fields(row, taker))

    def invite(self, row: Row) -> Invite:
        """
        The invite made from a row.
        """
        by, accepted = row.get("created_by_user_id"), row.get("accepted_by_user_id")
        here = self.importer.imported_ids
        return Invite(
            id=InviteId(row["id"]), organization=self.organizations[row["organization_id"]],
            email=str(row["invited_email"]).strip().lower(), role=normalized_role(str(row.get("role") or "")),
            all_boards_read=bool(row.get("all_boards_read")), all_boards_write=bool(row.get("all_boards_write")),
            created_by=UserId(by) if by in here else None, accepted_by=UserId(accepted) if accepted in here else None,
            accepted_at=optional_datetime(row.get("accepted_at")), **_timestamps(row),
        )  # fmt: skip

    def invite_grant(self, row: Row, taker: EntityImporter) -> InviteGrant:
        """
        The board access grant of an invite made from a row.
        """
        taker.require_imported("invite", row["organization_invite_id"])
        return InviteGrant(invite=InviteId(row["organization_invite_id"]), **self._grant_fields(row, taker))

    def _grant_fields(self, row: Row, taker: EntityImporter) -> dict[str, Any]:
        taker.require_imported("board", row["board_id"])
        return {
            "id": GrantId(row["id"]), "organization": taker.organization, "on_board": BoardId(row["board_id"]),
            "can_read": bool(row.get("can_read", True)), "can_write": bool(row.get("can_write")),
            **_timestamps(row),
        }  # fmt: skip


def _timestamps(row: Row) -> dict[str, Any]:
    made = utc_datetime_from(row["created_at"])
    return {"created_at": made, "updated_at": optional_datetime(row.get("updated_at")) or made}
