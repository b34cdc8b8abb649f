"""Hiding places in functions, and in the control flow that calls them."""

from __future__ import annotations

from hostile.attacks import ATTACK, Attack, Targets
from hostile.graphs import (
    BOOL,
    FLOAT,
    INT32,
    Body,
    FromCaller,
    Function,
    add_output,
    base_model,
    doubling_model,
    finish,
)
from hostile.hiding_places import ONE_FLOAT, PLACES, Hide, Place, hostile_function, place
from hostile.model_files import Model


def _called(op: str, attr: str = "f") -> Hide:
    """Hide the attack in a function that an op of calls runs."""

    def hide(attack: Attack, targets: Targets) -> Model:
        meta = base_model()
        hostile_function(meta, attack, targets)
        Body(meta.graph_def).add("y", op, "mul", **ONE_FLOAT, **{attr: "evil"})
        return Model((add_output(meta, "y:0"),))

    return hide


PLACES["function"] = Place(_called("StatefulPartitionedCall"), True)
PLACES["stateless_function"] = Place(_called("PartitionedCall"), True)


@place()
def call_by_name(attack: Attack, targets: Targets) -> Model:
    """A node's op is the name of the function."""
    meta = base_model()
    hostile_function(meta, attack, targets)
    Body(meta.graph_def).add("y", "evil", "mul")
    return Model((add_output(meta, "y:0"),))


@place()
def nested_functions(attack: Attack, targets: Targets) -> Model:
    """Twenty functions call each other; the last attacks."""
    meta = base_model()
    graph = Body(meta.graph_def)
    hostile_function(meta, attack, targets, "f20")
    for i in range(20):
        body = graph.function(f"f{i}", [("a", FLOAT)], {"r": ("c:output:0", FLOAT)})
        body.add("c", "StatefulPartitionedCall", "a", **ONE_FLOAT, f=f"f{i + 1}")
        body.always_runs("c")
    graph.add("y", "StatefulPartitionedCall", "mul", **ONE_FLOAT, f="f0")
    return Model((add_output(meta, "y:0"),))


@place()
def function_from_the_caller(attack: Attack, targets: Targets) -> Model:
    """The call names the function that the called function calls."""
    meta = base_model()
    graph = Body(meta.graph_def)
    hostile_function(meta, attack, targets)
    body = graph.function("apply", [("a", FLOAT)], {"r": ("c:output:0", FLOAT)}, [("g", "func")])
    body.add("c", "StatefulPartitionedCall", "a", **ONE_FLOAT, f=FromCaller("g"))
    body.always_runs("c")
    call = Function("apply", {"g": Function("evil")})
    graph.add("y", "StatefulPartitionedCall", "mul", **ONE_FLOAT, f=call)
    return Model((add_output(meta, "y:0"),))


@place()
def function_from_a_call_by_name(attack: Attack, targets: Targets) -> Model:
    """As before, but the function is called by a node that has its name as op."""
    hidden = function_from_the_caller(attack, targets)
    graph = hidden.metas[0].graph_def
    graph.node.pop()
    Body(graph).add("y", "apply", "mul", g=Function("evil"))
    return hidden


@place()
def custom_gradient(attack: Attack, targets: Targets) -> Model:
    """SymbolicGradient runs the function that the library names as the gradient."""
    meta = base_model()
    graph = Body(meta.graph_def)
    hostile_function(meta, None, targets, "harmless")
    hostile_function(meta, attack, targets, takes=(FLOAT, FLOAT))
    meta.graph_def.library.gradient.add(function_name="harmless", gradient_func="evil")
    types = {"Tin": [FLOAT, FLOAT], "Tout": [FLOAT]}
    graph.add("slope", "SymbolicGradient", "mul", "mul", **types, f="harmless")
    return Model((finish(meta, "slope"),))


@place(live=False)
def gradient_of_a_hostile_function(attack: Attack, targets: Targets) -> Model:
    """SymbolicGradient differentiates a function that attacks, and so runs it."""
    meta = base_model()
    hostile_function(meta, attack, targets)
    types = {"Tin": [FLOAT, FLOAT], "Tout": [FLOAT]}
    Body(meta.graph_def).add("slope", "SymbolicGradient", "mul", "mul", **types, f="evil")
    return Model((finish(meta, "slope"),))


@place(live=False)
def swapped_implementation(attack: Attack, targets: Targets) -> Model:
    """Grappler may run any function with the same api_implements."""
    meta = base_model()
    for name, hidden in (("harmless", None), ("evil", attack)):
        hostile_function(meta, hidden, targets, name)
        function = meta.graph_def.library.function[-1]
        function.attr["api_implements"].s = b"same_thing"
        function.attr["api_preferred_device"].s = b"CPU" if name == "evil" else b"GPU"
    Body(meta.graph_def).add("y", "PartitionedCall", "mul", **ONE_FLOAT, f="harmless")
    return Model((add_output(meta, "y:0"),))


@place(live=False)
def function_named_like_an_op(attack: Attack, targets: Targets) -> Model:
    """The library redefines Identity."""
    meta = doubling_model()
    hostile_function(meta, attack, targets, "Identity")
    return Model((meta,))


@place()
def just_in_time_compiled(attack: Attack, targets: Targets) -> Model:
    """XLA is told to compile the caller of the function that attacks, and may refuse to."""
    hidden = PLACES["function"].hide(attack, targets)
    hidden.metas[0].graph_def.node[-1].attr["_XlaCompile"].b = True
    return hidden


def _if(op: str, taken: bool) -> Hide:
    def hide(attack: Attack, targets: Targets) -> Model:
        meta = base_model()
        graph = Body(meta.graph_def)
        hostile_function(meta, attack, targets)
        hostile_function(meta, None, targets, "harmless")
        branches = {"then_branch": "evil", "else_branch": "harmless"}
        types = {"Tcond": BOOL, **ONE_FLOAT}
        graph.add("y", op, graph.const("choice", taken), "mul", **types, **branches)
        return Model((add_output(meta, "y:0"),))

    return hide


PLACES["then_branch"] = Place(_if("If", True), True)
PLACES["branch_not_taken"] = Place(_if("If", False), False)
PLACES["stateless_then_branch"] = Place(_if("StatelessIf", True), True)


def _case(op: str) -> Hide:
    def hide(attack: Attack, targets: Targets) -> Model:
        meta = base_model()
        graph = Body(meta.graph_def)
        hostile_function(meta, attack, targets)
        hostile_function(meta, None, targets, "harmless")
        index, branches = graph.const("index", 7, INT32), ["harmless", "harmless", "evil"]
        graph.add("y", op, index, "mul", **ONE_FLOAT, branches=branches)
        return Model((add_output(meta, "y:0"),))

    return hide


PLACES["last_case"] = Place(_case("Case"), True)
PLACES["last_stateless_case"] = Place(_case("StatelessCase"), True)


def _while(op: str, part: str) -> Hide:
    """Hide the attack in a loop from 0 to 2: in its condition or in its body."""

    def hide(attack: Attack, targets: Targets) -> Model:
        meta = base_model()
        graph = Body(meta.graph_def)
        condition = graph.function("condition", [("a", FLOAT)], {"r": ("less:z:0", BOOL)})
        condition.const("end", 2.0, FLOAT)
        condition.add("less", "Less", "a", condition.reference("end"), T=FLOAT)
        if part == "condition":
            attack.build(condition, targets)
            condition.always_runs(ATTACK)
        hidden = attack if part == "body" else None
        hostile_function(meta, hidden, targets, "body", value=2.0)
        start = graph.const("start", 0.0, FLOAT)
        graph.add("loop", op, start, T=[FLOAT], cond="condition", body="body")
        graph.add("y", "Mul", "x", "loop", T=FLOAT)
        return Model((add_output(meta, "y:0"),))

    return hide


for _op in ("While", "StatelessWhile"):
    for _part in ("body", "condition"):
        PLACES[f"{_op}_{_part}"] = Place(_while(_op, _part), True)


@place()
def for_loop(attack: Attack, targets: Targets) -> Model:
    """The body of a For attacks."""
    meta = base_model()
    graph = Body(meta.graph_def)
    hostile_function(meta, attack, targets, takes=(INT32, FLOAT))
    bounds = [graph.const(f"bound{i}", value, INT32) for i, value in enumerate((0, 1, 1))]
    graph.add("loop", "For", *bounds, "two", T=[FLOAT], body="evil")
    graph.add("y", "Mul", "x", "loop", T=FLOAT)
    return Model((add_output(meta, "y:0"),))


@place()
def batch_function(attack: Attack, targets: Targets) -> Model:
    """BatchFunction runs the function that attacks on a thread of its own."""
    meta = base_model()
    hostile_function(meta, attack, targets)
    Body(meta.graph_def).add(
        "y",
        "BatchFunction",
        "mul",
        f="evil",
        num_batch_threads=1,
        max_batch_size=8,
        batch_timeout_micros=1,
        Tcaptured=[],
        **ONE_FLOAT,
    )
    return Model((add_output(meta, "y:0"),))


@place()
def map_defun(attack: Attack, targets: Targets) -> Model:
    """MapDefun runs the function that attacks on each row."""
    meta = base_model()
    hostile_function(meta, attack, targets)
    types = {"Targuments": [FLOAT], "output_types": [FLOAT], "output_shapes": [[]]}
    Body(meta.graph_def).add("y", "MapDefun", "mul", f="evil", Tcaptured=[], **types)
    return Model((add_output(meta, "y:0"),))


@place(live=False)
def xla_function_list(attack: Attack, targets: Targets) -> Model:
    """A module for XLA calls back into the function that attacks."""
    meta = base_model()
    hostile_function(meta, attack, targets)
    Body(meta.graph_def).add(
        "y", "XlaCallModule", "mul", version=9, Sout=[[-1]], function_list=["evil"], **ONE_FLOAT
    )
    return Model((add_output(meta, "y:0"),))
