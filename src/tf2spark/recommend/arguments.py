"""The arguments of `recommend`, checked as far as no table is needed for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import Any

from attrs import frozen

from tf2spark.binding.messages import listed
from tf2spark.binding.options import Options, make_options
from tf2spark.binding.request import choose_signature
from tf2spark.errors import ContractError
from tf2spark.saved_model.contract import Contract

TOLERANCE = 1e-4


@frozen
class Asked:
    """What a call of `recommend` asks for, apart from what feeds what.

    Attributes:
        k: At most so many items a user.
        user_id: The users' column that comes first in the result.
        item_id: The items' column that the result names items by.
        exclude: The users' column of ids never to return, or None.
        candidates: The users' column of the only ids to return, or None.
        options: The users' columns that stay, and what happens to users that can't be scored.
        tolerance: How far scores may be from those of the whole graph.
    """

    k: int
    user_id: str
    item_id: str
    exclude: str | None
    candidates: str | None
    options: Options
    tolerance: float


@frozen
class Ranked:
    """The output that ranks, as the user named it, and which entry of its rows."""

    output: str
    column: int | None


def ranked(contract: Contract, signature: str | None, score: str | None) -> Ranked:
    """Settle which output ranks: the only one, or the one that was named, ``probs[1]``.

    Raises:
        ContractError: There are several and none was named.
    """
    if score is not None:
        if not isinstance(score, str) or not score:
            raise ContractError(f'score={score!r}: write the name of an output, or "probs[1]"')
        found = re.fullmatch(r"(.+?)\[(\d+)\]", score)
        rank = Ranked(found[1], int(found[2])) if found else Ranked(score, None)
        return _checked(rank, contract, signature)
    chosen = choose_signature(contract, signature)
    outputs = [] if chosen is None else [one.name for one in chosen.outputs]
    if len(outputs) != 1:
        what = f"has the outputs {listed(outputs)}" if outputs else "names no output"
        example = outputs[0] if outputs else "y:0"
        raise ContractError(f'the model {what}: say which one ranks, score="{example}"')
    return _checked(Ranked(outputs[0], None), contract, signature)


def _checked(rank: Ranked, contract: Contract, signature: str | None) -> Ranked:
    """Refuse an entry that the output's rows haven't, and rows of several where none is named."""
    chosen = choose_signature(contract, signature)
    outputs = {} if chosen is None else {one.name: one.shape for one in chosen.outputs}
    name, shape = rank.output, outputs.get(rank.output)
    if shape is None or None in shape[1:]:
        return rank
    width = prod(size or 1 for size in shape[1:])
    if rank.column is None and width != 1:
        raise ContractError(
            f'output "{name}" has {width} values a row: say which one ranks, score="{name}[0]"'
        )
    if rank.column is not None and (len(shape) != 2 or rank.column >= width):
        last = f'"{name}[{width - 1}]" is the last' if len(shape) == 2 else f'write score="{name}"'
        raise ContractError(
            f'score="{name}[{rank.column}]": output "{name}" is {list(shape)}, {last}'
        )
    return rank


def make_asked(
    k: Any,
    user_id: str,
    item_id: str,
    exclude: str | None,
    candidates: str | None,
    keep: Sequence[str] | None,
    mode: str,
    error_column: str | None,
    model_column: str | None,
    tolerance: float,
) -> Asked:
    """Check the arguments of `recommend` that no table is needed for.

    Raises:
        ContractError: One is wrong.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ContractError(f"k={k!r}: write a whole number from 1")
    given = {"user_id": user_id, "item_id": item_id, "exclude": exclude, "candidates": candidates}
    for name, value in given.items():
        if not (isinstance(value, str) and value) and not (
            value is None and name in ("exclude", "candidates")
        ):
            raise ContractError(f"{name}={value!r}: write the name of a column")
    if not tolerance >= 0:
        raise ContractError(f"tolerance={tolerance!r}: write a number from 0")
    kept = [keep] if isinstance(keep, str) else list(keep or ())
    options: Options = make_options(
        keep=[user_id, *(name for name in kept if name != user_id)],
        mode=mode,
        error_column=error_column,
        model_column=model_column,
    )
    return Asked(k, user_id, item_id, exclude, candidates, options, tolerance)
