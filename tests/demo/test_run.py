from __future__ import annotations

import io
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
from tf2spark.demo import show
from tf2spark.demo.run import check_folder, make_folder, run_demo
from tf2spark.errors import OutputError

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
def shown(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demo on few rows; return its folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo of films") / "out"
    console = Console(file=io.StringIO(), width=100, highlight=False)
    run_demo(folder, rows=_ROWS, epochs=1, console=console)
    assert isinstance(console.file, io.StringIO)
    return folder, console.file.getvalue()


class TestRunDemo:
    def test_writes_the_files_that_it_names(self, shown: tuple[Path, str]) -> None:
        """The folder holds the model in a version folder, all tables, and a text about them."""
        folder, text = shown
        assert sorted(path.name for path in folder.iterdir()) == _FILES
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
        """Spark wrote what the exported model predicts in this process."""
        folder, _ = shown
        here = SavedModel(folder / "model").score(pq.read_table(folder / "ratings.parquet"))
        scored = pq.read_table(folder / "scored.parquet")
        np.testing.assert_allclose(here["predicted"], scored["predicted"], rtol=1e-5)

    def test_shows_each_step_and_three_users(self, shown: tuple[Path, str]) -> None:
        """It shows what was done, how good the model is, and films of the same three users."""
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
            unseen = {film: score for film, score in scores.items() if film not in row["seen"]}
            assert len(unseen) == len(films) - len(row["seen"])
            kept = [score for _, score in best[row["user"]]]
            # By score and not by film: of two that are equal to the last digits, either may lead.
            np.testing.assert_allclose(kept, sorted(unseen.values())[:-11:-1], atol=1e-5)
            own = [unseen[film] for film, _ in best[row["user"]]]
            np.testing.assert_allclose(kept, own, atol=1e-5)

    def test_says_how_fast_it_recommends_and_what_the_plan_says(
        self, shown: tuple[Path, str]
    ) -> None:
        """It shows pairs and pairs per second, and that most operations left the pair loop."""
        folder, text = shown
        users = pq.read_metadata(folder / "users.parquet").num_rows
        films = pq.read_metadata(folder / "films.parquet").num_rows
        assert f"Recommended 10 of {films:,} films to each of {users:,} users on Spark" in text
        assert re.search(rf"20 times over: {20 * users * films:,} pairs, [\d,]+ pairs/s", text)
        printed = " ".join(text.split())
        match = re.search(r"a film take ([\d,]+) operations instead of ([\d,]+):", printed)
        assert match is not None
        pair, whole = (int(number.replace(",", "")) for number in match.groups())
        assert 2 * pair < whole
        assert "pairs that were checked, scores are within" in printed

    def test_commands_it_prints_can_be_run(
        self, shown: tuple[Path, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """All commands that the demo suggests exit with status 0 and reproduce its results."""
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
        """A folder that is missing or empty can be used."""
        check_folder(tmp_path)
        check_folder(tmp_path / "new" / "deep")

    def test_with_other_files_is_refused(self, tmp_path: Path) -> None:
        """A folder with other files is named and left alone, with status 2."""
        (tmp_path / "model").mkdir()
        (tmp_path / "notes.txt").touch()
        with pytest.raises(OutputError) as refused:
            run_demo(tmp_path)
        assert str(refused.value) == (
            f'"{tmp_path}" has other files (model and 1 more) and was not written by the demo; '
            "choose another folder with --out"
        )
        assert run(["demo", "--out", str(tmp_path)]) == 2
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "notes.txt"]

    def test_file_is_refused(self, tmp_path: Path) -> None:
        """A file can't be the demo's folder."""
        (tmp_path / "out").touch()
        with pytest.raises(OutputError, match=r'out" is a file; choose another folder with --out'):
            check_folder(tmp_path / "out")

    def test_earlier_demo_is_replaced_and_the_rest_left(self, tmp_path: Path) -> None:
        """The demo's files are removed; what the user added stays."""
        make_folder(tmp_path)
        (tmp_path / "model" / "1").mkdir(parents=True)
        (tmp_path / "ratings.parquet").touch()
        (tmp_path / "mine.txt").touch()
        check_folder(tmp_path)
        make_folder(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["README.txt", "mine.txt"]

    def test_link_is_removed_and_not_followed(self, tmp_path: Path) -> None:
        """If `model` is a link, the link is removed, never its target."""
        make_folder(tmp_path / "out")
        (tmp_path / "kept").mkdir()
        (tmp_path / "out" / "model").symlink_to(tmp_path / "kept")
        make_folder(tmp_path / "out")
        assert (tmp_path / "kept").is_dir()
        assert not (tmp_path / "out" / "model").is_symlink()


def test_help_imports_neither_spark_nor_tensorflow() -> None:
    """`tf2spark demo --help` loads neither Spark nor TensorFlow."""
    code = (
        "import sys; from tf2spark.cli.main import run; run(['demo', '--help']); "
        "print([name for name in ('pyspark', 'tensorflow', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--out DIR" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def recommended_in(
    folder: Path, name: str = "recommendations.parquet"
) -> dict[int, list[tuple[int, float]]]:
    """Return the demo's recommendations by user, as (film, score)."""
    rows = pq.read_table(folder / name).to_pylist()
    return {
        row["user"]: [(entry["film"], entry["score"]) for entry in row["recommendations"]]
        for row in rows
    }


def scores_of_all(model: SavedModel, user: dict[str, object], films: pa.Table) -> dict[int, float]:
    """Return a user's scores for all films, computed by `score`."""
    alike = {name: [user[name]] * len(films) for name in ("user", "age", "gender", "occupation")}
    rows = pa.table({**alike, **{name: films[name] for name in films.column_names}})
    scored = model.score(rows, keep=["film"])
    return dict(zip(scored["film"].to_pylist(), scored["predicted"].to_pylist(), strict=True))
