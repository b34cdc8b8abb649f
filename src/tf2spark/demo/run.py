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
from tf2spark.recommend.explanation.plan import RecommendPlan
from tf2spark.spark.session import running

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MADE_BY = "Written by `tf2spark demo`, which replaces the files below when it runs again.\n"
_ABOUT = """
model/           a SavedModel exported by Keras, in a version folder as TF Serving expects it
ratings.parquet  MovieLens 100k ratings that the model was not trained on
scored.parquet   the same rows, written by Spark, with the model's column `predicted`
users.parquet    one row per user; `seen` lists the films they rated in the training data
films.parquet    one row per film
recommendations.parquet
                 for each user, the ten films not in `seen` that the model ranks first
"""
# Repetitions, so that a run is long enough to measure a rate.
_SCORE_REPEATS = 100
_RECOMMEND_REPEATS = 20
_BEST = 10
_FILES = (
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
        folder: Where the files go; created if missing, replaced if an earlier demo wrote it.
        seed: Chooses the held-out ratings, the model's initial weights and the users shown.
        rows: How many of the 99,985 ratings to use; all by default.
        epochs: Passes of the training over them.
        console: Where to write; stdout by default.

    Raises:
        OutputError: `folder` has content that no earlier demo wrote.
        SetupError: The data, TensorFlow, PySpark or Java is missing.
    """
    console = console or Console(highlight=False)
    check_folder(folder)
    need_tensorflow()
    source = data.find_folder()
    make_folder(folder)
    console.print("\n[bold]tf2spark demo[/] [dim]· how many stars will a user give a film?[/]\n")
    with ExitStack() as stack:
        # First, because Java is the dependency most likely to be missing.
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
    """Raise an OutputError unless `folder` is new, empty or an earlier demo's."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f'"{folder}" is a file; choose another folder with --out')
    about = folder / "README.txt"
    if about.is_file() and about.read_text(errors="replace").startswith(_MADE_BY):
        return
    if others := sorted(path.name for path in folder.iterdir()):
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise OutputError(
            f'"{folder}" has other files ({others[0]}{more}) and was not written by the demo; '
            "choose another folder with --out"
        )


def make_folder(folder: Path) -> None:
    """Create `folder`, or remove what an earlier demo wrote there; other files stay."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Written first, so that an interrupted demo can be run again.
        (folder / "README.txt").write_text(_MADE_BY + _ABOUT)
        for old in (folder / name for name in _FILES):
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

        def report_epoch(epoch: int) -> None:
            done(f"Training a Keras model, epoch {epoch} of {epochs}")

        model = train(ratings, epochs=epochs, seed=seed, on_epoch=report_epoch)
        export(model, folder)
        done(f"Trained a Keras model on {len(ratings):,} of them and exported it as a SavedModel")


def _score(console: Console, spark: SparkSession, folder: Path, rows: int) -> None:
    table = spark.read.parquet(_uri(folder / "ratings.parquet"))
    with _step(console, "Scoring the others on Spark") as done:
        model = SavedModel(folder / "model")
        model.score(table).write.parquet(_uri(folder / "scored.parquet"))
        done(f"Scored the {rows:,} others on Spark")
    with _step(console, f"Scoring them {_SCORE_REPEATS} times over") as done:
        started = time.perf_counter()
        # Broadcasting the table keeps the partitions of the range, one per core.
        many = spark.range(_SCORE_REPEATS).crossJoin(table.hint("broadcast"))
        model.score(many).write.format("noop").mode("overwrite").save()
        scored_rows = rows * _SCORE_REPEATS
        rate = scored_rows / (time.perf_counter() - started)
        done(f"Scored them {_SCORE_REPEATS} times over: {scored_rows:,} rows, {rate:,.0f} rows/s")


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
    with _step(console, f"Recommending {_RECOMMEND_REPEATS} times over") as done:
        started = time.perf_counter()
        many = spark.range(_RECOMMEND_REPEATS).crossJoin(users.hint("broadcast"))
        _best(model.recommend, many, films).write.format("noop").mode("overwrite").save()
        pairs = user_count * _RECOMMEND_REPEATS * film_count
        rate = pairs / (time.perf_counter() - started)
        done(f"Recommended {_RECOMMEND_REPEATS} times over: {pairs:,} pairs, {rate:,.0f} pairs/s")
    # In this process, where the item side needs no Spark job.
    return cast("RecommendPlan", _best(model.plan, *map(pq.read_table, files)))


def _best(method: Callable[..., Any], users: Any, films: Any) -> Any:
    return method(users, films, k=_BEST, user_id="user", item_id="film", exclude="seen")


@contextmanager
def _step(console: Console, doing: str) -> Iterator[Callable[[str], None]]:
    """Show a step while it runs and, when it is done, its last status and how long it took."""
    last_status = doing
    started = time.perf_counter()
    with console.status(f"{doing} ...") as status:

        def report(text: str) -> None:
            nonlocal last_status
            last_status = text
            status.update(f"{text} ...")

        yield report
    seconds = time.perf_counter() - started
    console.print(f"[green]✓[/] {last_status} [dim]· {seconds:.1f} s[/]", soft_wrap=True)


def _summary(ratings: data.Ratings) -> str:
    both = pa.concat_tables([ratings.train, ratings.held_out])
    films, users = len(both["film"].unique()), len(both["user"].unique())
    return f"{len(both):,} ratings of {films:,} films by {users:,} users"


def _uri(path: Path) -> str:
    # Not as_uri(): Hadoop takes %20 literally, not as a space.
    return f"file://{path.resolve()}"
