"""What is asked of a model: which of its inputs are fed and how, which outputs become columns.

A `Request` knows the model but no table, so that a `udf` can carry it to where the columns'
types become known; `bind` makes a plan of it once they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from tf2spark.binding.messages import did_you_mean, input_text, output_text
from tf2spark.columns import Column, Feed, Output, normal_feeds, normal_fetches
from tf2spark.contract import Contract, Signature, TensorSpec
from tf2spark.errors import ContractError


@frozen
class FedInput:
    """One input and what feeds it; `by_name` where nobody said so and the names must match."""

    spec: TensorSpec
    feed: Feed
    by_name: bool = False


@frozen
class FetchedOutput:
    """One output and the column that it becomes."""

    column: str
    spec: TensorSpec
    output: Output


@frozen
class Request:
    """Inputs with their feeds and outputs with their columns: the model's half of a plan."""

    inputs: tuple[FedInput, ...]
    outputs: tuple[FetchedOutput, ...]


@frozen
class Graph:
    """What a request needs to know of the graph beyond its signatures.

    Attributes:
        find: Returns the spec of a raw tensor name, or raises `ContractError`.
        needed: Given fetched and fed tensor names, returns the placeholders that the fetched
            tensors depend on and that nothing feeds, as tensor names.
    """

    find: Callable[[str], TensorSpec]
    needed: Callable[[Sequence[str], Sequence[str]], Sequence[str]]


def choose_signature(contract: Contract, name: str | None) -> Signature | None:
    """Return the signature of that name; by default ``serving_default``, or the only one.

    Raises:
        ContractError: There is none of that name, or nothing says which one is meant.
    """
    by_name = {one.name: one for one in contract.signatures}
    if name is not None:
        if name in by_name:
            return by_name[name]
        near = did_you_mean(name, by_name, label="signature")
        raise ContractError(f'the model has no signature "{name}"; {near}')
    if "serving_default" in by_name:
        return by_name["serving_default"]
    if len(by_name) > 1:
        names = ", ".join(f'"{one}"' for one in by_name)
        raise ContractError(f"the model has several signatures, choose one: signature= {names}")
    return next(iter(by_name.values()), None)


def make_request(
    contract: Contract,
    graph: Graph,
    *,
    signature: str | None = None,
    feed: Mapping[str, Any] | None = None,
    fetch: Any = None,
) -> Request:
    """Settle which inputs and outputs a call is about.

    Args:
        contract: The model's.
        graph: Looks up raw tensor names.
        signature: The signature's name; see `choose_signature`.
        feed: Input or tensor name to what feeds it. Inputs that are not named here are matched
            to columns of their own name.
        fetch: Column to output, or a list of outputs; all outputs of the signature by default.

    Raises:
        ContractError: An argument names something that the model hasn't, or an input lacks a feed.
    """
    feeds, fetches = normal_feeds(feed), normal_fetches(fetch)
    raw_only = _raw_only(feeds, fetches)
    chosen = None if raw_only and signature is None and len(contract.signatures) != 1 else (
        choose_signature(contract, signature)
    )  # fmt: skip
    outputs = _outputs(chosen, graph, fetches)
    named = _named_feeds(chosen, graph, feeds or {})
    inputs = named + _inputs_by_name(chosen, graph, named, outputs)
    return Request(tuple(inputs), tuple(outputs))


def _raw_only(feeds: Mapping[str, Feed] | None, fetches: Mapping[str, Output] | None) -> bool:
    if not feeds or not fetches:
        return False
    return all(":" in one for one in [*feeds, *(output.name for output in fetches.values())])


def _outputs(
    chosen: Signature | None, graph: Graph, fetches: dict[str, Output] | None
) -> list[FetchedOutput]:
    known = {one.name: one for one in chosen.outputs} if chosen else {}
    if fetches is None:
        if not known:
            raise ContractError(
                "the model has no signature: name tensors, as in "
                'feed={"x:0": "features"}, fetch={"score": "output:0"}'
            )
        fetches = {name: Output(name) for name in known}
    outputs = []
    for column, output in fetches.items():
        spec = known.get(output.name) or _raw(graph, output.name, known, "output")
        outputs.append(FetchedOutput(column, _with_rank(spec, output), output))
    return outputs


def _with_rank(spec: TensorSpec, output: Output) -> TensorSpec:
    if output.rank is None:
        return spec
    if spec.shape is not None and len(spec.shape) != output.rank:
        raise ContractError(f"{output_text(spec)} has not rank {output.rank}")
    return evolve(spec, shape=spec.shape or (None,) * output.rank)


def _raw(graph: Graph, name: str, known: Mapping[str, TensorSpec], label: str) -> TensorSpec:
    if ":" not in name:
        near = did_you_mean(name, known, label=label)
        raise ContractError(
            f'the signature has no {label} "{name}"; {near} '
            f'(a tensor of the graph is written with its number, "{name}:0")'
        )
    return graph.find(name)


def _named_feeds(
    chosen: Signature | None, graph: Graph, feeds: Mapping[str, Feed]
) -> list[FedInput]:
    known = {one.name: one for one in chosen.inputs} if chosen else {}
    fed = [
        FedInput(known.get(name) or _raw(graph, name, known, "input"), one)
        for name, one in feeds.items()
    ]
    seen: dict[str, str] = {}
    for one in fed:
        for tensor in one.spec.tensors:
            if tensor in seen:
                raise ContractError(f'"{seen[tensor]}" and "{one.spec.name}" both feed {tensor}')
            seen[tensor] = one.spec.name
    return fed


def _inputs_by_name(
    chosen: Signature | None, graph: Graph, fed: list[FedInput], outputs: list[FetchedOutput]
) -> list[FedInput]:
    """Return the inputs that the outputs need and nobody named: columns of their name feed them."""
    tensors = [tensor for one in fed for tensor in one.spec.tensors]
    fetched = [tensor for one in outputs for tensor in one.spec.tensors]
    needed = set(graph.needed(fetched, tensors))
    found = []
    for spec in chosen.inputs if chosen else ():
        if needed.intersection(spec.tensors):
            needed.difference_update(spec.tensors)
            found.append(FedInput(spec, Column(spec.name), by_name=True))
    if needed:
        missing = ", ".join(sorted(needed))
        wanted = ", ".join(one.column for one in outputs)
        raise ContractError(
            f"{wanted} can't be computed without a feed for {missing}: add "
            f'feed={{"{min(needed)}": "COLUMN"}}'
        )
    return found


def unmatched(request: Request, names: Sequence[str]) -> str | None:
    """Say which inputs have no column of their name, with the feed to write; None if all have."""
    lost = [one for one in request.inputs if one.by_name and one.spec.name not in names]
    if not lost:
        return None
    mend = ", ".join(f'"{one.spec.name}": {_guess(one.spec.name, names)}' for one in lost)
    listed = "; ".join(input_text(one.spec) for one in lost)
    return (
        f"no column is named as {listed}; the table has "
        f"{', '.join(map(repr, names)) or 'no columns'}: say which feeds it, feed={{{mend}}}"
    )


def _guess(name: str, names: Sequence[str]) -> str:
    near = did_you_mean(name, names, label="column")
    return near.split('"')[1].join('""') if near.startswith("did you mean") else '"COLUMN"'
