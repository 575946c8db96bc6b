"""
Import of the people of a Boards database: users, memberships, board access grants and invites.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from attrs import field, frozen

from mission_adapters.importing.boards_values import maybe_moment
from mission_adapters.importing.people import Newcomers
from mission_adapters.importing.repairs import moment_from
from mission_adapters.importing.taking import Taker, in_turn
from mission_core.accounts.invites import INVITES, Invite
from mission_core.accounts.managing import role_named
from mission_core.accounts.members import MEMBERS, Member
from mission_core.accounts.people import LOCAL_LOGIN, TOLD, local_user_of
from mission_core.accounts.users import LONGEST_EMAIL, LONGEST_NAME, USERS, Provider, User
from mission_core.boards.grants import GRANTS, INVITE_GRANTS, Grant, InviteGrant
from mission_core.ids import BoardId, GrantId, InviteId, MemberId, OrganizationId, UserId, UserNumber
from mission_core.values import name_key

Row = Mapping[str, Any]
STANDS: Final = "the local user here takes its place"
NO_ISSUER: Final = (
    "no issuer is set, so they cannot sign in; set AUTH_MODE and its issuer, and import into an empty database"
)
NEW_TOKEN: Final = "its token is not imported; it has a new one here"


@frozen
class BoardsPeople:
    """
    The import of users and memberships. *places* maps the ids of organizations there to those here, *locals* maps the
    local user there to the local user here. *issuer* is the OpenID Connect issuer of the other users.
    """

    taker: Taker
    tables: Mapping[str, list[Row]]
    places: Mapping[UUID, OrganizationId]
    issuer: str | None = None
    locals: dict[UUID, UserId] = field(factory=dict)

    async def take_users(self) -> None:
        """
        Import the users. Each signs in at the issuer, under the same subject as before; no secret is imported.
        """
        rows = []
        for row in self.tables["users"]:
            if row.get("clerk_user_id") == LOCAL_LOGIN:
                self.taker.report.skip("users", row["id"], STANDS, meant=True)
                local = local_user_of(self.taker.organization)
                if await self.taker.ports.reads.rows.every(self.taker.principal, USERS, id=local):
                    self.locals[row["id"]] = local
            else:
                rows.append(row)
        if rows and self.issuer is None:
            for row in rows:
                self.taker.report.change("users", row["id"], NO_ISSUER)
        newcomers = Newcomers(self.taker)
        await self.taker.take(
            "users", lambda unit: unit.rows(USERS), in_turn(rows, self.user), finish=newcomers.settled
        )

    async def take_places(self, there: UUID, taker: Taker) -> None:
        """
        Import the members and invites of one organization, with their board access grants.
        """
        take = taker.take
        members = [row for row in self.tables["organization_members"] if row["organization_id"] == there]
        await take("organization_members", lambda unit: unit.rows(MEMBERS), in_turn(members, self.member))
        ids = {row["id"] for row in members}
        grants = [row for row in self.tables["organization_board_access"] if row["organization_member_id"] in ids]
        made = in_turn(grants, lambda row: self.grant(row, taker))
        await take("organization_board_access", lambda unit: unit.rows(GRANTS), made)
        invites = [row for row in self.tables["organization_invites"] if row["organization_id"] == there]
        await take("organization_invites", lambda unit: unit.rows(INVITES), in_turn(invites, self.invite))
        for row in invites:
            if row.get("accepted_at") is None and row["id"] in taker.here:
                taker.report.change("organization_invites", row["id"], NEW_TOKEN)
        ids = {row["id"] for row in invites}
        offers = [
            row for row in self.tables["organization_invite_board_access"] if row["organization_invite_id"] in ids
        ]
        made = in_turn(offers, lambda row: self.offer(row, taker))
        await take("organization_invite_board_access", lambda unit: unit.rows(INVITE_GRANTS), made)

    def user(self, row: Row) -> User:
        """
        The user made from a row. The e-mail address counts as not verified.
        """
        now = self.taker.ports.clock.now()
        known = str(row["clerk_user_id"])
        subject = f"{self.issuer} {known}" if self.issuer else known
        username = str(row.get("email") or row.get("name") or known).strip()[:LONGEST_NAME] or known
        email = str(row["email"]).strip().lower()[:LONGEST_EMAIL] if row.get("email") else None
        told: dict[str, Any] = {name: row.get(name) for name in ("name", *TOLD)}
        active = row.get("active_organization_id")
        return User(
            id=UserId(row["id"]), number=UserNumber(0), username=username, username_key=name_key(username),
            provider=Provider.OIDC, subject=subject, email=email, active=self.places.get(active) if active else None,
            created_at=now, updated_at=now, **told,
        )  # fmt: skip

    def member(self, row: Row) -> Member:
        """
        The member made from a row.
        """
        user = self.locals.get(row["user_id"])
        if user is None:
            self.taker.must_be_here("user", row["user_id"])
        return Member(
            id=MemberId(row["id"]), organization=self.places[row["organization_id"]],
            user=user or UserId(row["user_id"]),
            role=role_named(str(row.get("role") or "")), all_boards_read=bool(row.get("all_boards_read")),
            all_boards_write=bool(row.get("all_boards_write")), **_moments(row),
        )  # fmt: skip

    def grant(self, row: Row, taker: Taker) -> Grant:
        """
        The board access grant of a member made from a row.
        """
        taker.must_be_here("member", row["organization_member_id"])
        return Grant(member=MemberId(row["organization_member_id"]), **self._granted(row, taker))

    def invite(self, row: Row) -> Invite:
        """
        The invite made from a row.
        """
        by, accepted = row.get("created_by_user_id"), row.get("accepted_by_user_id")
        here = self.taker.here
        return Invite(
            id=InviteId(row["id"]), organization=self.places[row["organization_id"]],
            email=str(row["invited_email"]).strip().lower(), role=role_named(str(row.get("role") or "")),
            all_boards_read=bool(row.get("all_boards_read")), all_boards_write=bool(row.get("all_boards_write")),
            created_by=UserId(by) if by in here else None, accepted_by=UserId(accepted) if accepted in here else None,
            accepted_at=maybe_moment(row.get("accepted_at")), **_moments(row),
        )  # fmt: skip

    def offer(self, row: Row, taker: Taker) -> InviteGrant:
        """
        The board access grant of an invite made from a row.
        """
        taker.must_be_here("invite", row["organization_invite_id"])
        return InviteGrant(invite=InviteId(row["organization_invite_id"]), **self._granted(row, taker))

    def _granted(self, row: Row, taker: Taker) -> dict[str, Any]:
        taker.must_be_here("board", row["board_id"])
        return {
            "id": GrantId(row["id"]), "organization": taker.organization, "on_board": BoardId(row["board_id"]),
            "can_read": bool(row.get("can_read", True)), "can_write": bool(row.get("can_write")),
            **_moments(row),
        }  # fmt: skip


def _moments(row: Row) -> dict[str, Any]:
    made = moment_from(row["created_at"])
    return {"created_at": made, "updated_at": maybe_moment(row.get("updated_at")) or made}
