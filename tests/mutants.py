"""
Would the tests notice a mistake? Mutants are small mistakes, drawn by a seed from the rules of the core and the flush.
Each is tried on the tests that run its line, the quick ones first, until one fails.

    python -m tests.mutants [--count 300] [--seed 20261130] [--seconds 30] [pytest's arguments]

A mutant survives if no test fails, or if no test runs its line. One whose tests take longer than the seconds that are
given each is tried on the quickest of them. A test that hangs has noticed. Stories of real processes notice nothing,
because the mistake is only in this process.

Everything is collected once. A forked child runs the tests and notes the lines that each reaches. Then a child for
each mutant gets the changed code in place of that of the living function.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NoReturn

import coverage
import pytest
from _pytest.runner import runtestprotocol
from attrs import define, field, frozen

SOURCE = Path(__file__).parent.parent / "src"
MUTATED = ("mission_core/tasks", "mission_core/approvals", "mission_core/accounts", "mission_adapters/sql/flush.py")
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
STDERR = os.dup(2)
"""The terminal, while pytest captures what tests write."""
SURVIVED, NOTICED, IMPOSSIBLE, BROKEN = range(4)
"""How the child of a mutant ends."""
Change = Callable[[Any], Any]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@frozen
class Mutant:
    """
    A mistake in a function: the changed syntax tree of its module, and the place of the change.
    """

    file: Path
    function: str
    line: int
    change: str
    tree: ast.Module = field(repr=False, eq=False)

    def __str__(self) -> str:
        return f"{self.file.relative_to(SOURCE)}:{self.line} {self.function}: {self.change}"

    def apply(self, living: list[FunctionType]) -> bool:
        """
        Give living functions the changed code. Tell whether that was possible.
        """
        code = _code_of(compile(self.tree, str(self.file), "exec", dont_inherit=True), self.function)
        if code is None or not living or any(each.__code__.co_freevars != code.co_freevars for each in living):
            return False
        for each in living:
            each.__code__ = code
        return True


def _code_of(code: CodeType, qualified_name: str) -> CodeType | None:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            found = each if each.co_qualname == qualified_name else _code_of(each, qualified_name)
            if found is not None:
                return found
    return None


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """
    Yield the mistakes that can be made at a node: what each is, and the function that makes it in a copy of the node.
    """
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            if other := COMPARISONS.get(type(operator)):
                yield f"{type(operator).__name__} is {other.__name__}", _setting("ops", other, place)
    elif isinstance(node, ast.BoolOp):
        other_bool = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield f"{type(node.op).__name__} is {other_bool.__name__}", _setting("op", other_bool)
    elif isinstance(node, ast.BinOp) and (operator_after := ARITHMETIC.get(type(node.op))):
        yield f"{type(node.op).__name__} is {operator_after.__name__}", _setting("op", operator_after)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not is left out", lambda it: it.operand
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield "the condition is turned", _negated
    elif isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
        yield "the statement is left out", lambda it: ast.copy_location(ast.Pass(), it)
    elif isinstance(node, ast.Raise):
        yield "nothing is raised", lambda it: ast.copy_location(ast.Pass(), it)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} is {not node.value}", lambda it: ast.copy_location(ast.Constant(not it.value), it)
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield f"{node.value} is {node.value + 1}", lambda it: ast.copy_location(ast.Constant(it.value + 1), it)


def _setting(name: str, value: type[Any], place: int | None = None) -> Change:
    def change(node: Any) -> Any:
        if place is None:
            setattr(node, name, value())
        else:
            getattr(node, name)[place] = value()
        return node

    return change


def _negated(node: Any) -> Any:
    node.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
    return node


class _Sites(ast.NodeVisitor):
    """
    Finds the places in the bodies of a module's functions where a mistake can be made.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.found: list[tuple[str, ast.expr | ast.stmt, str, Change]] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.names.append(node.name)
        for each in node.body:
            if isinstance(each, Function | ast.ClassDef):
                self.visit(each)
        self.names.pop()

    def visit_Module(self, node: ast.Module) -> None:
        for each in node.body:
            if isinstance(each, Function | ast.ClassDef):
                self.visit(each)

    def visit_FunctionDef(self, node: Function) -> None:
        name = ".".join([*self.names, node.name])
        for statement in node.body:
            for each in ast.walk(statement):
                if isinstance(each, ast.expr | ast.stmt):  # the nodes that have a line
                    self.found += [(name, each, what, change) for what, change in _changes(each)]

    visit_AsyncFunctionDef = visit_FunctionDef


class _Replace(ast.NodeTransformer):
    def __init__(self, place: int, change: Change) -> None:
        self.place, self.change, self.seen = place, change, 0

    def visit(self, node: ast.AST) -> Any:
        here, self.seen = self.seen, self.seen + 1
        self.generic_visit(node)
        return self.change(node) if here == self.place else node


def all_mutants() -> list[Callable[[], Mutant]]:
    """
    Return all mistakes that can be made, in the order of the files and lines, each as the function that makes it.
    """
    found: list[Callable[[], Mutant]] = []
    for name in MUTATED:
        for file in sorted((SOURCE / name).rglob("*.py")) or [SOURCE / name]:
            tree = ast.parse(file.read_text())
            places = {id(node): place for place, node in enumerate(_in_order(tree))}
            sites = _Sites()
            sites.visit(tree)
            for function, node, what, change in sites.found:
                found.append(_maker(file, tree, places[id(node)], function, node.lineno, what, change))
    return found


def _in_order(tree: ast.AST) -> Iterator[ast.AST]:
    yield tree
    for each in ast.iter_child_nodes(tree):
        yield from _in_order(each)


def _maker(
    file: Path, tree: ast.Module, place: int, function: str, line: int, what: str, change: Change
) -> Callable[[], Mutant]:
    def made() -> Mutant:
        changed = _Replace(place, change).visit(copy.deepcopy(tree))
        return Mutant(file, function, line, what, ast.fix_missing_locations(changed))

    return made


@define
class MutantPlugin:
    """
    Runs mutants in place of the tests that pytest collected.
    """

    count: int
    seed: int
    seconds: float
    functions: dict[tuple[str, str], list[FunctionType]] = field(factory=lambda: defaultdict(list))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for each in gc.get_objects():
            if type(each) is FunctionType:
                self.functions[each.__code__.co_filename, each.__code__.co_qualname].append(each)
        gc.collect()
        gc.freeze()
        items = {item.nodeid: item for item in session.items}
        reached, seconds = self._reached(session.items)
        print(f"\n{len(seconds)} tests in {sum(seconds.values()):.0f} s, without those that fail or are left out")
        made = all_mutants()
        drawn = random.Random(self.seed).sample(made, len(made))
        caught = tried = 0
        for mutant in (each() for each in drawn):
            if tried == self.count:
                break
            tests = sorted(reached[str(mutant.file), mutant.line], key=seconds.__getitem__)
            while sum(map(seconds.__getitem__, tests)) > self.seconds and len(tests) > 1:
                tests.pop()
            noticed = self._noticed(mutant, [items[each] for each in tests])
            if noticed is None:
                continue
            tried += 1
            caught += noticed
            if not noticed:
                print(f"survives: {mutant} ({len(tests)} tests)", flush=True)
        print(f"caught {caught} of {tried} ({caught / max(tried, 1):.1%}), drawn by seed {self.seed} of {len(made)}")
        return True

    def _reached(self, items: list[pytest.Item]) -> tuple[dict[tuple[str, int], list[str]], dict[str, float]]:
        """
        Run all tests in a child. Return the tests by file and line, and how long each takes.
        """
        with tempfile.TemporaryDirectory() as folder:
            noted = Path(folder, "noted.json")
            if (child := os.fork()) == 0:
                _run_in_child(lambda: self._note_lines(items, noted, Path(folder, "lines")))
            os.waitpid(child, 0)
            told = json.loads(noted.read_text())
        reached: dict[tuple[str, int], list[str]] = defaultdict(list)
        for file, lines in told["lines"].items():
            for line, tests in lines.items():
                reached[file, int(line)] = [each for each in tests if each in told["seconds"]]
        return reached, told["seconds"]

    def _note_lines(self, items: list[pytest.Item], noted: Path, data: Path) -> int:
        seconds: dict[str, float] = {}
        measured = coverage.Coverage(data_file=str(data), include=[*map(_pattern, MUTATED)])
        measured.start()
        for item, next_item in _with_next(items):
            measured.switch_context(item.nodeid)
            began = time.process_time()
            if _passes(item, next_item):
                seconds[item.nodeid] = time.process_time() - began
        measured.stop()
        lines = measured.get_data()
        contexts = {file: lines.contexts_by_lineno(file) for file in lines.measured_files()}
        noted.write_text(json.dumps({"seconds": seconds, "lines": contexts}))
        return 0

    def _noticed(self, mutant: Mutant, items: list[pytest.Item]) -> bool | None:
        """
        Run tests against a mutant in a child. Tell whether one fails, or return None if it cannot be made.
        """
        if (child := os.fork()) == 0:
            _run_in_child(lambda: self._try(mutant, items))
        _, ended = os.waitpid(child, 0)
        status = os.WEXITSTATUS(ended) if os.WIFEXITED(ended) else NOTICED
        if status not in (SURVIVED, NOTICED, IMPOSSIBLE):
            raise RuntimeError(f"{mutant} ended with status {status}")
        return None if status == IMPOSSIBLE else status == NOTICED

    def _try(self, mutant: Mutant, items: list[pytest.Item]) -> int:
        resource.setrlimit(resource.RLIMIT_CPU, (int(self.seconds * 5) + 20, resource.RLIM_INFINITY))
        signal.alarm(int(self.seconds * 20) + 120)
        if not mutant.apply(self.functions[str(mutant.file), mutant.function]):
            return IMPOSSIBLE
        return SURVIVED if all(_passes(*each) for each in _with_next(items)) else NOTICED


def _pattern(name: str) -> str:
    return f"{SOURCE / name}" if name.endswith(".py") else f"{SOURCE / name}/**"


def _run_in_child(work: Callable[[], int]) -> NoReturn:
    """
    End this child with the status that the work returns.
    """
    try:
        os._exit(work())
    except BaseException:
        os.write(STDERR, traceback.format_exc().encode())
        os._exit(BROKEN)


def _with_next(items: list[pytest.Item]) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    return zip_longest(items, items[1:])


def _passes(item: pytest.Item, next_item: pytest.Item | None) -> bool:
    return all(each.passed for each in runtestprotocol(item, nextitem=next_item, log=False))


def main() -> int:
    """
    Run mutants and print those that survive.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20261130)
    parser.add_argument("--seconds", type=float, default=30.0)
    told, others = parser.parse_known_args()
    plugin = MutantPlugin(told.count, told.seed, told.seconds)
    return int(pytest.main(["-q", "-p", "no:xdist", "-p", "no:cacheprovider", *others], plugins=[plugin]))


if __name__ == "__main__":
    sys.exit(main())
