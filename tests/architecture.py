"""
Who imports whom, read off the source; each check answers with one sentence per import that should not be.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

CORE, ADAPTERS, HTTP = "mission_core", "mission_adapters", "mission_http"
PACKAGES = (CORE, ADAPTERS, HTTP)

# An area imports earlier ones only.
AREAS = (
    "events",
    "accounts",
    "boards",
    "agents",
    "tasks",
    "approvals",
    "usage",
    "conversations",
    "automation",
    "reports",
)

# Inside the first, the second must not be named, not even for types.
OUTWARD = (
    (CORE, ADAPTERS),
    (CORE, HTTP),
    (ADAPTERS, HTTP),
    (HTTP, ADAPTERS),
    (f"{HTTP}.fleet", f"{HTTP}.boards"),
    (f"{HTTP}.boards", f"{HTTP}.fleet"),
)
KNOW_EVERYBODY = {f"{HTTP}.wiring", f"{HTTP}.main", f"{HTTP}.maintenance", f"{HTTP}.doctor.database"}


@frozen
class Import:
    """
    One module names another, or something in it.
    """

    by: str
    of: str
    line: int
    for_types: bool

    def __str__(self) -> str:
        return f"{self.by}:{self.line} imports {self.of}"


def modules_in(src: Path) -> dict[str, Path]:
    """
    The modules of our three packages under *src*, by dotted name.
    """
    files = (file for package in PACKAGES for file in sorted((src / package).rglob("*.py")))
    return {".".join(file.relative_to(src).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports_in(src: Path) -> list[Import]:
    """
    Every import of every module, also those inside functions and those by `import_module` with a literal.
    """
    return [found for name, file in modules_in(src).items() for found in _imports_of(name, file)]


def pointing_outward(imports: list[Import]) -> list[str]:
    """
    Imports against the arrows: http → core ← adapters, and one dialect of the other.
    """
    return [
        str(found)
        for found in imports
        for inside, outside in OUTWARD
        if _within(found.by, inside) and _within(found.of, outside)
        if not (found.by in KNOW_EVERYBODY and outside == ADAPTERS)
    ]


def out_of_order(imports: list[Import]) -> list[str]:
    """
    Imports by which an area loads a later one, itself or through what the areas share.

    Imports for types load nothing and are left out.
    """
    loading = [found for found in imports if _within(found.by, CORE) and not found.for_types]
    modules = {found.by for found in loading}

    def areas_behind(name: str, seen: frozenset[str] = frozenset()) -> set[str]:
        if (area := _area_of(name)) is not None:
            return {area}
        module = _longest_prefix(name, modules)
        if module is None or module in seen:
            return set()
        onward = (found.of for found in loading if found.by == module)
        return {area for of in onward for area in areas_behind(of, seen | {module})}

    return [
        f"{found} and so the later area {later}"
        for found in loading
        if (area := _area_of(found.by)) is not None
        for later in sorted(areas_behind(found.of), key=AREAS.index)
        if AREAS.index(later) > AREAS.index(area)
    ]


def foreign_to_the_core(imports: list[Import]) -> list[str]:
    """
    Imports of the core that are neither its own, nor the standard library, nor attrs.
    """
    allowed = {*sys.stdlib_module_names, "attr", "attrs", CORE}
    return [str(found) for found in imports if _within(found.by, CORE) and found.of.partition(".")[0] not in allowed]


def not_repeated(src: Path) -> list[str]:
    """
    Functions of the core that open a unit and commit it, and are no use case: neither they nor all that call them in
    their module run again when somebody else was faster.
    """
    return [
        f"{name}.{function}"
        for name, file in modules_in(src).items()
        if _within(name, CORE)
        for function in _committing_once(ast.parse(file.read_text()))
    ]


def _committing_once(module: ast.Module) -> list[str]:
    functions = {each.name: each for each in module.body if isinstance(each, ast.AsyncFunctionDef)}
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


def loaded_by_the_core(src: Path) -> list[str]:
    """
    What a fresh interpreter has loaded after all of the core, beyond the core, the standard library and attrs.
    """
    names = [name for name in modules_in(src) if _within(name, CORE)]
    command = [sys.executable, "-I", "-c", LOAD, str(src), *names]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return answer.stdout.split()


LOAD = """
import sys
before = set(sys.modules)
from importlib import import_module
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    import_module(name)
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(loaded - sys.stdlib_module_names - {"attr", "attrs", "mission_core"}))
"""


def _imports_of(module: str, file: Path) -> Iterator[Import]:
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    for_types = {id(node) for block in ast.walk(tree) for node in _only_for_types(block)}
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        for name in _names_in(node, package):
            yield Import(by=module, of=name, line=node.lineno, for_types=id(node) in for_types)


def _names_in(node: ast.AST, package: list[str]) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=of, names=names, level=level):
            above = package[: len(package) - level + 1] if level else []
            base = ".".join([*above, of] if of else above)
            yield from (f"{base}.{alias.name}" for alias in names)
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            yield name


def _only_for_types(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), body=body):
            yield from (inner for statement in body for inner in ast.walk(statement))


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _area_of(name: str) -> str | None:
    return next((area for area in AREAS if _within(name, f"{CORE}.{area}")), None)


def _longest_prefix(name: str, modules: set[str]) -> str | None:
    return max((module for module in modules if _within(name, module)), key=len, default=None)
