"""
The people whom Clerk keeps, asked for and deleted through its backend API.
"""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import define, field

from mission_adapters.outbound import OutboundFailed
from mission_core.accounts.ports import AccountRemains
from mission_core.accounts.vouching import profile_in, subject_of

if TYPE_CHECKING:
    from mission_adapters.outbound import Outbound
    from mission_core.accounts.vouching import Profile
    from mission_core.ports import Clock

CALLED: Final = re.compile(r"[A-Za-z0-9_-]+")
"""What Clerk calls people. Anything else could lead to another place of its API."""
logger = logging.getLogger("mission_adapters")


@define(eq=False)
class _Question:
    """
    When a person was last asked for, and what the answer told.
    """

    asking: asyncio.Lock = field(factory=asyncio.Lock)
    asked_at: datetime | None = None
    profile: Profile | None = None


@define(eq=False)
class ClerkDirectory:
    """
    The people of one Clerk installation.

    Whoever keeps no name there would be asked for with every request of theirs, and while Clerk does not answer, each
    of those requests would wait for it. So the answer is remembered for some minutes, also that there was none. Only
    this process does, and only of the latest people: a restart costs a question for each, which is less than a write.

    Args:
        issuer: The issuer whose people they are. None if whatever tokens call it is the same one.
        again: The least time between two questions about the same person.
        pause: For how long nobody is asked for once Clerk did not answer: one person waits for it in this time.
        most: How many people are remembered.
    """

    url: str
    secret: str = field(repr=False)
    outbound: Outbound
    clock: Clock
    issuer: str | None = None
    again: timedelta = timedelta(minutes=5)
    pause: timedelta = timedelta(seconds=30)
    most: int = 1000
    _questions: dict[str, _Question] = field(factory=dict, init=False)
    _failing: bool = field(default=False, init=False)
    _silent_until: datetime | None = field(default=None, init=False)

    async def profile_of(self, subject: str) -> Profile | None:
        """
        What Clerk tells of a person. Whoever comes while it is asked waits for the same answer.
        """
        if not self._keeps(subject):
            return None
        question = self._question(subject)
        async with question.asking:
            asked = question.asked_at is not None and self.clock.now() < question.asked_at + self.again
            silent = self._silent_until is not None and self.clock.now() < self._silent_until
            if not asked and not silent:
                question.profile = await self._told(subject)
                question.asked_at = self.clock.now()
        return question.profile

    async def delete(self, subject: str) -> None:
        """
        Delete the person's account at Clerk.
        """
        if not self._keeps(subject):
            return
        try:
            await self.outbound.delete(self._place(subject), headers=self._headers)
        except OutboundFailed as e:
            if e.status != 404:
                logger.warning("an account could not be deleted at Clerk: %s", e)
                raise AccountRemains("Clerk") from e
        self._questions.pop(subject, None)

    def _keeps(self, subject: str) -> bool:
        theirs = self.issuer is None or subject.startswith(f"{self.issuer} ")
        return theirs and CALLED.fullmatch(subject_of(subject)) is not None

    def _question(self, subject: str) -> _Question:
        """
        The one about this person, which is the latest now.
        """
        found = self._questions.pop(subject) if subject in self._questions else _Question()
        self._questions[subject] = found
        if len(self._questions) > self.most:
            del self._questions[next(iter(self._questions))]
        return found

    async def _told(self, subject: str) -> Profile | None:
        try:
            told = await self.outbound.json(self._place(subject), headers=self._headers)
            if not isinstance(told, dict):
                raise OutboundFailed("the answer is no person")
        except OutboundFailed as e:
            if not self._failing:  # one line tells of an outage, not one for each person
                logger.warning("Clerk could not be asked about people: %s; they come in without", e)
            self._failing = True
            if e.status is None:
                self._silent_until = self.clock.now() + self.pause
            return None
        self._failing = False
        return profile_in(told)

    def _place(self, subject: str) -> str:
        return f"{self.url}/users/{subject_of(subject)}"

    @property
    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}"}
