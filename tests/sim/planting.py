"""Plants a bug in the running product and takes it out again.

A bug is a change of one passage of the text of one function. The function is compiled anew in its
own module's namespace and put wherever the old one is known; leaving the context puts it back.
"""

from __future__ import annotations
import __future__

import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FunctionType
from typing import Any

import msgspec

FLAGS = __future__.annotations.compiler_flag


class Change(msgspec.Struct, frozen=True):
    """In function `where` (`module:Class.method` or `module:function`), `old` becomes `new`."""

    where: str
    old: str
    new: str


@contextmanager
def planted(*changes: Change) -> Iterator[None]:
    """Live with some changes for a while."""
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(_planted(change))
        yield


@contextmanager
def _planted(change: Change) -> Iterator[None]:
    module_name, _, path = change.where.partition(":")
    module = importlib.import_module(module_name)
    *owners, name = path.split(".")
    owner: Any = module
    for part in owners:
        owner = getattr(owner, part)
    before = vars(owner)[name]
    after = _changed(before, change)
    places = [(owner, name)] if owners else list(_known_as(before))
    for place, known_as in places:
        setattr(place, known_as, after)
    try:
        yield
    finally:
        for place, known_as in places:
            setattr(place, known_as, before)


def _changed(before: Any, change: Change) -> Any:
    function = before.fget if isinstance(before, property) else before
    assert isinstance(function, FunctionType), change.where
    lines = inspect.getsource(function).splitlines(keepends=True)
    start = next(
        at for at, line in enumerate(lines) if line.lstrip().startswith(("def ", "async "))
    )
    text = "".join(lines[start:])
    assert text.count(change.old) == 1, f"{change.where}: {text.count(change.old)} × {change.old!r}"
    text = text.replace(change.old, change.new)
    if text.startswith(" "):  # a method keeps its indentation, so that passages read as in the file
        text = f"if True:\n{text}"
    code = compile(text, change.where, "exec", FLAGS, dont_inherit=True)
    namespace: dict[str, Any] = {}
    exec(code, dict(function.__globals__), namespace)
    after = namespace[function.__name__]
    return property(after) if isinstance(before, property) else after


def _known_as(function: Any) -> Iterator[tuple[Any, str]]:
    """Every module that imported the function, and under which name."""
    for name, module in sorted(sys.modules.items()):
        if name.startswith("monitor.") and module is not None:
            for known_as, value in list(vars(module).items()):
                if value is function:
                    yield module, known_as
