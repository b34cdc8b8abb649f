"""The model that scores pairs: frozen, in a folder, with its inputs as the user named them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from tf2spark.package.manifest import FileEntry, Weight
from tf2spark.package.op_libraries import OpLibrary
from tf2spark.plan.score import ModelRef
from tf2spark.recommend.sides import SidedInput
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.saved_model.graph.loader_runs import initialization


@frozen(eq=False)
class PairModel:
    """A model that scores pairs of a user and an item.

    Attributes:
        meta_graph: Its MetaGraph; frozen, except where `why_not_compiled` is set.
        folder: The folder with its files, unpacked.
        tags: The tags of its MetaGraph.
        weights: Tensors that are fed from files.
        inputs: Its inputs by the names of the signature that was compiled.
        score: The output that ranks.
        column: Which entry of its rows is the score; None where a row has only one value.
        why_not_compiled: Why it couldn't be compiled, and so can't be split; None where it was.
        copy_strings: See `op_check.retains_strings`.
        op_libraries: The libraries of its custom ops.
        custom_ops: The ops that these provide.
        limit_seconds: See `ModelRef`.
        linked_files: Those of its files that are part of each call's model.
    """

    meta_graph: Any
    folder: Path
    tags: tuple[str, ...]
    weights: tuple[Weight, ...]
    inputs: dict[str, TensorSpec]
    score: TensorSpec
    column: int | None
    why_not_compiled: str | None = None
    copy_strings: bool = False
    op_libraries: tuple[OpLibrary, ...] = ()
    custom_ops: tuple[str, ...] = ()
    limit_seconds: float | None = None
    linked_files: tuple[FileEntry, ...] = ()

    def reference(self) -> ModelRef:
        """Return what a session is opened with; the folder stands for the digest."""
        return ModelRef(
            str(self.folder),
            self.tags,
            str(self.folder),
            copy_strings=self.copy_strings,
            weights=self.weights,
            storage="own",
            op_libraries=self.op_libraries,
            custom_ops=self.custom_ops,
            initialization=initialization(self.meta_graph),
            limit_seconds=self.limit_seconds,
        )

    def resolve_inputs(self, inputs: tuple[SidedInput, ...]) -> tuple[SidedInput, ...]:
        """Return the inputs with the tensors of this model, without those that it compiled in."""
        if self.why_not_compiled is not None:
            return inputs
        resolved = map(self._resolve, inputs)
        return tuple(sided_input for sided_input in resolved if sided_input is not None)

    def _resolve(self, sided_input: SidedInput) -> SidedInput | None:
        fed = sided_input.fed
        spec = self.inputs.get(fed.spec.name.partition(":")[0])
        if spec is None:
            return None
        # Messages name the input as the user did.
        return evolve(sided_input, fed=evolve(fed, spec=evolve(spec, name=fed.spec.name)))
