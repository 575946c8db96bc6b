"""
Something that a process does to files, killed at each step of it in turn.

`python -m tests.contract.process_kills MODULE FUNCTION FOLDER ENVIRONMENT` copies `FOLDER/first` for each step, calls
the
function on the copy in a process of its own, and kills that at the step. Steps are what Python audits: opening files to
write and renaming them, making and removing directories and links, connecting to SQLite.
"""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

STEPS = frozenset(
    {"open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.copyfile", "sqlite3.connect"}
)


def kill_at_each_step(module: str, function: str, folder: Path) -> Iterator[Path]:
    """
    The copies that are left behind, in the order of the steps; the last one's process ended by itself.
    """
    command = [sys.executable, "-m", "tests.contract.process_kills", module, function, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert 0 == ended.returncode, ended.stderr
    return (folder / name for name in json.loads(ended.stdout.splitlines()[-1]))


def main(module: str, function: str, name: str) -> None:
    folder, left = Path(name), list[str]()
    work = getattr(importlib.import_module(module), function)
    work(shutil.copytree(folder / "first", folder / "warm"))  # imports are no steps
    for step in count(1):
        left.append(f"killed-{step}")
        copy = shutil.copytree(folder / "first", folder / left[-1])
        if (child := os.fork()) == 0:
            _kill_at(step, copy)
            work(copy)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            break
    print(json.dumps(left))


def _kill_at(step: int, folder: Path) -> None:
    passed = 0

    def look(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal passed
        if event == "open" and not int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):  # type: ignore[call-overload]
            return
        named = (os.fsdecode(each) for each in arguments if isinstance(each, str | bytes))
        if event in STEPS and any(str(folder) in each for each in named):
            passed += 1
            if passed == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


if __name__ == "__main__":
    main(*sys.argv[1:])
