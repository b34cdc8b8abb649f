"""Paths of assets, tables and checkpoints that lead out of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorflow.core.protobuf import meta_graph_pb2

from hostile.attacks import Targets
from hostile.graphs import (
    FLOAT,
    INIT_SIGNATURE,
    RESOURCE,
    STRING,
    Body,
    FromCaller,
    Function,
    add_asset,
    add_output,
    add_table,
    base_model,
    doubling_model,
)
from hostile.model_files import VARIABLES, Model
from hostile.tricks import trick

_ASSET = {"assets/words.txt": b"a\nb\n"}


def _asset_named(filename: str) -> Callable[[Targets], Model]:
    def build(targets: Targets) -> Model:
        meta = base_model()
        name = filename.format(secret=targets.secret, secrets=targets.secrets)
        add_table(meta, add_asset(meta, name))
        add_output(meta, "mul:0")
        return Model((meta,), _ASSET)

    return build


_ASSET_NAMES = {
    "absolute": "{secret}",
    "parent": "../../targets/secrets/secret.txt",
    "parent_within": "x/../../../targets/secrets/secret.txt",
    "empty": "",
    "dot": ".",
    "url": "file://{secret}",
    "null_byte": "words.txt\0x",
    "backslashes": "..\\..\\secret.txt",
    "long": "a" * 5000,
    "control_characters": "\x1b[2Jwords\n.txt",
    "double_slash": "//{secret}",
}
for _name, _filename in _ASSET_NAMES.items():
    trick(f"asset_{_name}")(_asset_named(_filename))


@trick()
def asset_in_the_collection(targets: Targets) -> Model:
    """TF1 lists assets in a collection, whose messages are packed."""
    meta = base_model()
    add_table(meta, add_asset(meta, targets.secret))
    packed = meta.collection_def["saved_model_assets"].any_list.value.add()
    packed.Pack(meta.asset_file_def.pop())
    return Model((add_output(meta, "mul:0"),), _ASSET)


@trick()
def asset_collection_of_nonsense(targets: Targets) -> Model:
    meta = doubling_model()
    packed = meta.collection_def["saved_model_assets"].any_list.value.add()
    packed.type_url, packed.value = "type.googleapis.com/x", b"\xff\xff\xff"
    return Model((meta,))


@trick()
def asset_in_both_lists(targets: Targets) -> Model:
    """The collection gives the asset's constant another path than the MetaGraph."""
    meta = base_model()
    add_table(meta, add_asset(meta))
    hostile = meta_graph_pb2.AssetFileDef(filename=targets.secret)
    hostile.tensor_info.name = "asset:0"
    meta.collection_def["saved_model_assets"].any_list.value.add().Pack(hostile)
    return Model((add_output(meta, "mul:0"),), _ASSET)


@trick()
def one_constant_for_two_assets(targets: Targets) -> Model:
    meta = base_model()
    add_table(meta, add_asset(meta))
    meta.asset_file_def.add(
        filename="../../targets/secrets/secret.txt"
    ).tensor_info.name = "asset:0"
    return Model((add_output(meta, "mul:0"),), _ASSET)


@trick()
def asset_without_a_constant(targets: Targets) -> Model:
    meta = doubling_model()
    meta.asset_file_def.add(filename="words.txt").tensor_info.name = "nowhere:0"
    return Model((meta,), _ASSET)


def _path(build: Callable[[Any, Body, Targets], tuple[str, ...]]) -> Callable[[Targets], Model]:
    """Return a trick that computes the path of a table's file, with an asset at hand."""

    def make(targets: Targets) -> Model:
        meta = base_model()
        add_asset(meta)
        graph = Body(meta.graph_def)
        graph.const("other", targets.secret.encode())
        add_table(meta, *build(meta, graph, targets))
        return Model((add_output(meta, "mul:0"),), _ASSET)

    return make


@trick("path_joined_with_parents")
@_path
def path_joined(meta: Any, graph: Body, targets: Targets) -> tuple[str, ...]:
    graph.const("up", b"/../../../targets/secrets/secret.txt")
    return (graph.add("joined", "StringJoin", "asset", "up", N=2),)


@trick("path_from_a_merge")
@_path
def path_merged(meta: Any, graph: Body, targets: Targets) -> tuple[str, ...]:
    graph.const("choice", True)
    graph.add("switch", "Switch", "other", "choice", T=STRING)
    graph.add("never", "Switch", "asset", "choice", T=STRING)
    return (graph.add("merge", "Merge", "never", "switch:1", T=STRING, N=2),)


@trick("path_from_the_second_output")
@_path
def path_second_output(meta: Any, graph: Body, targets: Targets) -> tuple[str, ...]:
    graph.add("both", "IdentityN", "asset", "other", T=[STRING, STRING])
    return ("both:1",)


@trick("path_through_identities")
@_path
def path_through_identities(meta: Any, graph: Body, targets: Targets) -> tuple[str, ...]:
    graph.add("first", "Identity", "other", T=STRING)
    return (graph.add("second", "Identity", "first", T=STRING),)


@trick("path_from_an_asset_that_is_not_fed")
def path_in_the_users_run(targets: Targets) -> Model:
    """In the run that scores, the asset's constant has the value that the graph gives it."""
    meta = base_model()
    add_asset(meta)
    node = next(node for node in meta.graph_def.node if node.name == "asset")
    node.attr["value"].tensor.string_val[0] = targets.secret.encode()
    add_table(meta, "asset")
    meta.signature_def.pop(INIT_SIGNATURE)
    found = next(node for node in meta.graph_def.node if node.name == "found")
    found.input.append("^filled")
    return Model((add_output(meta, "mul:0"),), _ASSET)


_HANDLE: dict[str, Any] = {"dtype": STRING, "shape": []}


def _variable(
    owner: dict[str, Any], other: dict[str, Any], other_name: str = "w"
) -> Callable[[Targets], Model]:
    """Return a trick in which two handles that look different are one variable.

    The table's path is read from the variable, which has been given the asset's path and then,
    through the other handle, another path.
    """

    def build(meta: Any, graph: Body, targets: Targets) -> tuple[str, ...]:
        graph.add("v", "VarHandleOp", **_HANDLE, **owner)
        graph.add(other_name, "VarHandleOp", **_HANDLE, **other)
        graph.add("set", "AssignVariableOp", "v", "asset", dtype=STRING)
        graph.add("reset", "AssignVariableOp", other_name, "other", "^set", dtype=STRING)
        return (graph.add("read", "ReadVariableOp", "v", "^reset", dtype=STRING), "reset")

    return _path(build)


trick("variable_shared_by_its_name")(_variable({"shared_name": "v"}, {"shared_name": "v"}))
trick("variable_shared_with_a_nodes_name")(_variable({}, {"shared_name": "v"}))
trick("variable_named_like_another_node")(_variable({"shared_name": "w"}, {}))
trick("variable_shared_across_containers")(
    _variable({"shared_name": "v"}, {"shared_name": "v", "container": "localhost"})
)


def _in_function(**attrs: Any) -> Callable[[Targets], Model]:
    """Return a trick in which a function opens the variable; `attrs` are those of its call."""

    def build(meta: Any, graph: Body, targets: Targets) -> tuple[str, ...]:
        graph.add("v", "VarHandleOp", **_HANDLE, shared_name="v")
        graph.add("set", "AssignVariableOp", "v", "asset", dtype=STRING)
        body = graph.function(
            "sets", [("a", STRING)], {"r": ("i:output:0", STRING)}, [("n", "string")]
        )
        name = FromCaller("n") if attrs else "v"
        body.add("h", "VarHandleOp", **_HANDLE, shared_name=name)
        body.add("as", "AssignVariableOp", "h:resource:0", "a", dtype=STRING)
        body.add("i", "Identity", "a", "^as", T=STRING)
        body.always_runs("as")
        call = Function("sets", attrs)
        kinds = {"Tin": [STRING], "Tout": [STRING]}
        graph.add("call", "StatefulPartitionedCall", "other", "^set", f=call, **kinds)
        return (graph.add("read", "ReadVariableOp", "v", "^call", dtype=STRING), "call")

    return _path(build)


trick("variable_opened_by_a_function")(_in_function())
trick("variable_opened_by_a_caller")(_in_function(n=b"v"))


@trick("variable_handed_to_a_function")
@_path
def variable_handed_over(meta: Any, graph: Body, targets: Targets) -> tuple[str, ...]:
    graph.add("v", "VarHandleOp", **_HANDLE, shared_name="v")
    graph.add("set", "AssignVariableOp", "v", "asset", dtype=STRING)
    arguments = [("h", RESOURCE), ("a", STRING)]
    body = graph.function("sets", arguments, {"r": ("i:output:0", STRING)})
    body.add("as", "AssignVariableOp", "h", "a", dtype=STRING)
    body.add("i", "Identity", "a", "^as", T=STRING)
    body.always_runs("as")
    kinds = {"Tin": [RESOURCE, STRING], "Tout": [STRING], "f": "sets"}
    graph.add("call", "StatefulPartitionedCall", "v", "other", "^set", **kinds)
    return (graph.add("read", "ReadVariableOp", "v", "^call", dtype=STRING), "call")


@trick("variable_assigned_through_identity")
@_path
def variable_through_identity(meta: Any, graph: Body, targets: Targets) -> tuple[str, ...]:
    graph.add("v", "VarHandleOp", **_HANDLE, shared_name="v")
    graph.add("same", "Identity", "v", T=RESOURCE)
    graph.add("set", "AssignVariableOp", "v", "asset", dtype=STRING)
    graph.add("reset", "AssignVariableOp", "same", "other", "^set", dtype=STRING)
    return (graph.add("read", "ReadVariableOp", "v", "^reset", dtype=STRING), "reset")


@trick("variable_of_tf1_assigned_twice")
@_path
def variable_of_tf1(meta: Any, graph: Body, targets: Targets) -> tuple[str, ...]:
    graph.add("v", "VariableV2", dtype=STRING, shape=[], shared_name="v")
    graph.add("w", "VariableV2", dtype=STRING, shape=[], shared_name="v")
    graph.add("set", "Assign", "v", "asset", T=STRING)
    graph.add("reset", "Assign", "w", "other", "^set", T=STRING)
    return (graph.add("read", "Identity", "v", "^reset", T=STRING), "reset")


@trick("path_from_a_queue")
@_path
def path_from_a_queue(meta: Any, graph: Body, targets: Targets) -> tuple[str, ...]:
    graph.add("queue", "FIFOQueueV2", component_types=[STRING], shapes=[[]])
    graph.add("put", "QueueEnqueueV2", "queue", "other", Tcomponents=[STRING])
    return (graph.add("get", "QueueDequeueV2", "queue", "^put", component_types=[STRING]),)


@trick("path_in_a_called_function")
@_path
def path_in_a_function(meta: Any, graph: Body, targets: Targets) -> tuple[str, ...]:
    """One call passes the asset, another one the secret's path."""
    body = graph.function("choose", [("a", STRING), ("b", STRING)], {"r": ("i:output:0", STRING)})
    body.add("i", "Identity", "b", T=STRING)
    kinds = {"Tin": [STRING, STRING], "Tout": [STRING], "f": "choose"}
    return (graph.add("call", "PartitionedCall", "asset", "other", **kinds),)


def _filled_in_a_function(*arguments: str) -> Callable[[Targets], Model]:
    """Return a trick in which a function fills the table from its second argument."""

    def build(targets: Targets) -> Model:
        meta = base_model()
        add_asset(meta)
        graph = Body(meta.graph_def)
        graph.const("other", targets.secret.encode())
        add_table(meta, "asset")
        del meta.graph_def.node[
            next(i for i, n in enumerate(meta.graph_def.node) if n.name == "filled")
        ]
        body = graph.function(
            "fill", [("t", RESOURCE), ("a", STRING)], {"r": ("i:output:0", STRING)}
        )
        body.add("f", "InitializeTableFromTextFileV2", "t", "a", key_index=-1, value_index=-2)
        body.add("i", "Identity", "a", "^f", T=STRING)
        body.always_runs("f")
        kinds = {"Tin": [RESOURCE, STRING], "Tout": [STRING], "f": "fill"}
        for i, argument in enumerate(arguments):
            name = "filled" if i == len(arguments) - 1 else f"filled{i}"
            graph.add(name, "StatefulPartitionedCall", "table", argument, **kinds)
        return Model((add_output(meta, "mul:0"),), _ASSET)

    return build


trick("table_filled_by_a_function")(_filled_in_a_function("other"))


@trick()
def restored_from_elsewhere(targets: Targets) -> Model:
    """The restore op reads the secret as a checkpoint."""
    return _restoring(targets, lambda graph: graph.const("elsewhere", _secret_prefix(targets)))


@trick()
def restored_from_beside_the_prefix(targets: Targets) -> Model:
    """The restore op reads a path made of the checkpoint's."""

    def prefix(graph: Body) -> str:
        graph.const("up", b"/../../../targets/secrets/secret")
        return graph.add("elsewhere", "StringJoin", "prefix", "up", N=2)

    return _restoring(targets, prefix)


@trick()
def restored_in_the_users_run(targets: Targets) -> Model:
    """The output restores, and the prefix is what the graph says."""
    meta = _restoring(targets, lambda graph: "prefix").metas[0]
    nodes = {node.name: node for node in meta.graph_def.node}
    nodes["prefix"].attr["value"].tensor.string_val[0] = _secret_prefix(targets)
    nodes["y"].input.append("^restored")
    meta.saver_def.Clear()
    return Model((meta,), VARIABLES)


def _secret_prefix(targets: Targets) -> bytes:
    return str(targets.secrets / "secret").encode()


def _restoring(targets: Targets, prefix: Callable[[Body], str]) -> Model:
    meta = doubling_model()
    graph = Body(meta.graph_def)
    graph.const("prefix", b"unset")
    names, slices = graph.const("names", [b"a"]), graph.const("slices", [b""])
    graph.add("restored", "RestoreV2", prefix(graph), names, slices, dtypes=[FLOAT])
    meta.saver_def.filename_tensor_name = "prefix:0"
    meta.saver_def.restore_op_name = "restored"
    return Model((meta,), VARIABLES)


@trick()
def checkpoint_path_for_a_table(targets: Targets) -> Model:
    """The restore op fills a table from a path that the checkpoint's replaces."""
    meta = base_model()
    add_table(meta, Body(meta.graph_def).const("prefix", targets.secret.encode()))
    meta.saver_def.filename_tensor_name = "prefix:0"
    meta.saver_def.restore_op_name = "filled"
    return Model((add_output(meta, "mul:0"),), VARIABLES)
