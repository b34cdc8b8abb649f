"""Where a hostile model hides an attack: each place makes TensorFlow run it, or might.

Those in functions are in `hostile.places_in_functions` and `places_in_datasets`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from tensorflow.core.framework import variable_pb2

from hostile.attacks import ATTACK, Attack, Targets
from hostile.graphs import (
    FLOAT,
    INIT_SIGNATURE,
    INT32,
    Body,
    add_input,
    add_output,
    base_model,
    doubling_model,
    finish,
    set_init_op,
)
from hostile.model_files import VARIABLES, Model

Hide = Callable[[Attack, Targets], Model]


@frozen
class Place:
    """A place in a model where an attack is hidden.

    Attributes:
        hide: Returns a model that gives y = 2x and has the attack at this place.
        is_live: Whether TensorFlow runs the attack there, if its op is allowed.
    """

    hide: Hide
    is_live: bool


PLACES: dict[str, Place] = {}


def place(*, live: bool = True) -> Callable[[Hide], Hide]:
    """Register a function as a hiding place, under its own name."""

    def register(hide: Hide) -> Hide:
        PLACES[hide.__name__.strip("_")] = Place(hide, live)
        return hide

    return register


ONE_FLOAT: dict[str, Any] = {"Tin": [FLOAT], "Tout": [FLOAT]}


def hostile_function(
    meta: Any,
    attack: Attack | None,
    targets: Targets,
    name: str = "evil",
    takes: Sequence[int] = (FLOAT,),
    value: Any = None,
    gives: int = 0,
) -> Body:
    """Add a function that attacks, and returns its last argument or a constant.

    Args:
        meta: The MetaGraph to add it to.
        attack: What it runs; None for a harmless function.
        targets: What the attack aims at.
        name: Its name.
        takes: The dtypes of its arguments.
        value: The constant that it returns; None for its last argument.
        gives: The dtype of its result, where that isn't the last argument's.
    """
    dtype = gives or takes[-1]
    arguments = [(f"a{i}", argument) for i, argument in enumerate(takes)]
    body = Body(meta.graph_def).function(name, arguments, {"r": ("out:output:0", dtype)})
    source = arguments[-1][0] if value is None else body.const("value", value, dtype)
    control = []
    if attack is not None:
        attack.build(body, targets)
        control = [f"^{ATTACK}"]
        body.always_runs(ATTACK)
    body.add("out", "Identity", source, *control, T=dtype)
    return body


# --- in the graph ---------------------------------------------------------------------------------


@place()
def control_edge(attack: Attack, targets: Targets) -> Model:
    """The output waits for the attack."""
    meta = base_model()
    attack.build(Body(meta.graph_def), targets)
    return Model((finish(meta, ATTACK),))


@place()
def control_edge_of_a_constant(attack: Attack, targets: Targets) -> Model:
    """A constant upstream of the output waits for the attack."""
    meta = doubling_model()
    attack.build(Body(meta.graph_def), targets)
    meta.graph_def.node[1].input.append(f"^{ATTACK}")
    return Model((meta,))


@place(live=False)
def control_edge_of_a_fed_node(attack: Attack, targets: Targets) -> Model:
    """The output waits for the node whose output is fed, which waits for the attack."""
    meta = base_model()
    graph = Body(meta.graph_def)
    attack.build(graph, targets)
    graph.const("one", [1.0], FLOAT)
    graph.add("fed", "Identity", "one", f"^{ATTACK}", T=FLOAT)
    meta.signature_def["serving_default"].inputs["x"].name = "fed:0"
    graph.add("y", "Mul", "fed", "two", "^fed", T=FLOAT)
    return Model((add_output(meta, "y:0"),))


@place()
def no_op_chain(attack: Attack, targets: Targets) -> Model:
    """The attack is reached through control edges between NoOps."""
    meta = base_model()
    graph = Body(meta.graph_def)
    attack.build(graph, targets)
    graph.add("n0", "NoOp", f"^{ATTACK}")
    for i in range(1, 50):
        graph.add(f"n{i}", "NoOp", f"^n{i - 1}")
    return Model((finish(meta, "n49"),))


@place()
def unfed_default(attack: Attack, targets: Targets) -> Model:
    """The default of an optional input runs where no column feeds it."""
    meta = base_model()
    graph = Body(meta.graph_def)
    attack.build(graph, targets)
    graph.const("one", [1.0], FLOAT)
    graph.add("default", "Identity", "one", f"^{ATTACK}", T=FLOAT)
    graph.add("optional", "PlaceholderWithDefault", "default", dtype=FLOAT, shape=[-1])
    add_input(meta, "optional")
    graph.add("y", "Mul", "mul", "optional", T=FLOAT)
    return Model((add_output(meta, "y:0"),))


@place(live=False)
def dead_branch(attack: Attack, targets: Targets) -> Model:
    """A Switch decides at run time whether the attack runs."""
    meta = base_model()
    graph = Body(meta.graph_def)
    attack.build(graph, targets)
    graph.const("choice", False)
    graph.add("switch", "Switch", "mul", "choice", T=FLOAT)
    graph.add("right", "Identity", "switch:1", T=FLOAT)
    graph.nodes[-4].input.append("^right")
    graph.add("waits", "Identity", "switch:1", f"^{ATTACK}", T=FLOAT)
    graph.add("y", "Merge", "switch", "waits", T=FLOAT, N=2)
    return Model((add_output(meta, "y:0"),))


@place()
def v1_while_loop(attack: Attack, targets: Targets) -> Model:
    """A loop of Enter, Merge, Switch, NextIteration and Exit runs the attack before it ends."""
    meta = base_model()
    graph = Body(meta.graph_def)
    attack.build(graph, targets)
    graph.const("zero", 0, INT32)
    graph.add("enter", "Enter", "zero", f"^{ATTACK}", T=INT32, frame_name="loop")
    graph.add("merge", "Merge", "enter", "next", T=INT32, N=2)
    graph.add("limit", "Const", "^merge", dtype=INT32, value=_int32(3))
    graph.add("one", "Const", "^merge", dtype=INT32, value=_int32(1))
    graph.add("less", "Less", "merge", "limit", T=INT32)
    graph.add("goes_on", "LoopCond", "less")
    graph.add("switch", "Switch", "merge", "goes_on", T=INT32)
    graph.add("add", "AddV2", "switch:1", "one", T=INT32)
    graph.add("next", "NextIteration", "add", T=INT32)
    graph.add("exit", "Exit", "switch", T=INT32)
    return Model((finish(meta, "exit"),))


def _int32(value: int) -> Any:
    scratch = base_model().graph_def
    Body(scratch).const("c", value, INT32)
    return scratch.node[-1].attr["value"].tensor


@place()
def on_a_device(attack: Attack, targets: Targets) -> Model:
    """The attack is placed on a device and beside another node, by name."""
    hidden = control_edge(attack, targets)
    node = next(node for node in hidden.metas[0].graph_def.node if node.name == ATTACK)
    node.device = "/job:localhost/replica:0/task:0/device:CPU:0"
    node.attr["_class"].list.s.append(b"loc:@mul")
    return hidden


@place()
def with_internal_attributes(attack: Attack, targets: Targets) -> Model:
    """Attributes that only TensorFlow itself sets are set by hand."""
    hidden = control_edge(attack, targets)
    node = next(node for node in hidden.metas[0].graph_def.node if node.name == ATTACK)
    node.attr["_XlaCompile"].b = True
    node.attr["_XlaMustCompile"].b = False
    node.attr["_noinline"].b = True
    node.attr["_grappler_do_not_remove"].b = True
    return hidden


# --- run by the loader ----------------------------------------------------------------------------


def _in_graph(attack: Attack, targets: Targets) -> Any:
    """Return a MetaGraph with an attack that its outputs don't need."""
    meta = doubling_model()
    attack.build(Body(meta.graph_def), targets)
    return meta


@place()
def init_op(attack: Attack, targets: Targets) -> Model:
    """The init op's signature names the attack."""
    meta = _in_graph(attack, targets)
    set_init_op(meta, ATTACK)
    return Model((meta,))


@place()
def init_op_with_an_output_index(attack: Attack, targets: Targets) -> Model:
    """The init op's signature names an output of a node that waits for the attack."""
    meta = _in_graph(attack, targets)
    Body(meta.graph_def).const("one", 1)
    meta.graph_def.node[-1].input.append(f"^{ATTACK}")
    set_init_op(meta, "one:0")
    return Model((meta,))


def _init_collection(collection: str) -> Hide:
    def hide(attack: Attack, targets: Targets) -> Model:
        meta = _in_graph(attack, targets)
        meta.collection_def[collection].node_list.value.append(ATTACK)
        return Model((meta,))

    return hide


PLACES["main_op_collection"] = Place(_init_collection("saved_model_main_op"), True)
PLACES["legacy_init_collection"] = Place(_init_collection("legacy_init_op"), True)


PLACES["table_initializer_collection"] = Place(_init_collection("table_initializer"), True)


def _name_local_variable(meta: Any, initializer: str) -> None:
    variable = variable_pb2.VariableDef(variable_name="v:0", initializer_name=initializer)
    packed = meta.collection_def["local_variables"].bytes_list.value
    packed.append(variable.SerializeToString())


@place()
def local_variables_collection(attack: Attack, targets: Targets) -> Model:
    """No init op, but a local variable whose initializer is the attack."""
    meta = _in_graph(attack, targets)
    _name_local_variable(meta, ATTACK)
    return Model((meta,))


@place(live=False)
def initializers_beside_an_init_op(attack: Attack, targets: Targets) -> Model:
    """The loader runs an init op, and both collections of initializers name the attack."""
    meta = _in_graph(attack, targets)
    Body(meta.graph_def).add("nothing", "NoOp")
    set_init_op(meta, "nothing")
    meta.collection_def["table_initializer"].node_list.value.append(ATTACK)
    _name_local_variable(meta, ATTACK)
    return Model((meta,))


@place(live=False)
def second_init_op(attack: Attack, targets: Targets) -> Model:
    """The collection of init ops has two members, the second of which is the attack."""
    meta = _in_graph(attack, targets)
    Body(meta.graph_def).add("nothing", "NoOp")
    meta.collection_def["saved_model_main_op"].node_list.value.extend(["nothing", ATTACK])
    return Model((meta,))


@place(live=False)
def init_op_in_both_forms(attack: Attack, targets: Targets) -> Model:
    """The signature names a harmless init op, and both collections the attack."""
    meta = _in_graph(attack, targets)
    Body(meta.graph_def).add("nothing", "NoOp")
    set_init_op(meta, "nothing")
    for collection in ("saved_model_main_op", "legacy_init_op"):
        meta.collection_def[collection].node_list.value.append(ATTACK)
    return Model((meta,))


@place(live=False)
def main_op_despite_an_empty_signature(attack: Attack, targets: Targets) -> Model:
    """The init op's signature has no output, so the loader takes the collection."""
    meta = _in_graph(attack, targets)
    meta.signature_def[INIT_SIGNATURE].method_name = "none"
    meta.collection_def["saved_model_main_op"].node_list.value.append(ATTACK)
    return Model((meta,))


@place()
def restore_op(attack: Attack, targets: Targets) -> Model:
    """The restore op waits for the attack."""
    meta = _in_graph(attack, targets)
    graph = Body(meta.graph_def)
    graph.const("prefix", b"unset")
    graph.add("restore_all", "NoOp", f"^{ATTACK}")
    meta.saver_def.filename_tensor_name = "prefix:0"
    meta.saver_def.restore_op_name = "restore_all"
    return Model((meta,), VARIABLES)


@place()
def init_op_in_a_function(attack: Attack, targets: Targets) -> Model:
    """The init op calls a function that attacks."""
    meta = doubling_model()
    hostile_function(meta, attack, targets)
    call = Body(meta.graph_def)
    call.add("call", "StatefulPartitionedCall", "two", **ONE_FLOAT, f="evil")
    call.add("init", "NoOp", "^call")
    set_init_op(meta, "init")
    return Model((meta,))


# --- where nothing runs it ------------------------------------------------------------------------


@place(live=False)
def unreachable(attack: Attack, targets: Targets) -> Model:
    """No output needs the attack."""
    return Model((_in_graph(attack, targets),))


@place(live=False)
def other_signature(attack: Attack, targets: Targets) -> Model:
    """Only an output of another signature needs the attack."""
    meta = _in_graph(attack, targets)
    Body(meta.graph_def).add("other", "Identity", "mul", f"^{ATTACK}", T=FLOAT)
    add_input(meta, "x", signature="other")
    return Model((add_output(meta, "other:0", signature="other"),))


@place(live=False)
def train_op(attack: Attack, targets: Targets) -> Model:
    """The attack is the op that trains."""
    meta = _in_graph(attack, targets)
    meta.signature_def["__saved_model_train_op"].outputs["__saved_model_train_op"].name = ATTACK
    meta.collection_def["train_op"].node_list.value.append(ATTACK)
    return Model((meta,))


@place(live=False)
def queue_runner(attack: Attack, targets: Targets) -> Model:
    """A queue runner of TF1 enqueues by running the attack."""
    from tensorflow.core.protobuf import queue_runner_pb2

    meta = _in_graph(attack, targets)
    runner = queue_runner_pb2.QueueRunnerDef(enqueue_op_name=[ATTACK])
    for collection in ("queue_runners", "init_op", "ready_op", "local_init_op"):
        meta.collection_def[collection].bytes_list.value.append(runner.SerializeToString())
    return Model((meta,))


@place(live=False)
def other_tags(attack: Attack, targets: Targets) -> Model:
    """A MetaGraph with other tags has the attack."""
    hostile = control_edge(attack, targets).metas[0]
    hostile.meta_info_def.tags.append("train")
    return Model((hostile, doubling_model()))


@place(live=False)
def uncalled_function(attack: Attack, targets: Targets) -> Model:
    """Nothing calls the function that attacks."""
    meta = doubling_model()
    hostile_function(meta, attack, targets)
    return Model((meta,))


# --- two graphs -----------------------------------------------------------------------------------


def _twice(hostile_first: bool, more_tags: Sequence[str] = ()) -> Hide:
    def hide(attack: Attack, targets: Targets) -> Model:
        hostile = control_edge(attack, targets).metas[0]
        hostile.meta_info_def.tags.extend(more_tags)
        metas = (hostile, doubling_model())
        return Model(metas if hostile_first else metas[::-1])

    return hide


# Never live: with the op allowed, a model with equal tags is refused for its tags.
PLACES["first_of_equal_tags"] = Place(_twice(True), False)
PLACES["last_of_equal_tags"] = Place(_twice(False), False)
PLACES["first_with_a_tag_twice"] = Place(_twice(True, ["serve"]), False)
PLACES["last_with_a_tag_twice"] = Place(_twice(False, ["serve", "serve"]), False)
