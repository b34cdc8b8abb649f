"""One user x all items per run: the recipe that people write by hand, at its best.

The items are broadcast. A worker writes them into its input arrays once, writes each user's values
next to them, runs the whole graph, and keeps the best k by `np.argpartition`. The session is ours
(the C API, without Python's overhead) and the model is a package (frozen, optimized), so that the
difference from `recommend` is the work that is done, not how TensorFlow is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame

from benchmarks.models import serving_signature
from tf2spark.runnable.model import RunnableModel

_SCHEMA = "user_id long, recommendations array<struct<item_id: long, score: float>>"
Array = npt.NDArray[Any]
Read = Callable[[Any], Mapping[str, Array]]
"""Reads, from a table or batch, the side's part of each input: an array [rows, n]."""


def best(
    package: str,
    users: DataFrame,
    items: DataFrame,
    k: int,
    *,
    read_users: Read,
    read_items: Read,
    output: str,
) -> DataFrame:
    """Return each user's best k.

    Args:
        package: The compiled model.
        users: `user_id` and features.
        items: `item_id` and features.
        k: Recommendations per user.
        read_users: Reads the users' part of the inputs from a batch.
        read_items: Reads the items' part, which follows the users'.
        output: The output to rank by.
    """
    table = items.toArrow()
    broadcast = items.sparkSession.sparkContext.broadcast(
        (table["item_id"].to_numpy(), dict(read_items(table.combine_chunks())))
    )
    model = RunnableModel(package)
    signature = serving_signature(model)
    reference = model.reference()
    inputs = {spec.name: (spec.tensors[0], spec.dtype) for spec in signature.inputs}
    (fetch,) = [spec.tensors[0] for spec in signature.outputs if spec.name == output]

    def recommend(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tf2spark.tensorflow_c.tensor import Tensor
        from tf2spark.worker.model_session import session_of

        item_ids, item_parts = broadcast.value
        run = session_of(reference).prepare([tensor for tensor, _ in inputs.values()], [fetch])
        arrays: dict[str, Any] = {}
        for batch in batches:
            user_parts = read_users(batch)
            if not arrays:
                arrays = {name: _join(user_parts[name], item_parts[name]) for name in inputs}
                feeds = [
                    Tensor(dtype, arrays[name].shape, arrays[name])
                    for name, (_, dtype) in inputs.items()
                ]
            best_items = []
            for row in range(batch.num_rows):
                for name, array in arrays.items():
                    array[:, : user_parts[name].shape[1]] = user_parts[name][row]
                (scores,) = run(feeds)
                best_items.append(_best(item_ids, scores.data.reshape(-1), k))
            yield _batch(batch.column("user_id"), best_items)

    return users.mapInArrow(recommend, _SCHEMA)


def _join(user_part: Array, item_part: Array) -> Array:
    """Return a row per item: the first user's values, then the item's."""
    return np.concatenate([np.repeat(user_part[:1], len(item_part), axis=0), item_part], axis=1)


def _best(ids: Array, scores: Array, k: int) -> tuple[Array, Array]:
    top = np.argpartition(scores, -k)[-k:]
    top = top[np.lexsort((ids[top], -scores[top]))]
    return ids[top], scores[top]


def _batch(user_ids: pa.Array, best_items: list[tuple[Array, Array]]) -> pa.RecordBatch:
    sizes = [len(ids) for ids, _ in best_items]
    columns = [pa.array(np.concatenate(parts)) for parts in zip(*best_items, strict=True)]
    structs = pa.StructArray.from_arrays(columns, names=["item_id", "score"])
    offsets = pa.array(np.cumsum([0, *sizes], dtype=np.int32))
    lists = pa.ListArray.from_arrays(offsets, structs)
    return pa.RecordBatch.from_arrays([user_ids, lists], names=["user_id", "recommendations"])
