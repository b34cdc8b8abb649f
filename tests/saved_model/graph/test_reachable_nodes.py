"""`reachable_nodes`: which nodes run, and which of their inputs the loader feeds."""

from __future__ import annotations

from typing import Any

import pytest

from tf2spark.errors import ModelError, UnsafeModelError
from tf2spark.plan.score import Initialization
from tf2spark.saved_model.graph import reachable_nodes
from tf2spark.saved_model.graph.loader_runs import (
    asset_files,
    init_op,
    initialization,
    loader_runs,
    read_assets,
)
from tf2spark.saved_model.graph.reachable_nodes import Run, user_run, walk
from tf2spark.saved_model.graph.upstream import node_name
from tf2spark.saved_model.protos import AssetFileDef, SavedModel, VariableDef


@pytest.fixture
def meta_graph() -> Any:
    """A graph with the path of an asset, another string, and a function with two arguments."""
    meta_graph = SavedModel().meta_graphs.add()
    for name in ("asset", "other", "chooser"):
        add_node(meta_graph, name, "Const")
    meta_graph.asset_file_def.add(filename="words.txt").tensor_info.name = "asset:0"
    function = add_function(meta_graph, "fill", "path", "rest")
    function.node_def.add(name="copy", op="Identity", input=["path"])
    function.node_def.add(name="table", op="InitializeTableFromTextFileV2", input=["copy:output:0"])
    return meta_graph


def add_node(meta_graph: Any, name: str, op: str, *inputs: str) -> Any:
    return meta_graph.graph_def.node.add(name=name, op=op, input=inputs)


def add_function(meta_graph: Any, name: str, *arguments: str) -> Any:
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = name
    for argument in arguments:
        function.signature.input_arg.add(name=argument)
    return function


def set_init_op(meta_graph: Any, name: str) -> None:
    signature = meta_graph.signature_def["__saved_model_init_op"]
    signature.outputs["__saved_model_init_op"].name = name


def reached(meta_graph: Any, fetches: list[str], feeds: list[str] | None = None) -> set[str]:
    run = user_run(meta_graph, fetches, feeds or [])
    return {node.name for node, _ in walk(meta_graph, [run])}


def table_origins(meta_graph: Any) -> list[str]:
    """Return the origin of the table's path, for each time that loading reaches the table."""
    return [
        context.origin(node.input[0])
        for node, context in walk(meta_graph, loader_runs(meta_graph))
        if node.name == "table"
    ]


@pytest.mark.parametrize("op", ["If", "StatelessIf", "Case", "StatelessCase"])
@pytest.mark.parametrize(
    ("inputs", "origin"),
    [
        (["chooser", "asset", "other"], "asset"),
        (["chooser", "other", "asset"], ""),
        (["asset", "other", "other"], ""),
        (["asset", "other"], ""),
    ],
)
def test_arguments_of_a_branch_follow_its_condition(
    meta_graph: Any, op: str, inputs: list[str], origin: str
) -> None:
    """The first input of an If or Case chooses the branch; the others are its arguments."""
    node = add_node(meta_graph, "call", op, *inputs)
    if "Case" in op:
        node.attr["branches"].list.func.add(name="fill")
    else:
        node.attr["then_branch"].func.name = "fill"
    set_init_op(meta_graph, "call")
    assert table_origins(meta_graph) == [origin]


@pytest.mark.parametrize(
    ("op", "inputs", "origin"),
    [
        ("PartitionedCall", ["asset", "other"], "asset"),
        ("StatefulPartitionedCall", ["asset", "other", "^chooser"], "asset"),
        ("StatefulPartitionedCall", ["other", "asset"], ""),
        ("fill", ["asset", "other"], "asset"),
        ("While", ["asset", "other"], ""),
        ("StatelessWhile", ["asset", "other"], ""),
        ("MapDataset", ["asset", "other"], ""),
    ],
)
def test_arguments_of_calls(meta_graph: Any, op: str, inputs: list[str], origin: str) -> None:
    """A call passes its inputs on; a loop passes what its body computed, so nothing is known."""
    node = add_node(meta_graph, "call", op, *inputs)
    if op != "fill":
        node.attr["f"].func.name = "fill"
    set_init_op(meta_graph, "call")
    assert table_origins(meta_graph) == [origin]


def test_a_function_is_visited_again_when_it_gets_something_else(meta_graph: Any) -> None:
    """A call with another path is another visit, unless one with an unknown path came before."""
    add_node(meta_graph, "good", "fill", "asset", "other")
    add_node(meta_graph, "again", "fill", "asset", "other")
    add_node(meta_graph, "bad", "fill", "other", "other")
    init = add_node(meta_graph, "init", "NoOp", "^bad", "^again", "^good")
    set_init_op(meta_graph, "init")
    assert table_origins(meta_graph) == ["asset", ""]
    init.input[:] = ["^good", "^again", "^bad"]
    assert table_origins(meta_graph) == [""]


def test_identities_that_form_a_cycle_have_no_origin(meta_graph: Any) -> None:
    """A graph with a cycle, which TensorFlow refuses, doesn't hang the check."""
    function = add_function(meta_graph, "cycle")
    function.node_def.add(name="one", op="Identity", input=["two:output:0"])
    function.node_def.add(name="two", op="Identity", input=["one:output:0"])
    function.node_def.add(name="table", op="NoOp", input=["one:output:0"])
    add_node(meta_graph, "call", "cycle")
    set_init_op(meta_graph, "call")
    assert table_origins(meta_graph) == [""]


def test_functions_call_each_other(meta_graph: Any) -> None:
    """Calls are followed from body to body, in a cycle only once."""
    outer = add_function(meta_graph, "outer")
    outer.node_def.add(name="in_outer", op="inner")
    inner = add_function(meta_graph, "inner")
    inner.node_def.add(name="in_inner", op="outer")
    add_node(meta_graph, "call", "outer")
    assert reached(meta_graph, ["call"]) == {"call", "in_outer", "in_inner"}


def test_the_gradient_of_a_function_counts(meta_graph: Any) -> None:
    """SymbolicGradient names a function and runs its gradient function."""
    add_function(meta_graph, "forward")
    backward = add_function(meta_graph, "backward")
    backward.node_def.add(name="in_backward", op="NoOp")
    meta_graph.graph_def.library.gradient.add(function_name="forward", gradient_func="backward")
    add_node(meta_graph, "call", "SymbolicGradient").attr["f"].func.name = "forward"
    assert reached(meta_graph, ["call"]) == {"call", "in_backward"}


def test_nodes_upstream_of_a_feed_do_not_run(meta_graph: Any) -> None:
    """Feeding a tensor cuts the edges that read it; a control edge still needs the node."""
    add_node(meta_graph, "middle", "Identity", "other")
    add_node(meta_graph, "end", "Identity", "middle:0")
    assert reached(meta_graph, ["end"]) == {"end", "middle", "other"}
    assert reached(meta_graph, ["end"], ["middle"]) == {"end"}
    assert reached(meta_graph, ["end"], ["middle:1"]) == {"end", "middle", "other"}
    add_node(meta_graph, "waiting", "Identity", "middle", "^middle")
    assert reached(meta_graph, ["waiting"], ["middle:0"]) == {"waiting", "middle", "other"}


def test_a_fetch_that_is_not_there_is_an_error(meta_graph: Any) -> None:
    """The message names the node and the output."""
    with pytest.raises(ModelError, match=r'the graph has no node "gone" \(tensor "gone:0"\)'):
        reached(meta_graph, ["gone:0"])


def test_loading_runs_the_restore_op_and_the_init_op(meta_graph: Any) -> None:
    """The restore op is fed the path of the checkpoint, and both are fed those of the assets."""
    meta_graph.saver_def.restore_op_name = "restore"
    meta_graph.saver_def.filename_tensor_name = "prefix"
    set_init_op(meta_graph, "fill_tables")
    assert list(loader_runs(meta_graph)) == [
        Run((("restore", "restore op"),), {"prefix:0": "checkpoint", "asset:0": "asset"}),
        Run((("fill_tables", "init op"),), {"asset:0": "asset"}),
    ]


def test_the_init_op_is_that_of_the_loader(meta_graph: Any) -> None:
    """TF2's signature wins over TF1's collections, and the main op over the legacy one."""
    assert init_op(meta_graph) == ""
    meta_graph.collection_def["legacy_init_op"].node_list.value.append("legacy")
    assert init_op(meta_graph) == "legacy"
    meta_graph.collection_def["saved_model_main_op"].node_list.value.append("main")
    assert init_op(meta_graph) == "main"
    set_init_op(meta_graph, "signature")
    assert init_op(meta_graph) == "signature"


def test_assets_of_the_meta_graph_win_over_the_collection(meta_graph: Any) -> None:
    """TF1's collection counts only where the MetaGraph lists no assets."""
    asset = AssetFileDef(filename="old.txt")
    asset.tensor_info.name = "other"
    packed = meta_graph.collection_def["saved_model_assets"].any_list.value.add()
    packed.value = asset.SerializeToString()
    assert asset_files(meta_graph) == {"asset:0": "words.txt"}
    del meta_graph.asset_file_def[:]
    assert asset_files(meta_graph) == {"other:0": "old.txt"}


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", ""])
def test_an_asset_must_be_inside_its_folder(meta_graph: Any, path: str) -> None:
    """An absolute path, one that goes up, or none at all is refused."""
    meta_graph.asset_file_def[0].filename = path
    with pytest.raises(UnsafeModelError, match="which is outside its assets/ folder"):
        asset_files(meta_graph)


def variable(meta_graph: Any, name: str = "variable", shared_name: bytes = b"shared") -> None:
    add_node(meta_graph, name, "VarHandleOp").attr["shared_name"].s = shared_name


def filled_from_variable(meta_graph: Any) -> list[str]:
    """Return the origin of what a table gets that is filled from the variable."""
    variable(meta_graph)
    add_node(meta_graph, "assign", "AssignVariableOp", "variable", "asset")
    add_node(meta_graph, "is_set", "VarIsInitializedOp", "variable")
    add_node(meta_graph, "value", "ReadVariableOp", "variable", "^assign", "^is_set")
    add_node(meta_graph, "table", "InitializeTableFromTextFileV2", "value")
    set_init_op(meta_graph, "table")
    return table_origins(meta_graph)


def test_a_variable_assigned_once_passes_the_path_of_an_asset_on(meta_graph: Any) -> None:
    """Reading it and asking whether it is initialized change nothing."""
    assert filled_from_variable(meta_graph) == ["asset"]


@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        ("AssignVariableOp", ["variable", "other"]),
        ("AssignAddVariableOp", ["variable", "other"]),
        ("fill", ["variable", "other"]),
        ("AssignVariableOp", ["other", "variable"]),
        ("Identity", ["variable"]),
    ],
)
def test_a_variable_used_in_any_other_way_is_not_trusted(
    meta_graph: Any, op: str, inputs: list[str]
) -> None:
    """A second assignment, or a use that could assign, makes its value unknown."""
    add_node(meta_graph, "extra", op, *inputs)
    assert filled_from_variable(meta_graph) == [""]


def test_a_variable_whose_storage_is_shared_is_not_trusted(meta_graph: Any) -> None:
    """A handle of the same shared name, in the graph or in a function, could assign to it."""
    add_function(meta_graph, "elsewhere").node_def.add(name="twin", op="VarHandleOp").attr[
        "shared_name"
    ].s = b"shared"
    assert filled_from_variable(meta_graph) == [""]


@pytest.mark.parametrize("attribute", ["shared_name", "container"])
@pytest.mark.parametrize("where", ["graph", "function"])
def test_a_handle_whose_name_is_not_known_can_be_any_variable(
    meta_graph: Any, attribute: str, where: str
) -> None:
    """A caller can set the name of a handle in a function to that of the variable."""
    nodes = meta_graph.graph_def.node
    if where == "function":
        nodes = add_function(meta_graph, "elsewhere").node_def
    handle = nodes.add(name="handle", op="VarHandleOp")
    handle.attr["shared_name"].s = b"other"
    handle.attr[attribute].placeholder = "set by the caller"
    # In the graph itself there is no caller.
    assert filled_from_variable(meta_graph) == ["" if where == "function" else "asset"]


@pytest.mark.parametrize(("name", "origin"), [("shared", ""), ("other", "asset")])
def test_a_handle_without_a_name_may_get_that_of_its_node(
    meta_graph: Any, name: str, origin: str
) -> None:
    """It could be the variable whose shared_name is the node's name."""
    add_node(meta_graph, name, "VarHandleOp")
    assert filled_from_variable(meta_graph) == [origin]


def test_a_handle_without_a_name_in_a_function_can_be_any_variable(meta_graph: Any) -> None:
    """Where the function is inlined, its nodes get new names."""
    add_function(meta_graph, "elsewhere").node_def.add(name="handle", op="VarHandleOp")
    assert filled_from_variable(meta_graph) == [""]


def test_a_function_passed_to_a_function_gets_unknown_arguments(meta_graph: Any) -> None:
    """A call fills in which function its function calls, and that one gets other values."""
    outer = add_function(meta_graph, "outer", "path", "rest")
    call = outer.node_def.add(name="inner", op="PartitionedCall", input=["rest", "path"])
    call.attr["f"].placeholder = "which"
    node = add_node(meta_graph, "call", "PartitionedCall", "asset", "other")
    node.attr["f"].func.name = "outer"
    node.attr["f"].func.attr["which"].func.name = "fill"
    set_init_op(meta_graph, "call")
    assert table_origins(meta_graph) == [""]
    del node.attr["f"]
    node.op = "outer"
    node.attr["which"].func.name = "fill"
    assert table_origins(meta_graph) == [""]


def test_arguments_that_are_lists_have_no_origin(meta_graph: Any) -> None:
    """Such an argument takes any number of inputs, so it isn't known which input is which."""
    node = add_node(meta_graph, "call", "fill", "asset", "other")
    set_init_op(meta_graph, "call")
    arguments = meta_graph.graph_def.library.function[0].signature.input_arg
    assert table_origins(meta_graph) == ["asset"]
    arguments[1].number_attr = "N"
    assert table_origins(meta_graph) == [""]
    arguments[1].number_attr = ""
    arguments[1].type_list_attr = "T"
    assert table_origins(meta_graph) == [""]
    assert node.op == "fill"


def test_arguments_that_rotate_take_few_visits(meta_graph: Any) -> None:
    """A function that calls itself with its arguments rotated has 2^24 combinations of origins."""
    names = [f"a{i}" for i in range(24)]
    function = add_function(meta_graph, "rotate", *names)
    function.node_def.add(name="turned", op="rotate", input=[*names[1:], names[0]])
    function.node_def.add(name="dropped", op="rotate", input=["none:output:0", *names[1:]])
    add_node(meta_graph, "call", "rotate", *["asset"] * 24)
    set_init_op(meta_graph, "call")
    visited = [node.name for node, _ in walk(meta_graph, loader_runs(meta_graph))]
    assert len(visited) < 100


def test_a_walk_has_a_budget(meta_graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past it there is an error that names the limit."""
    monkeypatch.setattr(reachable_nodes, "MAX_STEPS", 2)
    add_node(meta_graph, "call", "fill", "asset", "other")
    with pytest.raises(ModelError, match="following its functions takes more than 2 steps"):
        reached(meta_graph, ["call"])


@pytest.mark.parametrize("op", ["Identity", "ReadVariableOp", "AssignVariableOp"])
def test_nodes_that_lack_inputs_are_errors(meta_graph: Any, op: str) -> None:
    """The message names the node; no other exception comes out."""
    variable(meta_graph)
    add_node(meta_graph, "short", op, *(["variable"] if op == "AssignVariableOp" else []))
    add_node(meta_graph, "value", "ReadVariableOp", "variable")
    add_node(meta_graph, "table", "X", "value" if op == "AssignVariableOp" else "short")
    set_init_op(meta_graph, "table")
    with pytest.raises(ModelError, match=f'the node "short" \\({op}\\) has . inputs and needs'):
        table_origins(meta_graph)


def test_the_list_of_assets_must_be_whole(meta_graph: Any) -> None:
    """A damaged entry, two paths for one tensor, or a zero byte in a path is an error."""
    meta_graph.asset_file_def.add(filename="more.txt").tensor_info.name = "asset"
    with pytest.raises(ModelError, match='two assets are fed to the tensor "asset:0"'):
        asset_files(meta_graph)
    meta_graph.asset_file_def[1].filename = "words.txt"
    assert asset_files(meta_graph) == {"asset:0": "words.txt"}
    meta_graph.asset_file_def[1].filename = "words.txt\0"
    with pytest.raises(UnsafeModelError, match="outside its assets/ folder"):
        asset_files(meta_graph)
    del meta_graph.asset_file_def[:]
    packed = meta_graph.collection_def["saved_model_assets"].any_list.value.add()
    packed.value = b"\xff\xff"
    with pytest.raises(ModelError, match='the collection "saved_model_assets" is damaged'):
        asset_files(meta_graph)


def test_names_of_nodes() -> None:
    """Control edges, output numbers and a function's named outputs all name a node."""
    names = ["^a/b", "a/b", "a/b:1", "a/b:out:1"]
    assert {node_name(name) for name in names} == {"a/b"}


def add_local_variable(meta_graph: Any, initializer: str) -> None:
    variable = VariableDef(initializer_name=initializer)
    packed = meta_graph.collection_def["local_variables"].bytes_list.value
    packed.append(variable.SerializeToString())


def add_initializers(meta_graph: Any) -> None:
    """Add a table and a local variable whose initializers are in collections."""
    add_node(meta_graph, "table", "InitializeTableFromTextFileV2", "chooser", "asset")
    add_node(meta_graph, "local/Assign", "Assign", "chooser", "other")
    meta_graph.collection_def["table_initializer"].node_list.value.append("table")
    add_local_variable(meta_graph, "local/Assign")


def test_initializers_of_collections_run_at_loading(meta_graph: Any) -> None:
    """Without an init op they are what loading runs, with the paths of the assets."""
    add_initializers(meta_graph)
    needed = Initialization(("local/Assign", "table"), (("asset:0", "words.txt"),))
    assert initialization(meta_graph) == needed
    (run,) = loader_runs(meta_graph)
    assert [name for name, _ in run.fetches] == list(needed.ops)
    assert run.fed == {"asset:0": "asset"}


def test_an_init_op_replaces_the_initializers_of_collections(meta_graph: Any) -> None:
    """As in `tf.saved_model.load`: whoever wrote an init op decided what it runs."""
    add_initializers(meta_graph)
    add_node(meta_graph, "init", "NoOp")
    set_init_op(meta_graph, "init")
    assert initialization(meta_graph) == Initialization()
    assert [run.fetches for run in loader_runs(meta_graph)] == [(("init", "init op"),)]


def test_a_local_variable_that_needs_an_input_is_not_initialized(meta_graph: Any) -> None:
    """Nothing can feed it at loading, and an output that doesn't read it can still be scored."""
    add_initializers(meta_graph)
    add_node(meta_graph, "input", "Placeholder")
    add_node(meta_graph, "start", "Identity", "input")
    add_node(meta_graph, "other/Assign", "Assign", "chooser", "start")
    add_local_variable(meta_graph, "other/Assign")
    assert initialization(meta_graph).ops == ("local/Assign", "table")


def test_a_damaged_collection_of_variables_is_an_error(meta_graph: Any) -> None:
    """What TensorFlow can't read is no model that works."""
    meta_graph.collection_def["local_variables"].bytes_list.value.append(b"\xff\xff")
    with pytest.raises(ModelError, match='the collection "local_variables" is damaged'):
        initialization(meta_graph)


@pytest.mark.parametrize(
    ("op", "read"),
    [("Identity", False), ("Assign", False), ("StringJoin", True), ("LookupTableFindV2", True)],
)
def test_an_asset_is_read_where_an_op_gets_its_path(meta_graph: Any, op: str, read: bool) -> None:
    """An op that passes a path on or stores it doesn't open the file; any other op may."""
    add_node(meta_graph, "copy", "Identity", "asset")
    add_node(meta_graph, "y", op, "copy")
    assert list(read_assets(meta_graph, loader_runs(meta_graph), ["words.txt"])) == []
    run = Run((("y", "output"),), {"asset:0": "asset"})
    assert list(read_assets(meta_graph, [run], ["words.txt"])) == ["words.txt"] * read
    assert list(read_assets(meta_graph, [run], [])) == []


def test_an_asset_is_read_in_a_function(meta_graph: Any) -> None:
    """The call passes its path on, and the function's table reads the file."""
    add_node(meta_graph, "init", "StatefulPartitionedCall", "asset", "other")
    meta_graph.graph_def.node[-1].attr["f"].func.name = "fill"
    set_init_op(meta_graph, "init")
    runs = list(loader_runs(meta_graph))
    assert list(read_assets(meta_graph, runs, ["words.txt"])) == ["words.txt"]
