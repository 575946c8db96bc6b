"""
How long a start takes: from the start of the process to the first answered request, as a ratio to the import of the
third-party modules that the serving process has loaded by then, in a fresh interpreter. On a SQLite database that
exists, and in an empty directory; with compiled bytecode.

The ratio by CPU is the figure to quote. The wall time of the import also has the end of its interpreter, and both wall
times have what else the machine does.

    python -m tests.bench.start [rounds]
"""

import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from tests.bench.load import cpu_of

OWN = frozenset({"mission_core", "mission_adapters", "mission_http"})
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""The environment of the processes, which keep the bytecode that they compile."""
IMPORTED = re.compile(r"import time:\s+\d+ \|\s+\d+ \| +(\S+)")


@frozen
class StartResult:
    """
    Seconds of wall time and of CPU, and resident memory in MB once the first request is answered.
    """

    wall: float
    cpu: float
    memory: float = 0.0


def main() -> None:
    rounds = int(sys.argv[1]) if sys.argv[1:] else 10
    found: dict[str, list[StartResult]] = {"import": [], "existing": [], "empty": []}
    with TemporaryDirectory() as folder:
        _start(Path(folder))
        modules = third_party_modules(Path(folder))
        for _ in range(rounds):  # in alternation, because other programs may share the machine
            found["import"].append(_import(modules))
            found["existing"].append(_start(Path(folder)))
            with TemporaryDirectory() as empty:
                found["empty"].append(_start(Path(empty)))
    print(f"{len(modules)} third-party modules")
    for unit in ("cpu", "wall"):
        for name, results in found.items():
            least, median = _figures(results, unit)
            floor_least, floor_median = _figures(found["import"], unit)
            print(f"{unit:<6}{name:<10}{least:>8.3f} s {median:>8.3f} s", end="")
            print(f"   x import: {least / floor_least:.2f} (minima), {median / floor_median:.2f} (medians)")
    print(f"resident memory: {statistics.median(each.memory for each in found['existing']):.1f} MB")


def _figures(results: list[StartResult], unit: str) -> tuple[float, float]:
    values = [getattr(each, unit) for each in results]
    return min(values), statistics.median(values)


def third_party_modules(folder: Path) -> list[str]:
    """
    The third-party modules that a serving process has loaded when it has answered one request, in their order.
    """
    log = folder / "imports"
    with log.open("w") as file:
        _start(folder, "-X", "importtime", errors=file)
    names = (named[1] for line in log.read_text().splitlines() if (named := IMPORTED.match(line)))
    others = [each for each in names if each.partition(".")[0] not in sys.stdlib_module_names | OWN]
    check = "import sys; print(*(name for name in sys.argv[1:] if __import__('importlib').util.find_spec(name)))"
    tops = {each.partition(".")[0] for each in others}
    existing = subprocess.run(
        [sys.executable, "-c", f"import importlib.util; {check}", *tops], capture_output=True, text=True, check=True
    )
    return [each for each in others if each.partition(".")[0] in existing.stdout.split()]


def _import(modules: list[str]) -> StartResult:
    program = "import resource\nfor name in {!r}:\n    try: __import__(name)\n    except ImportError: pass\n"
    program += "used = resource.getrusage(resource.RUSAGE_SELF)\nprint(used.ru_utime + used.ru_stime)"
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program.format(modules)], check=True, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    return StartResult(time.perf_counter() - began, float(done.stdout))


def _start(folder: Path, *options: str, errors: object = subprocess.DEVNULL) -> StartResult:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, *options, "-m", "mission_http.command", "serve", "--port", str(port)]
    began = time.perf_counter()
    with subprocess.Popen(
        [*command, "--data-dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=errors,
        env=ENVIRONMENT,
        text=True,  # type: ignore[call-overload]
    ) as server:
        assert "listens" in server.stdout.readline()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=60).close()
        wall, cpu = time.perf_counter() - began, cpu_of(server.pid)
        status = Path(f"/proc/{server.pid}/status").read_text()
        server.terminate()
    return StartResult(wall, cpu, int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024)


if __name__ == "__main__":
    main()
