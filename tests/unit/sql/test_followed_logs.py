"""
Which entries of a log are those of other processes.
"""

from uuid import UUID

import pytest
from attrs import define, field

from mission_adapters.sql.followed_logs import FOLLOWED_LOGS, FollowedLogs
from mission_core.ids import OrganizationId

OWNER = OrganizationId(UUID(int=1))


def subject(position: int) -> UUID:
    """
    The subject of the entry at this position.
    """
    return UUID(int=position)


@define
class Follower:
    """
    A process, and the positions of the entries of which it was told.
    """

    told: list[set[int]] = field(factory=list)
    logs: FollowedLogs = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.logs = FollowedLogs(lambda ids: self.told.append({each.int for each in ids}))

    def appends(self, first: int, last: int) -> None:
        self.logs.appended(OWNER, range(first, last + 1))

    def reads(self, position: int, *, after: int) -> None:
        self.logs.read(OWNER, position, [subject(at).bytes for at in range(position, after, -1)])


@pytest.fixture
def process() -> Follower:
    """
    A process that has appended the entry at position 10.
    """
    made = Follower()
    made.appends(10, 10)
    return made


def test_the_entries_between_its_own_are_those_of_others(process: Follower) -> None:
    process.appends(13, 14)
    process.appends(16, 16)
    process.reads(17, after=10)

    assert [{11, 12, 15, 17}] == process.told
    assert 17 == process.logs.known(OWNER)


def test_no_entry_is_told_twice(process: Follower) -> None:
    process.appends(12, 12)
    process.reads(11, after=10)
    process.reads(11, after=10)
    process.reads(13, after=11)

    assert [{11}, {13}] == process.told


def test_what_it_appended_while_it_read_is_its_own(process: Follower) -> None:
    """
    The query began after position 10, and saw an entry whose commit was answered after that.
    """
    process.appends(11, 11)
    process.reads(12, after=10)

    assert [{12}] == process.told


def test_a_query_from_before_the_log_was_followed_skips_nothing(process: Follower) -> None:
    process.logs.read(OWNER, 12, [])
    process.reads(12, after=10)

    assert [{11, 12}] == process.told


def test_entries_read_before_their_commit_was_answered_do_not_stay(process: Follower) -> None:
    process.reads(12, after=10)
    process.appends(12, 12)
    process.appends(13, 13)
    process.reads(13, after=12)

    assert [{11, 12}] == process.told


def test_of_very_many_entries_the_last_ones_are_told(process: Follower) -> None:
    process.reads(1000, after=998)

    assert [{999, 1000}] == process.told
    assert 1000 == process.logs.known(OWNER)


def test_of_very_many_logs_the_first_one_is_followed_no_more(process: Follower) -> None:
    for n in range(FOLLOWED_LOGS):
        process.logs.appended(OrganizationId(UUID(int=1000 + n)), range(1, 2))
    process.reads(12, after=10)

    assert process.logs.known(OWNER) is None
    assert [] == process.told
