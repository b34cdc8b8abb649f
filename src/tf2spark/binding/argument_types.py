"""The types of arguments that every call shares: names, paths, numbers, switches.

Python checks no types, so a wrong one would surface somewhere inside as a TypeError. Each function
here returns the argument in the form that the code behind it takes, or raises one `ContractError`
that says what to write. What is unambiguous is accepted: ``version="3"``, ``tags="serve"``.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from numbers import Integral, Real
from typing import Any

from tf2spark.binding.messages import did_you_mean
from tf2spark.errors import ContractError, argument, shortened
from tf2spark.table_types import is_a, is_keras_model


def path_text(path: Any, *, name: str = "path", example: str = "/models/ctr") -> str:
    """Return a path or URI as text.

    Raises:
        ContractError: It is neither text nor a path object, or it is empty.
    """
    try:
        text = os.fspath(path)
    except TypeError:
        text = None
    if not isinstance(text, str) or not text:
        kind = "a Keras model in memory" if is_keras_model(path) else shortened(path)
        raise ContractError(
            f"{name} must be a path or a URI, not {kind}",
            _object_advice(path) or f'write "{example}"',
        )
    return text


def _object_advice(value: Any) -> str | None:
    """Return how to make a model on disk of an object that is a model; None for anything else."""
    if is_keras_model(value):
        return (
            "compile it once, and score the package: "
            'tf2spark.compile_model(model, "model.tf2spark")'
        )
    if is_a(value, "keras", "Layer") or is_a(value, "tf_keras", "Layer"):
        return 'make a model of the layer: keras.Sequential([layer]), and model.export("FOLDER")'
    if is_a(value, "tf2spark", "SavedModel"):
        return "it is open already: use it as it is (score, compile), or pass its path"
    if is_a(value, "tensorflow", "Module") or is_a(value, "tensorflow", "AutoTrackable"):
        return 'write it first: tf.saved_model.save(module, "FOLDER", signatures=...)'
    if is_a(value, "tensorflow", "Function") or is_a(value, "tensorflow", "ConcreteFunction"):
        return (
            "save a module that has the function as an attribute: "
            'tf.saved_model.save(module, "FOLDER", signatures=module.function)'
        )
    return None


def version_number(version: Any) -> int | None:
    """Return the number of a version folder; text with digits alone counts as its number.

    Raises:
        ContractError: It isn't a whole number.
    """
    if version is None:
        return None
    if isinstance(version, str) and version.isascii() and version.isdigit():
        return int(version)
    if isinstance(version, bool) or not isinstance(version, Integral) or version < 0:
        raise ContractError(
            "version must be the number of a version folder, as in version=3, not "
            f"{shortened(version)}",
            "leave it out for the largest",
        )
    return int(version)


def tag_names(tags: Any) -> tuple[str, ...] | None:
    """Return tags as a tuple; text is one tag, or several between commas.

    Raises:
        ContractError: They aren't text.
    """
    if tags is None:
        return None
    return names("tags", tags.split(",") if isinstance(tags, str) else tags, '["serve"]')


def op_names(allow_ops: Any) -> tuple[str, ...]:
    """Return the names of ops as a tuple; text is one name, None is none.

    Raises:
        ContractError: They aren't text.
    """
    return () if allow_ops is None else names("allow_ops", allow_ops, '["ReadFile"]')


def names(name: str, value: Any, example: str, *, kind: str = "names") -> tuple[str, ...]:
    """Return an argument that is a list of names; a single name is a list of one.

    Args:
        name: The argument.
        value: What the call gave.
        example: What a call could give, as code.
        kind: What they name, for the message: "column names".

    Raises:
        ContractError: It isn't a list of names.
    """
    given = (value,) if isinstance(value, str) else value
    if not isinstance(given, Iterable) or isinstance(given, bytes | bytearray):
        given = None
    elements = None if given is None else tuple(given)
    if elements is None or not all(isinstance(element, str) for element in elements):
        raise ContractError(
            f"{name} must be a list of {kind}, not {shortened(value)}", f"write {name}={example}"
        )
    return elements


def optional_name(name: str, value: Any, example: str) -> None:
    """Check that an argument is a name or None.

    Raises:
        ContractError: It is something else.
    """
    if value is not None and not isinstance(value, str):
        raise ContractError(
            f"{name} must be a name, not {shortened(value)}", "write " + argument(name, example)
        )


def whole_number(name: str, value: Any) -> int:
    """Return an argument that is a whole number of at least 1.

    Raises:
        ContractError: It isn't.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ContractError(f"{name} must be an integer of at least 1, not {shortened(value)}")
    return int(value)


def seconds(name: str, value: Any) -> float:
    """Return an argument that is a time of at least a second.

    Raises:
        ContractError: It isn't.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 1 <= value < float("inf"):
        raise ContractError(
            f"{name} must be at least 1 second, as a number, not {shortened(value)}"
        )
    return float(value)


def check_switch(name: str, value: Any) -> None:
    """Check that an argument is True or False.

    Raises:
        ContractError: It isn't; the text "false" would count as true.
    """
    # NumPy's bool has a class of its own, and is neither 0 nor 1 in disguise.
    if not isinstance(value, bool) and type(value).__name__ not in ("bool_", "bool"):
        raise ContractError(f"{name} must be True or False, not {shortened(value)}")


def check_tolerance(tolerance: Any) -> None:
    """Check that a tolerance is a number of at least 0.

    Raises:
        ContractError: It isn't.
    """
    is_number = isinstance(tolerance, Real) and not isinstance(tolerance, bool)
    if not is_number or not tolerance >= 0:
        raise ContractError(f"tolerance must be a number of at least 0, not {shortened(tolerance)}")


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Check that an argument is one of a few words.

    Raises:
        ContractError: It isn't; the advice is the nearest, or all of them.
    """
    if not isinstance(value, str) or value not in choices:
        suggestion = did_you_mean(str(value), choices, label="value")
        raise ContractError(f"{name} can't be {shortened(value)}", suggestion)
