"""The request of a call: its signature is chosen, its feeds and fetches are found in the model."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from tf2spark.binding.advice.feeds import feed_advice, fetch_advice
from tf2spark.binding.argument_types import optional_name
from tf2spark.binding.calls.swapped import refuse_swapped_feed, refuse_swapped_fetch
from tf2spark.binding.feeds import Column, Constant, Feed, FeedValue, Fetch, Output
from tf2spark.binding.messages import did_you_mean, listed, output_text
from tf2spark.binding.normalize import normalize
from tf2spark.binding.outputs import RunRows
from tf2spark.binding.request import FedInput, FetchedOutput, Graph, Request, first_dims, leave_out
from tf2spark.binding.tf_example.plan import with_keys
from tf2spark.errors import Advice, ContractError, Mistakes, argument
from tf2spark.package.manifest import constant_text
from tf2spark.saved_model.contract import Contract, Signature, TensorSpec

_NO_SIGNATURE = "the model has no signature"


def choose_signature(contract: Contract, name: str | None) -> Signature | None:
    """Return the signature of that name; by default ``serving_default``, or the only one.

    Raises:
        ContractError: There is none of that name, or the choice is ambiguous.
    """
    by_name = {signature.name: signature for signature in contract.signatures}
    optional_name("signature", name, min(by_name, default="serving_default"))
    if name is not None:
        if name in by_name:
            return by_name[name]
        suggestion = did_you_mean(name, by_name, label="signature")
        raise ContractError(f'the model has no signature "{name}"', suggestion)
    if "serving_default" in by_name:
        return by_name["serving_default"]
    if len(by_name) > 1:
        raise ContractError(
            f'the model has several signatures ({listed(by_name)}) and none is "serving_default"',
            "choose one: " + argument("signature", min(by_name)),
        )
    return next(iter(by_name.values()), None)


def make_request(
    contract: Contract,
    graph: Graph,
    *,
    signature: str | None = None,
    feed: Mapping[str, FeedValue] | None = None,
    fetch: Fetch | None = None,
    batch_rows: int | None = None,
    any_rows: bool = False,
) -> Request:
    """Determine the inputs and outputs of a call.

    Args:
        contract: The model's contract.
        graph: Looks up raw tensor names.
        signature: The signature's name; see `choose_signature`.
        feed: Input or tensor name to what feeds it. Inputs that are not named here take the
            column of the same name.
        fetch: Column to output, or a list of outputs; by default all outputs of the signature that
            a column can hold.
        batch_rows: The maximum number of rows in one run; None for the default.
        any_rows: Outputs needn't have one entry per row.

    Raises:
        ContractError: An argument names something that the model doesn't have, or an input has no
            feed.
    """
    feeds, fetches = normalize(feed, fetch)
    feeds = _drop_compiled(contract, feeds or {})
    mistakes = Mistakes()
    chosen = _choose(contract, signature, feeds, fetches)
    with mistakes.collected():
        named = _named_inputs(contract, chosen, graph, feeds)
    with mistakes.collected():
        outputs = _outputs(contract, chosen, graph, fetches)
    mistakes.raise_all()
    state_rows = _state_rows(graph, chosen, named, outputs)
    left_out: list[tuple[str, str]] = []
    if fetches is None:
        rows = RunRows(single=any_rows or batch_rows == 1, fixed=state_rows)
        if not rows.single and state_rows is None:
            rows = evolve(rows, fixed=_fixed_rows(chosen, feeds, outputs, batch_rows))
        outputs, left_out = leave_out(outputs, rows)
    unnamed = _unnamed_inputs(chosen, graph, named, outputs)
    return Request((*named, *unnamed), tuple(outputs), state_rows, tuple(left_out), fetches is None)


def _state_rows(
    graph: Graph, chosen: Signature | None, named: list[FedInput], outputs: list[FetchedOutput]
) -> int | None:
    """Return the batch size of the model's state, if an output has it and no input does."""
    sizes = first_dims(fetched.spec for fetched in outputs) - {1}
    fed = [fed.spec for fed in named] + list(chosen.inputs if chosen else ())
    if not sizes or sizes & first_dims(fed):
        return None
    kept = graph.state_rows(
        [tensor for fetched in outputs for tensor in fetched.spec.tensors],
        [tensor for spec in fed for tensor in spec.tensors],
    )
    return min(sizes.intersection(kept), default=None)


def _fixed_rows(
    chosen: Signature | None,
    feeds: Mapping[str, Feed],
    outputs: list[FetchedOutput],
    batch_rows: int | None,
) -> int | None:
    """Return the fixed number of rows of a run, as far as signature and call tell."""
    inputs = chosen.inputs if chosen else ()
    sizes = first_dims(spec for spec in inputs if not isinstance(feeds.get(spec.name), Constant))
    if not sizes and batch_rows in first_dims(fetched.spec for fetched in outputs):
        return batch_rows
    return sizes.pop() if len(sizes) == 1 else None


def _drop_compiled(contract: Contract, feeds: Mapping[str, Feed]) -> dict[str, Feed]:
    """Drop feeds of inputs that are compiled into a package with the same value."""
    compiled = dict(contract.package.constants) if contract.package else {}
    for name, feed in feeds.items():
        is_same = isinstance(feed, Constant) and constant_text(feed.value) == compiled.get(name)
        if name in compiled and not is_same:
            raise ContractError(
                f'input "{name}" is compiled into the package as {compiled[name]}',
                "do not feed it, or compile the model again",
            )
    return {name: feed for name, feed in feeds.items() if name not in compiled}


def _choose(
    contract: Contract,
    name: str | None,
    feeds: Mapping[str, Feed],
    fetches: Mapping[str, Output] | None,
) -> Signature | None:
    """Choose the signature; a call that names only raw tensors needs none."""
    try:
        return choose_signature(contract, name)
    except ContractError:
        raw = [*feeds, *(output.name for output in (fetches or {}).values())]
        if name is None and feeds and fetches and all(":" in tensor for tensor in raw):
            return None
        raise


def _outputs(
    contract: Contract,
    chosen: Signature | None,
    graph: Graph,
    fetches: Mapping[str, Output] | None,
) -> list[FetchedOutput]:
    known = {spec.name: spec for spec in chosen.outputs} if chosen else {}
    if fetches is None:
        if not known:
            raise ContractError(
                f'the signature "{chosen.name}" has no output' if chosen else _NO_SIGNATURE,
                "name tensors, as in "
                + feed_advice({"x:0": Column("COLUMN")})
                + Advice(", ", " ")
                + fetch_advice({"score": Output("y:0")}),
            )
        fetches = {name: Output(name) for name in known}
    refuse_swapped_fetch(chosen, fetches)
    mistakes, outputs = Mistakes(), []
    for column, output in fetches.items():
        with mistakes.collected():
            spec = known.get(output.name)
            spec = spec or _raw_tensor(contract, chosen, graph, output.name, "output")
            outputs.append(FetchedOutput(column, _with_rank(spec, output), output))
    mistakes.raise_all()
    return outputs


def _with_rank(spec: TensorSpec, output: Output) -> TensorSpec:
    if output.rank is None:
        return spec
    if spec.shape is not None and len(spec.shape) != output.rank:
        raise ContractError(
            f"{output_text(spec)} has rank {len(spec.shape)}, not {output.rank}",
            "name the output without a rank",
        )
    return evolve(spec, shape=spec.shape or (None,) * output.rank)


def _raw_tensor(
    contract: Contract, chosen: Signature | None, graph: Graph, name: str, label: str
) -> TensorSpec:
    if ":" in name:
        return graph.find(name)
    tensor = f'(a tensor of the graph has a number after its name, "{name}:0")'
    if chosen is None:
        raise ContractError(f'{_NO_SIGNATURE}, so there is no {label} "{name}" {tensor}')
    for other in contract.signatures:
        if name in (spec.name for spec in _specs(other, label)):
            raise ContractError(
                f'the signature "{chosen.name}" has no {label} "{name}", but "{other.name}" has',
                "write " + argument("signature", other.name),
            )
    suggestion = did_you_mean(name, (spec.name for spec in _specs(chosen, label)), label=label)
    raise ContractError(
        f'the signature "{chosen.name}" has no {label} "{name}"', f"{suggestion} {tensor}"
    )


def _specs(signature: Signature, label: str) -> tuple[TensorSpec, ...]:
    return signature.inputs if label == "input" else signature.outputs


def _named_inputs(
    contract: Contract, chosen: Signature | None, graph: Graph, feeds: Mapping[str, Feed]
) -> list[FedInput]:
    known = {spec.name: spec for spec in chosen.inputs} if chosen else {}
    refuse_swapped_feed(contract, chosen, feeds)
    mistakes, named = Mistakes(), []
    for name, feed in feeds.items():
        with mistakes.collected():
            spec = known.get(name) or _raw_tensor(contract, chosen, graph, name, "input")
            named.append(FedInput(spec, with_keys(spec, feed)))
    mistakes.raise_all()
    seen: dict[str, str] = {}
    for spec in (fed.spec for fed in named):
        for tensor in spec.tensors:
            if tensor in seen:
                raise ContractError(
                    f'feed: "{seen[tensor]}" and "{spec.name}" are the same tensor, "{tensor}"',
                    "name only one of them",
                )
            seen[tensor] = spec.name
    return named


def _unnamed_inputs(
    chosen: Signature | None, graph: Graph, named: list[FedInput], outputs: list[FetchedOutput]
) -> list[FedInput]:
    """Return the inputs that the outputs need and the call doesn't name; columns match by name."""
    fed = {tensor for named_input in named for tensor in named_input.spec.tensors}
    # An input that shares a tensor with a named one (part of a sparse input, say) is not fed twice.
    specs = [spec for spec in (chosen.inputs if chosen else ()) if fed.isdisjoint(spec.tensors)]
    unfed = graph.unfed(
        [tensor for output in outputs for tensor in output.spec.tensors],
        fed,
        [tensor for spec in specs for tensor in spec.tensors],
    )
    required, optional = set(unfed.required), set(unfed.optional)
    unnamed = []
    for spec in specs:
        tensors = set(spec.tensors)
        if tensors & required:
            unnamed.append(FedInput(spec, Column(spec.name), by_name=True))
        elif tensors & optional and spec.shape != ():
            # A column can't feed an input of one value per batch, so its default always applies.
            unnamed.append(FedInput(spec, Column(spec.name), by_name=True, optional=True))
        required -= tensors
        optional -= tensors
    if required:
        names = ", ".join(f'"{output.spec.name}"' for output in outputs)
        raise ContractError(
            f"{names} can't be computed without {listed(sorted(required))}",
            "write " + feed_advice({min(required): Column("COLUMN")}) + ", or feed a constant",
        )
    return unnamed
