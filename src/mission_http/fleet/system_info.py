"""
Memory, disk and uptime of the machine that the server runs on. A value that cannot be read is 0.
"""

from __future__ import annotations

import getpass
import os
import shutil
from pathlib import Path
from typing import Final

from mission_core.lazy_attrs import frozen

MIB: Final = 1024 * 1024


@frozen
class ResourceUsage:
    """
    Size and usage of memory or of a disk, in bytes.
    """

    total: int = 0
    used: int = 0

    @property
    def available(self) -> int:
        return self.total - self.used

    @property
    def percent(self) -> int:
        return round(100 * self.used / self.total) if self.total else 0


def resident_memory() -> int:
    """
    Resident memory of this process in bytes.
    """
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def memory_usage() -> ResourceUsage:
    """
    Memory usage of the machine.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        told = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
        return ResourceUsage(told["MemTotal"], told["MemTotal"] - told["MemAvailable"])
    except (OSError, ValueError, KeyError, IndexError):
        return ResourceUsage()


def disk_usage(where: Path) -> ResourceUsage:
    """
    Usage of the disk that holds a path.
    """
    try:
        found = shutil.disk_usage(where)
        return ResourceUsage(found.total, found.used)
    except OSError:
        return ResourceUsage()


def uptime_milliseconds() -> int:
    """
    Uptime of the machine in milliseconds.
    """
    try:
        return int(float(Path("/proc/uptime").read_text().split()[0]) * 1000)
    except (OSError, ValueError, IndexError):
        return 0


def in_container() -> bool:
    """
    Whether this process runs in a container.
    """
    return Path("/.dockerenv").exists()


def process_user() -> str:
    """
    Name of the user that this process runs as.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
