"""`op_check`: graphs that were altered to get past the check."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from cases.unsafe_models import fetches, file_table, graph_model, read_changed
from tf2spark.errors import ModelError, UnsafeModelError
from tf2spark.saved_model import reader
from tf2spark.saved_model.protos import GraphDef, SavedModel
from tf2spark.saved_model.safety import op_check
from tf2spark.saved_model.safety.well_formed import check_graph

tf1 = tf.compat.v1


def test_the_path_of_an_asset_cannot_be_swapped(root: Path, actions: reader.LoadedModel) -> None:
    """TF2 passes an asset's path through a variable; a second value makes it untrusted."""

    def add_assign(meta_graph: Any) -> None:
        nodes = {node.name: node for node in meta_graph.graph_def.node}
        assign = meta_graph.graph_def.node.add()
        assign.CopyFrom(next(n for n in nodes.values() if n.op == "AssignVariableOp"))
        path = meta_graph.graph_def.node.add(name="path", op="Const")
        path.attr["dtype"].type = 7
        path.attr["value"].tensor.string_val.append(b"/etc/passwd")
        assign.name = "second"
        assign.input[1] = "path"
        nodes["NoOp"].input.append("^second")

    def share_name(meta_graph: Any) -> None:
        assigned = next(n for n in meta_graph.graph_def.node if n.op == "AssignVariableOp")
        variable = next(n for n in meta_graph.graph_def.node if n.name == assigned.input[0])
        twin = meta_graph.graph_def.node.add()
        twin.CopyFrom(variable)
        twin.name = "twin"

    output = fetches(actions, "look_up")
    op_check.check(read_changed(root / "actions", lambda _: None), output)
    for change in (add_assign, share_name):
        with pytest.raises(UnsafeModelError, match="is not one of the model's own assets"):
            op_check.check(read_changed(root / "actions", change), output)


def test_only_the_loader_may_restore(root: Path, tmp_path: Path) -> None:
    """RestoreV2 may read the model's own variables while it loads, and nothing else."""

    def build() -> dict[str, tf.Tensor]:
        return {"y": tf.identity(tf1.get_variable("w", [2], use_resource=False), name="y")}

    meta_graph = graph_model(tmp_path / "m", build)
    op_check.check(meta_graph, ["y:0"])
    with pytest.raises(UnsafeModelError, match='tensor "save/RestoreV2:0" → RestoreV2'):
        op_check.check(meta_graph, ["save/RestoreV2:0"])

    def other_prefix(message: Any) -> None:
        node = next(n for n in message.graph_def.node if n.name == "save/RestoreV2")
        node.input[0] = "save/SaveV2/tensor_names"

    with pytest.raises(UnsafeModelError, match='restore op → RestoreV2 "save/RestoreV2"'):
        op_check.check(read_changed(tmp_path / "m", other_prefix), ["y:0"])


def test_a_checkpoint_holds_no_handles(tmp_path: Path) -> None:
    """A variant in the model's own checkpoint could be a list of handles to any resource."""

    def build() -> dict[str, tf.Tensor]:
        return {"y": tf.identity(tf1.get_variable("w", [2], use_resource=False), name="y")}

    op_check.check(graph_model(tmp_path / "m", build), ["y:0"])

    def restore_variant(message: Any) -> None:
        node = next(n for n in message.graph_def.node if n.name == "save/RestoreV2")
        node.attr["dtypes"].list.type[0] = 21

    with pytest.raises(UnsafeModelError, match='"save/RestoreV2": turns bytes into a resource'):
        op_check.check(read_changed(tmp_path / "m", restore_variant), ["y:0"])


def test_an_asset_is_not_a_checkpoint() -> None:
    """Only the path of the checkpoint may be restored from, and only by the restore op."""
    meta_graph = SavedModel().meta_graphs.add()
    for name in ("asset", "prefix"):
        meta_graph.graph_def.node.add(name=name, op="Const")
    meta_graph.asset_file_def.add(filename="words.txt").tensor_info.name = "asset:0"
    meta_graph.saver_def.filename_tensor_name = "prefix:0"
    restore = meta_graph.graph_def.node.add(name="restore", op="RestoreV2", input=["prefix"])
    meta_graph.saver_def.restore_op_name = "restore"
    op_check.check(meta_graph, ["asset"])
    restore.input[0] = "asset"
    with pytest.raises(UnsafeModelError, match='restore op → RestoreV2 "restore": reads or writes'):
        op_check.check(meta_graph, ["asset"])
    restore.input[0] = "prefix"
    meta_graph.saver_def.restore_op_name = ""
    signature = meta_graph.signature_def["__saved_model_init_op"]
    signature.outputs["__saved_model_init_op"].name = "restore"
    with pytest.raises(UnsafeModelError, match='init op → RestoreV2 "restore": reads or writes'):
        op_check.check(meta_graph, ["asset"])


def test_a_graph_inside_a_constant_is_checked(tmp_path: Path) -> None:
    """A GraphDef in a string constant is checked even where the op that runs it is allowed."""

    def build() -> dict[str, tf.Tensor]:
        with tf.Graph().as_default() as hidden:
            tf1.read_file("/etc/passwd", name="hidden")
        content = hidden.as_graph_def().SerializeToString()
        dataset = tf.raw_ops.DatasetFromGraph(graph_def=tf.constant(content, name="program"))
        return {"y": tf.raw_ops.DatasetCardinality(input_dataset=dataset)}

    meta_graph = graph_model(tmp_path / "m", build)
    output = meta_graph.signature_def["f"].outputs["y"].name
    with pytest.raises(UnsafeModelError, match=r"DatasetFromGraph.*a program that this check can"):
        op_check.check(meta_graph, [output])
    with pytest.raises(
        UnsafeModelError, match=r'→ the graph inside "program" → ReadFile "hidden": reads or'
    ):
        op_check.check(meta_graph, [output], allow_ops=["DatasetFromGraph"])


def constant_with(*graphs: bytes) -> Callable[[Any], None]:
    """Return a change that adds a string constant with serialized graphs."""

    def change(meta_graph: Any) -> None:
        node = meta_graph.graph_def.node.add(name="added", op="Const")
        node.attr["dtype"].type = 7
        node.attr["value"].tensor.string_val.extend(graphs)

    return change


def test_a_graph_inside_a_graph_is_checked(plain: Path) -> None:
    """A constant of a hidden graph can hide another graph."""
    inner, outer = GraphDef(), GraphDef()
    inner.node.add(name="hidden", op="ReadFile")
    constant_with(inner.SerializeToString())(holder := SavedModel().meta_graphs.add())
    outer.node.extend(holder.graph_def.node)
    with pytest.raises(
        UnsafeModelError,
        match=r'the graph inside "added" → the graph inside "added" → ReadFile "hidden"',
    ):
        op_check.check(read_changed(plain, constant_with(outer.SerializeToString())), ["added"])


def test_functions_of_a_hidden_graph_are_checked(plain: Path) -> None:
    """The second string of a constant may be the graph, and a function's body what is unsafe."""
    graph = GraphDef()
    graph.node.add(name="call", op="fill")
    function = graph.library.function.add()
    function.signature.name = "fill"
    function.node_def.add(name="hidden", op="WriteFile")
    change = constant_with(b"just text", graph.SerializeToString())
    with pytest.raises(UnsafeModelError, match=r'the graph inside "added" → WriteFile "hidden"'):
        op_check.check(read_changed(plain, change), ["added"])


def test_vocabularies_are_not_mistaken_for_graphs(tmp_path: Path) -> None:
    """A constant may contain any strings, even those that begin like a GraphDef."""
    words = [b"\nReadFile", b"\x0a\x08ReadFile", b"\x12\x03abc", b"WriteFile" * 9, b"\x0a" * 20]

    def build() -> dict[str, tf.Tensor]:
        return {"y": tf.identity(tf.constant(words), name="y")}

    op_check.check(graph_model(tmp_path / "m", build), ["y:0"])


@pytest.mark.parametrize(
    ("op", "attributes", "why"),
    [
        ("FixedUnigramCandidateSampler", {"vocab_file": b"/etc/passwd"}, "reads a file"),
        ("DecodeProtoV2", {"descriptor_source": b"/tmp/x.pb"}, "reads a file"),
        ("EncodeProto", {"descriptor_source": b"/tmp/x.pb"}, "reads a file"),
        ("Const", {"dtype": 20}, "turns bytes into a resource handle"),
        ("Const", {"dtype": 21}, "turns bytes into a resource handle"),
        ("ParseTensor", {"out_type": 20}, "turns bytes into a resource handle"),
        ("ParseTensor", {"out_type": 21}, "turns bytes into a resource handle"),
        ("DeserializeSparse", {"dtype": 20}, "turns bytes into a resource handle"),
        ("DeserializeManySparse", {"dtype": 20}, "turns bytes into a resource handle"),
    ],
)
def test_attributes_can_make_an_op_unsafe(
    tmp_path: Path, op: str, attributes: dict[str, Any], why: str
) -> None:
    """An op that is safe by name is refused with attributes that make it unsafe."""
    graph_model(tmp_path / "m", lambda: {"y": tf.constant(1.0, name="y")})

    def add(value: bool) -> Callable[[Any], None]:
        def change(meta_graph: Any) -> None:
            node = meta_graph.graph_def.node.add(name="added", op=op)
            for key, content in attributes.items() if value else ():
                field = "type" if isinstance(content, int) else "s"
                setattr(node.attr[key], field, content)

        return change

    op_check.check(read_changed(tmp_path / "m", add(False)), ["added"])
    with pytest.raises(UnsafeModelError, match=f'tensor "added" → {op} "added": {why}'):
        op_check.check(read_changed(tmp_path / "m", add(True)), ["added"])


def test_functions_that_may_replace_another_are_checked(
    root: Path, actions: reader.LoadedModel
) -> None:
    """Grappler may run any function with the same api_implements, so all of them are checked."""

    def pair(meta_graph: Any) -> None:
        for function in meta_graph.graph_def.library.function:
            if re.match("__inference_(look_up|read)_", function.signature.name):
                function.attr["api_implements"].s = b"pair"

    with pytest.raises(UnsafeModelError, match=r"→ __inference_read_\d+ → .*ReadFile"):
        op_check.check(read_changed(root / "actions", pair), fetches(actions, "look_up"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model that only has a constant, for tests to add nodes to."""
    path = tmp_path_factory.mktemp("plain") / "m"
    graph_model(path, lambda: {"y": tf.constant(1.0, name="y")})
    return path


def name_function(node: Any, where: str, name: str) -> None:
    """Let a node name a function in an attribute, in a list, or as another function's attribute."""
    if where == "attribute":
        node.attr["f"].func.name = name
    elif where == "list":
        node.attr["branches"].list.func.add(name="Identity")
        node.attr["branches"].list.func.add(name=name)
    else:
        node.attr["f"].func.name = "Identity"
        node.attr["f"].func.attr["g"].func.name = name


@pytest.mark.parametrize("where", ["attribute", "list", "nested"])
@pytest.mark.parametrize(
    ("name", "why"), [("WriteFile", "reads or writes files"), ("PyFunc", "runs Python code")]
)
def test_a_primitive_op_used_as_a_function_is_refused(
    plain: Path, where: str, name: str, why: str
) -> None:
    """TensorFlow runs a primitive op where a function is named, without a node of that op."""

    def add(op: str) -> Callable[[Any], None]:
        def change(meta_graph: Any) -> None:
            node = meta_graph.graph_def.node.add(name="added", op="MapDataset")
            name_function(node, where, op)

        return change

    op_check.check(read_changed(plain, add("Relu")), ["added"])
    refused = read_changed(plain, add(name))
    with pytest.raises(UnsafeModelError, match=f'tensor "added" → {name} "added": {why}'):
        op_check.check(refused, ["added"])
    op_check.check(refused, ["added"], allow_ops=[name])


def test_a_function_named_like_an_op_counts_as_the_function(plain: Path) -> None:
    """TensorFlow prefers a function of the library, whose body is checked, to the op."""

    def change(body_op: str) -> Callable[[Any], None]:
        def apply(meta_graph: Any) -> None:
            function = meta_graph.graph_def.library.function.add()
            function.signature.name = "ReadFile"
            function.node_def.add(name="inner", op=body_op)
            node = meta_graph.graph_def.node.add(name="added", op="MapDataset")
            node.attr["f"].func.name = "ReadFile"

        return apply

    op_check.check(read_changed(plain, change("NoOp")), ["added"])
    with pytest.raises(UnsafeModelError, match=r'→ ReadFile → WriteFile "inner"'):
        op_check.check(read_changed(plain, change("WriteFile")), ["added"])


@pytest.mark.parametrize(
    ("op", "attribute", "why"),
    [
        ("PrintV2", "output_stream", "prints to a file"),
        ("FixedUnigramCandidateSampler", "vocab_file", "reads a file"),
        ("DecodeProtoV2", "descriptor_source", "reads a file"),
        ("EncodeProto", "descriptor_source", "reads a file"),
        ("Const", "dtype", "turns bytes into a resource handle"),
        ("ParseTensor", "out_type", "turns bytes into a resource handle"),
    ],
)
def test_an_attribute_set_by_the_caller_is_not_trusted(
    plain: Path, op: str, attribute: str, why: str
) -> None:
    """In a function's body an attribute can stand for whatever a call puts there: a path, say."""

    def change(meta_graph: Any) -> None:
        function = meta_graph.graph_def.library.function.add()
        function.signature.name = "reader"
        function.node_def.add(name="inner", op=op).attr[attribute].placeholder = "chosen"
        call = meta_graph.graph_def.node.add(name="added", op="reader")
        call.attr["chosen"].s = b"/etc/passwd"

    with pytest.raises(UnsafeModelError, match=f'→ reader → {op} "inner": {why}'):
        op_check.check(read_changed(plain, change), ["added"])


def test_every_call_of_a_function_is_checked(root: Path, tmp_path: Path) -> None:
    """A function that is safe with an asset's path is refused where it gets another path."""

    def build() -> dict[str, tf.Tensor]:
        return file_table(str(root / "vocabulary.txt"), asset=True)()

    graph_model(tmp_path / "m", build, assets=True)

    def wrap(second_call: bool) -> Callable[[Any], None]:
        def change(meta_graph: Any) -> None:
            nodes = {node.op: node for node in meta_graph.graph_def.node}
            table_init = nodes["InitializeTableFromTextFileV2"]
            function = meta_graph.graph_def.library.function.add()
            function.signature.name = "fill"
            for argument in ("table", "path"):
                function.signature.input_arg.add(name=argument)
            inner = function.node_def.add(name="inner", op=table_init.op)
            inner.input.extend(["table", "path"])
            inputs = list(table_init.input)
            table_init.op = "fill"
            if second_call:
                other = meta_graph.graph_def.node.add(name="other", op="fill")
                other.input.extend([inputs[0], "word"])
                table_init.input.append("^other")

        return change

    output = [reader.read(tmp_path / "m").meta_graph.signature_def["f"].outputs["y"].name]
    op_check.check(read_changed(tmp_path / "m", wrap(False)), output)
    with pytest.raises(
        UnsafeModelError, match=r'other → fill → InitializeTableFromTextFileV2 "inn'
    ):
        op_check.check(read_changed(tmp_path / "m", wrap(True)), output)


def test_functions_that_the_object_loader_calls_are_checked(root: Path) -> None:
    """`tf.saved_model.load` calls functions that create and fill tables, though no output does."""

    def add_write(name: str) -> Callable[[Any], None]:
        def change(meta_graph: Any) -> None:
            objects = meta_graph.object_graph_def
            child = next(c for n in objects.nodes for c in n.children if c.local_name == name)
            called = objects.nodes[child.node_id].function.concrete_functions
            for function in meta_graph.graph_def.library.function:
                if function.signature.name in called:
                    function.node_def.add(name="added", op="WriteFile")

        return change

    op_check.check_object_loader(read_changed(root / "actions", lambda _: None))
    for name in ("_initialize", "_create_resource"):
        with pytest.raises(UnsafeModelError, match=r'objects → \w+ → WriteFile "added": reads or'):
            op_check.check_object_loader(read_changed(root / "actions", add_write(name)))


def test_the_object_loader_fills_tables_from_assets_only(root: Path) -> None:
    """A table's path is captured from an asset; captured from anything else, it is refused."""

    def capture_another(meta_graph: Any) -> None:
        objects = meta_graph.object_graph_def
        for function in objects.concrete_functions.values():
            kinds = [objects.nodes[number].WhichOneof("kind") for number in function.bound_inputs]
            if "asset" in kinds:
                function.bound_inputs[kinds.index("asset")] = 0

    message = "reads a file that is not one of the model's own assets"
    with pytest.raises(UnsafeModelError, match=message):
        op_check.check_object_loader(read_changed(root / "actions", capture_another))


@pytest.mark.parametrize("where", ["attribute", "list", "nested", "import", "function"])
@pytest.mark.parametrize("op", ["CaseFoldUTF8", "OurOp"])
def test_custom_ops_of_other_models_are_refused(plain: Path, where: str, op: str) -> None:
    """An op that is registered because another model's user named its library stays refused."""

    def change(meta_graph: Any) -> None:
        graph = meta_graph.graph_def
        if where == "function":
            body = graph.library.function.add()
            body.signature.name = "f"
            body.node_def.add(name="added", op=op)
            name_function(graph.node.add(name="added", op="MapDataset"), "attribute", "f")
        elif where == "import":
            # Shape inference computes it, though no output needs it.
            graph.node.add(name="folded", op=op, input=["y"])
            graph.node.add(name="reshaped", op="Reshape", input=["y", "folded"])
            graph.node.add(name="added", op="NoOp")
        else:
            name_function(graph.node.add(name="added", op="MapDataset"), where, op)

    refused = read_changed(plain, change)
    with pytest.raises(UnsafeModelError, match=rf'→ {op} "(added|folded)": '):
        op_check.check(refused, ["added"])
    assert op_check.unknown_ops(refused) == {op}
    op_check.check(refused, ["added"], allow_ops=op_check.unknown_ops(refused))


def test_a_function_cannot_have_the_name_of_a_custom_op(plain: Path) -> None:
    """Its body would be checked, and the op run instead."""

    def change(meta_graph: Any) -> None:
        meta_graph.graph_def.library.function.add().signature.name = "TFText>Anything"

    changed = read_changed(plain, change)
    with pytest.raises(ModelError, match='a function with the name of an op, "TFText>Anything"'):
        check_graph(changed.graph_def)


def test_strings_are_copied_for_custom_ops(plain: Path) -> None:
    """An op of unknown code may keep a string, or read on to a zero byte."""

    def change(meta_graph: Any) -> None:
        meta_graph.graph_def.node.add(name="added", op="OurOp", input=["y"])

    model = read_changed(plain, change)
    assert op_check.retains_strings(model, ["added"])
    assert not op_check.retains_strings(model, ["y"])
