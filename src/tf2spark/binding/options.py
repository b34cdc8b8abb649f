"""How a table is scored, apart from what feeds what: the arguments of `score`, checked."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, cast, get_args

from attrs import frozen

from tf2spark.binding.messages import did_you_mean
from tf2spark.errors import ContractError
from tf2spark.plan.score import Mode

Read = Literal["auto", "spark", "worker"]

BATCH_ROWS = 4096
BATCH_BYTES = 64 << 20
ERROR_COLUMN = "_error"


@frozen
class Options:
    """How a table is scored, apart from what feeds what.

    Attributes:
        keep: The columns that stay; None for all.
        batch_rows: The most rows of one run; None for the default.
        mode: What happens to rows that can't be scored.
        error_column: Where "permissive" writes the reason.
        reproducible: Every run has exactly `batch_rows` rows, so that bits repeat.
        model_column: Where the digest of the model is written; None for nowhere.
        read: Who opens the files of a Spark DataFrame.
    """

    keep: tuple[str, ...] | None = None
    batch_rows: int | None = None
    mode: Mode = "failfast"
    error_column: str | None = None
    reproducible: bool = False
    model_column: str | None = None
    read: Read = "auto"


def make_options(
    *,
    keep: Sequence[str] | None = None,
    batch_rows: int | None = None,
    mode: str = "failfast",
    error_column: str | None = None,
    reproducible: bool = False,
    model_column: str | None = None,
    read: str = "auto",
    columnwise: bool = False,
) -> Options:
    """Check the arguments of `score` that no table is needed for; `columnwise`: those of a udf.

    Raises:
        ContractError: One is wrong.
    """
    if mode not in get_args(Mode):
        near = did_you_mean(str(mode), get_args(Mode), label="mode")
        raise ContractError(f"mode={mode!r}: {near}")
    if read not in get_args(Read):
        raise ContractError(f'read={read!r}: write "auto", "spark" or "worker"')
    if columnwise and mode == "dropmalformed":
        raise ContractError(
            'a udf gives a value for every row, so mode="dropmalformed" can\'t drop one: use '
            'mode="permissive" and filter on the error column, or score()'
        )
    if error_column is not None and mode != "permissive":
        raise ContractError(f'error_column needs mode="permissive", the mode is "{mode}"')
    for name, value in {"error_column": error_column, "model_column": model_column}.items():
        if value is not None and not (isinstance(value, str) and value):
            raise ContractError(f"{name}={value!r}: write the name of a new column")
    if mode == "permissive" and error_column is None:
        error_column = ERROR_COLUMN
    return Options(
        _checked_keep(keep),
        _checked_rows(batch_rows),
        cast(Mode, mode),
        error_column,
        reproducible,
        model_column,
        cast(Read, read),
    )


def _checked_rows(batch_rows: Any) -> int | None:
    if batch_rows is None:
        return None
    if isinstance(batch_rows, bool) or not isinstance(batch_rows, Integral) or batch_rows < 1:
        raise ContractError(f"batch_rows={batch_rows!r}: write a whole number from 1")
    return int(batch_rows)


def _checked_keep(keep: Any) -> tuple[str, ...] | None:
    if keep is None:
        return None
    kept = (keep,) if isinstance(keep, str) else tuple(keep)
    for name in kept:
        if not isinstance(name, str):
            raise ContractError(f'keep={keep!r}: write names of columns, keep=["id"]')
        if kept.count(name) > 1:
            raise ContractError(f'keep names "{name}" twice')
    return kept
