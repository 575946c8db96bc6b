"""
Embedding the core in another program: the samples of the documentation, and what each extra needs.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mission_adapters import database_ports
from mission_adapters.backoff import JitteredBackoff

ROOT = Path(__file__).parents[2]
NAMED_SAMPLE = re.compile(r"<!-- sample: (\w+) -->\n```python\n(.*?)```", re.DOTALL)
SAMPLES = dict(NAMED_SAMPLE.findall((ROOT / "docs/embedding.md").read_text()))
README_SAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
PRINTED = {
    "memory": r"Say hello review\n",
    "database": r"Say hello hello\n",
    "sweeper": "",
    "budget": r"\['first', None\] 500 400\n",
    "log": r"\d+ task\.created system \{.*\"?title.*\}\nChainHead\(.*\)\n",
    "clock": "",
    "property": "",
    "contracts": r"(?s).*\d\d passed.*",
    "model": "",
    "mounted": r"200 \[\]\n",
}
DATABASE_PROGRAM = """
import asyncio, sys
from mission_adapters import database_ports
from mission_core import ensure_organization

async def main():
    async with database_ports(sys.argv[1], secret="s" * 32) as ports:
        print((await ensure_organization(ports)).slug, {name.partition(".")[0] for name in sys.modules})

asyncio.run(main())
"""
OF_A_SERVER = {"cattrs", "cyclopts", "httpx2", "joserfc", "mission_http", "msgspec", "starlette", "uvicorn"}


def run(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """
    Run a program in a fresh interpreter, in this folder.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder, env=environment)


def test_each_sample_says_what_it_prints():
    """
    No sample is forgotten here.
    """
    assert PRINTED.keys() == SAMPLES.keys()


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_runs_as_it_stands(sample, tmp_path):
    """
    Whoever pastes it sees what the page says.
    """
    program = SAMPLES[sample]
    if "class Test" in program:
        (tmp_path / "test_sample.py").write_text(program)
        program = "import pytest; raise SystemExit(pytest.main(['-q', '-p', 'no:cacheprovider', 'test_sample.py']))"
    done = run(program, folder=tmp_path)

    assert ("", 0) == (done.stderr, done.returncode)
    assert re.fullmatch(PRINTED[sample], done.stdout), done.stdout


def test_the_samples_pass_a_strict_type_checker(tmp_path):
    """
    Also that of a program which embeds the core: all exports are visible to it.
    """
    programs = {**SAMPLES, **{f"readme_{i}": each for i, each in enumerate(README_SAMPLES)}}
    for name, program in programs.items():
        (tmp_path / f"{name}.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file="]
    environment = {**os.environ, "MYPYPATH": str(ROOT / "src")}
    done = subprocess.run(
        [*command, f"--cache-dir={ROOT / '.mypy_cache' / 'samples'}", *(f"{name}.py" for name in programs)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )

    assert 0 == done.returncode, done.stdout + done.stderr


def test_a_database_needs_nothing_of_a_server(tmp_path):
    """
    The extra `sql` is enough.
    """
    done = run(DATABASE_PROGRAM, f"sqlite:///{tmp_path}/embedded.db", folder=tmp_path)
    slug, _, loaded = done.stdout.partition(" ")

    assert ("default", "") == (slug, done.stderr)
    assert set() == OF_A_SERVER & eval(loaded)


@pytest.mark.parametrize(
    ("package", "url", "extra"),
    [
        ("sqlalchemy", "sqlite:///embedded.db", "sql"),
        ("cryptography", "sqlite:///embedded.db", "sql"),
        ("asyncpg", "postgresql://nobody@127.0.0.1:1/none", "postgres"),
    ],
)
def test_a_missing_extra_is_named(package, url, extra, tmp_path):
    """
    With the command that installs it.
    """
    done = run(f"import sys; sys.modules[{package!r}] = None\n{DATABASE_PROGRAM}", url, folder=tmp_path)

    told = f"ModuleNotFoundError: {package} is missing; install the extra: pip install 'mission-control-plane[{extra}]'"
    assert told == done.stderr.splitlines()[-1]
    assert not (tmp_path / "embedded.db").exists()


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        ("from mission_adapters.testing import strategies", "hypothesis"),
        ("from mission_adapters.testing.strategies import tasks", "hypothesis"),
        ("from mission_adapters.testing.state_machine import CheckedStore", "hypothesis"),
        ("from mission_adapters.testing.contracts import EventLogContract", "anyio"),
    ],
)
def test_without_the_extra_for_tests_only_what_needs_it_is_missing(statement, missing, tmp_path):
    """
    The clock, the ids and the ports for tests need nothing but attrs.
    """
    program = f"""
import sys
sys.modules |= dict.fromkeys(["anyio", "argon2", "hypothesis", "pytest"])
from mission_adapters.testing import CountingIds, ManualClock, World, make_world, ports_over, predictable_ports
print(predictable_ports().clock == ManualClock())
{statement}
"""
    done = run(program, folder=tmp_path)

    told = f"{missing} is missing; install the extra: pip install 'mission-control-plane[testing]'"
    assert ("True\n", f"ModuleNotFoundError: {told}") == (done.stdout, done.stderr.splitlines()[-1])


FORGETFUL_LOG = """
class ForgetfulLog:
    def __init__(self, log):
        self.log = log

    def __getattr__(self, name):
        return getattr(self.log, name)

    async def read(self, organization, **asked):
        return (await self.log.read(organization, **asked))[:-1]
"""


def test_a_store_that_breaks_a_promise_fails_its_contract_with_both_values(tmp_path):
    """
    The assertions of the contracts are rewritten by pytest, as those of a test module are.
    """
    sample = SAMPLES["contracts"]
    forgetful = sample.replace(
        "        return ports_over(MemoryStore(clock), clock=clock)",
        """
        store = MemoryStore(clock)
        return ports_over(store, clock=clock, log=ForgetfulLog(store.log))
    """,
    )
    (tmp_path / "test_forgetful.py").write_text(FORGETFUL_LOG + forgetful)
    ask = ["-q", "-p", "no:cacheprovider", "-k", "head_has_the_last_one", "test_forgetful.py"]
    done = run(f"import pytest; pytest.main({ask})", folder=tmp_path)

    assert "1 failed" in done.stdout
    assert "position: 7 != 8" in done.stdout


async def test_ports_over_a_database_wait_between_two_tries(tmp_path: Path) -> None:
    """
    So that those who race for a row do not meet again at once.
    """
    async with database_ports(f"sqlite:///{tmp_path / 'mission.db'}", secret="s" * 32) as ports:
        assert isinstance(ports.backoff, JitteredBackoff)
