"""What a hostile model tries to do, as nodes that are added to a graph or to a function's body.

The last of them is called "attack": whatever makes it run is hidden by `hostile.hiding_places`. The
attacks themselves are in `hostile.writing_attacks`, `reading_attacks` and `reaching_attacks`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from hostile.graphs import (
    INT64,
    Body,
)

ATTACK = "attack"


@frozen
class Targets:
    """What the attacks on this machine aim at.

    Attributes:
        canary: A folder that must stay empty.
        secrets: A folder whose files must not be opened.
        port: A port of this machine to which nothing may connect.
    """

    canary: Path
    secrets: Path
    port: int

    @property
    def written(self) -> str:
        """A file that doesn't exist."""
        return str(self.canary / "written")

    @property
    def secret(self) -> str:
        """A text file that nobody but its owner should read."""
        return str(self.secrets / "secret.txt")


Build = Callable[[Body, Targets], object]


@frozen
class Attack:
    """An op that a model must not run.

    Attributes:
        op: The op that the check must refuse.
        build: Adds the nodes.
        is_live: Whether the harness sees the attack when the op is allowed: otherwise the op needs
            a peer, a device or a file format that isn't there, or only computes.
        also: Other ops of the refused list that it takes.
    """

    op: str
    build: Build
    is_live: bool
    also: tuple[str, ...] = ()

    @property
    def ops(self) -> list[str]:
        """The ops that a user has to allow for it to run."""
        return [self.op, *self.also]


HARMLESS = Attack("NoOp", lambda body, targets: body.add(ATTACK, "NoOp"), is_live=False)
"""No attack at all: a place that hides it is a good model."""

ATTACKS: dict[str, Attack] = {}


def attack(op: str, *also: str, name: str = "", live: bool = True) -> Callable[[Build], Build]:
    """Register a function as an attack, under the op's name if it gets no other."""

    def register(build: Build) -> Build:
        ATTACKS[name or op] = Attack(op, build, live, also)
        return build

    return register


def read_elements(body: Body, dataset: str, *dtypes: int) -> None:
    """Read the first element of a dataset."""
    body.add(
        ATTACK,
        "DatasetToSingleElement",
        dataset,
        output_types=dtypes,
        output_shapes=[None] * len(dtypes),
    )


def keep(body: Body, value: str, dtype: int) -> None:
    """Let an op with a side effect take a value, or TensorFlow would optimize it away."""
    body.add(ATTACK, "Assert", body.const("true", True), value, T=[dtype])


def one_number(body: Body) -> str:
    """Add a dataset of one integer."""
    start, stop, step = (
        body.const(name, value, INT64) for name, value in (("from", 0), ("to", 1), ("step", 1))
    )
    return body.add(
        "numbers", "RangeDataset", start, stop, step, output_types=[INT64], output_shapes=[[]]
    )
