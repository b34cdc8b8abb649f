"""`op_notes`: everything that `score` would refuse is shown before."""

from __future__ import annotations

from typing import Any

import pytest

from tf2spark.errors import ModelError, UnsafeModelError
from tf2spark.saved_model.graph.reachable_nodes import user_run, walk
from tf2spark.saved_model.op_notes import careful_ops, divides_ops
from tf2spark.saved_model.protos import SavedModel, VariableDef
from tf2spark.saved_model.safety import op_check


@pytest.fixture
def meta_graph() -> Any:
    """A graph with one unsafe op, which the output "y" doesn't need."""
    meta_graph = SavedModel().meta_graphs.add()
    for name, op in (("name", "Const"), ("y", "Const"), ("write", "WriteFile")):
        meta_graph.graph_def.node.add(name=name, op=op)
    meta_graph.graph_def.node[-1].input.extend(["name", "name"])
    return meta_graph


def init_op(meta_graph: Any) -> None:
    meta_graph.collection_def["saved_model_main_op"].node_list.value.append("write")


def restore_op(meta_graph: Any) -> None:
    meta_graph.saver_def.restore_op_name = "write"


def table_initializer(meta_graph: Any) -> None:
    meta_graph.collection_def["table_initializer"].node_list.value.append("write")


def local_variable(meta_graph: Any) -> None:
    packed = meta_graph.collection_def["local_variables"].bytes_list.value
    packed.append(VariableDef(initializer_name="write").SerializeToString())


def importing(meta_graph: Any) -> None:
    """Make it an op that the importer may evaluate, to find out a shape."""
    meta_graph.graph_def.node[-1].op = "ReadFile"


@pytest.mark.parametrize(
    "reach", [init_op, restore_op, table_initializer, local_variable, importing]
)
def test_what_loading_would_be_refused_for_is_shown(meta_graph: Any, reach: Any) -> None:
    """The ops are those that the check of a call refuses, wherever the loader reaches them."""
    assert careful_ops(meta_graph, ["y:0"]) == ()
    reach(meta_graph)
    with pytest.raises(UnsafeModelError, match=r"(Read|Write)File"):
        op_check.check(meta_graph, ["y:0"])
    (shown,) = careful_ops(meta_graph, ["y:0"])
    op = meta_graph.graph_def.node[-1].op
    assert shown == (op, "refused unless allowed: reads or writes files")


def test_an_op_that_is_refused_for_its_arguments_is_shown(meta_graph: Any) -> None:
    """A table may be filled from an asset only; the name of the op doesn't say that."""
    table = meta_graph.graph_def.node.add(name="t", op="InitializeTableFromTextFileV2")
    table.input.extend(["y", "name"])
    meta_graph.collection_def["table_initializer"].node_list.value.append("t")
    ((op, why),) = careful_ops(meta_graph, ["y:0"])
    assert op == table.op
    assert why.startswith("refused unless allowed: reads a file that is not one of the model's own")


def test_an_init_op_that_is_missing_is_an_error(meta_graph: Any) -> None:
    """TensorFlow can't load such a model, whatever is scored."""
    meta_graph.collection_def["legacy_init_op"].node_list.value.append("nowhere")
    with pytest.raises(ModelError, match='the graph has no node "nowhere"'):
        careful_ops(meta_graph, ["y:0"])


def run_of(*ops: str, body: tuple[str, ...] = ()) -> Any:
    """Return the walked nodes of a chain of ops, whose functions' bodies hold others."""
    meta_graph = SavedModel().meta_graphs.add()
    graph = meta_graph.graph_def
    for position, op in enumerate(ops):
        inputs = [f"n{position - 1}"] if position else []
        node = graph.node.add(name=f"n{position}", op=op, input=inputs)
        if op.endswith("Call"):
            node.attr["f"].func.name = "body"
    if body:
        function = graph.library.function.add()
        function.signature.name = "body"
        for position, op in enumerate(body):
            function.node_def.add(name=f"b{position}", op=op)
    return walk(meta_graph, [user_run(meta_graph, [f"n{len(ops) - 1}:0"], [])])


@pytest.mark.parametrize(
    ("ops", "body", "expected"),
    [
        (("Placeholder", "MatMul", "Relu"), (), True),
        (("Placeholder", "StatefulPartitionedCall"), ("Conv2D", "BiasAdd"), True),
        (("Placeholder", "Relu"), (), False),
        (("Placeholder", "StringSplitV2", "GatherV2", "MatMul"), (), False),
        (("Placeholder", "MatMul", "SegmentMean"), (), False),
        (("Placeholder", "MatMul", "StatefulPartitionedCall"), ("DecodeJpeg",), False),
        (("Placeholder", "MatMul", "MyCustomOp"), (), False),
    ],
)
def test_only_products_and_known_ops_are_divided(
    ops: tuple[str, ...], body: tuple[str, ...], expected: bool
) -> None:
    """A single op that may run in one thread, wherever it is, leaves the ops to overlap."""
    assert divides_ops(run_of(*ops, body=body)) is expected
