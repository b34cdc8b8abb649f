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
bytecode. For `recommend`, the module is opened into ops of TensorFlow (`compile/stablehlo`), which
are then split like any others; users need no JAX. Opened ops are compared with the module itself,
within the tolerance of `recommend`, before anything is split. `score` runs the module as it is,
because XLA's sums are rounded otherwise.

TensorFlow reads and prints the module. It has a pass of its own from HLO to ops
(`stablehlo-legalize-to-hlo,tf-legalize-hlo`), which isn't used: it leaves `dynamic_gather`, which
JAX writes for a column of a batch of any size; it doesn't bound ids, as XLA does; and it computes
the shapes of matrix products by ops that `recommend` doesn't follow.

Loops with a constant number of steps (`jax.lax.scan`, Flax' and Haiku's recurrent layers) are
unrolled. A module for several platforms is opened as what it computes on CPUs, if they are among
them: TensorFlow itself tells the module where it runs.

What stays whole, with the reason in the plan:

- ops without a translation: `sort`, `convolution`, `rng`, `scatter` but for counting constants;
  integers divided by unknown ones; loops and branches that depend on values;
- a module for a fixed number of rows, or with another open size besides it; one for GPUs only;
- one that does not assert that its inputs have the same number of rows; code from outside;
- reductions along the batch, and arithmetic with the number of rows but multiples of it;
- numbers other than float32, float64, int32, int64 and booleans; floats converted to integers;
- modules of more than 64 MiB or 20,000 statements, calls followed and loops unrolled.

The error function (`jax.nn.gelu(x, approximate=False)`) of JAX 0.10.2 runs in no TensorFlow 2.21:
its StableHLO is newer.
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
