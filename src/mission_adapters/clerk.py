"""
A client of Clerk's backend API: user profiles and the deletion of user accounts.
"""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import field

from mission_adapters.outbound_http import OutboundRequestFailed
from mission_core.accounts.identity_claims import profile_from, subject_without_issuer
from mission_core.accounts.ports import ProviderAccountNotDeleted
from mission_core.lazy_attrs import define

if TYPE_CHECKING:
    from mission_adapters.outbound_http import OutboundClient
    from mission_core.accounts.identity_claims import ProviderProfile
    from mission_core.ports import Clock

CLERK_USER_ID: Final = re.compile(r"[A-Za-z0-9_-]+")
"""The form of a Clerk user id. Any other text could lead to another path of its API."""
logger = logging.getLogger("mission_adapters")


@define(eq=False)
class _CachedProfile:
    """
    A cached profile request: the time of the last request and its answer.
    """

    lock: asyncio.Lock = field(factory=asyncio.Lock)
    asked_at: datetime | None = None
    profile: ProviderProfile | None = None


@define(eq=False)
class ClerkDirectory:
    """
    The users of one Clerk installation.

    The answer for a user is cached for some minutes in this process, also if it is empty or there was none. Without the
    cache, a user who has no name at Clerk would be looked up with every request, and each of these requests would wait
    while Clerk does not answer.

    Args:
        issuer: The issuer whose subjects are looked up. None if every subject is a user of this installation.
        min_interval: The least time between two requests for the same user.
        retry_after_failure: How long no request is sent after Clerk did not answer.
        max_cached: The largest number of cached users.
    """

    url: str
    secret: str = field(repr=False)
    outbound: OutboundClient
    clock: Clock
    issuer: str | None = None
    min_interval: timedelta = timedelta(minutes=5)
    retry_after_failure: timedelta = timedelta(seconds=30)
    max_cached: int = 1000
    _questions: dict[str, _CachedProfile] = field(factory=dict, init=False)
    _failing: bool = field(default=False, init=False)
    _silent_until: datetime | None = field(default=None, init=False)

    async def profile_of(self, subject: str) -> ProviderProfile | None:
        """
        The profile of a user, or None if there is none. Concurrent calls for one user share one request.
        """
        if not self._is_user_here(subject):
            return None
        question = self._cached_profile(subject)
        async with question.lock:
            asked = question.asked_at is not None and self.clock.now() < question.asked_at + self.min_interval
            silent = self._silent_until is not None and self.clock.now() < self._silent_until
            if not asked and not silent:
                question.profile = await self._request_profile(subject)
                question.asked_at = self.clock.now()
        return question.profile

    async def delete(self, subject: str) -> None:
        """
        Delete the user's account at Clerk.

        Raises:
            ProviderAccountNotDeleted: If Clerk did not delete it.
        """
        if not self._is_user_here(subject):
            return
        try:
            await self.outbound.delete(self._url_of(subject), headers=self._headers)
        except OutboundRequestFailed as e:
            if e.status != 404:
                logger.warning("clerk_deletion_failed url=%s reason=%s", self.url, e)
                raise ProviderAccountNotDeleted("Clerk") from e
        self._questions.pop(subject, None)

    def _is_user_here(self, subject: str) -> bool:
        theirs = self.issuer is None or subject.startswith(f"{self.issuer} ")
        return theirs and CLERK_USER_ID.fullmatch(subject_without_issuer(subject)) is not None

    def _cached_profile(self, subject: str) -> _CachedProfile:
        """
        The cached request for this user, moved to the end of the eviction order.
        """
        found = self._questions.pop(subject) if subject in self._questions else _CachedProfile()
        self._questions[subject] = found
        if len(self._questions) > self.max_cached:
            del self._questions[next(iter(self._questions))]
        return found

    async def _request_profile(self, subject: str) -> ProviderProfile | None:
        try:
            told = await self.outbound.get_json(self._url_of(subject), headers=self._headers)
            if not isinstance(told, dict):
                raise OutboundRequestFailed("the answer is not a JSON object")
        except OutboundRequestFailed as e:
            if not self._failing:  # once for each outage, not once for each user
                logger.warning("clerk_unreachable url=%s reason=%s: users sign in without a profile", self.url, e)
            self._failing = True
            if e.status is None:
                self._silent_until = self.clock.now() + self.retry_after_failure
            return None
        self._failing = False
        return profile_from(told)

    def _url_of(self, subject: str) -> str:
        return f"{self.url}/users/{subject_without_issuer(subject)}"

    @property
    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}"}
