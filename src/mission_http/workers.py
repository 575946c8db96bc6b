"""
Worker processes that share the listening sockets of a server, and the supervisor that starts and replaces them.

The supervisor forks its workers, so all of them share the memory of the imported modules. It has no event loop and no
threads of its own. A pair of connected sockets joins it with each worker: the worker tells through it that it serves
or why it cannot, and each side learns through it that the other has ended.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn

from attrs import field

from mission_core.lazy_attrs import define
from mission_http.connection_counts import ConnectionCounts

logger = logging.getLogger("mission_http")

READY: Final = b"+"
FAILED: Final = b"-"
MAX_REASON_BYTES: Final = 4096
START_SECONDS: Final = 60.0
"""Seconds in which a new worker must be ready."""
STABLE_SECONDS: Final = 10.0
"""Seconds after which the end of a worker does not delay its replacement."""
FIRST_DELAY, LONGEST_DELAY = 0.5, 10.0
"""Seconds before a worker is replaced that ended soon after its start, doubled each time."""
START_ATTEMPTS: Final = 4
"""How often every worker must fail to start before the supervisor gives up."""
FAILED_STATUS: Final = 1
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class WorkersFailed(Exception):
    """
    No worker can start.
    """


@define(eq=False)
class WorkerContext:
    """
    The state of a worker process, with its end of the connection with its supervisor. The connection is readable when
    the supervisor has ended.
    """

    number: int
    place: int
    """The place of this process in the counts of connections."""
    end: socket.socket

    def fileno(self) -> int:
        return self.end.fileno()

    def tell_ready(self) -> None:
        """
        Tell the supervisor that the worker serves.
        """
        self.end.sendall(READY)

    def tell_failure(self, reason: str) -> None:
        """
        Tell the supervisor why the worker cannot serve.
        """
        self.end.sendall((FAILED + reason.encode(errors="replace"))[:MAX_REASON_BYTES])


RunWorker = Callable[[WorkerContext], int]
"""Runs a worker until it is told to stop, and returns its exit status."""


@define(eq=False)
class Worker:
    """
    A worker process, as its supervisor knows it.
    """

    number: int
    place: int
    pid: int
    end: socket.socket
    started_at: float
    is_ready: bool = False
    reason: str = ""
    kill_at: float | None = None
    """The time at which it is killed; None unless it was told to stop."""
    is_killed: bool = False

    def fileno(self) -> int:
        return self.end.fileno()


@define(eq=False)
class WorkerSupervisor:
    """
    Keeps *count* workers running until SIGTERM or SIGINT. SIGHUP replaces them one after the other: each new worker
    serves before its predecessor is told to stop.

    Args:
        run: Runs a worker, in its own process.
        sockets: The listening sockets, which are closed when the workers are told to stop.
        announce: Called once, when the first workers have started.
        stop_seconds: Seconds after which a worker that was told to stop is killed.

    Attributes:
        counts: The number of connections of each worker, in shared memory.
    """

    count: int
    run: RunWorker
    sockets: Sequence[socket.socket]
    announce: Callable[[], None]
    stop_seconds: float
    counts: ConnectionCounts = field(init=False)
    _living: list[Worker] = field(factory=list, init=False)
    _current: dict[int, Worker] = field(factory=dict, init=False)
    """The worker of each number that is not told to stop."""
    _replacement: Worker | None = field(default=None, init=False)
    _to_replace: deque[int] = field(factory=deque, init=False)
    _due: dict[int, float] = field(factory=dict, init=False)
    """When the workers that do not run are started."""
    _early_ends: dict[int, int] = field(factory=dict, init=False)
    """How often in a row the worker of each number ended soon after its start."""
    _failed_starts: dict[int, int] = field(factory=dict, init=False)
    _announced: bool = field(default=False, init=False)
    _stopping: bool = field(default=False, init=False)
    _failure: str | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.counts = ConnectionCounts.of(self.count + 1)  # a restart has one worker more

    def supervise(self) -> None:
        """
        Run the workers.

        Raises:
            WorkersFailed: If no worker can start.
        """
        numbers = range(1, self.count + 1)
        now = time.monotonic()
        self._due = dict.fromkeys(numbers, now)
        self._early_ends, self._failed_starts = dict.fromkeys(numbers, 0), dict.fromkeys(numbers, 0)
        with _received_signals() as received:
            while self._living or not self._stopping:
                self._start_due_workers()
                self._replace_next()
                ends = [received, *(each.fileno() for each in self._living)]
                readable, _, _ = select.select(ends, [], [], self._timeout())
                if received in readable:
                    for each in os.read(received, 64):
                        self._handle(each)
                for worker in [each for each in self._living if each.fileno() in readable]:
                    self._hear(worker)
                self._kill_overdue_workers()
        if self._failure is not None:
            raise WorkersFailed(self._failure)

    def _handle(self, received: int) -> None:
        if received in STOP_SIGNALS and not self._stopping:
            logger.info("workers_stopping", extra={"signal": signal.Signals(received).name})
            self._stop_all()
        elif received == signal.SIGINT:  # the second one, which ends requests under way
            for each in self._living:
                os.kill(each.pid, signal.SIGINT)
        elif received == signal.SIGHUP and not self._stopping:
            logger.info("workers_restarting", extra={"workers": self.count})
            self._to_replace = deque(range(1, self.count + 1))

    def _stop_all(self) -> None:
        self._stopping = True
        self._to_replace.clear()
        self._due.clear()
        for each in self.sockets:
            each.close()
        for worker in self._living:
            self._stop(worker)

    def _stop(self, worker: Worker) -> None:
        if worker.kill_at is None:
            worker.kill_at = time.monotonic() + self.stop_seconds
            os.kill(worker.pid, signal.SIGTERM)

    def _start_due_workers(self) -> None:
        now = time.monotonic()
        for number in [number for number, at in self._due.items() if at <= now]:
            del self._due[number]
            self._current[number] = self._start(number)

    def _replace_next(self) -> None:
        """
        Start the next replacement of a restart. A worker that does not run yet is new anyway.
        """
        while self._to_replace and self._replacement is None and all(each.kill_at is None for each in self._living):
            number = self._to_replace.popleft()
            if number in self._current:
                self._replacement = self._start(number)

    def _hear(self, worker: Worker) -> None:
        try:
            told = worker.end.recv(MAX_REASON_BYTES)
        except ConnectionError:
            told = b""
        if not told:
            self._ended(worker)
        elif told.startswith(FAILED):
            worker.reason = told.removeprefix(FAILED).decode(errors="replace")
        else:
            worker.is_ready = True
            self._failed_starts[worker.number] = 0
            logger.info("worker_ready", extra={"worker": worker.number, "pid": worker.pid})
            if worker is self._replacement:
                self._replacement = None
                predecessor = self._current.get(worker.number)
                self._current[worker.number] = worker
                self._due.pop(worker.number, None)
                if predecessor is not None:
                    self._stop(predecessor)
        self._announce_once()

    def _ended(self, worker: Worker) -> None:
        _, how = os.waitpid(worker.pid, 0)
        worker.end.close()
        self._living.remove(worker)
        self.counts.clear(worker.place)
        status = os.waitstatus_to_exitcode(how)
        told = {"worker": worker.number, "pid": worker.pid, "status": status}
        if worker.kill_at is not None:
            logger.info("worker_stopped", extra=told)
            return
        reason = worker.reason or (signal.Signals(-status).name if status < 0 else f"exit status {status}")
        logger.error("worker_ended", extra={**told, "ready": worker.is_ready, "reason": reason})
        if worker is self._replacement:
            self._replacement = None
            self._to_replace.clear()
            logger.error("workers_restart_abandoned", extra={"worker": worker.number, "reason": reason})
            return
        del self._current[worker.number]
        self._plan_replacement(worker, reason)

    def _plan_replacement(self, worker: Worker, reason: str) -> None:
        number, now = worker.number, time.monotonic()
        self._failed_starts[number] += not worker.is_ready
        ended_early = not worker.is_ready or now - worker.started_at < STABLE_SECONDS
        self._early_ends[number] = self._early_ends[number] + 1 if ended_early else 0
        if min(self._failed_starts.values()) >= START_ATTEMPTS and not any(each.is_ready for each in self._living):
            self._failure = reason
            self._stop_all()
            return
        delay = min(FIRST_DELAY * 2 ** (self._early_ends[number] - 1), LONGEST_DELAY) if ended_early else 0.0
        self._due[number] = now + delay

    def _announce_once(self) -> None:
        """
        Announce the server when each worker is ready or has failed once, and one of them is ready.
        """
        started = (each.is_ready for each in self._current.values())
        if not self._announced and not self._stopping and all(started) and self._current:
            self._announced = True
            self.announce()

    def _kill_overdue_workers(self) -> None:
        now = time.monotonic()
        for worker in self._living:
            if now >= self._deadline(worker):
                worker.is_killed = True
                worker.reason = worker.reason or f"not ready after {START_SECONDS:g} s"
                os.kill(worker.pid, signal.SIGKILL)

    def _deadline(self, worker: Worker) -> float:
        if worker.is_killed:
            return float("inf")
        if worker.kill_at is not None:
            return worker.kill_at
        return float("inf") if worker.is_ready else worker.started_at + START_SECONDS

    def _timeout(self) -> float | None:
        times = [*self._due.values(), *map(self._deadline, self._living)]
        soonest = min(times, default=float("inf"))
        return None if soonest == float("inf") else max(0.0, soonest - time.monotonic())

    def _start(self, number: int) -> Worker:
        ours, theirs = socket.socketpair()
        place = next(place for place in range(self.count + 1) if place not in {each.place for each in self._living})
        sys.stdout.flush()
        # A signal between the fork and the worker's own handlers would be taken for one of the supervisor.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {*STOP_SIGNALS, signal.SIGHUP})
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._run_worker(WorkerContext(number, place, theirs), blocked)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()
        worker = Worker(number, place, pid, ours, time.monotonic())
        self._living.append(worker)
        logger.info("worker_started", extra={"worker": number, "pid": pid})
        return worker

    def _run_worker(self, context: WorkerContext, mask: set[int | signal.Signals]) -> NoReturn:
        """
        Run a worker in the process that was forked for it, and end the process.
        """
        status = FAILED_STATUS
        try:
            signal.set_wakeup_fd(-1)
            for each in STOP_SIGNALS:
                signal.signal(each, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # of a terminal; the supervisor stops the workers
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for other in self._living:
                other.end.close()
            status = self.run(context)
        except BaseException as error:
            logger.exception("worker_failed")
            context.tell_failure(f"{type(error).__name__}: {error}")
        finally:
            logging.shutdown()
            sys.stdout.flush()
            os._exit(status)


def stop_with_supervisor(context: WorkerContext, stop: Callable[[], None]) -> None:
    """
    Call *stop* in this worker when its supervisor has ended.
    """
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(context)
        stop()

    loop.add_reader(context, ended)


@contextmanager
def _received_signals() -> Iterator[int]:
    """
    A file descriptor that has a byte with the number of each signal that this process receives.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = {each: signal.signal(each, lambda *_: None) for each in (*STOP_SIGNALS, signal.SIGHUP)}
    earlier = signal.set_wakeup_fd(writer)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(earlier)
        for each, handler in before.items():
            signal.signal(each, handler)
        os.close(reader)
        os.close(writer)
