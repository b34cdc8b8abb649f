"""The demo from end to end: read, train, export, score, recommend, show."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from tf2spark.demo import data, show
from tf2spark.demo.show_films import show_recommended
from tf2spark.demo.train import EPOCHS, export, need_tensorflow, train
from tf2spark.errors import OutputError
from tf2spark.model import SavedModel
from tf2spark.recommend.explain import RecommendPlan
from tf2spark.spark.session import running

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MADE_BY = "Made by `tf2spark demo`, which replaces what is listed here when it runs again.\n"
_ABOUT = """
model/           a SavedModel that Keras exported, in a version folder as TF Serving has it
ratings.parquet  ratings of MovieLens 100k that the model was not trained on
scored.parquet   the same rows as Spark wrote them, with the model's column `predicted`
users.parquet    one row a user; `seen` lists the films that they rated in the training data
films.parquet    one row a film
recommendations.parquet
                 of each user, the ten films not in `seen` that the model puts first
"""
# Ten thousand rows are scored, and thousands of users served, before one can tell how fast.
_TIMES = 100
_CROWDS = 20
_BEST = 10
_OURS = (
    "model",
    "ratings.parquet",
    "scored.parquet",
    "users.parquet",
    "films.parquet",
    "recommendations.parquet",
)


def run_demo(
    folder: Path,
    *,
    seed: int = 7,
    rows: int | None = None,
    epochs: int = EPOCHS,
    console: Console | None = None,
) -> None:
    """Train a model on MovieLens 100k, score ratings it hasn't seen, recommend films, show it all.

    Args:
        folder: Where the files go; made if it isn't there, replaced if an earlier demo made it.
        seed: Of the ratings held out, the model's weights and the users shown.
        rows: How many of the 99,985 ratings to use; all by default.
        epochs: How often the training goes through them.
        console: Where to write; stdout by default.

    Raises:
        OutputError: `folder` is something else than the folder of an earlier demo.
        SetupError: The data, TensorFlow, PySpark or Java is missing.
    """
    console = console or Console(highlight=False)
    check_folder(folder)
    need_tensorflow()
    source = data.find_folder()
    make_folder(folder)
    console.print("\n[bold]tf2spark demo[/] [dim]· how many stars does a user give a film?[/]\n")
    with ExitStack() as stack:
        # First, because the likeliest thing to be missing is Java.
        with _step(console, "Starting Spark") as done:
            spark = stack.enter_context(running("local[*]"))
            done(f"Started Spark {spark.version} on this machine")
        ratings = _read(console, source, folder, seed, rows)
        _train(console, ratings.train, folder / "model" / "1", epochs, seed)
        _score(console, spark, folder, len(ratings.held_out))
        plan = _recommend(console, spark, folder)
    scored = pq.read_table(folder / "scored.parquet")
    show.show_scores(console, scored, ratings.train, seed)
    recommended = pq.read_table(folder / "recommendations.parquet")
    show_recommended(console, recommended, ratings, show.choose_users(scored, seed), plan)
    show.show_files(console, folder)


def check_folder(folder: Path) -> None:
    """Raise an OutputError where `folder` is anything but new, empty or an earlier demo's."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f'"{folder}" is a file; choose another folder with --out')
    about = folder / "README.txt"
    if about.is_file() and about.read_text(errors="replace").startswith(_MADE_BY):
        return
    if others := sorted(one.name for one in folder.iterdir()):
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise OutputError(
            f'"{folder}" holds other files ({others[0]}{more}) and was not made by the demo; '
            "choose another folder with --out"
        )


def make_folder(folder: Path) -> None:
    """Make `folder`, or remove from it what an earlier demo wrote; other files stay."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Written first, so that a demo that is broken off can be run again.
        (folder / "README.txt").write_text(_MADE_BY + _ABOUT)
        for old in (folder / name for name in _OURS):
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f'can\'t write to "{folder}": {error.strerror or error}') from error


def _read(
    console: Console, source: Path, folder: Path, seed: int, rows: int | None
) -> data.Ratings:
    with _step(console, "Reading MovieLens 100k") as done:
        ratings = data.split(data.read_ratings(source), seed=seed, rows=rows)
        pq.write_table(ratings.held_out, folder / "ratings.parquet")
        pq.write_table(data.users_of(ratings), folder / "users.parquet")
        pq.write_table(data.films_of(ratings), folder / "films.parquet")
        done(f"Read MovieLens 100k: {_summary(ratings)}")
    return ratings


def _train(console: Console, ratings: pa.Table, folder: Path, epochs: int, seed: int) -> None:
    with _step(console, "Starting TensorFlow") as done:

        def tell(epoch: int) -> None:
            done(f"Training a Keras model, {epoch} of {epochs} epochs")

        model = train(ratings, epochs=epochs, seed=seed, on_epoch=tell)
        export(model, folder)
        done(f"Trained a Keras model on {len(ratings):,} of them and exported it as a SavedModel")


def _score(console: Console, spark: SparkSession, folder: Path, rows: int) -> None:
    table = spark.read.parquet(_uri(folder / "ratings.parquet"))
    with _step(console, "Scoring the others on Spark") as done:
        model = SavedModel(folder / "model")
        model.score(table).write.parquet(_uri(folder / "scored.parquet"))
        done(f"Scored the {rows:,} others on Spark")
    with _step(console, f"Scoring them {_TIMES} times over") as done:
        started = time.perf_counter()
        # The hint leaves the partitions to the numbers, which have one for each core.
        many = spark.range(_TIMES).crossJoin(table.hint("broadcast"))
        model.score(many).write.format("noop").mode("overwrite").save()
        rate = rows * _TIMES / (time.perf_counter() - started)
        done(f"Scored them {_TIMES} times over: {rows * _TIMES:,} rows, {rate:,.0f} rows/s")


def _recommend(console: Console, spark: SparkSession, folder: Path) -> RecommendPlan:
    files = [folder / "users.parquet", folder / "films.parquet"]
    users, films = (spark.read.parquet(_uri(file)) for file in files)
    user_count, film_count = (pq.read_metadata(file).num_rows for file in files)
    model = SavedModel(folder / "model")
    with _step(console, f"Recommending films to {user_count:,} users") as done:
        best = _best(model.recommend, users, films)
        best.write.parquet(_uri(folder / "recommendations.parquet"))
        done(
            f"Recommended {_BEST} of {film_count:,} films to each of {user_count:,} users on Spark"
        )
    with _step(console, f"Recommending {_CROWDS} times over") as done:
        started = time.perf_counter()
        many = spark.range(_CROWDS).crossJoin(users.hint("broadcast"))
        _best(model.recommend, many, films).write.format("noop").mode("overwrite").save()
        pairs = user_count * _CROWDS * film_count
        rate = pairs / (time.perf_counter() - started)
        done(f"Recommended {_CROWDS} times over: {pairs:,} pairs, {rate:,.0f} pairs/s")
    # In this process, where the films' part takes no Spark job.
    return cast("RecommendPlan", _best(model.plan, *map(pq.read_table, files)))


def _best(what: Callable[..., Any], users: Any, films: Any) -> Any:
    return what(users, films, k=_BEST, user_id="user", item_id="film", exclude="seen")


@contextmanager
def _step(console: Console, doing: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done and, when it is, what was last said of it and how long it took."""
    said = doing
    started = time.perf_counter()
    with console.status(f"{doing} ...") as status:

        def say(text: str) -> None:
            nonlocal said
            said = text
            status.update(f"{text} ...")

        yield say
    seconds = time.perf_counter() - started
    console.print(f"[green]✓[/] {said} [dim]· {seconds:.1f} s[/]", soft_wrap=True)


def _summary(ratings: data.Ratings) -> str:
    both = pa.concat_tables([ratings.train, ratings.held_out])
    films, users = len(both["film"].unique()), len(both["user"].unique())
    return f"{len(both):,} ratings of {films:,} films by {users:,} users"


def _uri(path: Path) -> str:
    # Not as_uri(): Hadoop takes %20 for what it is, and not for a space.
    return f"file://{path.resolve()}"
