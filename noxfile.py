"""
One question per session; `nox -l` lists them.
"""

from itertools import chain
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
TESTS, LINT, TYPES, MUTANTS = (
    nox.project.dependency_groups(PYPROJECT, group) for group in ("tests", "lint", "types", "mutants")
)

# All that may be installed when no extra was asked for: pip and setuptools belong to the venv.
ALONE = {"attrs", "mission-control-plane", "pip", "setuptools"}
IMPORT_ALONE = f"""
import importlib, pkgutil
from importlib.metadata import distributions

import mission_core, mission_adapters.memory
from mission_adapters.testing import ManualClock, predictable_ports
from mission_http.platform.docs_page import FILES, content_of

assert isinstance(predictable_ports().clock, ManualClock)
assert all(map(content_of, FILES.values()))
for package in (mission_core, mission_adapters.memory):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)

too_many = {{found.name.lower().replace("_", "-") for found in distributions()}} - {ALONE}
assert not too_many, too_many
"""

nox.needs_version = ">=2026.10"
nox.options.sessions = ["lint", "types", "unit", "contract", "real_time"]


@nox.session
def lint(session: nox.Session) -> None:
    """
    Does the code read as agreed, and does each module import only what it may?
    """
    session.install("attrs", *LINT)
    session.run("ruff", "check", *session.posargs)
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": "src"})


@nox.session
def types(session: nox.Session) -> None:
    """
    Do the types of src/ hold, strictly?
    """
    session.install("-e", ".[metrics,otlp,postgres,prices,redis,testing]", *TYPES)
    session.run("mypy", *session.posargs)


@nox.session(python=PYTHONS)
def unit(session: nox.Session) -> None:
    """
    Do the fast tests pass on every supported Python?
    """
    session.install("-e", ".[metrics,otlp,postgres,prices,redis,testing]", *TESTS)
    session.run("pytest", "tests/unit", *session.posargs)


@nox.session
def contract(session: nox.Session) -> None:
    """
    Do all stores and dialects keep their promises? Starts a PostgreSQL.
    """
    session.install("-e", ".[metrics,otlp,postgres,prices,redis,testing]", *TESTS)
    session.run("pytest", "tests", "--ignore=tests/unit", "-m", "not real_time", *session.posargs)


@nox.session
def real_time(session: nox.Session) -> None:
    """
    Do server processes keep them, when they are killed or frozen, and with slow clients? Starts a PostgreSQL.
    """
    session.install("-e", ".[metrics,otlp,postgres,prices,redis,testing]", *TESTS)
    session.run("pytest", "tests", "-m", "real_time", *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """
    Is the oldest of each allowed dependency enough, on the oldest Python?
    """
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    allowed = [*PYPROJECT["project"]["dependencies"], *chain(*extras), *TESTS]
    session.install(
        "-e",
        ".[metrics,otlp,postgres,prices,redis,testing]",
        *(each.replace(">=", "==") for each in allowed if ">=" in each),
    )
    session.run("pytest", "tests/unit", "tests/contract", *session.posargs)


@nox.session
def nightly(session: nox.Session) -> None:
    """
    Does a law break among fifty times as many examples, new ones each time? Takes hours.
    """
    session.install("-e", ".[metrics,otlp,postgres,prices,redis,testing]", *TESTS)
    session.run("pytest", "--hypothesis-profile=nightly", "--override-ini=faulthandler_timeout=0", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """
    Is the wheel with no extra enough to embed the core in memory, and does its command say what it needs? Does it
    have the files of the documentation page?
    """
    built = Path(session.create_tmp())
    session.run("pip", "wheel", "-q", "--no-deps", "-w", str(built), ".")
    session.install(*map(str, built.glob("mission_control_plane-*.whl")))
    session.run("python", "-I", "-c", IMPORT_ALONE)
    session.run("mission-control", "serve", success_codes=[2])


@nox.session
def bench(session: nox.Session) -> None:
    """
    What does each operation cost, beside a bare route and a bare transaction?
    """
    session.install("-e", ".[metrics,otlp,postgres,prices,redis,testing]", *TESTS, "procrastinate", "psycopg[binary]")
    session.run("python", "-m", "tests.bench", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """
    Is nothing lost or done twice in twenty minutes of load, restarts and failures of the database? Is memory flat?
    """
    session.install("-e", ".[metrics,otlp,postgres,prices,redis,testing]", *TESTS)
    session.run("python", "-m", "tests.soak", *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """
    Would the tests notice a mistake in the rules? Takes about an hour.
    """
    session.install("-e", ".[metrics,otlp,postgres,prices,redis,testing]", *MUTANTS)
    chosen = ("tests", "-k", "not postgres", "-m", "not real_time")  # later options replace these
    session.run("python", "-m", "tests.mutants", *chosen, *session.posargs)
