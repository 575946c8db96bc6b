"""
Rules about the source that import-linter (`pyproject.toml`) cannot state.
"""

import ast
import builtins
import re
import sys
import tomllib
from itertools import chain

from tests.unit.fresh_interpreter import CORE, SRC, loaded_by

CALLED = {
    "argon2-cffi": "argon2",
    "genai-prices": "genai_prices",
    "opentelemetry-proto": "opentelemetry",
    "prometheus-client": "prometheus_client",
}
"""How distributions are imported whose name is another."""


def test_the_core_loads_nothing_foreign():
    """
    A fresh interpreter that imports all of the core has loaded no adapter and no library but attrs.
    """
    files = (file.relative_to(SRC).with_suffix("") for file in CORE.rglob("*.py"))
    loaded = loaded_by(*(".".join(file.parts).removesuffix(".__init__") for file in files))
    packages = {name.partition(".")[0] for name in loaded}

    assert {"attr", "attrs", "mission_core"} == packages - sys.stdlib_module_names


def test_no_test_module_is_imported_by_another():
    """
    What tests share is in modules without tests, so that each of them can be changed or deleted alone.
    """
    imported = re.compile(r"^\s*(?:from|import) (tests[.\w]*\.test_\w+|tests[.\w]* import .*\btest_\w+)", re.MULTILINE)
    found = {file.name: imported.findall(file.read_text()) for file in (SRC.parent / "tests").rglob("*.py")}

    assert {} == {name: modules for name, modules in found.items() if modules}


def test_classes_are_declared_with_our_decorators():
    """
    attrs' own make a class with all of its methods at once, which a start would wait for.
    """
    taken = re.compile(r"^\s*from attrs import .*\b(?:define|frozen)\b", re.MULTILINE)
    found = [file.name for file in SRC.rglob("*.py") if taken.search(file.read_text())]

    assert ["lazy_attrs.py"] == found


def test_what_the_extras_install_is_used():
    """
    Nobody downloads a library that no module imports.
    """
    project = tomllib.loads((SRC.parent / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    packages = {re.match(r"[\w-]+", requirement)[0] for requirement in named} - {project["name"]}
    source = "\n".join(file.read_text() for file in SRC.rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", source, re.MULTILINE))
    imported |= set(re.findall(r"import_module\(\"(\w+)", source))

    assert set() == {CALLED.get(each, each) for each in packages} - imported


def test_what_a_docstring_says_is_raised_exists():
    """
    An error class that gets another name gets it in the docstrings, too.
    """
    source = "\n".join(file.read_text() for file in SRC.rglob("*.py"))
    known = {*dir(builtins), *re.findall(r"^class (\w+)", source, re.MULTILINE), "ROW_ERRORS"}
    sections = re.findall(r"^( +)Raises:\n((?:\1    .*\n)+)", source, re.MULTILINE)
    raised = {name for indent, text in sections for name in re.findall(rf"^{indent}    (\w+): ", text, re.MULTILINE)}

    assert len(raised) > 100
    assert set() == raised - known


def test_whatever_commits_in_the_core_runs_again_after_a_lost_race():
    """
    No use case depends on its caller for that.
    """
    found = {file.stem: not_repeated(file.read_text()) for file in CORE.rglob("*.py")}

    assert {} == {name: functions for name, functions in found.items() if functions}


def test_a_use_case_that_is_not_repeated_is_reported():
    """
    Also where it commits through a helper; a step of one that is repeated is none.
    """
    source = """
async def _kept(unit): await unit.commit()
async def bare(ports):
    async with ports.unit(ME) as unit: await _kept(unit)
async def _step(ports):
    async with ports.unit(ME) as unit: await unit.commit()
@use_case
async def whole(ports): await _step(ports)
"""

    assert ["bare"] == not_repeated(source)


def not_repeated(source: str) -> list[str]:
    """
    Functions that open a unit and commit it, and are no use case: neither they nor all that call them in their module
    run again when somebody else was faster.
    """
    functions = {each.name: each for each in ast.parse(source).body if isinstance(each, ast.AsyncFunctionDef)}
    repeated = {
        name
        for name, each in functions.items()
        if any(isinstance(mark, ast.Name) and mark.id == "use_case" for mark in each.decorator_list)
    }
    calls = {
        name: {call.func.id for call in ast.walk(each) if isinstance(call, ast.Call) and hasattr(call.func, "id")}
        for name, each in functions.items()
    }
    attributes = {
        name: {node.attr for node in ast.walk(each) if isinstance(node, ast.Attribute)}
        for name, each in functions.items()
    }
    opening = {name for name, used in attributes.items() if "unit" in used}
    commits = {name for name, used in attributes.items() if "commit" in used}
    commits |= {name for name, called in calls.items() if called & (commits - opening)}

    def is_repeated(name: str) -> bool:
        callers = [caller for caller, called in calls.items() if name in called and caller != name]
        return name in repeated or (bool(callers) and all(map(is_repeated, callers)))

    return [name for name in functions if name in opening & commits and not is_repeated(name)]
