"""
A client of Clerk's backend API: user profiles and the deletion of user accounts.
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
"""The form of a Clerk user id. Any other text could lead to another path of its API."""
logger = logging.getLogger("mission_adapters")


@define(eq=False)
class _Question:
    """
    A cached profile request: the time of the last request and its answer.
    """

    asking: asyncio.Lock = field(factory=asyncio.Lock)
    asked_at: datetime | None = None
    profile: Profile | None = None


@define(eq=False)
class ClerkDirectory:
    """
    The users of one Clerk installation.

    The answer for a user is cached for some minutes in this process, also if it is empty or there was none. Without the
    cache, a user who has no name at Clerk would be looked up with every request, and each of these requests would wait
    while Clerk does not answer.

    Args:
        issuer: The issuer whose subjects are looked up. None if every subject is a user of this installation.
        again: The least time between two requests for the same user.
        pause: How long no request is sent after Clerk did not answer.
        most: The largest number of cached users.
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
        The profile of a user, or None if there is none. Concurrent calls for one user share one request.
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
        Delete the user's account at Clerk.

        Raises:
            AccountRemains: If Clerk did not delete it.
        """
        if not self._keeps(subject):
            return
        try:
            await self.outbound.delete(self._place(subject), headers=self._headers)
        except OutboundFailed as e:
            if e.status != 404:
                logger.warning("clerk_deletion_failed url=%s reason=%s", self.url, e)
                raise AccountRemains("Clerk") from e
        self._questions.pop(subject, None)

    def _keeps(self, subject: str) -> bool:
        theirs = self.issuer is None or subject.startswith(f"{self.issuer} ")
        return theirs and CALLED.fullmatch(subject_of(subject)) is not None

    def _question(self, subject: str) -> _Question:
        """
        The cached request for this user, moved to the end of the eviction order.
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
                raise OutboundFailed("the answer is not a JSON object")
        except OutboundFailed as e:
            if not self._failing:  # once for each outage, not once for each user
                logger.warning("clerk_unreachable url=%s reason=%s: users sign in without a profile", self.url, e)
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
