"""
Import of users under free user names and numbers.

Users with the same e-mail address are not merged. Otherwise somebody could write another person's address into the
other system's database and take over that person's account here.
"""

from __future__ import annotations

from typing import Final

from attrs import define, evolve

from mission_adapters.importing.taking import Taker
from mission_core.accounts.members import MEMBERS, OWNER, Member
from mission_core.accounts.model import System
from mission_core.accounts.organizations import HOME
from mission_core.accounts.people import local_user_of
from mission_core.accounts.users import LONGEST_NAME, USERS, User
from mission_core.ids import MemberId, UserNumber
from mission_core.kinds import DEPLOYMENT
from mission_core.ports import Ports

ANOTHERS_NAME: Final = "another user here has the user name; it has a longer one"
ANOTHERS_NUMBER: Final = "another user here has the number; it has a new one"
SAME_ADDRESS: Final = "another user here has the same e-mail address; they are not merged"


@define
class Newcomers:
    """
    Makes the numbers and user names of imported users unique.
    """

    taker: Taker

    async def settled(self, user: User) -> tuple[User, str | None]:
        """
        The user with a free number and user name, and the text about the change for the report.
        """
        told = []
        if user.number > 0 and not await self._taken(number=user.number):
            await self.taker.ports.numbers.reach((DEPLOYMENT, "user", user.number))
        else:
            told += [ANOTHERS_NUMBER] if user.number > 0 else []
            (number,) = await self.taker.ports.numbers.draw((DEPLOYMENT, "user"))
            user = evolve(user, number=UserNumber(number))
        if await self._taken(username_key=user.username_key):
            told.append(ANOTHERS_NAME)
            user = user.renamed(f"{user.username[: LONGEST_NAME - 13]}-{user.id.hex[-12:]}")
        if user.email and await self._taken(email=user.email):
            told.append(SAME_ADDRESS)
        return user, "; ".join(told) or None

    async def _taken(self, **equal: object) -> bool:
        return bool(await self.taker.ports.reads.rows.every(self.taker.principal, USERS, **equal))


async def give_to_local_user(ports: Ports, taker: Taker) -> None:
    """
    Make the local user owner of an imported organization that has no owner, so that the server's key has access to it.
    """
    home = await ports.credentials.organization(HOME)
    if home is None or home.id == taker.organization:
        return
    local, now = local_user_of(home.id), ports.clock.now()
    async with ports.unit(System(organization=taker.organization)) as unit:
        members = unit.rows(MEMBERS)
        known = await unit.rows(USERS).find(id=local) is not None
        if not known or await members.find(user=local) is not None:
            return
        members.add(
            Member(
                id=MemberId(ports.ids.new()), organization=taker.organization, user=local, role=OWNER,
                all_boards_read=True, all_boards_write=True, created_at=now, updated_at=now,
            )
        )  # fmt: skip
        await unit.commit()
