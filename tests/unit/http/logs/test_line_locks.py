"""
The lock of processes that write to one log.
"""

import os
import tempfile
from pathlib import Path

import pytest

from mission_http.logs.line_locks import LineLock


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no files in memory")
def test_a_lock_takes_no_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    As in a container whose disk cannot be written to.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    lock = LineLock.open()
    with lock.file:
        assert lock.acquire(0)
