"""MovieLens 100k as a table of ratings, read from the files that the package recbole ships.

The data is GroupLens' (https://grouplens.org/datasets/movielens/100k/). RecBole's files are
tab-separated, and their header gives each column as ``name:type``.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from attrs import frozen

from tf2spark.errors import SetupError

# "Usual Suspects, The" or "Double vie de Véronique, La (Double Life of Veronique, The)".
_ARTICLE = re.compile(r"([^()]+), (The|A|An|La|Le|Les|L'|Il|Das|Der|Die|Det|O)(?=\)| \(|$)")


@frozen
class Ratings:
    """The ratings that a model learns from, and those that it is tested on.

    Attributes:
        train: Rows of `user`, `film` (int32), `title`, `year` (int32), `genres` (a list of
            float32, 1 or 0 for each genre), `age` (int32), `gender`, `occupation` and `rating`
            (float32, 1 to 5 stars).
        held_out: The same columns.
    """

    train: pa.Table
    held_out: pa.Table


def find_folder(package: str = "recbole") -> Path:
    """Return the folder of the MovieLens files, without importing the package that ships them.

    Raises:
        SetupError: The package is not installed, or has no such files.
    """
    # Importing recbole would need torch and more, none of which is installed.
    spec = importlib.util.find_spec(package)
    locations = spec.submodule_search_locations if spec else None
    for location in locations or ():
        folder = Path(location) / "dataset_example" / "ml-100k"
        if (folder / "ml-100k.inter").is_file():
            return folder
    raise SetupError(
        f"the demo's data, MovieLens 100k, comes with the package {package} (2 MB), which "
        f"{'has no such files in this version' if spec else 'is not installed'}: "
        "pip install --no-deps recbole==1.2.1"
    )


def read_ratings(folder: Path) -> pa.Table:
    """Read all ratings, joined with their users and films; columns as in `Ratings`.

    Two films have no release year; their ratings (15 of 100,000) are left out.
    """
    rated = _read(folder / "ml-100k.inter", user_id=pa.int32(), item_id=pa.int32())
    users = _read(folder / "ml-100k.user", user_id=pa.int32(), age=pa.int32())
    films = _read(folder / "ml-100k.item", item_id=pa.int32())
    films = films.filter(pc.match_substring_regex(films["release_year"], r"^\d{4}$"))
    rated = rated.filter(pc.is_in(rated["item_id"], films["item_id"]))
    # By position rather than by a join, which wouldn't define the order of the rows.
    user = users.take(pc.index_in(rated["user_id"], users["user_id"]))
    film_positions = pc.index_in(rated["item_id"], films["item_id"])
    film, flags = films.take(film_positions), genre_flags(films["class"].to_pylist())
    titles = [readable_title(title) for title in film["movie_title"].to_pylist()]
    return pa.table(
        {
            "user": rated["user_id"],
            "film": rated["item_id"],
            "title": pa.array(titles, pa.string()),
            "year": film["release_year"].cast(pa.int32()),
            "genres": flags.take(film_positions),
            "age": user["age"],
            "gender": user["gender"],
            "occupation": user["occupation"],
            "rating": rated["rating"].cast(pa.float32()),
        }
    ).combine_chunks()


def genre_flags(films: list[str]) -> pa.Array:
    """Turn ``"Drama War"`` into a list with 1 for each genre it names and 0 for all others.

    GroupLens' own film file has the same flags. Genres are in alphabetical order.
    """
    film_genres = [set(words.split()) for words in films]
    genres = sorted(set().union(*film_genres))
    flags = [[float(genre in named) for genre in genres] for named in film_genres]
    return pa.array(flags, pa.list_(pa.float32(), len(genres)))


def readable_title(title: str) -> str:
    """Move the article to the front: ``Usual Suspects, The`` becomes ``The Usual Suspects``."""
    return _ARTICLE.sub(lambda match: _with_article(match[2], match[1]), title)


def _with_article(article: str, rest: str) -> str:
    return f"{article}{rest}" if article.endswith("'") else f"{article} {rest}"


def split(ratings: pa.Table, *, seed: int, rows: int | None = None) -> Ratings:
    """Hold out a tenth of the ratings, or of `rows` of them, chosen by `seed`."""
    order = np.random.default_rng(seed).permutation(len(ratings))[:rows]
    cut = max(1, len(order) // 10)
    return Ratings(ratings.take(np.sort(order[cut:])), ratings.take(np.sort(order[:cut])))


def users_of(ratings: Ratings) -> pa.Table:
    """Return one row per user: `user`, `age`, `gender`, `occupation`, and `seen`.

    `seen` lists the films that the user rated in the training data, in ascending order of id.
    """
    users = _first_rows("user", ["user", "age", "gender", "occupation"], ratings)
    films = ratings.train.select(["user", "film"]).sort_by(
        [("user", "ascending"), ("film", "ascending")]
    )
    ends = np.searchsorted(films["user"].to_numpy(), users["user"].to_numpy(), "right")
    seen = pa.ListArray.from_arrays(
        np.concatenate([[0], ends]).astype(np.int32), films["film"].combine_chunks()
    )
    return users.append_column("seen", seen)


def films_of(ratings: Ratings) -> pa.Table:
    """Return one row per film: `film`, `title`, `year` and `genres`."""
    return _first_rows("film", ["film", "title", "year", "genres"], ratings)


def _first_rows(key: str, columns: list[str], ratings: Ratings) -> pa.Table:
    rows = pa.concat_tables([ratings.train, ratings.held_out]).select(columns)
    _, first = np.unique(rows[key].to_numpy(), return_index=True)
    return rows.take(pa.array(first)).combine_chunks()


def _read(file: Path, **types: pa.DataType) -> pa.Table:
    """Read one of RecBole's files; columns not in `types` become strings or floats."""
    with file.open(encoding="utf-8") as lines:
        header = [column.split(":") for column in lines.readline().rstrip("\n").split("\t")]
    kinds = {name: pa.float64() if kind == "float" else pa.string() for name, kind in header}
    return pyarrow.csv.read_csv(
        file,
        pyarrow.csv.ReadOptions(column_names=[name for name, _ in header], skip_rows=1),
        pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
        pyarrow.csv.ConvertOptions(column_types={**kinds, **types}, strings_can_be_null=False),
    )
