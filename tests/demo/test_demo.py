from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from tf2spark import SavedModel
from tf2spark.cli.main import run
from tf2spark.compile.quiet import silence
from tf2spark.demo import data, show, show_films
from tf2spark.demo.run import check_folder, make_folder, run_demo
from tf2spark.demo.train import need_tensorflow
from tf2spark.errors import OutputError, SetupError
from tf2spark.recommend.explain import RecommendPlan

_ROWS = 3_000
_TABLES = [
    "films.parquet",
    "ratings.parquet",
    "recommendations.parquet",
    "scored.parquet",
    "users.parquet",
]
_FILES = sorted(["README.txt", "model", *_TABLES])


@pytest.fixture(scope="module")
def ratings() -> pa.Table:
    """All of MovieLens 100k."""
    return data.read_ratings(data.find_folder())


@pytest.fixture(scope="module")
def shown(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demo on few rows; return its folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo of films") / "out"
    console = Console(file=io.StringIO(), width=100, highlight=False)
    run_demo(folder, rows=_ROWS, epochs=1, console=console)
    assert isinstance(console.file, io.StringIO)
    return folder, console.file.getvalue()


class TestRunDemo:
    def test_writes_the_files_that_it_names(self, shown: tuple[Path, str]) -> None:
        """The folder holds the model in a version folder, all tables, and a word on them."""
        folder, text = shown
        assert sorted(one.name for one in folder.iterdir()) == _FILES
        assert SavedModel(folder / "model").contract.version == 1
        about = (folder / "README.txt").read_text()
        assert all(name in text and name in about for name in _TABLES)
        assert "model/1" in text

    def test_scored_rows_are_the_held_out_ones(self, shown: tuple[Path, str]) -> None:
        """A tenth of the rows is held out, and each is scored once, with all its columns."""
        folder, _ = shown
        held_out = pq.read_table(folder / "ratings.parquet")
        scored = pq.read_table(folder / "scored.parquet")
        assert len(held_out) == _ROWS // 10
        assert scored.drop_columns(["predicted"]).to_pylist() == held_out.to_pylist()

    def test_predictions_are_the_models(self, shown: tuple[Path, str]) -> None:
        """What Spark wrote is what the exported model says in this process."""
        folder, _ = shown
        here = SavedModel(folder / "model").score(pq.read_table(folder / "ratings.parquet"))
        scored = pq.read_table(folder / "scored.parquet")
        np.testing.assert_allclose(here["predicted"], scored["predicted"], rtol=1e-5)

    def test_shows_each_step_and_three_users(self, shown: tuple[Path, str]) -> None:
        """One reads what was done, how good the model is, and films of the same three users."""
        _, text = shown
        assert text.count("✓") == 7
        assert "2,700 of them" in text
        assert "the model " in text
        users = re.findall(r"^User .*\S", text, re.MULTILINE)
        assert len(users) == 6
        assert users[:3] == users[3:]
        assert "★" in text
        # The commands that follow are as long as the path, and never broken.
        results, _, _ = text.partition("Files in")
        assert max(map(len, results.splitlines())) <= 100

    def test_recommends_ten_unseen_films_to_each_user_best_first(
        self, shown: tuple[Path, str]
    ) -> None:
        """Every user has ten films of the catalog, none rated in the training data, by score."""
        folder, _ = shown
        users = pq.read_table(folder / "users.parquet")
        films = set(pq.read_table(folder / "films.parquet")["film"].to_pylist())
        best = recommended_in(folder)
        assert sorted(best) == users["user"].to_pylist()
        for user, seen in zip(*(users[name].to_pylist() for name in ("user", "seen")), strict=True):
            chosen = [film for film, _ in best[user]]
            assert len(set(chosen)) == 10
            assert films.issuperset(chosen)
            assert not set(seen).intersection(chosen)
            scores = [score for _, score in best[user]]
            assert scores == sorted(scores, reverse=True)

    def test_recommendations_are_the_best_by_brute_force(self, shown: tuple[Path, str]) -> None:
        """Scored with every film by the exported model, a few users have the same ten best."""
        folder, _ = shown
        users = pq.read_table(folder / "users.parquet")
        films = pq.read_table(folder / "films.parquet")
        best = recommended_in(folder)
        for row in users.take([0, 5, len(users) - 1]).to_pylist():
            scores = scores_of_all(SavedModel(folder / "model"), row, films)
            unseen = {film: one for film, one in scores.items() if film not in row["seen"]}
            assert len(unseen) == len(films) - len(row["seen"])
            kept = [score for _, score in best[row["user"]]]
            # By score and not by film: of two that are equal to the last digits, either may lead.
            np.testing.assert_allclose(kept, sorted(unseen.values())[:-11:-1], atol=1e-5)
            own = [unseen[film] for film, _ in best[row["user"]]]
            np.testing.assert_allclose(kept, own, atol=1e-5)

    def test_says_how_fast_it_recommends_and_what_the_plan_says(
        self, shown: tuple[Path, str]
    ) -> None:
        """One reads pairs and pairs a second, and that most operations left the pair loop."""
        folder, text = shown
        users = pq.read_metadata(folder / "users.parquet").num_rows
        films = pq.read_metadata(folder / "films.parquet").num_rows
        assert f"Recommended 10 of {films:,} films to each of {users:,} users on Spark" in text
        assert re.search(rf"20 times over: {20 * users * films:,} pairs, [\d,]+ pairs/s", text)
        said = " ".join(text.split())
        found = re.search(r"a film take ([\d,]+) operations instead of ([\d,]+):", said)
        assert found is not None
        pair, whole = (int(one.replace(",", "")) for one in found.groups())
        assert 2 * pair < whole
        assert "pairs that were checked, scores are within" in said

    def test_commands_it_prints_can_be_run(
        self, shown: tuple[Path, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """All commands that the demo ends with end with status 0, and give what it gave."""
        folder, text = shown
        commands = show.next_commands(shlex.quote(str(folder)))
        assert all(command in text for command in commands)
        for command in commands:
            program, *arguments = shlex.split(command.replace("\\\n", ""))
            assert program == ("tf2spark" if shutil.which("tf2spark") else sys.argv[0])
            assert run(arguments) == 0, capsys.readouterr().err
        again = pq.read_table(folder / "scored-again.parquet")
        assert again.column_names == ["user", "title", "predicted"]
        assert len(again) == _ROWS // 10
        best, again = recommended_in(folder), recommended_in(folder, "best-again.parquet")
        assert best == again


class TestFolder:
    def test_new_or_empty_is_fine(self, tmp_path: Path) -> None:
        """A folder that isn't there, or has nothing in it, can be used."""
        check_folder(tmp_path)
        check_folder(tmp_path / "new" / "deep")

    def test_with_other_files_is_refused(self, tmp_path: Path) -> None:
        """A folder of somebody else's files is named and left alone, by status 2."""
        (tmp_path / "model").mkdir()
        (tmp_path / "notes.txt").touch()
        with pytest.raises(OutputError) as refused:
            run_demo(tmp_path)
        assert str(refused.value) == (
            f'"{tmp_path}" has other files (model and 1 more) and was not written by the demo; '
            "choose another folder with --out"
        )
        assert run(["demo", "--out", str(tmp_path)]) == 2
        assert sorted(one.name for one in tmp_path.iterdir()) == ["model", "notes.txt"]

    def test_file_is_refused(self, tmp_path: Path) -> None:
        """A file is no folder to write to."""
        (tmp_path / "out").touch()
        with pytest.raises(OutputError, match=r'out" is a file; choose another folder with --out'):
            check_folder(tmp_path / "out")

    def test_earlier_demo_is_replaced_and_the_rest_left(self, tmp_path: Path) -> None:
        """What the demo wrote goes, what the user put beside it stays."""
        make_folder(tmp_path)
        (tmp_path / "model" / "1").mkdir(parents=True)
        (tmp_path / "ratings.parquet").touch()
        (tmp_path / "mine.txt").touch()
        check_folder(tmp_path)
        make_folder(tmp_path)
        assert sorted(one.name for one in tmp_path.iterdir()) == ["README.txt", "mine.txt"]

    def test_link_is_removed_and_not_followed(self, tmp_path: Path) -> None:
        """A `model` that is a link loses the link, never what it leads to."""
        make_folder(tmp_path / "out")
        (tmp_path / "kept").mkdir()
        (tmp_path / "out" / "model").symlink_to(tmp_path / "kept")
        make_folder(tmp_path / "out")
        assert (tmp_path / "kept").is_dir()
        assert not (tmp_path / "out" / "model").is_symlink()


class TestFindFolder:
    def test_missing_package_says_what_to_install(self) -> None:
        """Without the data, one message has the command that brings it."""
        with pytest.raises(SetupError) as missing:
            data.find_folder("no_such_recbole")
        assert str(missing.value) == (
            "the demo's data, MovieLens 100k, comes with the package no_such_recbole (2 MB), which "
            "is not installed: pip install --no-deps recbole==1.2.1"
        )

    def test_package_without_the_files_says_so(self) -> None:
        """A package that is there but has no such files is not called missing."""
        with pytest.raises(SetupError, match=r"has no such files in this version: pip install"):
            data.find_folder("rich")

    def test_does_not_import_the_package(self) -> None:
        """Recbole is found without being imported; it would want torch."""
        data.find_folder()
        assert "recbole" not in sys.modules


class TestReadRatings:
    def test_reads_all_ratings_but_those_of_films_without_a_year(self, ratings: pa.Table) -> None:
        """MovieLens 100k has 100,000 ratings, 15 of them of two films without a year."""
        assert len(ratings) == 99_985
        assert not any(column.null_count for column in ratings.columns)
        assert set(ratings["rating"].to_pylist()) == {1.0, 2.0, 3.0, 4.0, 5.0}

    def test_joins_user_and_film_to_a_rating(self, ratings: pa.Table) -> None:
        """The first line of the file, with what the two other files say of it."""
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
        """A quote in a title opens nothing, and rows keep their order."""
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
        """The same seed holds out the same rows, another one others."""
        first, same, other = (data.split(ratings, seed=seed).held_out for seed in (1, 1, 2))
        assert first.equals(same)
        assert not first.equals(other)


class TestUsersAndFilms:
    def test_seen_is_what_a_user_rated_in_training(self) -> None:
        """One row a user, held-out ratings aside; who has none in training has seen nothing."""
        users = data.users_of(small_ratings())
        assert users.select(["user", "age", "seen"]).to_pylist() == [
            {"user": 1, "age": 30, "seen": [1, 3]},
            {"user": 2, "age": 40, "seen": [1]},
            {"user": 3, "age": 50, "seen": []},
        ]

    def test_each_film_has_one_row(self) -> None:
        """Films of both parts, by rising id, with what the model takes of them."""
        films = data.films_of(small_ratings())
        assert films.column_names == ["film", "title", "year", "genres"]
        assert films["title"].to_pylist() == ["Alien", "[Brazil]", "Cube"]
        assert films["genres"].to_pylist() == [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]

    def test_genres_are_a_one_each(self) -> None:
        """Genres stand in alphabetical order, and a film has as many ones as genres."""
        flags = data.genre_flags(["War Drama", "Comedy", "Drama"])
        assert flags.to_pylist() == [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


class TestShow:
    def test_film_means_fall_back_to_the_mean_of_all(self) -> None:
        """A film with training ratings gets their mean, an unknown one the mean of all."""
        train = pa.table({"film": [1, 1, 2], "rating": [1.0, 2.0, 6.0]})
        means = show.film_means(train, pa.chunked_array([[2, 3, 1]]))
        np.testing.assert_allclose(means, [6.0, 3.0, 1.5])

    def test_rmse_is_the_root_of_the_mean_square(self) -> None:
        """Errors of 3 and 4 have a root mean square of sqrt(12.5)."""
        assert show.rmse(np.array([3.0, 4.0]), np.zeros(2)) == pytest.approx(12.5**0.5)

    def test_furthest_off_names_the_film_missed_by_most(self) -> None:
        """Films are ordered by their mean error; those with few ratings don't count."""
        assert show.furthest_off(scored_table(), at_least=2) == (
            "Largest errors, in stars: Alien (2.0), [Brazil] (0.5)"
        )
        assert show.furthest_off(scored_table(), at_least=3) == ""

    def test_users_table_lists_films_best_first(self) -> None:
        """Films stand in the order of their predictions, brackets in a title and all."""
        console = Console(file=io.StringIO(), width=100)
        console.print(show.users_table(scored_table(), seed=0))
        assert isinstance(console.file, io.StringIO)
        lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
        of_one = lines[lines.index("User 1: woman, 30, artist") + 1 :][:3]
        assert of_one == [
            "[Brazil] 1985 4.5 ★★★★★",
            "Alien 1979 3.0 ★★★★★",
            "Cube 1997 1.0 ★★★★★",
        ]


class TestShowFilms:
    def test_recommended_stand_beside_what_was_liked(self) -> None:
        """Titles and scores in the order given, brackets and all; on the right, four stars up."""
        console = Console(file=io.StringIO(), width=100)
        best = pa.table({"user": [1, 2], "recommendations": [[best_of(2, 4.5)], [best_of(3, 2)]]})
        console.print(show_films.user_table(best, small_ratings(), 1))
        assert isinstance(console.file, io.StringIO)
        lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
        assert lines == [
            "Recommended Predicted Liked Rated",
            "[Brazil] 4.50 Alien ★★★★★",
        ]

    def test_liked_are_the_best_rated_and_of_those_the_best_known(self) -> None:
        """Stars count first, then how many people rated a film; three stars are not liked."""
        rows = [(1, 1, 4.0), (1, 2, 5.0), (1, 3, 5.0), (1, 4, 3.0), (2, 3, 1.0), (2, 4, 5.0)]
        columns = map(list, zip(*rows, strict=True))
        train = pa.table(dict(zip(("user", "film", "rating"), columns, strict=True)))
        assert show_films.liked(train, 1)["film"].to_pylist() == [3, 2, 1]

    def test_says_how_recommended_films_were_rated(self) -> None:
        """Held-out ratings of what is recommended are compared with all that were held out."""
        held_out = small_ratings().held_out
        best = pa.table({"user": [1, 2], "recommendations": [[best_of(2, 4.5)], [best_of(3, 2)]]})
        assert show_films.rated_after_all(best, held_out) == (
            "1 of the 2 recommendations have a held-out rating: 4.0 stars on average, against 3.0 "
            "over all held-out ratings."
        )
        assert show_films.rated_after_all(best.slice(1), held_out) == ""

    def test_model_that_runs_whole_says_why(self) -> None:
        """A plan without parts has a sentence with its reason."""
        plan = RecommendPlan("text", "it sorts the batch", 3, "digest", None, None)
        assert show_films.plan_text(plan) == (
            "The whole graph runs for every pair: it sorts the batch."
        )


class TestTrain:
    def test_missing_tensorflow_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without TensorFlow, the demo ends before it starts, with the command to write."""
        monkeypatch.setitem(sys.modules, "tensorflow", None)
        with pytest.raises(SetupError, match=r"pip install 'tf2spark\[local\]'"):
            need_tensorflow()

    def test_silence_keeps_what_explains_an_error(self, capfd: pytest.CaptureFixture[str]) -> None:
        """Words on stderr are dropped where all goes well, and shown where it doesn't."""
        with silence():
            os.write(2, b"chatter")
        with pytest.raises(ImportError):
            fail_aloud()
        assert capfd.readouterr().err == "the reason"


def test_help_imports_neither_spark_nor_tensorflow() -> None:
    """`tf2spark demo --help` has nothing to wait for."""
    code = (
        "import sys; from tf2spark.cli.main import run; run(['demo', '--help']); "
        "print([one for one in ('pyspark', 'tensorflow', 'keras') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--out DIR" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def fail_aloud() -> None:
    """Fail as a native library does that can't be loaded."""
    with silence():
        os.write(2, b"the reason")
        raise ImportError


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


def recommended_in(
    folder: Path, name: str = "recommendations.parquet"
) -> dict[int, list[tuple[int, float]]]:
    """Read the demo's recommendations: of each user, (film, score)."""
    rows = pq.read_table(folder / name).to_pylist()
    return {
        row["user"]: [(one["film"], one["score"]) for one in row["recommendations"]] for row in rows
    }


def scores_of_all(model: SavedModel, user: dict[str, object], films: pa.Table) -> dict[int, float]:
    """Score one user with every film, as any table is scored."""
    alike = {name: [user[name]] * len(films) for name in ("user", "age", "gender", "occupation")}
    rows = pa.table({**alike, **{name: films[name] for name in films.column_names}})
    scored = model.score(rows, keep=["film"])
    return dict(zip(scored["film"].to_pylist(), scored["predicted"].to_pylist(), strict=True))


def best_of(film: int, score: float) -> dict[str, float]:
    """Return one entry of a list of recommendations."""
    return {"film": film, "score": score}


def small_ratings() -> data.Ratings:
    """Three users and films: User 1 liked Alien and not Cube; user 3 has no training rating."""
    columns = ["user", "film", "title", "year", "genres", "age", "gender", "occupation", "rating"]
    films = {
        1: ("Alien", 1979, [0.0, 1.0]),
        2: ("[Brazil]", 1985, [1.0, 0.0]),
        3: ("Cube", 1997, [0.0, 1.0]),
    }
    users = {1: (30, "F", "artist"), 2: (40, "M", "other"), 3: (50, "M", "writer")}

    def table(*rated: tuple[int, int, float]) -> pa.Table:
        rows = [(user, film, *films[film], *users[user], stars) for user, film, stars in rated]
        found = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
        return pa.table({**found, "user": pa.array(found["user"], pa.int32())})

    return data.Ratings(
        table((2, 1, 2.0), (1, 3, 3.0), (1, 1, 5.0)), table((1, 2, 4.0), (3, 1, 2.0))
    )


def scored_table() -> pa.Table:
    """Five predictions: Alien is missed by 2 stars, [Brazil] by half a star, Cube by 4."""
    columns = ["user", "film", "title", "year", "age", "gender", "occupation"]
    columns += ["rating", "predicted"]
    one, two = (30, "F", "artist"), (40, "M", "other")
    rows = [
        (1, 1, "Alien", 1979, *one, 5.0, 3.0),
        (2, 1, "Alien", 1979, *two, 1.0, 3.0),
        (1, 2, "[Brazil]", 1985, *one, 5.0, 4.5),
        (2, 2, "[Brazil]", 1985, *two, 4.0, 4.5),
        (1, 3, "Cube", 1997, *one, 5.0, 1.0),
    ]
    return pa.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))
