"""MovieLens 100k as one table of ratings, read from the files that the package recbole ships.

The data is GroupLens' (https://grouplens.org/datasets/movielens/100k/). In RecBole's files the
columns are separated by tabs and the header names each as ``name:type``.
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
    """Ratings, apart: those a model learns from, and those it is tested on.

    Attributes:
        train: Rows of `user`, `film` (int32), `title`, `year` (int32), `genres` (a list of
            float32, for each genre 1 or 0), `age` (int32), `gender`, `occupation` and `rating`
            (float32, 1 to 5 stars).
        held_out: The same columns.
    """

    train: pa.Table
    held_out: pa.Table


def find_folder(package: str = "recbole") -> Path:
    """Return the folder of the MovieLens files, without importing the package that has it.

    Raises:
        SetupError: The package is not installed, or has no such files.
    """
    # Importing recbole would need torch and more, none of which is installed.
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    for place in places or ():
        folder = Path(place) / "dataset_example" / "ml-100k"
        if (folder / "ml-100k.inter").is_file():
            return folder
    raise SetupError(
        f"the demo's data, MovieLens 100k, comes with the package {package} (2 MB), which "
        f"{'has no such files in this version' if spec else 'is not installed'}: "
        "pip install --no-deps recbole==1.2.1"
    )


def read_ratings(folder: Path) -> pa.Table:
    """Read all ratings with what is known of their users and films; columns as in `Ratings`.

    Two films have no year of release; their ratings (15 of 100,000) are left out.
    """
    rated = _read(folder / "ml-100k.inter", user_id=pa.int32(), item_id=pa.int32())
    users = _read(folder / "ml-100k.user", user_id=pa.int32(), age=pa.int32())
    films = _read(folder / "ml-100k.item", item_id=pa.int32())
    films = films.filter(pc.match_substring_regex(films["release_year"], r"^\d{4}$"))
    rated = rated.filter(pc.is_in(rated["item_id"], films["item_id"]))
    # By position and not by a join, which would leave the order of the rows open.
    user = users.take(pc.index_in(rated["user_id"], users["user_id"]))
    place = pc.index_in(rated["item_id"], films["item_id"])
    film, flags = films.take(place), genre_flags(films["class"].to_pylist())
    titles = [readable_title(title) for title in film["movie_title"].to_pylist()]
    return pa.table(
        {
            "user": rated["user_id"],
            "film": rated["item_id"],
            "title": pa.array(titles, pa.string()),
            "year": film["release_year"].cast(pa.int32()),
            "genres": flags.take(place),
            "age": user["age"],
            "gender": user["gender"],
            "occupation": user["occupation"],
            "rating": rated["rating"].cast(pa.float32()),
        }
    ).combine_chunks()


def genre_flags(films: list[str]) -> pa.Array:
    """Turn ``"Drama War"`` into a list of a number for each genre of `films`: 1 where it is named.

    As GroupLens' own file of films has it. The genres are in alphabetical order.
    """
    named = [set(words.split()) for words in films]
    genres = sorted(set().union(*named))
    flags = [[float(genre in words) for genre in genres] for words in named]
    return pa.array(flags, pa.list_(pa.float32(), len(genres)))


def readable_title(title: str) -> str:
    """Put the article back in front: ``Usual Suspects, The`` is ``The Usual Suspects``."""
    return _ARTICLE.sub(lambda found: _in_front(found[2], found[1]), title)


def _in_front(article: str, rest: str) -> str:
    return f"{article}{rest}" if article.endswith("'") else f"{article} {rest}"


def split(ratings: pa.Table, *, seed: int, rows: int | None = None) -> Ratings:
    """Hold a tenth of the ratings out, chosen by `seed`; of all, or of `rows` of them."""
    order = np.random.default_rng(seed).permutation(len(ratings))[:rows]
    cut = max(1, len(order) // 10)
    return Ratings(ratings.take(np.sort(order[cut:])), ratings.take(np.sort(order[:cut])))


def users_of(ratings: Ratings) -> pa.Table:
    """Return one row a user: `user`, `age`, `gender`, `occupation`, and `seen`.

    `seen` lists the films that the user rated in the training data, by rising id.
    """
    users = _one_row_each("user", ["user", "age", "gender", "occupation"], ratings)
    films = ratings.train.select(["user", "film"]).sort_by(
        [("user", "ascending"), ("film", "ascending")]
    )
    ends = np.searchsorted(films["user"].to_numpy(), users["user"].to_numpy(), "right")
    seen = pa.ListArray.from_arrays(
        np.concatenate([[0], ends]).astype(np.int32), films["film"].combine_chunks()
    )
    return users.append_column("seen", seen)


def films_of(ratings: Ratings) -> pa.Table:
    """Return one row a film: `film`, `title`, `year` and `genres`."""
    return _one_row_each("film", ["film", "title", "year", "genres"], ratings)


def _one_row_each(key: str, columns: list[str], ratings: Ratings) -> pa.Table:
    rows = pa.concat_tables([ratings.train, ratings.held_out]).select(columns)
    _, first = np.unique(rows[key].to_numpy(), return_index=True)
    return rows.take(pa.array(first)).combine_chunks()


def _read(file: Path, **types: pa.DataType) -> pa.Table:
    """Read one of RecBole's files; columns without a type given become strings or floats."""
    with file.open(encoding="utf-8") as lines:
        header = [one.split(":") for one in lines.readline().rstrip("\n").split("\t")]
    kinds = {name: pa.float64() if kind == "float" else pa.string() for name, kind in header}
    return pyarrow.csv.read_csv(
        file,
        pyarrow.csv.ReadOptions(column_names=[name for name, _ in header], skip_rows=1),
        pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
        pyarrow.csv.ConvertOptions(column_types={**kinds, **types}, strings_can_be_null=False),
    )
