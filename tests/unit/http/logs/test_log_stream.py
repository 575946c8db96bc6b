"""
A log that nobody reads stops nothing.
"""

import io
import logging
import os
import time
from multiprocessing import get_context

import pytest

from mission_http.logs import log_stream
from mission_http.logs.line_locks import LineLock
from mission_http.logs.log_stream import LogStream


@pytest.fixture
def pipe(monkeypatch):
    """
    The reading end of a pipe, and a log stream that writes into it and never waits.
    """
    monkeypatch.setattr(log_stream, "WRITE_TIMEOUT_MS", 0)
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w") as file:
        yield reading, LogStream.over(file)
    os.close(reading)


def read(descriptor):
    found = b""
    try:
        while more := os.read(descriptor, 65536):
            found += more
    except BlockingIOError:
        pass
    return found.decode()


def test_lines_arrive_at_once(pipe):
    """
    Whole, whatever their length and letters.
    """
    reading, log = pipe
    for line in ("one\n", "Zoë\udcff\n", "x" * 20_000 + "\n"):
        log.write(line)

    assert "one\nZoë\\udcff\n" + "x" * 20_000 + "\n" == read(reading)


def test_what_nobody_reads_is_left_out_and_counted(pipe, caplog):
    """
    Writing goes on with whole lines as soon as somebody reads again, and how many were lost is told first.
    """
    reading, log = pipe
    lines = [f"{number:>99}\n" for number in range(2000)]
    for line in lines:
        log.write(line)
    lost = log.dropped_lines
    early = read(reading)
    with caplog.at_level(logging.WARNING, "mission_http"):
        log.write("late\n")
    late = read(reading)

    assert 0 < lost < 2000
    assert early.startswith("".join(lines[: 2000 - lost]))
    assert "late" == late.splitlines()[-1]
    assert [f"log_lines_dropped lines={lost}"] == caplog.messages


def test_a_reader_that_went_away_is_no_mistake(pipe):
    """
    The server has other things to do than to log.
    """
    reading, log = pipe
    log.write("one\n")
    other = os.dup(reading)
    os.close(reading)
    os.close(other)
    log.write("two\n")
    os.open(os.devnull, os.O_RDONLY)  # takes the number that the fixture closes

    assert 1 == log.dropped_lines


def test_what_cannot_be_asked_is_written_to_as_it_is():
    """
    Such as a stream in memory.
    """
    file = io.StringIO()

    assert file is LogStream.over(file)


def hold(lock, end):
    """
    Hold a lock from the answer until the next message.
    """
    lock.acquire(0)
    end.send("held")
    end.recv()


def test_a_process_that_stops_while_it_writes_delays_the_others_once():
    """
    Their lines are left out and counted until it goes on.
    """
    lock, processes = LineLock.open(), get_context("fork")
    end, theirs = processes.Pipe()
    holder = processes.Process(target=hold, args=(lock, theirs))
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with lock.file, os.fdopen(writing, "w") as file:
        log = LogStream.over(file, lock)
        holder.start()
        end.recv()
        began = time.monotonic()
        for _ in range(20):
            log.write("lost\n")
        took, lost = time.monotonic() - began, log.dropped_lines
        end.send("go on")
        holder.join()
        log.write("late\n")
    told = read(reading)
    os.close(reading)

    assert took < 4 * log_stream.WRITE_TIMEOUT_MS / 1000
    assert 20 == lost
    assert "late\n" == told


def test_a_line_does_not_go_on_where_another_process_stopped(pipe):
    """
    Both have the lock, and the first had no room for the end of its line.
    """
    reading, one = pipe
    one.lock = LineLock.open()
    other = LogStream(one.file, one.descriptor, one.lock)
    with one.lock.file:
        one.write("x" * 200_000 + "\n")
        read(reading)
        other.write("late\n")

    assert "\nlate\n" == read(reading)
