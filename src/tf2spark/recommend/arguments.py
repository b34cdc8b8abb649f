"""The arguments of `recommend`, checked as far as that needs no table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from attrs import frozen

from tf2spark.binding.argument_types import check_tolerance, names, whole_number
from tf2spark.binding.make_request import choose_signature
from tf2spark.binding.messages import listed
from tf2spark.binding.options import Options, make_options
from tf2spark.dtypes import Shape
from tf2spark.errors import Advice, Audience, ContractError, Mistakes, argument, shortened
from tf2spark.plan.recommend import SCORE_FIELD
from tf2spark.plan.score import Mode
from tf2spark.saved_model.contract import Contract, TensorSpec

if TYPE_CHECKING:
    from pyspark.resource import ResourceProfile

TOLERANCE = 1e-4


@frozen
class RecommendArguments:
    """The arguments of a call of `recommend`, except for the tables and what feeds which input.

    Attributes:
        k: How many items a user gets at most.
        user_id: The users' column that comes first in the result.
        item_id: The items' column that identifies items in the result.
        exclude: The users' column of item ids never to return, or None.
        candidates: The users' column of the only item ids to return, or None.
        options: Which columns of users are kept, and what happens to users that can't be scored.
        tolerance: How far scores may be from those of the whole graph: absolutely for scores up
            to 1, relative to the score beyond that.
        resources: What Spark gives the tasks that recommend; the session's settings where None.
    """

    k: int
    user_id: str
    item_id: str
    exclude: str | None
    candidates: str | None
    options: Options
    tolerance: float
    resources: ResourceProfile | None = None


def make_arguments(
    k: Any,
    user_id: str,
    item_id: str,
    exclude: str | None,
    candidates: str | None,
    keep: Sequence[str] | None,
    mode: Mode,
    error_column: str | None = None,
    model_column: str | None = None,
    tolerance: float = TOLERANCE,
    audience: Audience = "python",
    task_timeout: float | None = None,
    resources: ResourceProfile | None = None,
) -> RecommendArguments:
    """Check the arguments of `recommend` that can be checked without a table.

    `audience` is who reads the messages of workers.

    Raises:
        ContractError: An argument is wrong.
    """
    mistakes = Mistakes()
    with mistakes.collected():
        k = whole_number("k", k)
    columns = {"user_id": user_id, "item_id": item_id}
    optional_columns = {"exclude": exclude, "candidates": candidates}
    columns |= {arg: name for arg, name in optional_columns.items() if name is not None}
    for keyword, name in columns.items():
        with mistakes.collected():
            _check_column_name(keyword, name)
    with mistakes.collected():
        _check_not_score(item_id)
    with mistakes.collected():
        check_tolerance(tolerance)
    kept: tuple[str, ...] = ()
    with mistakes.collected():
        kept = () if keep is None else names("keep", keep, '["name"]', kind="column names")
    with mistakes.collected():
        options = make_options(
            keep=[str(user_id), *(name for name in kept if name != user_id)],
            mode=mode,
            error_column=error_column,
            model_column=model_column,
            # Users never share a run of a graph that isn't known to treat rows independently.
            rows="independent",
            id_columns=[str(user_id)],
            audience=audience,
            task_timeout=task_timeout,
        )
    mistakes.raise_all()
    return RecommendArguments(
        k, user_id, item_id, exclude, candidates, options, tolerance, resources
    )


def _check_column_name(keyword: str, name: Any) -> None:
    """Refuse an argument whose value isn't the name of a column."""
    if not isinstance(name, str) or not name:
        raise ContractError(f"{keyword} must be the name of a column, not {shortened(name)}")


def _check_not_score(item_id: Any) -> None:
    """Refuse an id of items that can't be beside the score; Spark ignores the case of fields."""
    if str(item_id).lower() == SCORE_FIELD:
        raise ContractError(
            f'recommendations have a field "{SCORE_FIELD}" beside the item id, which can\'t be '
            f'"{item_id}" then',
            Advice(
                f'rename it, items.withColumnRenamed("{item_id}", "item_id")',
                f"rename it, SELECT {item_id} AS item_id in --items-sql",
                pandas=f'rename it, items.rename(columns={{"{item_id}": "item_id"}})',
                arrow=f'rename it, items.rename_columns({{"{item_id}": "item_id"}})',
            ),
        )


@frozen
class RankingOutput:
    """The output that ranks items, as the user named it.

    Attributes:
        name: The output or tensor.
        column: Which entry of its rows is the score; None where a row has only one value.
    """

    name: str
    column: int | None


def choose_ranking_output(
    contract: Contract, signature: str | None, score: str | None
) -> RankingOutput:
    """Settle which output ranks: the only one, or the one named by `score`, e.g. ``probs[1]``.

    Raises:
        ContractError: There are several outputs and none was named, a row of the output has several
            values and none was picked, or its values don't rank.
    """
    chosen = choose_signature(contract, signature)
    outputs = {} if chosen is None else {output.name: output for output in chosen.outputs}
    ranking = _only_output(list(outputs)) if score is None else _parse_output(score)
    if (output := outputs.get(ranking.name)) is not None:
        check_ranking(ranking, output)
    return ranking


def check_ranking(ranking: RankingOutput, output: TensorSpec) -> None:
    """Check that an output has a number for each pair, as far as its shape is known.

    Raises:
        ContractError: It hasn't; see `choose_ranking_output`.
    """
    _check_ranks(output)
    _check_column(ranking, output.shape)


def _check_ranks(output: TensorSpec) -> None:
    """Refuse an output that has no number for each pair of a user and an item."""
    if output.kind != "dense":
        problem, dense = f"is {output.kind}", f"tf.{output.kind}.to_dense({output.name})"
        if output.kind == "ragged":
            dense = f"{output.name}.to_tensor()"
        instead = f"export {dense} as well"
    elif output.dtype.arrow is None or output.dtype.name == "string":
        problem, instead = f"has values of {output.dtype}", "export a real number as well"
    elif output.shape == ():
        problem, instead = "is one value per batch", "export one value per row as well"
    else:
        return
    raise ContractError(
        f'output "{output.name}" {problem}, and items are ranked by one number for each user and '
        "item",
        "name another output with " + argument("score") + f", or {instead}",
    )


def _only_output(names: list[str]) -> RankingOutput:
    if len(names) == 1:
        return RankingOutput(names[0], None)
    outputs = f"has the outputs {listed(names)}" if names else "names no output"
    example = names[0] if names else "y:0"
    raise ContractError(f"the model {outputs}", "say which one ranks: " + _score(example))


def _parse_output(score: Any) -> RankingOutput:
    if not isinstance(score, str) or not score:
        raise ContractError(
            f'score must be the name of an output, or an entry as in "probs[1]", not '
            f"{shortened(score)}"
        )
    match = re.fullmatch(r"(.+?)\[(\d+)\]", score)
    return RankingOutput(match[1], int(match[2])) if match else RankingOutput(score, None)


def _check_column(ranking: RankingOutput, shape: Shape) -> None:
    """Refuse a column that the output lacks, and rows of several values where none is picked."""
    if shape is None or None in shape[1:]:
        return
    name, column = ranking.name, ranking.column
    width = prod(size or 1 for size in shape[1:])
    if column is None and width != 1:
        raise ContractError(
            f'output "{name}" has {width} values per row',
            "say which one ranks: " + _score(f"{name}[0]"),
        )
    if column is not None and (len(shape) != 2 or column >= width):
        last = f"{name}[{width - 1}]" if len(shape) == 2 else name
        raise ContractError(
            f'output "{name}" has shape {list(shape)}, so there is no "{name}[{column}]"',
            "the last entry is " + _score(last) if len(shape) == 2 else "write " + _score(last),
        )


def _score(output: str) -> Advice:
    return argument("score", output)
