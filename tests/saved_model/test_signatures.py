"""`signatures`: those of real SavedModels, as TensorFlow itself reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import tf2spark
from cases.models.saving import graph_session, save_function, save_graph
from cases.reader_models import Composites
from tf2spark import dtypes
from tf2spark.errors import ContractError, ModelError
from tf2spark.saved_model import reader
from tf2spark.saved_model.contract import Signature, TensorSpec
from tf2spark.saved_model.protos import SavedModel
from tf2spark.saved_model.signatures import shape, signatures

tf1 = tf.compat.v1


def signature(path: Path, name: str = "serving_default") -> Signature:
    by_name = {definition.name: definition for definition in reader.read_contract(path).signatures}
    return by_name[name]


def inputs(path: Path) -> dict[str, TensorSpec]:
    return {spec.name: spec for spec in signature(path).inputs}


@pytest.mark.parametrize("name", ["tf1", "words", "keras", "nested"])
def test_signatures_are_those_that_tensorflow_reads(models: Path, name: str) -> None:
    """Names, dtypes, shapes and methods equal those of TensorFlow's own protos."""
    message = saved_model_pb2.SavedModel.FromString((models / name / "saved_model.pb").read_bytes())
    theirs = {
        (key, side, info.name): (tf.as_dtype(info.dtype).name, tf.TensorShape(info.tensor_shape))
        for key, definition in message.meta_graphs[0].signature_def.items()
        if not key.startswith("__")
        for side, infos in (("in", definition.inputs), ("out", definition.outputs))
        for info in infos.values()
        if info.name
    }
    contract = reader.read_contract(models / name)
    ours = {
        (definition.name, side, spec.tensors[0]): (
            spec.dtype.name,
            tf.TensorShape(spec.shape),
        )
        for definition in contract.signatures
        for side, specs in (("in", definition.inputs), ("out", definition.outputs))
        for spec in specs
        if spec.kind == "dense"
    }
    composite_parts = {
        (definition.name, "in", tensor)
        for definition in contract.signatures
        for spec in definition.inputs
        if spec.parts
        for tensor in spec.tensors
    }
    plain = {key: value for key, value in theirs.items() if key not in composite_parts}
    assert {key: (dtype, str(shape)) for key, (dtype, shape) in ours.items()} == {
        key: (dtype, str(shape)) for key, (dtype, shape) in plain.items()
    }
    methods = {definition.method_name for definition in contract.signatures}
    assert methods == {"tensorflow/serving/predict"}


def test_sparse_and_ragged_inputs_are_reassembled(models: Path) -> None:
    """The plain tensors that TF2 flattened an input into are one input again."""
    specs = inputs(models / "mixed")
    assert {name: spec.kind for name, spec in specs.items()} == {
        "x": "sparse",
        "d": "dense",
        "r": "ragged",
        "r2": "ragged",
    }
    assert specs["x"].parts == ("x", "x_1", "x_2")
    assert (specs["x"].dtype, specs["x"].shape) == (dtypes.FLOAT32, (None, 5))
    assert (specs["r"].dtype, specs["r"].shape) == (dtypes.INT64, (None, None))
    assert specs["r"].splits_dtype == dtypes.INT64
    assert specs["r2"].splits_dtype == dtypes.INT32
    assert len(specs["r2"].tensors) == 3


def test_the_order_of_composite_tensors_is_what_tensorflow_computes_with(models: Path) -> None:
    """Tensors fed in the contract's order give the result of the Python function."""
    x = tf.sparse.from_dense([[0.0, 2, 0, 0, 0], [1, 0, 0, 0, 3]])
    d = tf.constant([[1.0, 2], [3, 4]])
    r = tf.ragged.constant([[1, 2, 3], [4]], dtype=tf.int64)
    r2 = tf.ragged.constant([[[1.0, 5], [2]], [[7]]], dtype=tf.float32, row_splits_dtype=tf.int32)
    expected = Composites().mixed(x, d, r, r2)
    specs = inputs(models / "mixed")
    fed = dict(zip(specs["x"].tensors, (x.indices, x.values, x.dense_shape), strict=True))
    fed |= dict(zip(specs["r"].tensors, (r.flat_values, *r.nested_row_splits), strict=True))
    fed |= dict(zip(specs["r2"].tensors, (r2.flat_values, *r2.nested_row_splits), strict=True))
    fed[specs["d"].tensors[0]] = d
    outputs = {spec.name: spec for spec in signature(models / "mixed").outputs}
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.saved_model.load(session, ["serve"], str(models / "mixed"))
        results = session.run(
            {name: spec.tensors for name, spec in outputs.items()},
            {name: value.numpy() for name, value in fed.items()},
        )
    np.testing.assert_array_equal(results["total"][0], expected["total"].numpy())
    np.testing.assert_array_equal(results["ragged"][0], expected["ragged"].flat_values.numpy())
    np.testing.assert_array_equal(results["ragged"][1], expected["ragged"].row_splits.numpy())
    np.testing.assert_array_equal(results["sparse"][0], x.indices.numpy())
    np.testing.assert_array_equal(results["sparse"][2], [2, 5])
    assert (outputs["ragged"].kind, outputs["sparse"].kind) == ("ragged", "sparse")


def test_a_dict_of_composites_keeps_its_dense_inputs(models: Path) -> None:
    """In a nested structure, dense inputs stay as they are and the others are reassembled."""
    specs = signature(models / "nested").inputs
    assert [(spec.name, spec.kind, spec.shape, spec.dtype.name) for spec in specs] == [
        ("features", "dense", (None,), "int32"),
        ("features_1", "sparse", (None, None), "string"),
        ("features_4", "dense", (), "float32"),
        ("features_5", "ragged", (None, None, 3), "float32"),
    ]


def test_inputs_named_like_parts_are_distinguished(models: Path) -> None:
    """The graph says which tensors belong together, not their names."""
    specs = inputs(models / "clash")
    assert specs["x"].parts == ("x", "x_1", "x_2")
    assert specs["x_1_1"].parts == ("x_1_1", "x_1_2", "x_1_3")


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        ([-2], "1 dimensions, of which the smallest is -2"),
        ([1] * 255, "255 dimensions"),
        ([2**31, 2**31], "shape [2147483648, 2147483648], and at most 1,099,511,627,776 elements"),
    ],
)
def test_shapes_that_no_tensor_has_are_errors(sizes: list[int], problem: str) -> None:
    """The message has the shape, or what is wrong with it."""
    message = SavedModel().meta_graphs.add().signature_def["s"].inputs["x"].tensor_shape
    for size in sizes:
        message.dim.add(size=size)
    with pytest.raises(ModelError) as caught:
        shape(message)
    assert problem in str(caught.value)
    del message.dim[:]
    message.dim.add(size=-1)
    assert shape(message) == (None,)


@pytest.mark.parametrize("state", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", [1, 3, 4, 99])
def test_damaged_composites_are_plain_tensors(kind: int, state: int) -> None:
    """A sparse or ragged input that lacks part of its description keeps its plain tensors."""
    meta_graph = SavedModel().meta_graphs.add()
    composite = meta_graph.signature_def["s"].inputs["x"].composite_tensor
    composite.type_spec.type_spec_class = kind
    for _ in range(state):
        composite.type_spec.type_state.tuple_value.values.add()
    for name in ("a:0", "b:0"):
        composite.components.add(name=name, dtype=1)
    (read,) = signatures(meta_graph)
    assert [(spec.name, spec.kind) for spec in read.inputs] == [("x/0", "dense"), ("x/1", "dense")]


def test_a_damaged_object_graph_changes_nothing() -> None:
    """Children that point nowhere, and counts that can't be, leave the inputs as they are."""
    meta_graph = SavedModel().meta_graphs.add()
    meta_graph.signature_def["s"].inputs["x"].name = "x:0"
    root = meta_graph.object_graph_def.nodes.add()
    child = root.children.add(local_name="signatures", node_id=-1)
    for node_id in (-1, 7, 0, 1):
        child.node_id = node_id
        assert [spec.name for spec in signatures(meta_graph)[0].inputs] == ["x"]
    holder = meta_graph.object_graph_def.nodes.add()
    child.node_id = 1
    holder.children.add(local_name="s", node_id=-5)
    assert [spec.name for spec in signatures(meta_graph)[0].inputs] == ["x"]


def test_a_sparse_placeholder_of_tf1_is_one_input(models: Path) -> None:
    """TF1's signature itself lists indices, values and dense shape."""
    spec = inputs(models / "tf1")["sp"]
    assert spec == TensorSpec(
        "sp", dtypes.FLOAT32, (None, 7), ("sp/indices:0", "sp/values:0", "sp/shape:0"), "sparse"
    )


@pytest.mark.parametrize(
    ("declared", "read"),
    [
        ([-1, -1], (None, 3)),
        (None, (None, 3)),
        ([-1, 3], (None, 3)),
        # What contradicts the graph is refused when a call is made.
        ([-1, 4], (None, 4)),
        ([-1], (None,)),
    ],
)
def test_sizes_that_only_the_graph_has(
    tmp_path: Path, declared: list[int] | None, read: tuple[int | None, ...]
) -> None:
    """They hold where the signature leaves a size or the rank open: TensorFlow relies on them."""
    save_function(tmp_path / "m", lambda x: {"y": x}, tf.TensorSpec([None, 3], tf.float32, "x"))
    file = tmp_path / "m" / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    info = message.meta_graphs[0].signature_def["serving_default"].inputs["x"]
    sizes = None if declared is None else [None if size < 0 else size for size in declared]
    info.tensor_shape.CopyFrom(tf.TensorShape(sizes).as_proto())
    file.write_bytes(message.SerializeToString())
    assert inputs(tmp_path / "m")["x"].shape == read


def test_a_table_is_checked_against_the_sizes_of_the_graph(tmp_path: Path) -> None:
    """On the driver: TensorFlow would fail in a task."""
    with graph_session() as session:
        x = tf1.placeholder(tf.float32, [None, 3], "x")
        save_graph(session, tmp_path / "m", {"x": x}, {"y": tf.reduce_sum(x, 1)})
    file = tmp_path / "m" / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    info = message.meta_graphs[0].signature_def["serving_default"].inputs["x"]
    info.tensor_shape.dim[1].size = -1
    file.write_bytes(message.SerializeToString())
    model = tf2spark.SavedModel(tmp_path / "m")
    assert model.score(pa.table({"x": [[1.0, 2.0, 3.0]]}))["y"].to_pylist() == [6.0]
    with pytest.raises(ContractError, match=r"\(float32 \[None, 3\]\) takes 3 values per row"):
        model.score(pa.table({"x": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2))}))
