"""What a user may set a Param to, as the JSON that Spark ML saves.

A Param holds the JSON form, because Spark writes a stage's Params with `json.dumps` and gives them
to the stage as they are when it loads it. `binding.stored` has that form of feeds and outputs.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

from tf2spark.binding.argument_types import path_text
from tf2spark.errors import ContractError, shortened


def model_path(value: object) -> str:
    """Return the path of a model; of a `SavedModel`, the path that it was read from."""
    contract = getattr(value, "contract", None)
    return path_text(value if contract is None else contract.path, name="model")


def names(value: object) -> list[str] | None:
    """Return names or paths as a list of text.

    Raises:
        ContractError: It isn't a collection of names.
    """
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Collection):
        raise ContractError(f"{shortened(value)} is not a list of names", 'write ["a", "b"]')
    return [os.fspath(name) if isinstance(name, os.PathLike) else name for name in value]


def save_choice(value: object) -> str:
    """Return how a stage saves its model.

    Raises:
        ContractError: It is neither "copy" nor "reference".
    """
    if value not in ("copy", "reference"):
        raise ContractError(
            f'save_model must be "copy" or "reference", not {shortened(value)}',
            'write save_model="copy" to save the model with the stage, or save_model="reference" '
            "to save only its path and digest",
        )
    return str(value)


def plain_scalar(value: Any) -> Any:
    """Return a value as JSON has it; it is checked with the others when a table is bound."""
    return value.item() if hasattr(value, "item") else value
