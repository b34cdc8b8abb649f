"""`tf2spark demo`: train, score and recommend on MovieLens."""

from __future__ import annotations

from pathlib import Path

import click

from tf2spark.cli.options import whole_number


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="tf2spark-demo",
    show_default=True,
    metavar="DIR",
    help="Where to write the model and the tables.",
)
@click.option(
    "--seed",
    type=whole_number(least=0),
    default=7,
    show_default=True,
    metavar="N",
    help="Determines the held-out ratings, the initial weights and the users shown.",
)
def demo(out: Path, seed: int) -> None:
    """Train a small model on real data, then score and recommend with it on Spark.

    The data is MovieLens 100k: 943 people, 1,682 films, 100,000 ratings of one to five stars. A
    Keras model is trained on nine tenths of them and exported as a SavedModel. Spark on this
    machine scores the rest with it and recommends to each person the ten best films that they
    haven't seen. This takes about a minute.

    \b
    Examples:
      tf2spark demo
      tf2spark demo --out /tmp/films --seed 1
    """
    # Imported here, so that --help loads none of it.
    from tf2spark.demo.run import run_demo

    run_demo(out, seed=seed)
