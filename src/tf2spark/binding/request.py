"""What is asked of a model: which of its inputs are fed and how, which outputs become columns.

A `Request` knows the model but no table, so that a `udf` can carry it to where the columns'
types become known; `bind` makes a plan of it once they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from tf2spark.binding.constants import example
from tf2spark.binding.feeds import Column, Constant, Feed, Output, normal_feeds, normal_fetches
from tf2spark.binding.messages import (
    did_you_mean,
    input_text,
    listed,
    near_names,
    output_text,
)
from tf2spark.errors import ContractError
from tf2spark.package.manifest import constant_text
from tf2spark.saved_model.contract import Contract, Signature, TensorSpec

_NO_SIGNATURE = "the model has no signature"


@frozen
class FedInput:
    """One input and what feeds it.

    Attributes:
        spec: The input.
        feed: What feeds it.
        by_name: Nobody named a feed: it takes the column of its own name.
        optional: Where there is no such column, the model's own default stands.
        exact: Rows aren't filled up: see `InputPlan`.
    """

    spec: TensorSpec
    feed: Feed
    by_name: bool = False
    optional: bool = False
    exact: bool = False


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
class Unfed:
    """Tensors that fetched ones depend on and that nothing feeds yet.

    Attributes:
        required: Those without a value: placeholders, and inputs of the signature.
        optional: Those that the model has a default for.
    """

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


@frozen
class Graph:
    """What a request needs to know of the graph beyond its signatures.

    Attributes:
        find: Returns the spec of a raw tensor name, or raises `ContractError`.
        unfed: Given the names of the fetched tensors, of the fed ones and of all that the
            signature's inputs feed, returns which of the latter, and which placeholders, the
            fetched ones depend on.
    """

    find: Callable[[str], TensorSpec]
    unfed: Callable[[Collection[str], Collection[str], Collection[str]], Unfed]


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
        raise ContractError(
            f"the model has several signatures ({listed(by_name)}) and none is "
            f'"serving_default"; choose one: signature="{min(by_name)}"'
        )
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
    feeds, fetches = normal_feeds(feed) or {}, normal_fetches(fetch)
    feeds = _without_compiled(contract, feeds)
    chosen = _chosen(contract, signature, feeds, fetches)
    outputs = _outputs(contract, chosen, graph, fetches)
    named = _named_inputs(contract, chosen, graph, feeds)
    unnamed = _unnamed_inputs(chosen, graph, named, outputs)
    return Request((*named, *unnamed), tuple(outputs))


def _without_compiled(contract: Contract, feeds: Mapping[str, Feed]) -> dict[str, Feed]:
    """Leave out feeds of inputs that are part of a package's graph with the same value."""
    compiled = dict(contract.package.constants) if contract.package else {}
    for name, one in feeds.items():
        same = isinstance(one, Constant) and constant_text(one.value) == compiled.get(name)
        if name in compiled and not same:
            raise ContractError(
                f'input "{name}" is compiled into the package as {compiled[name]}: leave it out of '
                "feed, or compile the model again"
            )
    return {name: one for name, one in feeds.items() if name not in compiled}


def _chosen(
    contract: Contract,
    name: str | None,
    feeds: Mapping[str, Feed],
    fetches: Mapping[str, Output] | None,
) -> Signature | None:
    """Choose the signature; where only raw tensors are named, none need be meant."""
    try:
        return choose_signature(contract, name)
    except ContractError:
        raw = [*feeds, *(output.name for output in (fetches or {}).values())]
        if name is None and feeds and fetches and all(":" in one for one in raw):
            return None
        raise


def _outputs(
    contract: Contract,
    chosen: Signature | None,
    graph: Graph,
    fetches: Mapping[str, Output] | None,
) -> list[FetchedOutput]:
    known = {one.name: one for one in chosen.outputs} if chosen else {}
    if fetches is None:
        if not known:
            what = f'the signature "{chosen.name}" has no output' if chosen else _NO_SIGNATURE
            raise ContractError(
                f'{what}: name tensors, as in feed={{"x:0": "COLUMN"}}, fetch={{"score": "y:0"}}'
            )
        fetches = {name: Output(name) for name in known}
    outputs = []
    for column, output in fetches.items():
        spec = known.get(output.name) or _raw(contract, chosen, graph, output.name, "output")
        outputs.append(FetchedOutput(column, _with_rank(spec, output), output))
    return outputs


def _with_rank(spec: TensorSpec, output: Output) -> TensorSpec:
    if output.rank is None:
        return spec
    if spec.shape is not None and len(spec.shape) != output.rank:
        raise ContractError(
            f"{output_text(spec)} has rank {len(spec.shape)}, not {output.rank}: leave rank= out"
        )
    return evolve(spec, shape=spec.shape or (None,) * output.rank)


def _raw(
    contract: Contract, chosen: Signature | None, graph: Graph, name: str, label: str
) -> TensorSpec:
    if ":" in name:
        return graph.find(name)
    tensor = f'(a tensor of the graph is written with its number, "{name}:0")'
    if chosen is None:
        raise ContractError(f'{_NO_SIGNATURE} and so no {label} "{name}" {tensor}')
    for other in contract.signatures:
        if name in (one.name for one in _specs(other, label)):
            raise ContractError(
                f'the signature "{chosen.name}" has no {label} "{name}", "{other.name}" has: '
                f'signature="{other.name}"'
            )
    near = did_you_mean(name, (one.name for one in _specs(chosen, label)), label=label)
    raise ContractError(f'the signature "{chosen.name}" has no {label} "{name}"; {near} {tensor}')


def _specs(signature: Signature, label: str) -> tuple[TensorSpec, ...]:
    return signature.inputs if label == "input" else signature.outputs


def _named_inputs(
    contract: Contract, chosen: Signature | None, graph: Graph, feeds: Mapping[str, Feed]
) -> list[FedInput]:
    known = {one.name: one for one in chosen.inputs} if chosen else {}
    named = [
        FedInput(known.get(name) or _raw(contract, chosen, graph, name, "input"), one)
        for name, one in feeds.items()
    ]
    seen: dict[str, str] = {}
    for one in named:
        for tensor in one.spec.tensors:
            if tensor in seen:
                raise ContractError(
                    f'feed: "{seen[tensor]}" and "{one.spec.name}" are the same tensor, '
                    f'"{tensor}"; name one of them'
                )
            seen[tensor] = one.spec.name
    return named


def _unnamed_inputs(
    chosen: Signature | None, graph: Graph, named: list[FedInput], outputs: list[FetchedOutput]
) -> list[FedInput]:
    """Return the inputs that the outputs need and nobody named: columns of their name feed them."""
    fed = {tensor for one in named for tensor in one.spec.tensors}
    # An input that shares a tensor with a named one (a part of a sparse input, say) is left to it.
    specs = [spec for spec in (chosen.inputs if chosen else ()) if fed.isdisjoint(spec.tensors)]
    unfed = graph.unfed(
        [tensor for one in outputs for tensor in one.spec.tensors],
        fed,
        [tensor for spec in specs for tensor in spec.tensors],
    )
    required, optional = set(unfed.required), set(unfed.optional)
    found = []
    for spec in specs:
        tensors = set(spec.tensors)
        if tensors & required:
            found.append(FedInput(spec, Column(spec.name), by_name=True))
        elif tensors & optional and spec.shape != ():
            # A column can't feed a single value, so its default always stands.
            found.append(FedInput(spec, Column(spec.name), by_name=True, optional=True))
        required -= tensors
        optional -= tensors
    if required:
        wanted = ", ".join(f'"{one.spec.name}"' for one in outputs)
        raise ContractError(
            f"{wanted} can't be computed without {listed(sorted(required))}: "
            f'feed={{"{min(required)}": "COLUMN"}}, or a constant'
        )
    return found


def unmatched(request: Request, names: Sequence[str]) -> str | None:
    """Say which inputs have no column of their name, with the feed to write; None if all have."""
    lost = [
        one.spec
        for one in request.inputs
        if one.by_name and not one.optional and one.spec.name not in names
    ]
    if not lost:
        return None
    guesses = {spec.name: _guess(spec, names) for spec in lost}
    feeds = ", ".join(f'"{name}": {guess}' for name, guess in guesses.items())
    what = "say what feeds it" if len(lost) == 1 else "say what feeds them"
    mend = f"{what}: feed={{{feeds}}}"
    if all(near_names(spec.name, names) for spec in lost):
        mend = f"did you mean feed={{{feeds}}}?"
    columns = f"its columns are {listed(names)}" if names else "it has no columns"
    inputs = " and ".join(input_text(spec) for spec in lost)
    return f"the table has no column named as {inputs}; {columns}; {mend}"


def _guess(spec: TensorSpec, names: Sequence[str]) -> str:
    if near := near_names(spec.name, names):
        return f'"{near[0]}"'
    return example(spec) if spec.shape == () else '"COLUMN"'
