"""The lines of source that compute the gradient of a parameter, beside those of its forward pass."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..layers import LAYERS, Layer

PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Lines:
    """A function of a layer: its name, its file in the package, its first line there, counted from 1, and its text."""

    name: str
    file: str
    line: int
    text: str


@dataclass(frozen=True)
class Derivation:
    """Derivation of a layer: the formula, which is the docstring of its file, and the functions that compute.

    backward    those that compute the gradient of one parameter, and what that needs of the layer
    """

    file: str
    formula: str
    forward: list[Lines]
    backward: list[Lines]


def derivation(layer: Layer, parameter: str) -> Derivation:
    """Find the functions that compute the gradient of a parameter of a layer, such as "W"."""
    row, module = LAYERS[type(layer)], sys.modules[type(layer).__module__]
    names = [p.name for p in layer.parameters()]
    column = f"P{names.index(parameter)}"
    before_forward, before_backward = row.before or (None, None)
    forward = [f for op in (before_forward, row.forward) for f in _called(op, module) if f.own]
    backward: list[_Called] = []
    for op in (before_backward, row.backward):
        called = list(_called(op, module, column))
        if any(f.writes for f in called):
            backward += [f for f in called if f.writes or f.name == "backward"]
    file, formula = _place(inspect.getsourcefile(module)), inspect.getdoc(module) or ""
    return Derivation(file, formula, [f.lines() for f in forward], [f.lines() for f in backward])


@dataclass(frozen=True)
class _Called:
    """A function that an adapter calls: `own` if it is in the layer's file, `writes` if it is given the gradient."""

    name: str
    function: Any
    own: bool
    writes: bool

    def lines(self) -> Lines:
        text, line = inspect.getsourcelines(self.function)
        return Lines(self.name, _place(inspect.getsourcefile(self.function)), line, "".join(text))


def _called(op: Any, module: ModuleType, column: str = "") -> Iterator[_Called]:
    """Yield the functions that an adapter calls with arrays, in order. A gradient is grads at row[column]."""
    if op is None:
        return
    tree = ast.parse(textwrap.dedent(inspect.getsource(_plain(op))))
    arrays: set[str] = set()  # the variables that are the gradient

    def is_gradient(node: ast.expr) -> bool:
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        return {"grads", column} <= names or (isinstance(node, ast.Name) and node.id in arrays)

    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            targets = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else node.targets
            if len(values) == len(targets):
                arrays |= {
                    t.id for t, v in zip(targets, values, strict=True) if isinstance(t, ast.Name) and is_gradient(v)
                }
    statements = [n.value for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Call)]
    for call in statements:
        function = getattr(module, call.func.id, None) if isinstance(call.func, ast.Name) else None
        of_plan = any(isinstance(argument, ast.Name) and argument.id == "row" for argument in call.args)
        if function is not None and not of_plan:
            plain = _plain(function)
            writes = any(map(is_gradient, call.args))
            yield _Called(plain.__name__, plain, plain.__module__ == module.__name__, writes)


def _plain(function: Any) -> Any:
    """The Python function behind a compiled one."""
    return getattr(function, "py_func", function)


def _place(file: str | None) -> str:
    """The path of a source file from the folder of the package, such as moreish/layers/linear.py."""
    return (Path(PACKAGE.name) / Path(file or "").resolve().relative_to(PACKAGE)).as_posix()
