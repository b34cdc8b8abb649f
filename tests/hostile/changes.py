"""Tricks that are a good model with one thing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hostile.attacks import Targets
from hostile.graphs import FLOAT, doubling_model
from hostile.model_files import Model

Change = Callable[[Any], object]
"""Changes a MetaGraph."""
ONE_FLOAT: dict[str, Any] = {"Tin": [FLOAT], "Tout": [FLOAT]}


def changed(change: Change) -> Callable[[Targets], Model]:
    """Return a trick: a good model, changed."""

    def build(targets: Targets) -> Model:
        meta = doubling_model()
        change(meta)
        return Model((meta,))

    return build


def output_of(meta: Any) -> Any:
    return meta.signature_def["serving_default"].outputs["y"]


def set_output(path: str, value: Any) -> Change:
    """Return a change that sets a field of the output's TensorInfo."""
    return lambda meta: setattr(output_of(meta), path, value)


def last_node(change: Callable[[Any], object]) -> Change:
    return lambda meta: change(meta.graph_def.node[-1])
