"""
Exports of a package that are imported when they are first used (PEP 562).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any


def lazy_exports(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """
    The `__getattr__` and `__dir__` of a package, which import an export when it is first used.

    The package declares its exports once, for type checkers and for this function, in an `if TYPE_CHECKING:` block of
    its source: `from module import Name as Name` for a name, `from package import module as module` for a module.
    """
    exporting = sys.modules[package]

    @cache
    def modules() -> dict[str, str]:
        source_of = getattr(exporting.__loader__, "get_source", None)  # not every loader has it (PEP 302)
        source = source_of(package) if source_of else None
        if source is None:
            raise ImportError(f"{package} needs its source file, which declares what the package exports")
        blocks = (each for each in ast.parse(source).body if isinstance(each, ast.If))
        imports = (each for block in blocks for each in block.body if isinstance(each, ast.ImportFrom))
        return {alias.name: each.module or package for each in imports for alias in each.names}

    def __getattr__(name: str) -> Any:
        if name == "__all__":
            return sorted(modules())
        module = modules().get(name) if not name.startswith("__") else None
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=exporting)
        if module == package:
            return import_module(f"{package}.{name}")
        value = getattr(import_module(module), name)
        setattr(exporting, name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(exporting), *modules()})

    return __getattr__, __dir__
