"""
What `mission_core` and its areas export, and what importing them loads.
"""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import mission_core
from mission_core import ids
from mission_core.errors import Refusal
from mission_core.events import Event
from tests.unit.fresh_interpreter import CORE, SRC, loaded_by

AREAS = sorted(folder.name for folder in CORE.iterdir() if (folder / "__init__.py").exists())
PACKAGES = ["mission_core", *(f"mission_core.{area}" for area in AREAS)]


def areas_loaded_by(statement: str, tmp_path: Path) -> set[str]:
    """
    The areas of the core that a fresh interpreter has loaded after this statement.
    """
    (tmp_path / "program.py").write_text(f"import sys\nsys.path.append({str(SRC)!r})\n{statement}\n")
    return {name.split(".")[1] for name in loaded_by("program", src=tmp_path) if name.count(".") == 1} & set(AREAS)


@pytest.mark.parametrize("statement", ["import mission_core", "import mission_core.ports"])
def test_importing_the_core_loads_no_area(statement, tmp_path):
    """
    A program pays for what it uses.
    """
    assert set() == areas_loaded_by(statement, tmp_path)


def test_claiming_loads_only_the_areas_that_a_claim_needs(tmp_path):
    """
    Tasks and what they are built on; no agents, approvals, conversations, automation or reports.
    """
    loaded = areas_loaded_by("from mission_core import Task, claim_next", tmp_path)

    assert {"accounts", "boards", "events", "tasks"} == loaded


EMBEDDED = """
import sys
from types import ModuleType

from mission_core import Task, claim_next
from mission_adapters.memory import memory_ports

memory_ports()
own = {name: each for name, each in sys.modules.items() if name.startswith("mission_")}
found = {each for module in own.values() for each in vars(module).values() if isinstance(each, type)}
classes = {each for each in found if "__attrs_attrs__" in vars(each)}
sys.modules[f"made_{len(classes)}_classes"] = ModuleType("")
"""


def test_a_memory_store_loads_only_what_a_claim_needs(tmp_path):
    """
    Most of the time of an import goes into attrs classes, so they are counted: a time depends on what else the machine
    does. Read models and kinds of entities are loaded when they are first used, and asyncio when something waits.
    """
    (tmp_path / "program.py").write_text(f"import sys\nsys.path.append({str(SRC)!r})\n{EMBEDDED}\n")
    loaded = loaded_by("program", src=tmp_path)
    (classes,) = (int(name.split("_")[1]) for name in loaded if name.startswith("made_"))
    areas = {name.split(".")[1] for name in loaded if name.startswith("mission_core.")} & set(AREAS)

    assert classes <= 195
    assert {"accounts", "agents", "approvals", "boards", "events", "reports", "tasks", "usage"} == areas
    assert {"mission_core.usage.counters"} == {name for name in loaded if name.startswith("mission_core.usage.")}
    assert set() == loaded & {"asyncio", "mission_core.agents.use_cases"}
    assert {"mission_adapters.memory.reads"} == {name for name in loaded if name.endswith("reads")}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_export_exists_and_has_a_name_of_its_own(package):
    """
    A name that is also a module of the package would depend on what was imported first.
    """
    exporting = import_module(package)
    found = {name: getattr(exporting, name) for name in exporting.__all__}
    modules = {file.stem for file in Path(exporting.__file__).parent.glob("*.py")}

    assert found.keys() <= set(dir(exporting))
    assert set() == found.keys() & modules


@pytest.mark.parametrize("area", AREAS)
def test_an_area_exports_its_commands_events_and_refusals(area):
    """
    A use case, what it takes, what it records and what it refuses are public.
    """
    exported = set(import_module(f"mission_core.{area}").__all__)
    public = set()
    for file in (CORE / area).glob("*.py"):
        module = import_module(f"mission_core.{area}.{file.stem}".removesuffix(".__init__"))
        classes = (each for each in vars(module).values() if isinstance(each, type))
        own = (each for each in classes if each.__module__ == module.__name__ and not each.__name__.startswith("_"))
        public |= {each.__name__ for each in own if issubclass(each, Event | Refusal)}
        public |= use_cases_in(file)

    assert set() == public - exported


def use_cases_in(file: Path) -> set[str]:
    """
    The names of the use cases in a file, and of their commands.
    """
    functions = [each for each in ast.parse(file.read_text()).body if isinstance(each, ast.AsyncFunctionDef)]
    public = (each for each in functions if not each.name.startswith("_"))
    found = [each for each in public if "use_case" in map(ast.unparse, each.decorator_list)]
    commands = (ast.unparse(arg.annotation) for each in found for arg in each.args.args if arg.arg == "cmd")
    return {each.name for each in found} | {name for name in commands if name not in vars(ids)}


def test_a_star_import_gives_every_export(tmp_path):
    """
    As a session in an interpreter would use it.
    """
    namespace = {}
    exec("from mission_core import *", namespace)

    assert set(mission_core.__all__) <= namespace.keys()


def test_an_unknown_name_is_refused_as_by_any_module():
    """
    With the same errors and the same texts.
    """
    with pytest.raises(AttributeError, match=r"^module 'mission_core' has no attribute 'Tsk'$"):
        mission_core.Tsk  # noqa: B018
    with pytest.raises(ImportError, match=r"^cannot import name 'Tsk' from 'mission_core'"):
        exec("from mission_core import Tsk")
