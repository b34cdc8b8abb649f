"""Ops on rows that stand below each other: `Merged` values, whose batch is `count` times as long.

An op that treats rows apart treats these apart too. Its rule is asked with values that stand for
the merged rows, and what comes out is put back below its rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import evolve

from tf2spark.graph_split.forms import (
    Batch,
    Const,
    Merged,
    NotRowWise,
    Pair,
    Side,
    Sizes,
    Value,
    known,
)
from tf2spark.graph_split.graph_builder import Builder, one_side, renewed
from tf2spark.graph_split.materialize import flat
from tf2spark.graph_split.op_call import Call, Rule


def on_merged(call: Call, rule: Rule) -> list[Value]:
    """Apply the rule of an op to merged rows.

    Raises:
        NotRowWise: They meet other rows, or the rule says so.
    """
    merged = [one for one in call.inputs if isinstance(one, Merged)]
    count = merged[0].count
    inner = {id(one): _computed(call.b, merged, one) for one in merged}
    inputs: list[Value] = []
    for value in call.inputs:
        match value:
            case Const():
                inputs.append(value)
            case Sizes():
                inputs.append(_per_row(value, count))
            case Merged() if value.count == count:
                inputs.append(_below(call.b, inner[id(value)], value))
            case _:
                raise NotRowWise("rows of a merged batch meet others")
    found = rule(evolve(call, inputs=tuple(inputs)))
    like = inner[id(merged[0])]
    made = found if isinstance(found, Sequence) else [found]
    return [_beside(call.b, one, like, count) for one in made]


def _computed(b: Builder, merged: Sequence[Merged], one: Merged) -> Side | Pair:
    if one_side([each.inner for each in merged]) is None:
        return flat(b, one.inner)
    assert isinstance(one.inner, Side)
    return one.inner


def _below(b: Builder, inner: Side | Pair, value: Merged) -> Side:
    """Return merged rows as rows. They are never sent to the pairs, so that any side will do."""
    shape = b.ints(-1, *known(value.dims, "a merged row"))
    return Side("user", b.reshaped(inner.tensor, shape, inner.dtype), inner.dtype, value.dims)


def _beside(b: Builder, value: Value, like: Side | Pair, count: int) -> Value:
    """Put results back: `count` of them in a row."""
    if not isinstance(value, Side):
        raise NotRowWise("its result isn't one of merged rows")
    dims = (count, *known(value.dims, "a merged row"))
    tensor = b.reshaped(value.tensor, b.ints(-1, *dims), value.dtype)
    return Merged(renewed(like, tensor, dims, value.dtype), count, value.dtype, value.dims)


def _per_row(value: Sizes, count: int) -> Sizes:
    def one(entry: object) -> object:
        if not isinstance(entry, Batch):
            return entry
        if entry.times % count:
            raise NotRowWise("it takes some of the rows")
        return Batch(entry.times // count)

    entries = [one(entry) for entry in value.values.reshape(-1)]
    made = np.empty(len(entries), object)
    made[:] = entries
    return evolve(value, values=made.reshape(value.values.shape))
