"""Marks for functions that Numba compiles, which do not import Numba.

Importing Numba takes longer than counting a list of words. The decorators here have the names that Numba gives them.
They keep what is marked until something is compiled, and pass it to Numba then. A signature is text, as "int64(Graph,
float64[::1])", and may name the NamedTuples that are declared by `fields`.
"""

import importlib
import os
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

Function = Callable[..., Any]
COMPILES = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")  # False: all runs in plain Python
_imported = False
_waiting: list[Callable[[], object]] = []


def with_numba(action: Callable[[], object]) -> None:
    """Do something as soon as Numba is imported."""
    if _imported:
        action()
    else:
        _waiting.append(action)


def numba_is_imported() -> bool:
    """Return True once something has been compiled."""
    return _imported


def _import_numba() -> None:
    """Import Numba, and do what has waited for it."""
    global _imported
    importlib.import_module("numba.extending")
    _imported = True
    for action in _waiting:
        action()


class LazyModule:
    """A module of Numba or of its compiler, imported when one of its names is first used."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if not _imported:
            _import_numba()
        return getattr(importlib.import_module(self._name), name)


numba: Any = LazyModule("numba")
types: Any = LazyModule("numba.core.types")
registry: Any = LazyModule("numba.core.registry")
arrayobj: Any = LazyModule("numba.np.arrayobj")
cgutils: Any = LazyModule("numba.core.cgutils")
ir: Any = LazyModule("llvmlite.ir")
llvm: Any = LazyModule("llvmlite.binding")


class Compiled:
    """A function that Numba compiles on its first call, or when a function that calls it is compiled.

    py_func     the function in plain Python
    """

    def __init__(self, py_func: Function, options: dict[str, Any]):
        self.py_func, self._options = py_func, options
        self.__name__, self.__module__, self.__doc__ = py_func.__name__, py_func.__module__, py_func.__doc__

    @cached_property
    def _dispatcher(self) -> Any:
        return numba.njit(**self._options)(self.py_func)

    @property
    def _numba_type_(self) -> Any:
        return self._dispatcher._numba_type_

    def __call__(self, *arguments: Any) -> Any:
        return self._dispatcher(*arguments)


def njit(function: Function | None = None, **options: Any) -> Any:
    """Numba's decorator, or one with options."""
    return (lambda f: Compiled(f, options)) if function is None else Compiled(function, options)


class Intrinsic:
    """A function that generates machine code."""

    def __init__(self, function: Function):
        self._function = function

    @cached_property
    def _numba_type_(self) -> Any:
        made = numba.extending.intrinsic(self._function)
        context = registry.cpu_target.typing_context
        context.refresh()
        return context.resolve_value_type(made)


def intrinsic(function: Function) -> Any:
    """Numba's decorator for a function that generates machine code. It is Any, as calls have another signature."""
    return Intrinsic(function)


def overload(function: Function) -> Callable[[Function], Function]:
    """Numba's decorator for what stands for a function in compiled code."""

    def register(generate: Function) -> Function:
        with_numba(lambda: numba.extending.overload(function)(generate))
        return generate

    return register


def register_jitable(function: Function) -> Any:
    """Numba's decorator for a function that runs in plain Python and in compiled code."""
    with_numba(lambda: numba.extending.register_jitable(function))
    return function


_fields: dict[str, tuple[type, tuple[str, ...]]] = {}


def fields(*kinds: str) -> Callable[[type], Any]:
    """Declare the types of the fields of a NamedTuple, in order, so that signatures can name it."""

    def declare(of: type) -> type:
        assert of.__name__ not in _fields, f"there are two NamedTuples called {of.__name__}"
        _fields[of.__name__] = of, kinds
        return of

    return declare


@cache
def signature(text: str) -> Any:
    """Return Numba's type for its text."""
    named = {
        name: types.NamedTuple(tuple(map(signature, kinds)), of)
        for name, (of, kinds) in _fields.items()
        if name in text
    }
    return eval(text, {**vars(importlib.import_module("numba.core.types")), **named})
