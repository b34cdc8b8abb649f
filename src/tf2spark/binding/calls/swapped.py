"""Feeds and fetches whose names and values have changed places."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from tf2spark.binding.advice.feeds import feed_advice, fetch_advice
from tf2spark.binding.feeds import Column, Feed, Output
from tf2spark.binding.messages import listed, near_names
from tf2spark.errors import Advice, ContractError
from tf2spark.saved_model.contract import Contract, Signature


def refuse_swapped_fetch(chosen: Signature | None, fetches: Mapping[str, Output]) -> None:
    """Refuse a mapping of outputs to new columns; it is the other way round.

    Raises:
        ContractError: It is one.
    """
    known = {spec.name for spec in chosen.outputs} if chosen else set()
    swapped = {output.name: evolve(output, name=name) for name, output in fetches.items()}
    is_swapped = known.issuperset(fetches) and len(swapped) == len(fetches)
    if not chosen or not is_swapped or any(name in known or ":" in name for name in swapped):
        return
    meant = {name: evolve(output, name=name) for name, output in fetches.items()}
    raise ContractError(
        f'the signature "{chosen.name}" has no output {listed(swapped)}, but it has '
        f"{listed(fetches)}",
        _meant({output.name: name for name, output in fetches.items()}, fetch_advice(meant))
        + "fetch maps new columns to outputs: write "
        + fetch_advice(swapped),
    )


def refuse_swapped_feed(
    contract: Contract, chosen: Signature | None, feeds: Mapping[str, Feed]
) -> None:
    """Refuse a mapping of columns to inputs; it is the other way round.

    Raises:
        ContractError: It is one.
    """
    known = {spec.name for spec in chosen.inputs} if chosen else set()
    elsewhere = {spec.name for signature in contract.signatures for spec in signature.inputs}
    paths = {name: feed.path for name, feed in feeds.items() if isinstance(feed, Column)}
    columns = {path: Column(name) for name, path in paths.items()}
    unknown = {name: path for name, path in paths.items() if name not in known and ":" not in name}
    is_swapped = known.issuperset(columns) and len(columns) == len(feeds)
    if not chosen or not unknown or not is_swapped or elsewhere.intersection(unknown):
        return
    meant = {unknown.get(name, name): feed for name, feed in feeds.items()}
    raise ContractError(
        f'the signature "{chosen.name}" has no input {listed(unknown)}, but it has '
        f"{listed(columns)}",
        _meant(unknown, feed_advice(meant))
        + "feed maps inputs to columns: write "
        + feed_advice(columns),
    )


def _meant(beside: Mapping[str, str], advice: Advice) -> Advice:
    """Ask whether unknown names are misspelled, if each looks like the known name beside it."""
    if not all(near_names(name, [known]) for name, known in beside.items()):
        return Advice("", "")
    return "did you mean " + advice + "? Otherwise, "
