"""
Import of users under free user names and numbers.

Users with the same e-mail address are not merged. Otherwise somebody could write another person's address into the
other system's database and take over that person's account here.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from mission_adapters.data_import.entity_import import EntityImporter
from mission_core.accounts.members import MEMBERS, OWNER, Member
from mission_core.accounts.model import SystemPrincipal
from mission_core.accounts.organizations import DEFAULT_ORGANIZATION_SLUG
from mission_core.accounts.profiles import local_user_of
from mission_core.accounts.users import MAX_USERNAME, USERS, User
from mission_core.ids import MemberId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.lazy_attrs import define
from mission_core.ports import Ports

USERNAME_TAKEN: Final = "another user here has the user name; it has a longer one"
USER_NUMBER_TAKEN: Final = "another user here has the number; it has a new one"
EMAIL_TAKEN: Final = "another user here has the same e-mail address; they are not merged"


@define
class UniqueUsers:
    """
    Makes the numbers and user names of imported users unique.
    """

    importer: EntityImporter

    async def with_free_name_and_number(self, user: User) -> tuple[User, str | None]:
        """
        The user with a free number and user name, and the text about the change for the report.
        """
        told = []
        if user.number > 0 and not await self._taken(number=user.number):
            await self.importer.ports.numbers.advance_to((DEPLOYMENT, "user", user.number))
        else:
            told += [USER_NUMBER_TAKEN] if user.number > 0 else []
            (number,) = await self.importer.ports.numbers.next((DEPLOYMENT, "user"))
            user = evolve(user, number=UserNumber(number))
        if await self._taken(username_key=user.username_key):
            told.append(USERNAME_TAKEN)
            user = user.renamed(f"{user.username[: MAX_USERNAME - 13]}-{user.id.hex[-12:]}")
        if user.email and await self._taken(email=user.email):
            told.append(EMAIL_TAKEN)
        return user, "; ".join(told) or None

    async def _taken(self, **equal: object) -> bool:
        return bool(await self.importer.ports.reads.entities.every(self.importer.principal, USERS, **equal))


async def make_local_user_owner(ports: Ports, taker: EntityImporter) -> None:
    """
    Make the local user owner of an imported organization that has no owner, so that the server's key has access to it.
    """
    home = await ports.credentials.organization(DEFAULT_ORGANIZATION_SLUG)
    if home is None or home.id == taker.organization:
        return
    local, now = local_user_of(home.id), ports.clock.now()
    async with ports.unit(SystemPrincipal(organization=taker.organization)) as unit:
        members = unit.repository(MEMBERS)
        known = await unit.repository(USERS).find(id=local) is not None
        if not known or await members.find(user=local) is not None:
            return
        members.add(
            Member(
                id=MemberId(ports.ids.new()), organization=taker.organization, user=local, role=OWNER,
                all_boards_read=True, all_boards_write=True, created_at=now, updated_at=now,
            )
        )  # fmt: skip
        await unit.commit()
