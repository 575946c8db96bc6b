"""
The laws of tasks.
"""

from datetime import timedelta

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.events.model import Actor
from mission_core.tasks.explanations import TaskState, explain_input
from mission_core.tasks.model import IDLE_STATUSES, Status
from mission_core.tasks.queries import ExplanationInput
from mission_core.tasks.runs import LIVE_STATES, Assignee, LeaseTerms, RetryClass, RunState, SecretHolder

ME = Actor("system", None, "me")
idle_tasks = some.tasks(status=st.sampled_from(sorted(IDLE_STATUSES)))


def claimed(task, by, at, terms=None):
    """
    The task under a lease, and its run.
    """
    taken, run, _ = task.claim(id=task.id, by=by, actor=ME, holder=SecretHolder(), terms=terms or LeaseTerms(), at=at)
    return taken, run


@given(idle_tasks, some.assignees, some.moments, some.terms)
def test_every_claim_has_a_higher_fence_than_all_before(task, by, at, terms):
    """
    And counts as an attempt; the lease lasts a term.
    """
    taken, run = claimed(task, by, at, terms)

    assert (task.fence + 1, task.attempts + 1) == (run.fence, run.attempt) == (taken.fence, taken.attempts)
    assert (Status.IN_PROGRESS, by, run.id, None) == (taken.status, taken.assignee, taken.run, taken.not_before)
    assert (RunState.LEASED, at + terms.term, at) == (run.state, run.expires_at, run.heartbeat_at)
    assert run.from_queue is (task.assignee is None)


@given(idle_tasks, st.lists(st.sampled_from(["lose", "release", "expire"]), max_size=6), some.moments)
def test_fences_only_grow(task, ends, now):
    """
    Whatever became of the runs before.
    """
    task = evolve(task, assignee=None, max_attempts=1000)
    fences = [task.fence]
    by = some.Assignee("ada")
    for end in ends:
        task, run = claimed(task, by, now)
        fences.append(run.fence)
        if end == "release":
            task, _ = task.after_release(run, note=None, at=now)
        else:
            ended, _ = run.expire(at=run.expires_at)
            task, _ = task.after_failure(ended, ended.failure, since=run.expires_at, at=now)

    assert sorted(set(fences)) == fences


@given(idle_tasks, some.assignees, some.moments)
def test_releasing_leaves_the_task_as_it_was_but_for_its_fence(task, by, at):
    """
    No attempt is lost, and whoever it was assigned to has it again.
    """
    taken, run = claimed(task, task.assignee or by, at)
    back, _ = taken.after_release(run, note="n", at=at)

    assert (task.attempts, task.assignee, task.fence + 1) == (back.attempts, back.assignee, back.fence)
    assert (task.idle_status(), None, "n") == (back.status, back.run, back.hand_over)


@given(idle_tasks, some.assignees, some.moments, some.failures)
def test_what_follows_a_failure_is_the_retry_class_of_its_reason(task, by, at, failure):
    """
    And the last attempt is the last.
    """
    taken, run = claimed(task, by, at)
    lost, moved = taken.after_failure(run, failure, since=at, at=at)
    retry = failure.reason.retry
    last = taken.attempts >= taken.max_attempts

    assert lost.run is None
    assert (lost.status is Status.FAILED) is (retry is RetryClass.NEVER or (retry is RetryClass.RETRY and last))
    assert (lost.status is Status.AWAITING_OWNER) is (retry is RetryClass.PERSON)
    assert (lost.not_before == at + run.delay) is (lost.status in IDLE_STATUSES)
    assert (moved.was, moved.status) == (Status.IN_PROGRESS, lost.status)


@given(some.tasks(), st.sampled_from(Status), some.moments)
def test_a_move_touches_nothing_but_status_and_clocks(task, to, at):
    """
    Every other field is as it was; only what had failed for good gets its attempts back, and no gate is passed.
    """
    moved, _ = task.move(to, at=at)
    clocks = ("status", "moved_at", "updated_at", "started_at", "completed_at", "begun_at", "passed")
    again = task.status is Status.FAILED and to is not Status.FAILED

    assert evolve(task, attempts=0 if again else task.attempts) == evolve(
        moved, **{name: getattr(task, name) for name in clocks}
    )
    assert (moved.completed_at is not None) >= (to is Status.DONE)


@given(some.tasks(), some.outcomes, st.sampled_from([Status.DONE, Status.REVIEW]), some.moments)
def test_finished_work_brings_its_outcome(task, outcome, status, at):
    """
    And is under no run any more.
    """
    done, _ = task.finish(outcome, status, at=at)

    assert (status, None, None, outcome.result) == (done.status, done.run, done.error_message, done.result)
    assert done.resolution == (task.resolution if outcome.resolution is None else outcome.resolution)


@given(
    some.tasks(), st.none() | some.runs(), st.integers(0, 3), st.booleans(), some.assignees, st.none() | some.ids,
    some.moments,
)  # fmt: skip
def test_explaining_agrees_with_claiming(task, run, open_dependencies, held, by, confined_to, at):
    """
    A task is claimable, for its assignee or for anybody, exactly if it is explained so.
    """
    run = run if run is not None and run.state in LIVE_STATES else None
    assume(run is None or run.is_live(at=at))
    assume(run is None or task.status not in IDLE_STATUSES)
    who = task.assignee or by
    why_not = task.why_not_claimable(at=at, open_dependencies=open_dependencies, by=who, run=run, held=held)
    told = explain_input(ExplanationInput(task, run, (task,) * open_dependencies, held, confined_to), at=at)
    somebody = task.assignee is None or (task.assignee.agent is not None and confined_to in (None, task.board))

    assert (told.state is TaskState.CLAIMABLE) is (told.why == "nothing blocks it")
    assert (told.state is TaskState.CLAIMABLE) is (why_not is None and somebody)


@given(idle_tasks, some.names, some.moments)
def test_what_does_not_resolve_by_itself_is_named_so(task, name, at):
    """
    Beside whatever else keeps the task.
    """
    task = evolve(task, assignee=Assignee(name))
    gone, due = evolve(task, number=7, status=Status.FAILED), evolve(task, number=8, status=Status.INBOX)
    told = explain_input(ExplanationInput(task, None, (due, gone), False, None), at=at)

    assert TaskState.BLOCKED is told.state
    assert "it depends on #7, which failed; it depends on #8" in told.why
    assert f"it is assigned to {name}, which is not registered" in told.why
    assert 2 == told.next.count("does not resolve by itself")


@given(some.tasks(), st.none() | some.live_runs(), st.integers(0, 2), st.booleans(), some.moments)
def test_every_task_stands_in_exactly_one_state(task, run, open_dependencies, held, at):
    """
    And the explanation says why, since when, and what happens next. There is no limbo.
    """
    assume(run is None or run.is_live(at=at))
    told = explain_input(ExplanationInput(task, run, (task,) * open_dependencies, held, None), at=at)
    alive, stranger = run is not None, task.assignee is not None and task.assignee.agent is None

    assert told.state in TaskState
    assert told.why
    assert told.next
    if alive:
        assert told.state is (TaskState.WAITING if run.is_waiting(at=at) else TaskState.LEASED)
    else:
        assert (told.state is TaskState.FINISHED) is task.finished
        assert (told.state is TaskState.PARKED) is (task.status is Status.BACKLOG)
        assert (told.state is TaskState.HELD) is (task.status is Status.IN_PROGRESS)
        assert (told.state is TaskState.BLOCKED) is (
            task.status in IDLE_STATUSES and (open_dependencies > 0 or held or stranger)
        )


@given(idle_tasks, some.assignees, some.moments, some.terms, some.durations)
def test_a_lapsed_lease_is_explained_as_what_will_be_noticed(task, by, at, terms, later):
    """
    Before anybody noticed, the explanation says what noticing will make of it.
    """
    taken, run = claimed(task, by, at, terms)
    now = run.expires_at + later
    ended, _ = run.expire(at=now)
    noticed, _ = taken.after_failure(ended, ended.failure, since=run.expires_at, at=now)
    before = explain_input(ExplanationInput(taken, run, (), False, None), at=now)
    after = explain_input(ExplanationInput(noticed, None, (), False, None), at=now)

    assert before.state is after.state


@given(idle_tasks, some.assignees, some.assignees, some.moments)
def test_assigned_work_is_refused_to_others(task, mine, other, at):
    """
    By name, whatever its case.
    """
    assume(mine.key != other.key)
    task = evolve(task, assignee=mine, not_before=None)
    refused = task.why_not_claimable(at=at, open_dependencies=0, by=other, run=None)
    shouted = evolve(mine, name=mine.name.upper())

    assert refused == f"it is assigned to {mine.name}"
    if shouted.key == mine.key:
        assert task.why_not_claimable(at=at, open_dependencies=0, by=shouted, run=None) is None


@given(idle_tasks, some.moments, some.durations)
def test_resting_ends_at_its_moment(task, at, rest):
    """
    Not a microsecond earlier.
    """
    task = evolve(task, assignee=None, not_before=at + rest)
    by = some.Assignee("ada")
    early = at + rest - timedelta(microseconds=1)

    assert "delayed until" in task.why_not_claimable(at=early, open_dependencies=0, by=by, run=None)
    assert task.why_not_claimable(at=at + rest, open_dependencies=0, by=by, run=None) is None
