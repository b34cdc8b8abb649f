"""One user x all items a run: the recipe that people write by hand, at its best.

The items are broadcast; a worker lays them out once, writes each user's part beside them, runs
the whole graph, and keeps the best k by `np.argpartition`. The session is ours (the C API, without
Python's overhead) and the model a package (frozen, optimised), so that what differs from
`recommend` is the work that is done and not how TensorFlow is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame

from tf2spark.runnable_model import RunnableModel

_SCHEMA = "user_id long, recommendations array<struct<item_id: long, score: float>>"
Array = npt.NDArray[Any]
Read = Callable[[Any], Mapping[str, Array]]
"""From a table or batch to an array [rows, n] for each input that it feeds a part of."""


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
        k: How many.
        read_users: Reads the users' part of the inputs from a batch.
        read_items: Reads the items' part, which comes after the users'.
        output: The output that ranks.
    """
    table = items.toArrow()
    broadcast = items.sparkSession.sparkContext.broadcast(
        (table["item_id"].to_numpy(), dict(read_items(table.combine_chunks())))
    )
    model = RunnableModel(package)
    (signature,) = [one for one in model.contract.signatures if one.name == "serving_default"]
    reference = model.reference()
    inputs = {one.name: (one.tensors[0], one.dtype) for one in signature.inputs}
    (fetched,) = [one.tensors[0] for one in signature.outputs if one.name == output]

    def recommend(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tf2spark.tensorflow_c.tensor import Tensor
        from tf2spark.worker.model_session import session_of

        item_ids, parts = broadcast.value
        run = session_of(reference).prepare([at for at, _ in inputs.values()], [fetched])
        laid: dict[str, Any] = {}
        for batch in batches:
            own = read_users(batch)
            if not laid:
                laid = {name: _beside(own[name], parts[name]) for name in inputs}
                fed = [
                    Tensor(kind, laid[name].shape, laid[name]) for name, (_, kind) in inputs.items()
                ]
            found = []
            for row in range(batch.num_rows):
                for name, whole in laid.items():
                    whole[:, : own[name].shape[1]] = own[name][row]
                (scores,) = run(fed)
                found.append(_best(item_ids, scores.data.reshape(-1), k))
            yield _batch(batch.column("user_id"), found)

    return users.mapInArrow(recommend, _SCHEMA)


def _beside(own: Array, parts: Array) -> Array:
    return np.concatenate([np.repeat(own[:1], len(parts), axis=0), parts], axis=1)


def _best(ids: Array, scores: Array, k: int) -> tuple[Array, Array]:
    top = np.argpartition(scores, -k)[-k:]
    top = top[np.lexsort((ids[top], -scores[top]))]
    return ids[top], scores[top]


def _batch(user_ids: pa.Array, found: list[tuple[Array, Array]]) -> pa.RecordBatch:
    sizes = [len(ids) for ids, _ in found]
    structs = pa.StructArray.from_arrays(
        [pa.array(np.concatenate([one[at] for one in found])) for at in (0, 1)],
        names=["item_id", "score"],
    )
    offsets = pa.array(np.cumsum([0, *sizes], dtype=np.int32))
    lists = pa.ListArray.from_arrays(offsets, structs)
    return pa.RecordBatch.from_arrays([user_ids, lists], names=["user_id", "recommendations"])
