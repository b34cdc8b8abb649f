"""`import_evaluation`: what TensorFlow runs as it imports a graph, found without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from cases.tensorflow_loader import load_meta_graph
from tf2spark.errors import ModelError, UnsafeModelError
from tf2spark.saved_model.graph import reachable_nodes
from tf2spark.saved_model.protos import SavedModel
from tf2spark.saved_model.safety import op_check
from tf2spark.saved_model.safety.import_evaluation import evaluated_nodes

_FLOAT, _INT32 = 1, 3


def debug(nodes: Any, source: str, folder: str) -> Any:
    """Add a DebugIdentity, which passes an input on and writes it to a folder."""
    node = nodes.add(name="debug", op="DebugIdentity", input=[source])
    node.attr["T"].type = _INT32
    node.attr["tensor_name"].s = b"sizes:0"
    node.attr["debug_urls"].list.s.append(f"file://{folder}".encode())
    return node


def constant(nodes: Any, name: str, value: Any, dtype: int) -> None:
    node = nodes.add(name=name, op="Const")
    node.attr["dtype"].type = dtype
    tensor = tf.make_tensor_proto(value, dtype=dtype).SerializeToString()
    node.attr["value"].tensor.MergeFromString(tensor)


def simple(nodes: Any, name: str, op: str, inputs: list[str], **types: int) -> Any:
    node = nodes.add(name=name, op=op, input=inputs)
    for key, dtype in types.items():
        node.attr[key].type = dtype
    return node


def reshape(nodes: Any, data: str, sizes: str) -> None:
    """Add a Reshape: shape inference needs the value of its second input."""
    simple(nodes, "reshaped", "Reshape", [data, sizes], T=_FLOAT, Tshape=_INT32)


def placeholder(nodes: Any, dtype: int, size: int = 1) -> None:
    node = simple(nodes, "fed", "Placeholder", [], dtype=dtype)
    node.attr["shape"].shape.dim.add(size=size)


def with_source(kind: str, nodes: Any) -> str:
    """Add a vector with one size, of some kind; return its name."""
    constant(nodes, "sizes", [2], _INT32)
    if kind == "placeholder":
        placeholder(nodes, _INT32)
    elif kind == "default":
        node = simple(nodes, "fed", "PlaceholderWithDefault", ["sizes"], dtype=_INT32)
        node.attr["shape"].shape.dim.add(size=1)
    elif kind == "shape":
        placeholder(nodes, _FLOAT, 2)
        simple(nodes, "shape", "Shape", ["fed"], T=_FLOAT, out_type=_INT32)
        return "shape"
    elif kind == "variable":
        node = simple(nodes, "variable", "VariableV2", [], dtype=_INT32)
        node.attr["shape"].shape.dim.add(size=1)
        simple(nodes, "fed", "Identity", ["variable"], T=_INT32)
    elif kind == "computed":
        simple(nodes, "more", "Maximum", ["sizes", "sizes"], T=_INT32)
        return "more"
    return "sizes" if kind in ("constant", "call", "called constant") else "fed"


def build(kind: str, folder: str) -> Any:
    """Return a MetaGraph with a DebugIdentity that no output needs, before a Reshape."""
    meta_graph = SavedModel().meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    graph = meta_graph.graph_def
    graph.versions.producer = 1882
    nodes = graph.node
    constant(nodes, "data", [1.0, 2.0], _FLOAT)
    source = with_source(kind, nodes)
    if kind not in ("call", "called constant", "call of a placeholder"):
        debug(nodes, source, folder)
        reshape(nodes, "data", "debug")
        return meta_graph
    function = graph.library.function.add()
    function.signature.name = "f"
    function.signature.input_arg.add(name="argument", type=_INT32)
    function.signature.output_arg.add(name="result", type=_FLOAT)
    constant(function.node_def, "data", [1.0, 2.0], _FLOAT)
    constant(function.node_def, "inner", [2], _INT32)
    inner = "inner:output:0" if kind == "called constant" else "argument"
    debug(function.node_def, inner, folder)
    reshape(function.node_def, "data:output:0", "debug:output:0")
    function.ret["result"] = "reshaped:output:0"
    if kind == "call of a placeholder":
        placeholder(nodes, _INT32)
        source = "fed"
    node = nodes.add(name="call", op="PartitionedCall", input=[source])
    node.attr["f"].func.name = "f"
    node.attr["Tin"].list.type.append(_INT32)
    node.attr["Tout"].list.type.append(_FLOAT)
    return meta_graph


def runs_at_import(meta_graph: Any, path: Path, folder: Path) -> bool:
    """Return whether TensorFlow runs the DebugIdentity as it loads the model."""
    path.mkdir()
    content = SavedModel(meta_graphs=[meta_graph]).SerializeToString()
    (path / "saved_model.pb").write_bytes(content)
    folder.mkdir()
    assert load_meta_graph(path) is not None
    return any(file.is_file() for file in folder.rglob("*"))


@pytest.mark.parametrize("kind", ["constant", "computed", "shape", "call", "called constant"])
def test_what_tensorflow_runs_at_import_is_refused(kind: str, tmp_path: Path) -> None:
    """In the graph or in a function that is called with constants, though no output needs it."""
    meta_graph = build(kind, str(tmp_path / "written"))
    assert runs_at_import(meta_graph, tmp_path / "m", tmp_path / "written")
    inside = " → f" if kind.startswith("call") else ""
    message = f'import of the graph{inside} → DebugIdentity "debug": is a debugging op'
    with pytest.raises(UnsafeModelError, match=message):
        op_check.check(meta_graph, ["data"])
    with pytest.raises(UnsafeModelError, match=message):
        op_check.check_import(meta_graph)
    op_check.check(meta_graph, ["data"], allow_ops=["DebugIdentity"])


@pytest.mark.parametrize("kind", ["placeholder", "default", "variable", "call of a placeholder"])
def test_what_depends_on_unknown_values_does_not_run(kind: str, tmp_path: Path) -> None:
    """Nothing is computed from an input or a variable, so such a node isn't refused."""
    meta_graph = build(kind, str(tmp_path / "written"))
    assert not runs_at_import(meta_graph, tmp_path / "m", tmp_path / "written")
    assert list(evaluated_nodes(meta_graph)) == []
    op_check.check(meta_graph, ["data"])


def test_an_op_that_reads_a_file_by_attribute_is_refused() -> None:
    """DecodeProtoV2 is allowed, but not with a file, whether an output needs it or not."""
    meta_graph = build("constant", "")
    node = simple(meta_graph.graph_def.node, "decoded", "DecodeProtoV2", ["data"])
    op_check.check(meta_graph, ["sizes"], allow_ops=["DebugIdentity"])
    node.attr["descriptor_source"].s = b"/tmp/x.pb"
    with pytest.raises(UnsafeModelError, match='import of the graph → DecodeProtoV2 "decoded": re'):
        op_check.check(meta_graph, ["sizes"])


def test_following_constants_has_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past it there is an error that names the limit."""
    monkeypatch.setattr(reachable_nodes, "MAX_STEPS", 3)
    with pytest.raises(ModelError, match="following its functions takes more than 3 steps"):
        list(evaluated_nodes(build("call", "")))


def test_a_function_counts_if_any_call_passes_a_constant() -> None:
    """One call passes a placeholder and another a constant, through a function in between."""
    meta_graph = build("call of a placeholder", "")
    graph = meta_graph.graph_def
    outer = graph.library.function.add()
    outer.signature.name = "outer"
    outer.signature.input_arg.add(name="passed")
    outer.node_def.add(name="inner call", op="f", input=["passed"])
    graph.node.add(name="through", op="outer", input=["fed"])
    assert list(evaluated_nodes(meta_graph)) == []
    graph.node[-1].input[0] = "sizes"
    assert [path for _, path in evaluated_nodes(meta_graph)] == [("import of the graph", "f")]
    graph.node[-1].input[0] = "fed"
    outer.signature.input_arg[0].number_attr = "N"  # what such an argument gets isn't known
    assert [path for _, path in evaluated_nodes(meta_graph)] == [("import of the graph", "f")]
