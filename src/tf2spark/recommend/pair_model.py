"""The model that is taken apart: frozen, in a folder, with its inputs as the user named them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from tf2spark.package.manifest import Weight
from tf2spark.plan.score import ModelRef
from tf2spark.recommend.sides import SidedInput
from tf2spark.saved_model.contract import TensorSpec


@frozen(eq=False)
class CatalogModel:
    """A model that scores pairs.

    Attributes:
        meta_graph: Its MetaGraph; frozen, unless `why_as_it_is`.
        folder: Where its files lie, unpacked.
        tags: The tags of its MetaGraph.
        weights: Tensors that are fed from files.
        inputs: Its inputs by the names of the signature that was compiled.
        score: The output that ranks.
        column: Which entry of its rows; None where there is one.
        why_as_it_is: Why it couldn't be compiled, so that it can't be taken apart; or None.
        copy_strings: See `safety.retains_strings`.
    """

    meta_graph: Any
    folder: Path
    tags: tuple[str, ...]
    weights: tuple[Weight, ...]
    inputs: dict[str, TensorSpec]
    score: TensorSpec
    column: int | None
    why_as_it_is: str | None = None
    copy_strings: bool = False

    def reference(self) -> ModelRef:
        """Return what a session is opened by; it is keyed by the folder."""
        return ModelRef(
            str(self.folder),
            self.tags,
            str(self.folder),
            copy_strings=self.copy_strings,
            weights=self.weights,
        )

    def specified(self, inputs: tuple[SidedInput, ...]) -> tuple[SidedInput, ...]:
        """Return inputs with the tensors that they have here, without those compiled in."""
        return tuple(each for each in map(self._specified, inputs) if each is not None)

    def _specified(self, one: SidedInput) -> SidedInput | None:
        if self.why_as_it_is is not None:
            return one
        spec = self.inputs.get(one.fed.spec.name.partition(":")[0])
        if spec is None:
            return None
        named = evolve(spec, name=one.fed.spec.name)
        return evolve(one, fed=evolve(one.fed, spec=named))
