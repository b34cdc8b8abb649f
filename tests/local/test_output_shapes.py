"""Outputs of every kind, and models that don't take batches of any size, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf

import tf2spark
from cases.models.saving import graph_session, save_function, save_graph
from tf2spark.errors import ContractError, OutputsLeftOutWarning, RunError

Spec = tf.TensorSpec
Make = Callable[[Any], dict[str, Any]]
TEXTS = ["a bb", "", "ccc"]


def saved(folder: Path, call: Any, *specs: Any, **keep: Any) -> tf2spark.SavedModel:
    path = folder / "model"
    save_function(path, call, *specs, keep=keep)
    return tf2spark.SavedModel(path)


def split_texts(text: Any) -> dict[str, Any]:
    words = tf.strings.split(text)
    letters = tf.strings.unicode_split(words, "UTF-8")
    lengths = tf.ragged.map_flat_values(tf.strings.length, words)
    pairs = tf.ragged.map_flat_values(lambda n: tf.stack([n, -n], 1), lengths)
    return {"words": words, "letters": letters, "lengths": lengths, "pairs": pairs}


RAGGED = {
    "words": [["a", "bb"], [], ["ccc"]],
    "letters": [[["a"], ["b", "b"]], [], [["c", "c", "c"]]],
    "lengths": [[1, 2], [], [3]],
    "pairs": [[[1, -1], [2, -2]], [], [[3, -3]]],
}


def test_ragged_outputs_are_lists(tmp_path: Path) -> None:
    """Strings, numbers, several ragged levels and inner dimensions, whatever the batch size."""
    model = saved(tmp_path, split_texts, Spec([None], tf.string, "text"))
    rows = pa.table({"text": TEXTS})
    for batch_rows in (None, 2, 1):
        scored = model.score(rows, keep=[], batch_rows=batch_rows)
        assert scored.to_pydict() == RAGGED
    assert scored.schema.field("pairs").type == pa.list_(pa.list_(pa.int32()))


def test_rows_of_ragged_outputs_are_joined_after_a_split(tmp_path: Path) -> None:
    """Rows that TensorFlow refuses are isolated, and the lists of the others stay theirs."""

    def call(text: Any) -> dict[str, Any]:
        numbers = tf.strings.to_number(tf.strings.split(text).flat_values)
        return {"n": tf.strings.split(text).with_flat_values(numbers)}

    model = saved(tmp_path, call, Spec([None], tf.string, "text"))
    texts = ["1 2", "x", "", None, "3"]
    scored = model.score(pa.table({"text": texts}), mode="permissive", keep=[])
    assert scored["n"].to_pylist() == [[1.0, 2.0], None, [], None, [3.0]]
    assert [reason is None for reason in scored["_error"].to_pylist()] == [
        True, False, True, False, True,
    ]  # fmt: skip


def call_sparse(x: Any) -> dict[str, Any]:
    matrix = tf.sparse.from_dense(x)
    # Indices in another order than that of the rows.
    turned = tf.SparseTensor(matrix.indices[::-1], matrix.values[::-1], matrix.dense_shape)
    cube = tf.sparse.from_dense(tf.reshape(x, [-1, 2, 2]))
    first = tf.sparse.from_dense(x[:, 0])
    return {"matrix": matrix, "turned": turned, "cube": cube, "first": first}


def test_sparse_outputs_are_structs(tmp_path: Path) -> None:
    """Of a matrix, the indices are numbers; of more dimensions, lists; of a vector, there are none.

    A row without values has empty lists, or is null where it could be one value.
    """
    model = saved(tmp_path, call_sparse, Spec([None, 4], tf.float32, "x"))
    rows = pa.table({"x": [[0.0, 5.0, 0.0, 7.0], [0.0] * 4, [9.0, 0.0, 0.0, 0.0]]})
    scored = model.score(rows, keep=[]).to_pydict()
    assert scored == {
        "matrix": [
            {"indices": [1, 3], "values": [5.0, 7.0]},
            {"indices": [], "values": []},
            {"indices": [0], "values": [9.0]},
        ],
        "turned": [
            {"indices": [3, 1], "values": [7.0, 5.0]},
            {"indices": [], "values": []},
            {"indices": [0], "values": [9.0]},
        ],
        "cube": [
            {"indices": [[0, 1], [1, 1]], "values": [5.0, 7.0]},
            {"indices": [], "values": []},
            {"indices": [[0, 0]], "values": [9.0]},
        ],
        "first": [None, None, 9.0],
    }
    as_map = model.score(rows, keep=[], fetch={"m": tf2spark.output("matrix", as_map=True)})
    assert as_map["m"].to_pylist() == [[(1, 5.0), (3, 7.0)], [], [(0, 9.0)]]
    with pytest.raises(ContractError, match="only a sparse matrix can become a map"):
        model.score(rows, fetch={"m": tf2spark.output("cube", as_map=True)})


@pytest.mark.slow
def test_ragged_and_sparse_outputs_of_a_package(tmp_path: Path) -> None:
    """Compiled, a model returns the same, and its contract lists each output once."""

    def call(text: Any) -> dict[str, Any]:
        lengths = tf.ragged.map_flat_values(tf.strings.length, tf.strings.split(text))
        return {"lengths": lengths, "sparse": lengths.to_sparse()}

    model = saved(tmp_path, call, Spec([None], tf.string, "text"))
    package = model.compile(tmp_path / "package")
    assert package.contract.package is not None
    assert package.contract.package.why_as_it_was is None
    (signature,) = package.contract.signatures
    assert [(spec.name, spec.kind) for spec in signature.outputs] == [
        ("lengths", "ragged"),
        ("sparse", "sparse"),
    ]
    rows = pa.table({"text": TEXTS})
    assert package.score(rows).equals(model.score(rows))


def test_models_without_a_batch_dimension_run_row_by_row(tmp_path: Path) -> None:
    """With batch_rows=1, a scalar, a vector and a matrix are one row each; outputs alike."""

    def call(number: Any, vector: Any, image: Any) -> dict[str, Any]:
        total = number + tf.reduce_sum(vector)
        return {"total": total, "scaled": vector * number, "rows": tf.reduce_sum(image, 1)}

    specs = [
        Spec([], tf.float32, "number"),
        Spec([3], tf.float32, "vector"),
        Spec([None, 2], tf.float32, "image"),
    ]
    model = saved(tmp_path, call, *specs)
    frame = pd.DataFrame(
        {
            "number": [1.0, 2.0],
            "vector": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
            "image": [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]],
        }
    )
    scored = model.score(frame, keep=[], batch_rows=1)
    assert scored.total.tolist() == [7.0, 17.0]
    assert [cell.tolist() for cell in scored.scaled] == [[1.0, 2.0, 3.0], [8.0, 10.0, 12.0]]
    assert [cell.tolist() for cell in scored.rows] == [[3.0], [7.0, 11.0]]


def test_message_for_a_model_without_a_batch_dimension(tmp_path: Path) -> None:
    """It says what to write; fed by constants and fetched as a batch, nothing changes."""
    model = saved(tmp_path, lambda x: {"y": x * 2}, Spec([], tf.float32, "x"))
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    with pytest.raises(ContractError) as refused:
        model.score(frame)
    assert str(refused.value) == (
        'output "y" (float32 []) is one value per batch, not one per row; write batch_rows=1 to '
        "run the model row by row; or leave it out by naming the outputs you want: fetch=[...]"
    )
    bad = pd.DataFrame({"x": [1.0, None]})
    scored = model.score(bad, batch_rows=1, mode="permissive")
    assert scored.y.tolist()[0] == 2.0
    assert pd.isna(scored.y[1])


def test_a_batch_of_one_inside(tmp_path: Path) -> None:
    """The leading 1 of an output is the batch; without batch_rows=1 the message says so."""
    call = lambda x: {"y": tf.reshape(x, [1, 4])[:, :2]}  # noqa: E731
    model = saved(tmp_path, call, Spec([None, 4], tf.float32, "x"))
    rows = pa.table({"x": np.arange(12.0).reshape(3, 4).tolist()})
    with pytest.raises(ContractError, match=r"1 entry however many rows.*write batch_rows=1 "):
        model.score(rows)
    scored = model.score(rows, batch_rows=1, keep=[])
    assert scored["y"].to_pylist() == [[0.0, 1.0], [4.0, 5.0], [8.0, 9.0]]


def test_a_batch_of_one_that_only_a_run_shows(tmp_path: Path) -> None:
    """If the graph doesn't know the output's size, the error of the run says batch_rows=1."""

    def call(x: Any) -> dict[str, Any]:
        mean = tf.reduce_mean(x, 0, keepdims=True)
        return {"y": tf.compat.v1.placeholder_with_default(mean, [None, 4])}

    model = saved(tmp_path, call, Spec([None, 4], tf.float32, "x"))
    rows = pa.table({"x": np.arange(12.0).reshape(3, 4).tolist()})
    with pytest.raises(RunError, match="batch_rows=1 runs the model row by row"):
        model.score(rows)
    assert model.score(rows, batch_rows=1)["y"].to_pylist() == rows["x"].to_pylist()


def test_a_batch_of_a_size_that_only_outputs_show(tmp_path: Path) -> None:
    """batch_rows says that it is a batch: runs have exactly that size, the last is padded."""
    call = lambda x: {"y": tf.reshape(x, [4, 2]) * 2}  # noqa: E731
    model = saved(tmp_path, call, Spec([None, 2], tf.float32, "x"))
    rows = pa.table({"x": np.arange(12.0).reshape(6, 2).tolist()})
    with pytest.raises(ContractError, match="write batch_rows=4 if a batch has exactly as many"):
        model.score(rows)
    scored = model.score(rows, batch_rows=4, keep=[])
    assert scored["y"].to_pylist() == (np.arange(12.0).reshape(6, 2) * 2).tolist()


def test_state_of_a_fixed_batch_is_carried_on(tmp_path: Path) -> None:
    """The size is that of the variable that runs write; a batch starts where the last one ended."""
    state = tf.Variable(tf.zeros([4, 2]))

    def call(x: Any) -> dict[str, Any]:
        return {"y": state.assign_add(x)}

    model = saved(tmp_path, call, Spec([None, 2], tf.float32, "x"), state=state)
    rows = pa.table({"x": [[1.0, 2.0]] * 10})
    scored = model.score(rows, keep=[])
    assert scored["y"].to_pylist() == [[1, 2]] * 4 + [[2, 4]] * 4 + [[3, 6]] * 2


def test_outputs_that_no_column_holds_are_left_out(tmp_path: Path) -> None:
    """The warning names them with the reason, once; fetching one is an error."""

    def call(x: Any) -> dict[str, Any]:
        return {"y": x, "z": tf.cast(x, tf.complex64), "mean": tf.reduce_mean(x)}

    model = saved(tmp_path, call, Spec([None], tf.float32, "x"))
    rows = pa.table({"x": [1.0, 2.0]})
    with pytest.warns(OutputsLeftOutWarning) as caught:
        scored = model.score(rows, keep=[])
    assert scored.to_pydict() == {"y": [1.0, 2.0]}
    assert [str(warning.message) for warning in caught] == [
        'not all outputs become columns: output "mean" (float32 []) is one value per batch, not '
        'one per row; output "z" (complex64 [None]) can\'t become a column: no column holds '
        'complex64; write fetch={"y": "y"} to say that this is meant'
    ]
    assert caught[0].filename == __file__
    assert model.score(rows, keep=[]).to_pydict() == {"y": [1.0, 2.0]}
    with pytest.raises(ContractError, match=r"export tf\.math\.real\(y\) and tf\.math\.imag\(y\)"):
        model.score(rows, fetch=["z"])


def halved(x: Any) -> dict[str, Any]:
    return {"y": x * 0.5 + 2.0}


def test_unknown_ranks_follow_from_the_columns(tmp_path: Path) -> None:
    """An output of unknown rank has the rank that TensorFlow infers for it, through functions."""
    model = saved(tmp_path, halved, Spec(None, tf.float32, "x"))
    numbers = model.score(pa.table({"x": [1.0, 2.0]}), fetch=["y"])
    assert numbers.column("y").to_pylist() == [2.5, 3.0]
    lists = model.score(pa.table({"x": [[1.0], [2.0]]}), fetch=["y"])
    assert lists.column("y").to_pylist() == [[2.5], [3.0]]
    matrices = model.score(pa.table({"x": [[[1.0, 2.0]]]}), fetch=["y"])
    assert matrices.column("y").to_pylist() == [[[2.5, 3.0]]]


def test_outputs_whose_inferred_rank_is_0_are_left_out(tmp_path: Path) -> None:
    """A mean over a batch of unknown rank is one value per batch, which no column holds."""

    def call(x: Any) -> dict[str, Any]:
        mean = tf.reduce_mean(x, axis=0)
        return {"y": x * 2.0, "mean": tf.identity(mean)}

    model = saved(tmp_path, call, Spec(None, tf.float32, "x"))
    rows = pa.table({"x": [1.0, 3.0]})
    with pytest.warns(
        OutputsLeftOutWarning, match=r'"mean" \(float32 \[\]\) is one value'
    ) as caught:
        scored = model.score(rows, keep=[], rows="independent")
    assert scored.to_pydict() == {"y": [2.0, 6.0]}
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.raises(ContractError, match="is one value per batch"):
        model.score(rows, fetch=["mean"], rows="batch")


def test_unknown_ranks_of_a_graph_follow_from_the_columns(tmp_path: Path) -> None:
    """As in TensorFlow Serving's test models: a TF1 placeholder without a shape."""
    with graph_session() as session:
        x = tf.compat.v1.placeholder(tf.float32, name="x")
        factor = tf.compat.v1.get_variable("factor", initializer=0.5)
        save_graph(session, tmp_path / "model", {"x": x}, {"y": x * factor + 2.0})
    model = tf2spark.SavedModel(tmp_path / "model")
    assert model.score(pa.table({"x": [1.0, 2.0]}))["y"].to_pylist() == [2.5, 3.0]
    assert model.score(pa.table({"x": [[4.0]]}))["y"].to_pylist() == [[4.0]]


def test_ranks_that_follow_from_nothing_have_to_be_given(tmp_path: Path) -> None:
    """A rank that depends on values is unknown whatever the column, so the message asks for it."""
    model = saved(
        tmp_path,
        lambda x, n: {"y": tf.reshape(x, n)},
        Spec([None], tf.float32, "x"),
        Spec([None], tf.int64, "n"),
    )
    table = pa.table({"x": [1.0, 2.0], "n": [2, 1]})
    with pytest.raises(ContractError, match=r"doesn't say its rank.*rank=1"):
        model.score(table, fetch=["y"], rows="batch")
