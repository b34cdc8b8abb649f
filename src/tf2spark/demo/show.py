"""What the demo shows: the model's errors, some users with their films, and the files."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tf2spark.shown_text import shown

_USERS = 3
_BEST, _WORST = 4, 2
_BAR_CELLS = 40
_OTHER_COLUMNS_CELLS = 26
Floats = npt.NDArray[np.float64]


def show_scores(console: Console, scored: pa.Table, train: pa.Table, seed: int) -> None:
    """Print the errors of the model and of simpler predictions, and some users' films.

    Args:
        console: Where to write.
        scored: The held-out ratings (columns as in `data.Ratings`) with a column `predicted`.
        train: The ratings that the model was trained on.
        seed: Chooses the users.
    """
    console.print()
    console.print(errors_table(scored, train))
    console.print()
    console.print(users_table(scored, seed, console.width))
    if line := furthest_off(scored):
        console.print(f"\n{line}", markup=False)
    console.print()


def show_files(console: Console, folder: Path) -> None:
    """Print what is in `folder`, and the commands to try next."""
    quoted_folder = shlex.quote(str(folder))
    files = {
        "model/1": "the SavedModel",
        "ratings.parquet": "the held-out ratings",
        "scored.parquet": "the same, with predictions",
        "users.parquet": "the users, with the films they have seen",
        "films.parquet": "the films",
        "recommendations.parquet": "the ten best unseen films for each user",
    }
    width = max(map(len, files)) + 1
    console.print(Text.assemble(("Files", "bold"), f" in {shown(str(folder))}"), soft_wrap=True)
    for name, description in files.items():
        console.print(f"  [cyan]{name:<{width}}[/] {description}")
    console.print("\n[bold]Try next[/]")
    for command in next_commands(quoted_folder):
        console.print(f"  {command}", style="cyan", markup=False, soft_wrap=True)
    console.print()


def next_commands(folder: str) -> list[str]:
    """Return shell commands on the demo's files; `folder` is quoted for a shell."""
    # After `make demo`, the command is in an environment that isn't on the PATH.
    command = "tf2spark" if shutil.which("tf2spark") else shlex.quote(sys.argv[0])
    return [
        f"{command} inspect {folder}/model",
        f"{command} score {folder}/model --input {folder}/ratings.parquet \\\n"
        f"      --output {folder}/scored-again.parquet --keep user,title --overwrite",
        f"{command} recommend {folder}/model --users {folder}/users.parquet \\\n"
        f"      --items {folder}/films.parquet --user-id user --item-id film --exclude seen \\\n"
        f"      --output {folder}/best-again.parquet --overwrite",
    ]


def errors_table(scored: pa.Table, train: pa.Table) -> Table:
    """Compare the model with two predictions that need no model, by root mean square error."""
    stars = _floats(scored["rating"])
    mean = _floats(train["rating"]).mean()
    errors = {
        "the overall mean": rmse(np.full_like(stars, mean), stars),
        "each film's mean": rmse(film_means(train, scored["film"]), stars),
        "the model": rmse(_floats(scored["predicted"]), stars),
    }
    table = Table.grid(padding=(0, 2))
    table.title = Text.from_markup("[bold]Root mean square error[/], in stars (lower is better)")
    table.title_justify = "left"
    for name, error in errors.items():
        style = "bold green" if name == "the model" else ""
        bar = "━" * round(_BAR_CELLS * error / max(errors.values()))
        table.add_row(f"  {name}", f"{error:.2f}", bar, style=style)
    return table


def rmse(predicted: Floats, stars: Floats) -> float:
    """Return the root mean square error."""
    return float(np.sqrt(np.mean((predicted - stars) ** 2)))


def film_means(train: pa.Table, films: pa.ChunkedArray) -> Floats:
    """Return the mean training rating of each film, or the overall mean for a film without any."""
    means = train.group_by("film").aggregate([("rating", "mean")])
    film_mean = means["rating_mean"].take(pc.index_in(films, means["film"]))
    return _floats(film_mean.fill_null(_floats(train["rating"]).mean()))


def users_table(scored: pa.Table, seed: int, width: int = 100) -> Table:
    """Show a few users with the films that, according to the model, they like most and least.

    Args:
        scored: The rows, with a column `predicted`.
        seed: Chooses the users.
        width: Of the terminal, in cells; longer titles are truncated.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, title_justify="left")
    table.title = Text("Films that some users rated, as the model ranks them", "bold")
    titles = max(20, min(64, width - _OTHER_COLUMNS_CELLS))
    table.add_column(width=titles, no_wrap=True, overflow="ellipsis")
    table.add_column("Year", style="dim")
    table.add_column("Predicted", justify="right")
    table.add_column("Rated")
    for number, user in enumerate(choose_users(scored, seed)):
        if number:
            table.add_row()
        rows = scored.filter(pc.equal(scored["user"], user)).sort_by([("predicted", "descending")])
        table.add_row(Text(person(rows.slice(0, 1).to_pylist()[0]), "bold"))
        for line in _film_lines(rows.to_pylist()):
            table.add_row(*line)
    return table


def choose_users(scored: pa.Table, seed: int) -> list[int]:
    """Draw users who have enough films to show, or any users if too few have."""
    counts = scored.group_by("user").aggregate([("film", "count")]).sort_by("user")
    enough = counts.filter(pc.greater(counts["film_count"], _BEST + _WORST))
    users = (enough if len(enough) >= _USERS else counts)["user"].to_numpy()
    drawn = np.random.default_rng(seed).choice(users, min(_USERS, len(users)), replace=False)
    return [int(user) for user in drawn]


def furthest_off(scored: pa.Table, at_least: int = 10) -> str:
    """Name the films whose ratings the model misses most; "" if no film has enough ratings."""
    error = np.abs(_floats(scored["predicted"]) - _floats(scored["rating"]))
    films = scored.append_column("error", pa.array(error)).group_by(["film", "title", "year"])
    means = films.aggregate([("error", "mean"), ("error", "count")])
    means = means.filter(pc.greater_equal(means["error_count"], at_least))
    worst = means.sort_by([("error_mean", "descending"), ("film", "ascending")]).slice(0, 2)
    named = [f"{shown(film['title'])} ({film['error_mean']:.1f})" for film in worst.to_pylist()]
    return f"Largest errors, in stars: {', '.join(named)}" if named else ""


def _film_lines(films: list[dict[str, Any]]) -> Iterator[tuple[Text | str, ...]]:
    omitted = len(films) - _BEST - _WORST
    for index, film in enumerate(films):
        if index < _BEST or index >= len(films) - _WORST:
            yield _film_line(film)
        elif index == _BEST:
            yield (Text(f"  ... {omitted} more", "dim"),)


def _film_line(film: dict[str, Any]) -> tuple[Text | str, ...]:
    off = abs(film["predicted"] - film["rating"])
    style = "green" if off < 0.75 else "yellow" if off < 1.5 else "red"
    predicted = Text(f"{film['predicted']:.1f}", style)
    # As Text, because in a string [square brackets] would be markup.
    title = Text(f"  {shown(film['title'])}")
    return title, str(film["year"]), predicted, stars_text(film["rating"])


def stars_text(rating: float) -> str:
    """Draw a rating: 3 is ``★★★☆☆``."""
    stars = round(rating)
    return "★" * stars + "☆" * (5 - stars)


def person(row: dict[str, Any]) -> str:
    """Describe a user, from a row with `user`, `gender`, `age` and `occupation`."""
    gender = {"M": "man", "F": "woman"}.get(row["gender"], row["gender"])
    occupation = "" if row["occupation"] in ("none", "other") else f", {row['occupation']}"
    return shown(f"User {row['user']}: {gender}, {row['age']}{occupation}")


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.to_numpy(), np.float64)
