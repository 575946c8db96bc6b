"""
The logs that a process follows because it appends to them. The entries of other processes tell it which rows they have
changed.

Positions have no gaps. So the entries of other processes are those between the ones that this process has appended. The
session reads their subjects together with the notification that follows commits, which costs no statement of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final
from uuid import UUID

from attrs import field

from mission_core.ids import OrganizationId
from mission_core.lazy_attrs import define

FOLLOWED_LOGS: Final = 1024
"""The number of logs that a process follows at most."""
MOST_SUBJECTS: Final = 100
"""The number of entries at the end of a log whose subjects are read at most."""


@define
class FollowedLog:
    """
    A log to which this process has appended.

    Args:
        known: The position up to which this process has appended the entries itself, or has read their subjects.
        own: The positions of its own entries after that.
    """

    known: int
    own: set[int] = field(factory=set)


def _ignore(ids: Collection[UUID]) -> None:
    """
    Do nothing: nobody wants to know.
    """


@define(eq=False)
class FollowedLogs:
    """
    The most recent logs to which this process has appended, and their positions.

    Args:
        changed_by_others: Is told the subjects of the entries that other processes have appended.
    """

    changed_by_others: Callable[[Collection[UUID]], None] = _ignore
    logs: dict[OrganizationId, FollowedLog] = field(factory=dict)

    def appended(self, organization: OrganizationId, positions: range) -> None:
        """
        Note that this process has appended the entries at these positions.
        """
        log = self.logs.get(organization)
        if log is None:
            if len(self.logs) >= FOLLOWED_LOGS:
                del self.logs[next(iter(self.logs))]
            self.logs[organization] = FollowedLog(positions[-1])
        elif positions[0] == log.known + 1:
            log.known = positions[-1]
        else:
            log.own.update(each for each in positions if each > log.known)

    def known(self, organization: OrganizationId) -> int | None:
        """
        The position after which the subjects of a log are to be read, or None if it is not followed.
        """
        log = self.logs.get(organization)
        return None if log is None else log.known

    def read(self, organization: OrganizationId, position: int, subjects: Sequence[bytes]) -> None:
        """
        Note the *subjects* of the last entries of a log, the newest one first, which is at this *position*.
        """
        log = self.logs.get(organization)
        if log is None or position <= log.known or not subjects:  # none were read if the log was not followed yet
            return
        entries = zip(range(position, log.known, -1), subjects, strict=False)  # `known` may have grown since the query
        found = {UUID(bytes=subject) for at, subject in entries if at not in log.own}
        log.own = {each for each in log.own if each > position}
        log.known = position
        if found:
            self.changed_by_others(found)
