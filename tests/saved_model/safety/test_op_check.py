"""`op_check`: models with side effects are refused, models that only compute are not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

from cases.unsafe_models import fetches, file_table, graph_model, read_changed, refusal
from tf2spark.errors import ModelError, UnsafeModelError
from tf2spark.saved_model import reader
from tf2spark.saved_model.protos import SavedModel
from tf2spark.saved_model.safety import op_check

tf1 = tf.compat.v1


@pytest.mark.parametrize("name", ["compute", "look_up", "counting", "keep_in_table"])
def test_models_that_only_compute_may_run(actions: reader.LoadedModel, name: str) -> None:
    """Control flow, tables on assets, variables, random numbers, logs and datasets are safe."""
    op_check.check(actions.meta_graph, fetches(actions, name))


def test_keras_models_may_run(tmp_path: Path) -> None:
    """Exports with text vectorization, string lookup, LSTM and batch norm pass the check."""
    layers = keras.layers
    text = keras.Input((), dtype="string", name="text")
    word = keras.Input((1,), dtype="string", name="word")
    vectors = layers.TextVectorization(output_sequence_length=4, vocabulary=["a", "b"])(text)
    sequence = layers.LSTM(3)(layers.Embedding(9, 2)(vectors))
    known = layers.StringLookup(vocabulary=["x", "y"], output_mode="one_hot")(word)
    flat = layers.Flatten()(known)
    out = layers.BatchNormalization()(layers.Concatenate()([sequence, flat]))
    keras.Model([text, word], out).export(tmp_path / "m", verbose=False)
    model = reader.read(tmp_path / "m")
    op_check.check(model.meta_graph, fetches(model, "serving_default"))
    assert not op_check.retains_strings(model.meta_graph, fetches(model, "serving_default"))


def test_a_refusal_names_the_op_its_path_and_the_fix(actions: reader.LoadedModel) -> None:
    """The message has the path of functions from the output to the op, and how to allow it."""
    lines = refusal(actions, "write").split("\n")
    assert lines[0] == "the model would run ops that are not allowed:"
    assert re.fullmatch(
        r'  output "out" → StatefulPartitionedCall(_\d+)? → __inference_signature_wrapper_write_\d+'
        r" → StatefulPartitionedCall → __inference_write_\d+ → while → while_body_\d+"
        r' → WriteFile "while/WriteFile": reads or writes files',
        lines[1],
    )
    assert lines[2] == 'if you trust this model, allow them: allow_ops=["WriteFile"]'
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("name", "op", "why"),
    [
        ("read", "ReadFile", "reads or writes files"),
        ("lines", "TextLineDataset", "reads or writes files"),
        ("python", "PyFunc", "runs Python code"),
        ("print_to_file", "PrintV2", "prints to a file"),
    ],
)
def test_side_effects_are_refused(
    actions: reader.LoadedModel, name: str, op: str, why: str
) -> None:
    """Reading files, running Python and printing to files are refused at any depth."""
    message = refusal(actions, name)
    assert re.search(rf'→ {op} "[^"]+": {why}\n', message)
    op_check.check(actions.meta_graph, fetches(actions, name), allow_ops=[op])


def test_only_nodes_that_run_are_checked(actions: reader.LoadedModel, tmp_path: Path) -> None:
    """One output can be refused and another not; nodes upstream of a feed don't run."""
    ops = {node.op for node in actions.meta_graph.graph_def.node}
    bodies = actions.meta_graph.graph_def.library.function
    ops |= {node.op for body in bodies for node in body.node_def}
    assert {"SaveV2", "MergeV2Checkpoints", "RestoreV2", "WriteFile"} <= ops
    op_check.check(actions.meta_graph, fetches(actions, "compute"))

    def build() -> dict[str, tf.Tensor]:
        content = tf1.read_file(tf1.placeholder(tf.string, [], name="name"), name="content")
        return {"length": tf.strings.length(content, name="length")}

    meta_graph = graph_model(tmp_path / "m", build)
    with pytest.raises(UnsafeModelError, match=r'output "length" → ReadFile "content"'):
        op_check.check(meta_graph, ["length:0"])
    op_check.check(meta_graph, ["length:0"], ["content:0"])
    op_check.check(meta_graph, ["length"], ["content"])
    with pytest.raises(ModelError, match='the graph has no node "lenth"'):
        op_check.check(meta_graph, ["lenth:0"])


def test_control_inputs_are_followed(tmp_path: Path) -> None:
    """An op that an output only waits for runs as well."""

    def build() -> dict[str, tf.Tensor]:
        with tf1.control_dependencies([tf1.write_file("/tmp/tf2spark-never-written", "x")]):
            return {"y": tf.identity(1.0, name="y")}

    with pytest.raises(UnsafeModelError, match="WriteFile"):
        op_check.check(graph_model(tmp_path / "m", build), ["y:0"])


def test_the_init_op_is_checked(tmp_path: Path) -> None:
    """Ops that run while the model loads are checked as well."""

    def build() -> dict[str, tf.Tensor]:
        write = tf1.write_file("/tmp/tf2spark-never-written", "x")
        tf1.add_to_collection(tf1.GraphKeys.TABLE_INITIALIZERS, write)
        return {"y": tf.constant(1.0, name="y")}

    meta_graph = graph_model(tmp_path / "m", build, assets=True)
    with pytest.raises(UnsafeModelError, match="init op → WriteFile"):
        op_check.check(meta_graph, ["y:0"])


def test_a_table_may_read_only_the_models_own_asset(root: Path, tmp_path: Path) -> None:
    """A TF1 table on an asset may fill itself; one on any other path is refused."""
    name = str(root / "vocabulary.txt")
    own = graph_model(tmp_path / "own", file_table(name, asset=True), assets=True)
    output = own.signature_def["f"].outputs["y"].name
    op_check.check(own, [output])
    other = graph_model(tmp_path / "other", file_table(name, asset=False), assets=True)
    with pytest.raises(
        UnsafeModelError,
        match=r'init op → InitializeTableFromTextFileV2 "[^"]+": reads a file that is not one of',
    ):
        op_check.check(other, [output])


def test_an_unknown_op_is_refused(root: Path, actions: reader.LoadedModel) -> None:
    """An op from a custom library is refused by name, and can be allowed."""

    def rename(meta_graph: Any) -> None:
        for function in meta_graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == "LookupTableFindV2":
                    node.op = "OurOp"

    meta_graph = read_changed(root / "actions", rename)
    with pytest.raises(UnsafeModelError, match=r'OurOp ".*": unknown to tf2spark: it'):
        op_check.check(meta_graph, fetches(actions, "look_up"))
    op_check.check(meta_graph, fetches(actions, "look_up"), allow_ops=["OurOp"])


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("keep_in_variable", True),
        ("keep_in_table", True),
        ("look_up", False),
        ("compute", False),
        ("counting", False),
    ],
)
def test_models_that_keep_strings_are_recognized(
    actions: reader.LoadedModel, name: str, kept: bool
) -> None:
    """Strings that outlive a run must be copies; a table filled from an asset keeps none."""
    assert op_check.retains_strings(actions.meta_graph, fetches(actions, name)) is kept


def string_op(op: str, dtype: int | None = 7) -> Any:
    """Return a MetaGraph of one node, of some op and a dtype (7 is string, None is left out)."""
    meta_graph = SavedModel().meta_graphs.add()
    node = meta_graph.graph_def.node.add(name="keeper", op=op)
    if dtype is not None:
        node.attr["T"].type = dtype
    return meta_graph


@pytest.mark.parametrize(
    "op",
    [
        "AddManySparseToTensorsMap",
        "AddSparseToTensorsMap",
        "Assign",
        "AssignVariableOp",
        "BarrierInsertMany",
        "InitializeTableV2",
        "LookupTableImportV2",
        "LookupTableInsertV2",
        "MapStage",
        "OrderedMapStage",
        "QueueEnqueueManyV2",
        "QueueEnqueueV2",
        "ResourceScatterNdUpdate",
        "ResourceScatterUpdate",
        "ResourceStridedSliceAssign",
        "ScatterNdUpdate",
        "ScatterUpdate",
        "Stage",
        "StridedSliceAssign",
    ],
)
def test_ops_that_keep_strings_are_known(op: str) -> None:
    """Each op that stores its input keeps strings, but not numbers."""
    assert op_check.retains_strings(string_op(op), ["keeper"])
    assert not op_check.retains_strings(string_op(op, 1), ["keeper"])


def test_an_op_without_a_dtype_may_keep_strings() -> None:
    """An op that states no dtype, or one that the caller of its function sets, may get strings."""
    assert op_check.retains_strings(string_op("MakeIterator", None), ["keeper"])
    meta_graph = string_op("AssignVariableOp", 1)
    meta_graph.graph_def.node[0].attr["T"].placeholder = "T"
    assert op_check.retains_strings(meta_graph, ["keeper"])


def test_ops_that_read_past_a_string_are_known() -> None:
    """Kernels that look for a zero byte need copies: with an encoding, or in an error message."""
    assert op_check.retains_strings(string_op("StringToNumber"), ["keeper"])
    for op in ("StringLower", "StringUpper"):
        meta_graph = string_op(op)
        assert not op_check.retains_strings(meta_graph, ["keeper"])
        meta_graph.graph_def.node[0].attr["encoding"].s = b"utf-8"
        assert op_check.retains_strings(meta_graph, ["keeper"])
        meta_graph.graph_def.node[0].attr["encoding"].placeholder = "set by the caller"
        assert op_check.retains_strings(meta_graph, ["keeper"])


def test_a_long_refusal_is_shortened() -> None:
    """The first eight refusals are listed and the rest counted; all ops can be allowed at once."""
    ops = ["ReadFile", "WriteFile", "PyFunc", "SaveV2", "MatchingFiles", "Abort", "RemoteCall"]
    ops += ["SleepOp", "XlaLaunch", "RpcCall"]
    meta_graph = SavedModel().meta_graphs.add()
    for op in ops:
        meta_graph.graph_def.node.add(name=f"node_{op}", op=op)
    with pytest.raises(UnsafeModelError) as caught:
        op_check.check(meta_graph, [f"node_{op}" for op in ops])
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[9] == "  and 2 more"
    assert all(f'"{op}"' in lines[10] for op in ops)
    options = caught.value.text_for("command_line").splitlines()[10]
    assert "allow_ops" not in options
    assert all(f"--allow-op {op}" in options for op in ops)
    op_check.check(meta_graph, [f"node_{op}" for op in ops], allow_ops=ops)
