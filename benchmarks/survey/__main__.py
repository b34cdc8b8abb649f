"""``python -m benchmarks.survey [FOLDER]``: write the models, split them, print the table."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.environments import SURVEY, python_of
from benchmarks.survey.split import Outcome, outcomes

_ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = Path(__file__).with_name("SURVEY.md")
_JAX = """
## Models of JAX

A model that jax2tf has exported is one op, `XlaCallModule`, which holds a StableHLO module as MLIR
bytecode. No rule sees what is inside, so it runs whole. This was looked at with JAX 0.10.2: two
embeddings side by side, a layer with ReLU, and one with a sigmoid, for any number of rows. The
weights are inputs of the op, and the module takes 3.5 kB. To split it would take

- a reader of the bytecode on the driver. TensorFlow 2.21 has it, without JAX, behind names that
  aren't public: `stablehlo.deserialize_portable_artifact_str`, and then a pass pipeline of
  `inline,canonicalize`, which returns the module as text, its functions inlined, in 0.04 s. What is
  left is a parser of that text;
- the number of rows, followed through the module: more than half of its 68 ops are constants,
  compute shapes (`get_dimension_size`, `reshape`, `concatenate`) or spread constants to them
  (`dynamic_broadcast_in_dim`), which TensorFlow's broadcasting does; `custom_call @shape_assertion`
  goes;
- ops of TensorFlow for the rest: `dot_general` to `MatMul`, `add`, `maximum`, `negate`,
  `exponential`, `divide`, `concatenate`, and `gather` of whole rows to `GatherV2` of ids that are
  clamped, after `compare` and `select` have made negative ones count from the end. A
  `dynamic_gather` takes the last column; it becomes a slice;
- a comparison with what `XlaCallModule` gives, as for any split graph.

These are some twenty translations for a model of layers and embeddings.
"""


def main(folder: Path) -> int:
    """Write SURVEY.md; return 1 if scores differ from TensorFlow's, or a model fails."""
    if not any(folder.glob("*/expected.npz")):
        _write_models(folder)
    survey = outcomes(folder)
    DOCUMENT.write_text("\n".join(_lines(survey)) + "\n")
    print(DOCUMENT.read_text())
    return int(not all(outcome.agrees for outcome in survey))


def _write_models(folder: Path) -> None:
    environment = {
        **os.environ,
        "TF_USE_LEGACY_KERAS": "1",  # DeepCTR and TensorFlow Recommenders are written for Keras 2
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [python_of(SURVEY), "-m", "benchmarks.survey.write", str(folder)]
    subprocess.run(command, check=True, cwd=_ROOT, env=environment, stderr=subprocess.DEVNULL)


def _lines(survey: Sequence[Outcome]) -> Iterator[str]:
    whole = [outcome for outcome in survey if outcome.why_whole]
    yield "# What `recommend` splits"
    yield ""
    yield (
        f"{len(survey)} published architectures, {len(whole)} of which run whole. FLOPs are those "
        "of a pair: of the whole graph, and of what is left when the rest is computed once per "
        "user and once per item; the count of the whole graph lacks ops whose sizes the exporter "
        "left open, so it may be the smaller one. The largest difference is from TensorFlow's "
        "scores of all pairs. "
        "`python -m benchmarks.survey` makes this page."
    )
    yield ""
    yield "| model | FLOPs, whole | FLOPs left | largest difference | runs whole because |"
    yield "|---|--:|--:|--:|---|"
    yield from map(_row, survey)
    yield from _JAX.rstrip().splitlines()


def _row(outcome: Outcome) -> str:
    whole, left = (f"{flops:,}" for flops in outcome.flops) if outcome.flops else ("", "")
    apart = outcome.largest_difference
    difference = "" if apart is None else f"{apart:.0e}"
    reason = outcome.failure or outcome.why_whole or ""
    return f"| {outcome.name} | {whole} | {left} | {difference} | {reason} |"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())))
