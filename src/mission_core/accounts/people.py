"""
People as they describe themselves.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid5

from attrs import asdict, evolve, field, frozen
from attrs.validators import optional

from mission_core.accounts.model import Principal
from mission_core.errors import Conflict, Denied, NotFound, VersionMismatch
from mission_core.events.model import Fact
from mission_core.ids import OrganizationId, PersonId, UserId
from mission_core.kinds import Kind
from mission_core.values import ABSENT, Absent, aware, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mission_core.ports import Ports, UnitOfWork

LONGEST: Final = 20_000


class NotAPerson(Denied):
    """
    The caller is a program, and a person is asked for.
    """

    def __str__(self) -> str:
        return "this credential stands for a program; sign in as a person to see or change a profile"


class LocalUserStays(Conflict):
    """
    The local user stands for whoever has the server's own token, and owns its organization.
    """

    def __str__(self) -> str:
        return (
            "the local user stands for LOCAL_AUTH_TOKEN and owns this organization, so neither can be deleted here; "
            "change the token to shut it out, or start another data directory"
        )


class PersonUnknown(NotFound):
    """
    Nothing is kept about this person.
    """


@frozen(kw_only=True)
class Person:
    """
    What an organization keeps about a person. *login* is what whoever vouches for them calls them.
    """

    id: PersonId
    organization: OrganizationId
    user: UserId
    login: str = field(validator=text(least=1, most=200))
    email: str | None = field(default=None, validator=optional(text(most=320)))
    name: str | None = field(default=None, validator=optional(text(most=LONGEST)))
    preferred_name: str | None = field(default=None, validator=optional(text(most=LONGEST)))
    pronouns: str | None = field(default=None, validator=optional(text(most=LONGEST)))
    timezone: str | None = field(default=None, validator=optional(text(most=LONGEST)))
    notes: str | None = field(default=None, validator=optional(text(most=LONGEST)))
    context: str | None = field(default=None, validator=optional(text(most=LONGEST)))
    created_at: datetime = field(validator=aware)
    updated_at: datetime = field(validator=aware)
    version: int = 0


PEOPLE: Final = Kind(entity=Person, name="people", missing=PersonUnknown)
LOCAL_LOGIN: Final = "local-auth-user"
LOCAL_NAME: Final = "Local User"
LOCAL_EMAIL: Final = "admin@home.local"
TOLD: Final = ("preferred_name", "pronouns", "timezone", "notes", "context")
"""What others may tell of a person."""


@frozen(kw_only=True)
class UpdateProfile:
    """
    Change the named fields of the caller's own profile.
    """

    expects: int | None = None
    name: str | Absent | None = ABSENT
    preferred_name: str | Absent | None = ABSENT
    pronouns: str | Absent | None = ABSENT
    timezone: str | Absent | None = ABSENT
    notes: str | Absent | None = ABSENT
    context: str | Absent | None = ABSENT


@frozen(kw_only=True)
class ProfileUpdated(Fact):
    """
    A person changed what is kept about them. The fact names fields, not values.
    """

    kind = "person.updated"
    about = "person"

    person: PersonId
    changed: tuple[str, ...]


async def own_profile(ports: Ports, principal: Principal) -> Person:
    """
    What is kept about the caller; of the local user, who never has to sign up, at least a name and an address.

    Raises:
        NotAPerson: If the caller is a program.
    """
    kept = await ports.reads.rows.every(principal, PEOPLE, id=_id_of(principal))
    return _complete(kept[0]) if kept else _unwritten(principal, at=ports.clock.now())


async def update_profile(ports: Ports, principal: Principal, cmd: UpdateProfile) -> Person:
    """
    Change the named fields of the caller's own profile.

    Raises:
        NotAPerson: If the caller is a program.
        VersionMismatch: If the caller expected another version.
    """
    now = ports.clock.now()
    async with ports.unit(principal) as unit:
        people = unit.rows(PEOPLE)
        kept = await people.find(id=_id_of(principal))
        before = kept or _unwritten(principal, at=now)
        if cmd.expects is not None and cmd.expects != before.version:
            raise VersionMismatch(cmd.expects, before.version)
        changes: dict[str, Any] = {
            name: value
            for name, value in asdict(cmd, recurse=False).items()
            if name != "expects" and value is not ABSENT and value != getattr(before, name)
        }
        if not changes:
            return _complete(before)
        after = evolve(before, **changes, updated_at=now)
        after = people.save(after) if kept else people.add(evolve(after, version=1))
        unit.record(ProfileUpdated(person=after.id, changed=tuple(sorted(changes)), at=now))
        await unit.commit()
    return _complete(after)


async def profile_told(
    unit: UnitOfWork, principal: Principal, told: Mapping[str, Any], *, at: datetime
) -> list[ProfileUpdated]:
    """
    Remember what was told of the caller, where it is a person, in a unit that does more; the facts of it.
    """
    if getattr(principal, "user", None) is None:
        return []
    people = unit.rows(PEOPLE)
    kept = await people.find(id=_id_of(principal))
    before = kept or _unwritten(principal, at=at)
    changes = {name: told[name] for name in TOLD if told.get(name) and told[name] != getattr(before, name)}
    if not changes:
        return []
    after = evolve(before, **changes, updated_at=at)
    if kept:
        people.save(after)
    else:
        people.add(evolve(after, version=1))
    return [ProfileUpdated(person=after.id, changed=tuple(sorted(changes)), at=at)]


def _user_in(principal: Principal) -> UserId:
    user = getattr(principal, "user", None)
    if user is None:
        raise NotAPerson
    return UserId(user)


def _id_of(principal: Principal) -> PersonId:
    """
    One for each person and organization, so two who write the first row at once write the same one.
    """
    return PersonId(uuid5(principal.organization, str(_user_in(principal))))


def _unwritten(principal: Principal, *, at: datetime) -> Person:
    return Person(
        id=_id_of(principal), organization=principal.organization, user=_user_in(principal), login=LOCAL_LOGIN,
        email=LOCAL_EMAIL, name=principal.display, created_at=at, updated_at=at,
    )  # fmt: skip


def _complete(person: Person) -> Person:
    """
    The local user is never without a name: a profile that lost it shows the one it began with.
    """
    return person if person.name and person.name.strip() else evolve(person, name=LOCAL_NAME)

