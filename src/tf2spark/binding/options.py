"""The arguments of `score` that need no table to be checked: all but feeds, fetches, signature."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, get_args

from attrs import evolve, frozen

from tf2spark.binding.argument_types import check_choice, check_switch, names, seconds, whole_number
from tf2spark.errors import Audience, ContractError, Mistakes, argument, shortened
from tf2spark.plan.score import Mode, RowRelation

Read = Literal["auto", "spark", "worker"]
Rows = Literal["auto", "independent", "batch"]

BATCH_ROWS = 4096
BATCH_BYTES = 64 << 20
# A layer's values should stay in a core's cache. But a run has some rows at least, because kernels
# slow down with few, and that minimum in turn mustn't take too much memory.
LAYER_CACHE_BYTES = 8 << 20
LAYER_MIN_ROWS = 64
LAYER_MAX_BYTES = 256 << 20
ERROR_COLUMN = "_error"

# Rows of a reproducible run: the largest of these that `batch_rows` allows. Matrix kernels compute
# rows in blocks (6 rows on AVX2, up to 48 with AVX-512, 16 floats per vector) and sum the rows left
# over in another order, so that bits depend on a row's position in the run. Multiples of 48 leave
# none over; beyond a few hundred rows, Eigen and oneDNN split a run in two at a row that
# depends on the processor's caches. 16 rows, and a single row, leave none over either.
REPRODUCIBLE_ROWS = (192, 96, 48, 16, 1)


@frozen
class Options:
    """How a table is scored, apart from what feeds what.

    Attributes:
        keep: The columns to keep; None for all.
        batch_rows: The maximum number of rows in one run; None for the default.
        mode: What happens to rows that can't be scored.
        error_column: Where "permissive" writes the reason.
        reproducible: Every run has the same number of rows and one thread, so that bits repeat.
        model_column: Where the digest of the model is written; None for nowhere.
        read: Whether Spark or the workers read the files of a Spark DataFrame.
        audience: Who reads the messages of workers; None where advice would be of no use.
        rows: Whether rows depend on each other.
        id_columns: The columns that name a row in messages; None to choose them by their names.
        task_timeout: How long a run in a Spark task may take, in seconds; None for no limit.
    """

    keep: tuple[str, ...] | None = None
    batch_rows: int | None = None
    mode: Mode = "failfast"
    error_column: str | None = None
    reproducible: bool = False
    model_column: str | None = None
    read: Read = "auto"
    audience: Audience | None = "python"
    rows: RowRelation = "independent"
    id_columns: tuple[str, ...] | None = None
    task_timeout: float | None = None


def make_options(
    *,
    keep: Sequence[str] | None = None,
    batch_rows: int | None = None,
    mode: Mode = "failfast",
    error_column: str | None = None,
    reproducible: bool = False,
    model_column: str | None = None,
    read: Read = "auto",
    rows: Rows = "auto",
    id_columns: Sequence[str] | None = None,
    task_timeout: float | None = None,
    columnwise: bool = False,
    audience: Audience = "python",
) -> Options:
    """Check the arguments of `score` that need no table; with `columnwise`, those of a udf.

    Raises:
        ContractError: One is wrong.
    """
    mistakes = Mistakes()
    for word, given, words in (("mode", mode, Mode), ("read", read, Read), ("rows", rows, Rows)):
        with mistakes.collected():
            check_choice(word, given, get_args(words))
    with mistakes.collected():
        check_switch("reproducible", reproducible)
    with mistakes.collected():
        keep = _check_columns("keep", keep)
    with mistakes.collected():
        id_columns = _check_columns("id_columns", id_columns)
    with mistakes.collected():
        batch_rows = _check_batch_rows(batch_rows)
    with mistakes.collected():
        task_timeout = None if task_timeout is None else seconds("task_timeout", task_timeout)
    for name, value in (("error_column", error_column), ("model_column", model_column)):
        with mistakes.collected():
            _check_new_column(name, value)
    with mistakes.collected():
        if rows == "batch" and reproducible is True:
            raise not_reproducible()
    with mistakes.collected():
        _check_mode(mode, error_column, columnwise=columnwise)
    mistakes.raise_all()
    if mode == "permissive" and error_column is None:
        error_column = ERROR_COLUMN
    return Options(
        None if keep is None else tuple(keep),
        batch_rows,
        mode,
        error_column,
        reproducible,
        model_column,
        read,
        audience,
        "unknown" if rows == "auto" else rows,
        None if id_columns is None else tuple(id_columns),
        task_timeout,
    )


def options_for_table(
    *,
    keep: Sequence[str] | None = None,
    id_columns: Sequence[str] | None = None,
    batch_rows: int | None = None,
    **_: object,
) -> Options:
    """Return options of those arguments that a table is checked against, where they are valid.

    Any other arguments of `make_options` are ignored.
    """
    options = Options()
    with suppress(ContractError):
        options = evolve(options, keep=_check_columns("keep", keep))
    with suppress(ContractError):
        options = evolve(options, id_columns=_check_columns("id_columns", id_columns))
    with suppress(ContractError):
        options = evolve(options, batch_rows=_check_batch_rows(batch_rows))
    return options


def _check_mode(mode: object, error_column: object, *, columnwise: bool) -> None:
    """Check what follows from the mode, if it is one."""
    if columnwise and mode == "dropmalformed":
        raise ContractError(
            'a udf returns a value for every row, so the mode "dropmalformed" can\'t drop one',
            "use "
            + argument("mode", "permissive")
            + " and filter on the error column, or use score()",
        )
    if error_column is not None and mode in ("failfast", "dropmalformed"):
        raise ContractError(
            f'an error column needs the mode "permissive", not "{mode}"',
            "write " + argument("mode", "permissive"),
        )


def not_reproducible(ops: str = "") -> ContractError:
    """Return the error of a model whose rows depend on each other, and that runs must not pad."""
    return ContractError(
        f"the model's rows depend on each other{ops}, so its scores can't be made reproducible: "
        "batches would be padded with rows that change the scores of the others",
        "leave out "
        + argument("reproducible", True)
        + ", or write "
        + argument("rows", "independent")
        + " if they don't",
    )


def _check_new_column(name: str, value: object) -> None:
    if value is not None and not (isinstance(value, str) and value):
        raise ContractError(f"{name} must be the name of a new column, not {shortened(value)}")


def _check_batch_rows(batch_rows: object) -> int | None:
    return None if batch_rows is None else whole_number("batch_rows", batch_rows)


def _check_columns(argument_name: str, columns: Sequence[str] | None) -> tuple[str, ...] | None:
    if columns is None:
        return None
    checked = names(argument_name, columns, '["id"]', kind="column names")
    for name in checked:
        if checked.count(name) > 1:
            raise ContractError(f'{argument_name} names "{name}" twice')
    return checked
