"""Hiding places in the functions of tf.data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hostile.attacks import Attack, Targets
from hostile.graphs import (
    BOOL,
    INT64,
    VARIANT,
    Body,
    base_model,
    finish,
    set_init_op,
)
from hostile.hiding_places import PLACES, Hide, Place, hostile_function, place
from hostile.model_files import Model

_NUMBERS: dict[str, Any] = {"output_types": [INT64], "output_shapes": [None]}


def _range(body: Body, prefix: str = "") -> str:
    bounds = [
        body.const(f"{prefix}{name}", value, INT64)
        for name, value in (("start", 0), ("stop", 1), ("step", 1))
    ]
    return body.add(f"{prefix}range", "RangeDataset", *bounds, **_NUMBERS)


def _endless(body: Body, dataset: str, prefix: str = "") -> str:
    """Repeat a dataset for ever, as an iterator is kept from run to run."""
    count = body.const(f"{prefix}count", -1, INT64)
    return body.add(f"{prefix}endless", "RepeatDataset", dataset, count, **_NUMBERS)


def _dataset_model(build: Callable[[Any, Body], str]) -> Model:
    """Return a model whose output waits for the only element of a dataset."""
    meta = base_model()
    graph = Body(meta.graph_def)
    graph.add("element", "DatasetToSingleElement", build(meta, graph), **_NUMBERS)
    return Model((finish(meta, "element"),))


def _dataset(
    op: str,
    function: str,
    *inputs: tuple[Any, int],
    takes: Sequence[int] = (INT64,),
    value: Any = None,
    gives: int = 0,
    returns_dataset: bool = False,
    **attrs: Any,
) -> Hide:
    """Hide the attack in the function of a dataset.

    Args:
        op: The dataset's op.
        function: The attribute that names the function.
        inputs: Values and dtypes of its inputs after the first.
        takes: The dtypes of the function's arguments.
        value: The constant that the function returns; None for its last argument.
        gives: The dtype of what it returns.
        returns_dataset: Whether it returns a dataset instead.
        attrs: Other attributes of the op.
    """

    def build(attack: Attack, targets: Targets, meta: Any, graph: Body) -> str:
        body = hostile_function(meta, attack, targets, takes=takes, value=value, gives=gives)
        if returns_dataset:
            body.message.ret["r"] = _range(body, "inner_")
            body.message.signature.output_arg[0].type = VARIANT
        constants = [graph.const(f"in{i}", *source) for i, source in enumerate(inputs)]
        settings = {function: "evil", **_NUMBERS, **attrs}
        return graph.add("dataset", op, _range(graph), *constants, **settings)

    def hide(attack: Attack, targets: Targets) -> Model:
        return _dataset_model(lambda meta, graph: build(attack, targets, meta, graph))

    return hide


_NO_ARGUMENTS: dict[str, Any] = {"Targuments": []}
_ONE = (1, INT64)
_DATASETS: Mapping[str, Hide] = {
    "map": _dataset("MapDataset", "f", **_NO_ARGUMENTS),
    "parallel_map": _dataset("ParallelMapDatasetV2", "f", _ONE, **_NO_ARGUMENTS),
    "map_and_batch": _dataset(
        "MapAndBatchDataset", "f", _ONE, _ONE, (False, BOOL), **_NO_ARGUMENTS
    ),
    "filter": _dataset("FilterDataset", "predicate", value=True, gives=BOOL, **_NO_ARGUMENTS),
    "take_while": _dataset(
        "TakeWhileDataset", "predicate", value=True, gives=BOOL, **_NO_ARGUMENTS
    ),
    "flat_map": _dataset("FlatMapDataset", "f", returns_dataset=True, **_NO_ARGUMENTS),
    "interleave": _dataset(
        "InterleaveDataset", "f", _ONE, _ONE, returns_dataset=True, **_NO_ARGUMENTS
    ),
}
PLACES.update({f"dataset_{name}": Place(hide, True) for name, hide in _DATASETS.items()})


@place()
def dataset_reduce(attack: Attack, targets: Targets) -> Model:
    """The function that reduces a dataset attacks."""
    meta = base_model()
    graph = Body(meta.graph_def)
    hostile_function(meta, attack, targets, takes=(INT64, INT64))
    settings = {"f": "evil", "Tstate": [INT64], "Targuments": [], **_NUMBERS}
    state = graph.const("state", 0, INT64)
    graph.add("total", "ReduceDataset", _range(graph), state, **settings)
    return Model((finish(meta, "total"),))


@place()
def dataset_group_by_window(attack: Attack, targets: Targets) -> Model:
    """The function that gives the key of a window attacks."""

    def build(meta: Any, graph: Body) -> str:
        hostile_function(meta, attack, targets)
        for name, takes, value in (("key", INT64, None), ("size", INT64, 1)):
            hidden = attack if name == "key" else None
            hostile_function(meta, hidden, targets, name, takes=(takes,), value=value)
        window = graph.function("window", [("k", INT64), ("w", VARIANT)], {"r": ("w", VARIANT)})
        assert window.in_function
        functions = {"key_func": "key", "reduce_func": "window", "window_size_func": "size"}
        nothing: dict[str, Any] = {f"T{name}_other_arguments": [] for name in functions}
        batch = graph.add(
            "windows", "GroupByWindowDataset", _range(graph), **functions, **nothing, **_NUMBERS
        )
        del meta.graph_def.library.function[0]
        return batch

    return _dataset_model(build)


@place()
def dataset_generator(attack: Attack, targets: Targets) -> Model:
    """The function that starts a generator attacks."""

    def build(meta: Any, graph: Body) -> str:
        hostile_function(meta, attack, targets, "start", takes=(), value=0, gives=INT64)
        hostile_function(meta, None, targets, "next", takes=(INT64,))
        functions = {"init_func": "start", "next_func": "next", "finalize_func": "next"}
        nothing: dict[str, Any] = {f"T{name}_args": [] for name in functions}
        numbers = graph.add("generator", "GeneratorDataset", **functions, **nothing, **_NUMBERS)
        return graph.add("one", "TakeDataset", numbers, graph.const("count", 1, INT64), **_NUMBERS)

    return _dataset_model(build)


@place()
def one_shot_iterator(attack: Attack, targets: Targets) -> Model:
    """The function that makes the dataset of an iterator attacks."""
    meta = base_model()
    graph = Body(meta.graph_def)
    body = hostile_function(meta, attack, targets, takes=(), value=0, gives=INT64)
    body.message.ret["r"] = _endless(body, _range(body, "inner_"), "inner_")
    body.message.signature.output_arg[0].type = VARIANT
    iterator = graph.add("iterator", "OneShotIterator", dataset_factory="evil", **_NUMBERS)
    graph.add("element", "IteratorGetNext", iterator, **_NUMBERS)
    return Model((finish(meta, "element"),))


@place()
def iterator_made_at_start(attack: Attack, targets: Targets) -> Model:
    """The init op makes an iterator whose elements attack when the output asks for one."""
    meta = base_model()
    graph = Body(meta.graph_def)
    hostile_function(meta, attack, targets, takes=(INT64,))
    mapped = graph.add("mapped", "MapDataset", _range(graph), f="evil", Targuments=[], **_NUMBERS)
    graph.add("iterator", "IteratorV2", shared_name="i", container="", **_NUMBERS)
    graph.add("make", "MakeIterator", _endless(graph, mapped), "iterator")
    set_init_op(meta, "make")
    graph.add("element", "IteratorGetNext", "iterator", **_NUMBERS)
    return Model((finish(meta, "element"),))
