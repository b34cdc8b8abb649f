"""Sparse and ragged inputs, and pairs of inputs for ids and values: what MLlib's vectors feed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from cases.models.case import Case, Feeds
from cases.models.saving import graph_session, save_function, save_graph, weights
from cases.models.tables import (
    Pairs,
    arrow,
    coo,
    floats,
    ints,
    join_pairs,
    mixed_vectors,
    pairs_of,
    random,
    read,
    sparse_pairs,
    sparse_vectors,
    splits,
    table,
    written_out,
)
from cases.models.tables import padded as filled
from tf2spark.binding.feeds import assembled, padded

tf1 = tf.compat.v1
Spec = tf.TensorSpec
SIZE = 30


def vectors_table(rows: int) -> pa.Table:
    """Return a column of dense and sparse vectors of one size, some of them empty."""
    return table(features=mixed_vectors(sparse_pairs(rows, SIZE, most=5, seed=1), SIZE))


def make_wide_dense(path: Path) -> None:
    w = weights(SIZE, 2, seed=1)
    save_function(path, lambda x: {"y": x @ w}, Spec([None, SIZE], tf.float32, "x"), keep={"w": w})


# TF1: a sparse placeholder is one input of the signature.


def make_tf1_sparse(path: Path) -> None:
    with graph_session() as session:
        x = tf1.sparse_placeholder(tf.float32, [None, SIZE], "x")
        w = tf1.get_variable("w", [SIZE, 2], initializer=tf1.random_normal_initializer())
        y = tf.sparse.sparse_dense_matmul(x, w)
        save_graph(session, path, {"x": x}, {"y": y})


def make_tf1_sparse_lookup(path: Path) -> None:
    """Sum weighted embeddings, with the two sparse inputs that TF1's wide models have."""
    with graph_session() as session:
        ids = tf1.sparse_placeholder(tf.int64, [None, None], "ids")
        scale = tf1.sparse_placeholder(tf.float32, [None, None], "scale")
        table_ = tf1.get_variable("t", [SIZE, 3], initializer=tf1.random_normal_initializer())
        y = tf1.nn.embedding_lookup_sparse(table_, ids, scale, combiner="sum")
        save_graph(session, path, {"ids": ids, "scale": scale}, {"y": y})


def lookup_table(rows: int) -> pa.Table:
    """Return two list columns whose rows have the same lengths; none is empty.

    `embedding_lookup_sparse` gives no result for empty rows at the end of a batch.
    """
    pairs = sparse_pairs(rows, SIZE, most=5, least=1, seed=2)
    return table(
        ids=pa.array([ids for ids, _ in pairs], pa.list_(pa.int64())),
        scale=pa.array([values for _, values in pairs], pa.list_(pa.float64())),
    )


def lookup_feeds(data: pa.Table) -> Feeds:
    ids, scale = data["ids"].to_pylist(), data["scale"].to_pylist()
    width = max(map(len, ids))
    positions = [list(range(len(row))) for row in ids]
    return {
        "ids": coo(list(zip(positions, ids, strict=True)), width, np.int64),
        "scale": coo(list(zip(positions, scale, strict=True)), width),
    }


# TF2: the signature lists a sparse input as three plain ones, a ragged one as values and splits.


def make_tf2_sparse(path: Path) -> None:
    w = weights(SIZE, 2, seed=2)

    def call(x: Any) -> Any:
        return {"y": tf.sparse.sparse_dense_matmul(x, w)}

    save_function(path, call, tf.SparseTensorSpec([None, SIZE], tf.float32), keep={"w": w})


def flattened(name: str, pairs: Pairs, size: int) -> Feeds:
    """Return a sparse input under the names of its three tensors: indices, values, shape."""
    indices, values, shape = coo(pairs, size)
    return {name: indices, f"{name}_1": values, f"{name}_2": shape}


def interests_table(rows: int) -> pa.Table:
    """Return maps whose keys are in any order."""
    maps = [
        [(key, value) for key, value in zip(*pair, strict=True)][:: (-1) ** row]
        for row, pair in enumerate(sparse_pairs(rows, SIZE, most=4, seed=3))
    ]
    return table(interests=pa.array(maps, pa.map_(pa.int32(), pa.float32())))


def make_tf2_sparse_and_dense(path: Path) -> None:
    w = weights(SIZE, 2, seed=3)

    def call(history: Any, context: Any) -> Any:
        return {"y": tf.sparse.sparse_dense_matmul(history, w) + context}

    specs = tf.SparseTensorSpec([None, SIZE], tf.float32), Spec([None, 2], tf.float32)
    save_function(path, call, *specs, keep={"w": w})


def sparse_and_dense_table(rows: int) -> pa.Table:
    pairs = sparse_pairs(rows, SIZE, most=5, seed=4)
    context = arrow(floats(rows, 2, seed=5), pa.float64())
    return table(context=context, history=sparse_vectors(pairs, SIZE))


def sparse_and_dense_feeds(data: pa.Table) -> Feeds:
    context = read(data, "context", np.float32)
    return {"context": context, **flattened("history", pairs_of(data, "history"), SIZE)}


def make_ragged_1(path: Path) -> None:
    def call(words: Any) -> Any:
        joined = tf.strings.reduce_join(words, 1, separator=" ")
        return {"joined": joined, "count": words.row_lengths()}

    save_function(path, call, tf.RaggedTensorSpec([None, None], tf.string, ragged_rank=1))


def words_table(rows: int) -> pa.Table:
    lengths = random(6).integers(0, 4, rows)
    words = [[f"w{row}.{i}" for i in range(length)] for row, length in enumerate(lengths)]
    return table(words=pa.array(words, pa.list_(pa.string())))


def words_feeds(data: pa.Table) -> Feeds:
    rows = data["words"].to_pylist()
    flat = np.array([word for row in rows for word in row], object)
    return {"words": flat, "words_1": np.array(splits(rows), np.int64)}


def make_ragged_2(path: Path) -> None:
    """Take sessions of visits of pages, with 32-bit splits."""

    def call(visits: Any) -> Any:
        totals = tf.reduce_sum(visits, 2)
        longest = tf.reduce_max(tf.cast(visits.row_lengths(2), tf.int64), 1)
        return {"total": tf.reduce_sum(totals, 1), "longest": tf.maximum(longest, 0)}

    spec = tf.RaggedTensorSpec([None, None, None], tf.float32, 2, row_splits_dtype=tf.int32)
    save_function(path, call, spec)


def visits_table(rows: int) -> pa.Table:
    random_ = random(7)
    visits = [
        [
            random_.normal(size=random_.integers(0, 4)).tolist()
            for _ in range(random_.integers(0, 3))
        ]
        for _ in range(rows)
    ]
    return table(visits=pa.array(visits, pa.list_(pa.list_(pa.float64()))))


def visits_feeds(data: pa.Table) -> Feeds:
    rows = data["visits"].to_pylist()
    inner = [visit for row in rows for visit in row]
    flat = [page for visit in inner for page in visit]
    return {
        "visits": np.array(flat, np.float32),
        "visits_1": np.array(splits(rows), np.int32),
        "visits_2": np.array(splits(inner), np.int32),
    }


def make_ragged_uniform(path: Path) -> None:
    """Take any number of points per row, each of two numbers."""

    def call(points: Any) -> Any:
        return {"sum": tf.reduce_sum(points, 1), "count": points.row_lengths()}

    save_function(path, call, tf.RaggedTensorSpec([None, None, 2], tf.float32, ragged_rank=1))


def points_table(rows: int) -> pa.Table:
    points = [floats(row % 4, 2, seed=row).tolist() for row in range(rows)]
    return table(points=pa.array(points, pa.list_(pa.list_(pa.float32()))))


def points_feeds(data: pa.Table) -> Feeds:
    rows = data["points"].to_pylist()
    flat = np.array([point for row in rows for point in row], np.float32).reshape(-1, 2)
    return {"points": flat, "points_1": np.array(splits(rows), np.int64)}


# Factorization machines: parallel inputs of ids and values, fixed in number or padded.


def make_deepfm(path: Path) -> None:
    _save_deepfm(path, 6)


def make_deepfm_any(path: Path) -> None:
    _save_deepfm(path, None)


def _save_deepfm(path: Path, fields: int | None) -> None:
    linear = weights(2 * SIZE, 1, seed=4)
    factors = weights(2 * SIZE, 4, seed=5)

    def call(feat_ids: Any, feat_vals: Any) -> Any:
        values = feat_vals[:, :, None]
        first = tf.reduce_sum(tf.gather(linear, feat_ids) * values, [1, 2])
        embedded = tf.gather(factors, feat_ids) * values
        squares = tf.reduce_sum(embedded, 1) ** 2 - tf.reduce_sum(embedded**2, 1)
        return {"prob": tf.sigmoid(first + 0.5 * tf.reduce_sum(squares, 1))}

    specs = Spec([None, fields], tf.int64), Spec([None, fields], tf.float32)
    save_function(path, call, *specs, keep={"linear": linear, "factors": factors})


def short_vectors_table(rows: int) -> pa.Table:
    """Return vectors of up to six values; every third is dense, so its ids are 0 to 4."""
    pairs = sparse_pairs(rows, SIZE, most=6, seed=8)
    return table(features=mixed_vectors(pairs, SIZE, dense_size=5))


def pair_feeds(pairs: Pairs, width: int | None) -> Feeds:
    return {
        "feat_ids": filled([ids for ids, _ in pairs], width, np.int64),
        "feat_vals": filled([values for _, values in pairs], width, np.float32),
    }


def two_vectors_table(rows: int) -> pa.Table:
    return table(
        user=sparse_vectors(sparse_pairs(rows, SIZE, most=4, seed=9), SIZE),
        item=sparse_vectors(sparse_pairs(rows, 12, most=2, seed=10), 12),
        age=arrow(ints(rows, low=1, high=5, seed=11), pa.int32()),
    )


def scalar_pairs(data: pa.Table, column: str) -> Pairs:
    return [([0], [float(value)]) for value in data[column].to_pylist()]


def joined_pairs(data: pa.Table) -> Pairs:
    """Return what VectorAssembler makes of age, user and item: ids 0, 1 to 30, and 31 to 42."""
    user = join_pairs(scalar_pairs(data, "age"), pairs_of(data, "user"), offset=1)
    return join_pairs(user, pairs_of(data, "item"), offset=1 + SIZE)


def make_assembled_dense(path: Path) -> None:
    w = weights(43, 2, seed=6)
    save_function(path, lambda x: {"y": x @ w}, Spec([None, 43], tf.float32, "x"), keep={"w": w})


def make_assembled_sparse(path: Path) -> None:
    w = weights(43, 2, seed=7)

    def call(x: Any) -> Any:
        return {"y": tf.sparse.sparse_dense_matmul(x, w)}

    save_function(path, call, tf.SparseTensorSpec([None, 43], tf.float32), keep={"w": w})


# Nested columns: structs, a map, and a struct of ids and values feed one model.

_TAGS = pa.struct([("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float32()))])
_GEO = pa.struct([("lat", pa.float64()), ("lon", pa.float64())])
_PROFILE = pa.struct([("age", pa.int32()), ("geo", _GEO), ("tags", _TAGS)])


def make_nested_wide(path: Path) -> None:
    embedding = weights(SIZE, 2, seed=8)
    w = weights(8, seed=9)

    def call(age: Any, place: Any, interest_ids: Any, interest_vals: Any, tags: Any) -> Any:
        gathered = tf.gather(embedding, interest_ids) * interest_vals[:, :, None]
        tagged = tf.reduce_sum(tags * w, 1)
        return {
            "interest": tf.reduce_sum(gathered, 1),
            "score": tagged + age[:, 0] / 50 + place[:, 0] - 2 * place[:, 1],
        }

    specs = Spec([None, 1], tf.float32), Spec([None, 2], tf.float32), Spec([None, None], tf.int64)
    more = Spec([None, None], tf.float32), Spec([None, 8], tf.float32)
    save_function(path, call, *specs, *more, keep={"embedding": embedding, "w": w})


def nested_table(rows: int) -> pa.Table:
    ages, locations = ints(rows, low=18, high=80, seed=12), floats(rows, 2, seed=13)
    profiles = [
        {
            "age": int(ages[row]),
            "geo": {"lat": locations[row, 0], "lon": locations[row, 1]},
            "tags": {"indices": ids, "values": values},
        }
        for row, (ids, values) in enumerate(sparse_pairs(rows, 8, most=3, seed=14))
    ]
    return interests_table(rows).append_column("profile", pa.array(profiles, _PROFILE))


def nested_feeds(data: pa.Table) -> Feeds:
    profiles = data["profile"].to_pylist()
    tags = [(profile["tags"]["indices"], profile["tags"]["values"]) for profile in profiles]
    locations = [profile["geo"] for profile in profiles]
    interests = pairs_of(data, "interests")
    return {
        "age": np.array([[profile["age"]] for profile in profiles], np.float32),
        "place": np.array([[geo["lat"], geo["lon"]] for geo in locations], np.float32),
        # Padded with id 1 and weight 0.5, so that the padding shows in the result.
        "interest_ids": filled([ids for ids, _ in interests], None, np.int64, 1),
        "interest_vals": filled([values for _, values in interests], None, np.float32, 0.5),
        "tags": written_out(tags, 8),
    }


_IDS_AND_VALUES = {"feat_ids": "features.indices", "feat_vals": "features.values"}
CASES = [
    Case(
        "vectors_to_dense",
        make_wide_dense,
        vectors_table,
        lambda data: {"x": written_out(pairs_of(data, "features"), SIZE)},
        feed={"x": "features"},
    ),
    Case(
        "vectors_to_tf1_sparse",
        make_tf1_sparse,
        vectors_table,
        lambda data: {"x": coo(pairs_of(data, "features"), SIZE)},
        feed={"x": "features"},
    ),
    Case("lists_to_tf1_sparse_lookup", make_tf1_sparse_lookup, lookup_table, lookup_feeds),
    Case(
        "vectors_to_tf2_sparse",
        make_tf2_sparse,
        vectors_table,
        lambda data: flattened("x", pairs_of(data, "features"), SIZE),
        feed={"x": "features"},
    ),
    Case(
        "map_to_tf2_sparse",
        make_tf2_sparse,
        interests_table,
        lambda data: flattened("x", pairs_of(data, "interests"), SIZE),
        feed={"x": "interests"},
    ),
    Case(
        "sparse_and_dense",
        make_tf2_sparse_and_dense,
        sparse_and_dense_table,
        sparse_and_dense_feeds,
    ),
    Case("ragged_1", make_ragged_1, words_table, words_feeds),
    Case("ragged_2", make_ragged_2, visits_table, visits_feeds),
    Case("ragged_uniform", make_ragged_uniform, points_table, points_feeds),
    Case(
        "deepfm_fixed",
        make_deepfm,
        short_vectors_table,
        lambda data: pair_feeds(pairs_of(data, "features"), 6),
        feed=_IDS_AND_VALUES,
    ),
    Case(
        "deepfm_padded",
        make_deepfm_any,
        short_vectors_table,
        lambda data: pair_feeds(pairs_of(data, "features"), None),
        feed={
            "feat_ids": padded("features.indices", 0),
            "feat_vals": padded("features.values", 0.0),
        },
    ),
    Case(
        "deepfm_two_columns",
        make_deepfm,
        two_vectors_table,
        lambda data: pair_feeds(join_pairs(pairs_of(data, "user"), pairs_of(data, "item")), 6),
        feed={
            "feat_ids": ["user.indices", "item.indices"],
            "feat_vals": ["user.values", "item.values"],
        },
    ),
    Case(
        "deepfm_assembled",
        make_deepfm_any,
        two_vectors_table,
        lambda data: pair_feeds(joined_pairs(data), None),
        feed={
            "feat_ids": assembled("age", "user", "item").indices,
            "feat_vals": assembled("age", "user", "item").values,
        },
    ),
    Case(
        "assembled_to_dense",
        make_assembled_dense,
        two_vectors_table,
        lambda data: {"x": written_out(joined_pairs(data), 43)},
        feed={"x": assembled("age", "user", "item")},
    ),
    Case(
        "assembled_to_sparse",
        make_assembled_sparse,
        two_vectors_table,
        lambda data: flattened("x", joined_pairs(data), 43),
        feed={"x": assembled("age", "user", "item")},
    ),
    Case(
        "nested_wide",
        make_nested_wide,
        nested_table,
        nested_feeds,
        feed={
            "age": "profile.age",
            "place": ["profile.geo.lat", "profile.geo.lon"],
            "interest_ids": padded("interests.keys", 1),
            "interest_vals": padded("interests.values", 0.5),
            "tags": "profile.tags",
        },
    ),
]
