from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pytest

from cases.ratings import small_ratings
from tf2spark.demo import data
from tf2spark.errors import SetupError


@pytest.fixture(scope="module")
def ratings() -> pa.Table:
    """All of MovieLens 100k."""
    return data.read_ratings(data.find_folder())


class TestFindFolder:
    def test_missing_package_says_what_to_install(self) -> None:
        """Without the data, one message has the command that installs it."""
        with pytest.raises(SetupError) as missing:
            data.find_folder("no_such_recbole")
        assert str(missing.value) == (
            "the demo's data, MovieLens 100k, comes with the package no_such_recbole (2 MB), which "
            "is not installed: pip install --no-deps recbole==1.2.1"
        )

    def test_package_without_the_files_says_so(self) -> None:
        """A package that is installed but lacks the files is not called missing."""
        with pytest.raises(SetupError, match=r"has no such files in this version: pip install"):
            data.find_folder("rich")

    def test_does_not_import_the_package(self) -> None:
        """Recbole is located without importing it, which would need torch."""
        data.find_folder()
        assert "recbole" not in sys.modules


class TestReadRatings:
    def test_reads_all_ratings_but_those_of_films_without_a_year(self, ratings: pa.Table) -> None:
        """MovieLens 100k has 100,000 ratings, 15 of them of two films without a year."""
        assert len(ratings) == 99_985
        assert not any(column.null_count for column in ratings.columns)
        assert set(ratings["rating"].to_pylist()) == {1.0, 2.0, 3.0, 4.0, 5.0}

    def test_joins_user_and_film_to_a_rating(self, ratings: pa.Table) -> None:
        """The first rating is joined with the rows of the two other files."""
        assert ratings.slice(0, 1).to_pylist() == [
            {
                "user": 196,
                "film": 242,
                "title": "Kolya",
                "year": 1996,
                "genres": [0.0] * 4 + [1.0] + [0.0] * 14,
                "age": 49,
                "gender": "M",
                "occupation": "writer",
                "rating": 3.0,
            }
        ]

    def test_takes_quotes_and_accents_as_they_are(self, tmp_path: Path) -> None:
        """A quote in a title doesn't start a quoted value, and rows keep their order."""
        write_tables(tmp_path, items=['5\t"Ça", A\t1990\tWar', "4\tX\tV\tDrama", "9\tY\t1980\tWar"])
        read = data.read_ratings(tmp_path)
        assert read["title"].to_pylist() == ["Y", 'A "Ça"', "Y"]
        assert read["user"].to_pylist() == [2, 1, 1]
        assert read["age"].to_pylist() == [60, 20, 20]

    @pytest.mark.parametrize(
        ("title", "readable"),
        [
            ("Usual Suspects, The", "The Usual Suspects"),
            ("Avventura, L'", "L'Avventura"),
            ("Contempt (Mépris, Le)", "Contempt (Le Mépris)"),
            ("Postino, Il (The Postman)", "Il Postino (The Postman)"),
            ("To Wong Foo, Thanks for Everything!", "To Wong Foo, Thanks for Everything!"),
            ("Paris, Texas", "Paris, Texas"),
            ("Anna", "Anna"),
        ],
    )
    def test_puts_the_article_in_front(self, title: str, readable: str) -> None:
        """Titles read as people say them."""
        assert data.readable_title(title) == readable


class TestSplit:
    def test_every_row_is_on_one_side(self, ratings: pa.Table) -> None:
        """A tenth is held out, and nothing is lost or in both."""
        both = data.split(ratings, seed=1)
        assert len(both.held_out) == len(ratings) // 10
        pairs = {(row["user"], row["film"]) for row in both.train.to_pylist()}
        held_out = {(row["user"], row["film"]) for row in both.held_out.to_pylist()}
        assert not pairs & held_out
        assert len(pairs | held_out) == len(ratings)

    def test_follows_its_seed(self, ratings: pa.Table) -> None:
        """The same seed holds out the same rows, another seed other rows."""
        first, same, other = (data.split(ratings, seed=seed).held_out for seed in (1, 1, 2))
        assert first.equals(same)
        assert not first.equals(other)


class TestUsersAndFilms:
    def test_seen_is_what_a_user_rated_in_training(self) -> None:
        """`seen` ignores held-out ratings; a user without training ratings has seen nothing."""
        users = data.users_of(small_ratings())
        assert users.select(["user", "age", "seen"]).to_pylist() == [
            {"user": 1, "age": 30, "seen": [1, 3]},
            {"user": 2, "age": 40, "seen": [1]},
            {"user": 3, "age": 50, "seen": []},
        ]

    def test_each_film_has_one_row(self) -> None:
        """Films of both splits are in ascending order of id, with the model's columns."""
        films = data.films_of(small_ratings())
        assert films.column_names == ["film", "title", "year", "genres"]
        assert films["title"].to_pylist() == ["Alien", "[Brazil]", "Cube"]
        assert films["genres"].to_pylist() == [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]

    def test_genres_are_a_one_each(self) -> None:
        """Genres are in alphabetical order, and a film has as many ones as genres."""
        flags = data.genre_flags(["War Drama", "Comedy", "Drama"])
        assert flags.to_pylist() == [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def write_tables(folder: Path, items: list[str]) -> None:
    """Write RecBole's three files: two users, the films given, and four ratings."""
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"
    tables = {
        "inter": [
            "user_id:token\titem_id:token\trating:float\ttimestamp:float",
            "2\t9\t3\t881",
            "1\t5\t1\t882",
            "1\t4\t5\t883",
            "1\t9\t2\t884",
        ],
        "item": [header, *items],
        "user": [
            "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token",
            "1\t20\tF\tartist\t0",
            "2\t60\tM\tother\tV3N4P",
        ],
    }
    for name, lines in tables.items():
        (folder / f"ml-100k.{name}").write_text("\n".join(lines) + "\n", encoding="utf-8")
