"""The arguments that open a model: all that are wrong come in one message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from tf2spark.binding.argument_types import op_names, path_text, tag_names, version_number
from tf2spark.errors import Mistakes
from tf2spark.package.digests import parse_digest
from tf2spark.package.op_libraries import OpLibrary


@frozen
class Opening:
    """Which model is opened, and what the user vouches for.

    Attributes:
        path: The path or URI.
        version: The version folder; None for the largest.
        tags: The tags of the MetaGraph; None for ``serve``, or the only ones.
        allow_ops: Ops that the user vouches for.
        digest: The digest (hex) that the model must have; None for any.
        op_libraries: Libraries of custom ops that the user vouches for.
    """

    path: str
    version: int | None
    tags: tuple[str, ...] | None
    allow_ops: tuple[str, ...]
    digest: str | None
    op_libraries: tuple[OpLibrary, ...]


def check_opening(
    path: Any,
    version: Any,
    tags: Any,
    allow_ops: Any,
    digest: Any,
    find_libraries: Callable[[], tuple[OpLibrary, ...]],
) -> Opening:
    """Check the arguments of `SavedModel`, as far as that needs no model.

    Raises:
        ContractError: There are mistakes, all of which it lists.
        ModelError: There is no such op library.
    """
    mistakes, values = Mistakes(), list[Any]()
    checks: tuple[Callable[[], Any], ...] = (
        lambda: path_text(path),
        lambda: version_number(version),
        lambda: tag_names(tags),
        lambda: op_names(allow_ops),
        lambda: None if digest is None else parse_digest(digest),
        find_libraries,
    )
    for check in checks:
        with mistakes.collected():
            values.append(check())
    mistakes.raise_all()
    return Opening(*values)
