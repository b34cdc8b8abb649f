"""The public surface: every public name with its signature, kept in `public_api.txt`.

``make public-api`` writes the file anew, and a test compares the two.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from release.problem import Problem

# What docs/stability.md promises. Users may import nothing else.
MODULES = ("tf2spark", "tf2spark.errors", "tf2spark.ml", "tf2spark.mlflow", "tf2spark.testing")
# Classes that public methods return; users read their attributes and don't import them.
RESULTS = {
    "tf2spark.saved_model.contract": ("Contract", "Signature", "TensorSpec"),
    "tf2spark.recommend.explanation.plan": ("RecommendPlan",),
}
FILE = Path(__file__).with_name("public_api.txt")

_ADVICE = (
    "If that is intended: run `make public-api`, and write in CHANGELOG.md what users notice. What "
    "is removed, renamed or made stricter is deprecated first: docs/stability.md"
)
# Where an object is in memory, as the default value of an argument may show.
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def check() -> str:
    """Compare the public surface with the file.

    Raises:
        Problem: They differ; the message has the lines, and how to write the file anew.
    """
    if changes := difference(FILE.read_text(), surface()):
        raise Problem(f"the public surface has changed:\n{changes}\n{_ADVICE}")
    return f"{len(FILE.read_text().splitlines())} lines"


def difference(kept: str, current: str) -> str:
    """Return the lines that were removed and added, each below the module and class it is in."""
    lines = difflib.unified_diff(_qualified(kept), _qualified(current), n=0, lineterm="")
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def _qualified(text: str) -> list[str]:
    """Return the lines with the names of their modules and classes in front."""
    module = owner = ""
    lines = []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if indent == 0:
            module = line.split()[-1]
        elif indent == 2:
            owner = line.split("(")[0].split()[-1]
        lines.append(f"{f'{module}.{owner}: ' if indent == 4 else f'{module}: '}{line.strip()}")
    return lines


def surface() -> str:
    """Return all public names with their signatures, a line each."""
    lines = []
    for name in MODULES:
        module = import_module(name)
        lines += [f"module {name}", *_lines_of(module, public_names(module))]
    for name, classes in RESULTS.items():
        returned = _lines_of(import_module(name), classes)
        lines.append(f"returned, from {name}")
        lines += [line for line in returned if "def __init__" not in line]
    return "\n".join([*lines, ""])


def public_names(module: ModuleType) -> list[str]:
    """Return the names of `__all__`, or else what the module defines.

    Of `tf2spark.errors`, only exceptions and warnings are public.
    """
    names = getattr(module, "__all__", None)
    if names is not None:
        return sorted(names)
    own = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }
    if module.__name__ == "tf2spark.errors":
        own = {name: value for name, value in own.items() if _is_exception(value)}
    return sorted(own)


def _is_exception(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Exception)


def _lines_of(module: ModuleType, names: list[str] | tuple[str, ...]) -> Iterator[str]:
    for name in names:
        value = getattr(module, name)
        if not inspect.isclass(value):
            yield f"  def {name}{signature(value)}"
            continue
        bases = [base.__name__ for base in value.__bases__ if base is not object]
        yield f"  class {name}({', '.join(bases)})" if bases else f"  class {name}"
        # What an error inherits from another error is listed there.
        inherited = value.__mro__[1:] if not _is_exception(value) else ()
        members = {
            member: line
            for base in [*reversed(inherited), value]
            if base.__module__.partition(".")[0] == "tf2spark"
            for member, line in _members(base)
        }
        yield from (f"    {members[member]}" for member in sorted(members))


def _members(cls: type) -> Iterator[tuple[str, str]]:
    """Yield the public members that a class itself defines, each with its line."""
    attributes = inspect.get_annotations(cls)
    for name, annotation in attributes.items():
        if not name.startswith("_"):
            yield name, f"{name}: {_text_of(annotation)}"
    for name, value in vars(cls).items():
        if (name.startswith("_") and name != "__init__") or name in attributes:
            continue
        if isinstance(value, property):
            result = inspect.signature(value.fget).return_annotation if value.fget else Any
            yield name, f"{name}: {_text_of(result)}"
        elif isinstance(value, staticmethod | classmethod):
            yield name, f"{type(value).__name__} {name}{signature(value.__func__)}"
        elif inspect.isfunction(value):
            yield name, f"def {name}{signature(value)}"
        else:
            yield name, f"{name}: {type(value).__name__}"


def signature(function: Any) -> str:
    """Return a function's signature as it is written, whichever way its annotations are kept."""
    unquoted = inspect.signature(function)
    parameters = [
        each if each.annotation is each.empty else each.replace(annotation=_Plain(each.annotation))
        for each in unquoted.parameters.values()
    ]
    result = unquoted.return_annotation
    if result is not unquoted.empty:
        result = _Plain(result)
    text = str(unquoted.replace(parameters=parameters, return_annotation=result))
    return _ADDRESS.sub("", text)


class _Plain:
    """An annotation that is shown without quotes."""

    def __init__(self, annotation: Any) -> None:
        self._text = _text_of(annotation)

    def __repr__(self) -> str:
        return self._text


def _text_of(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation.strip("'\"")
    return inspect.formatannotation(annotation)


if __name__ == "__main__":
    FILE.write_text(surface())
