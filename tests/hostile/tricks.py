"""The registry of hostile models that are each a trick of its own, not an attack in a place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from attrs import Factory, frozen

from hostile.attacks import Targets
from hostile.harness import Write
from hostile.model_files import Model

Build: TypeAlias = Callable[[Targets], Model]


@frozen
class Trick:
    """A hostile model.

    Attributes:
        write: Writes the model to a folder that doesn't exist yet, and returns the path to open.
        options: Arguments of `SavedModel`.
    """

    write: Write
    options: dict[str, Any] = Factory(dict)


TRICKS: dict[str, Trick] = {}


def trick(name: str = "", **options: Any) -> Callable[[Build], Build]:
    """Register a function that returns a model, under its own name if it gets no other."""

    def register(build: Build) -> Build:
        def write(folder: Path, targets: Targets) -> Path:
            return build(targets).write(folder)

        _register(name or build.__name__, Trick(write, options))
        return build

    return register


def written_trick(name: str = "", **options: Any) -> Callable[[Write], Write]:
    """Register a function that writes a model or a package itself."""

    def register(write: Write) -> Write:
        _register(name or write.__name__, Trick(write, options))
        return write

    return register


def _register(name: str, hostile: Trick) -> None:
    if name in TRICKS:
        raise ValueError(f"two tricks are called {name}")
    TRICKS[name] = hostile
