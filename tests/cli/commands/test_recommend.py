from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

import tf2spark
from cases import recommenders
from cases.comparing import same_but_for_rounding
from cases.recommenders import path_of
from tf2spark.cli.commands import recommend as recommend_command
from tf2spark.cli.main import run
from tf2spark.spark.progress import rows_done

Capture = pytest.CaptureFixture[str]
Row = dict[str, Any]
CASE = recommenders.case("doubles")
USERS, ITEMS = 12, 30


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network of a user and an item with the output `score`, as a package."""
    package = tmp_path_factory.mktemp("package") / "doubles.tf2spark"
    tf2spark.SavedModel(path_of(CASE)).compile(package)
    return str(package)


def users(rows: int = USERS) -> pa.Table:
    return CASE.users(rows).append_column("name", pa.array([f"user {i}" for i in range(rows)]))


@pytest.fixture
def tables(tmp_path: Path) -> list[str]:
    """The options of users and items, as Parquet, and of an output."""
    pq.write_table(users(), tmp_path / "users.parquet")
    pq.write_table(CASE.items(ITEMS), tmp_path / "items.parquet")
    return options_of(tmp_path)


def options_of(folder: Path) -> list[str]:
    files = [f"--users={folder}/users.parquet", f"--items={folder}/items.parquet"]
    return [*files, f"--output={folder}/out"]


def rows_of(folder: Path) -> dict[int, Row]:
    rows: list[Row] = pq.read_table(folder).to_pylist()
    return {row["user_id"]: row for row in rows}


def here(model: str, table: pa.Table | None = None, **arguments: Any) -> dict[int, Row]:
    """Return what the same call gives in this process."""
    table = users() if table is None else table
    out = tf2spark.SavedModel(model).recommend(table, CASE.items(ITEMS), **arguments)
    return {row["user_id"]: row for row in out.to_pylist()}


@pytest.mark.usefixtures("spark")
class TestRecommend:
    def test_writes_what_the_same_call_gives_in_python(
        self, model: str, tables: list[str], tmp_path: Path, capsys: Capture
    ) -> None:
        """A row a user with its best items; the closing lines say users, pairs and digests."""
        assert run(["recommend", model, *tables, "--k", "4", "--model-column", "by"]) == 0
        rows = rows_of(tmp_path / "out")
        digest = rows[next(iter(rows))].pop("by")
        for row in rows.values():
            row.pop("by", None)
        assert same_but_for_rounding(rows, here(model, k=4))
        printed = capsys.readouterr()
        assert re.fullmatch(
            rf"12 users, 360 pairs, [\d.]+ s, [\d.,]+ pairs/s: {tmp_path}/out\n"
            rf"model {model}, digest sha256:\w{{64}}\n"
            rf"with its catalog of 30 items, digest sha256:{digest}\n",
            printed.out,
        )

    def test_options_are_those_of_python(self, model: str, tmp_path: Path) -> None:
        """Ids, feeds, kept columns and both lists arrive as they would from Python."""
        ids = CASE.items(ITEMS)["item_id"].to_pylist()
        lists = pa.array([ids[row : row + 3] for row in range(USERS)])
        allowed = pa.array([ids[row : row + 9] for row in range(USERS)])
        table = users().rename_columns(["uid", "who", "tastes", "name"])
        table = table.append_column("seen", lists).append_column("allowed", allowed)
        films = CASE.items(ITEMS).rename_columns(["film", "item", "tags"])
        pq.write_table(table, tmp_path / "users.parquet")
        pq.write_table(films, tmp_path / "items.parquet")
        options = "--user-id uid --item-id film --exclude seen --candidates allowed --k 4"
        options += " --keep name --feed user=user:who --feed item=item:item --score score"
        command = ["recommend", model, *options_of(tmp_path), *shlex.split(options)]
        assert run(command) == 0
        expected = tf2spark.SavedModel(model).recommend(
            table,
            films,
            4,
            user_id="uid",
            item_id="film",
            exclude="seen",
            candidates="allowed",
            keep=["name"],
            feed={"user": "user:who", "item": "item:item"},
            score="score",
        )
        assert expected["recommendations"].to_pylist()[0]
        written = pq.read_table(tmp_path / "out")
        assert same_but_for_rounding(
            written.sort_by("uid").to_pylist(), expected.sort_by("uid").to_pylist()
        )

    def test_tables_of_other_formats(
        self, model: str, tables: list[str], tmp_path: Path, spark: SparkSession
    ) -> None:
        """Users, items and the output have a format and options each."""
        for name, kind in (("users", "json"), ("items", "orc")):
            rows = spark.read.parquet(str(tmp_path / f"{name}.parquet"))
            rows.write.format(kind).save(str(tmp_path / name))
        files = [f"--users={tmp_path}/users", f"--items={tmp_path}/items", tables[2]]
        formats = "--users-format json --items-format orc --output-format json"
        options = "--output-option compression=gzip --items-option mergeSchema=true"
        command = ["recommend", model, *files, *shlex.split(formats), *shlex.split(options)]
        assert run(command) == 0
        assert list((tmp_path / "out").glob("part-*.json.gz"))
        written = spark.read.json(str(tmp_path / "out")).collect()
        best = {row.user_id: row.recommendations[0].item_id for row in written}
        assert best == {
            user: row["recommendations"][0]["item_id"] for user, row in here(model).items()
        }

    def test_says_why_a_model_is_not_split(
        self, tables: list[str], tmp_path: Path, capsys: Capture
    ) -> None:
        """A model whose rows depend on each other runs whole, and a line says so."""
        case = recommenders.case("softmax_over_batch")
        pq.write_table(case.users(3), tmp_path / "users.parquet")
        pq.write_table(case.items(9), tmp_path / "items.parquet")
        assert run(["recommend", str(path_of(case)), *tables]) == 0
        assert re.search(r"^not split: .*Softmax", capsys.readouterr().out, re.M)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ("--dry-run --append", 'column "extra" is not among the rows'),
            ("--append", 'column "extra" is not among the rows'),
            ("--dry-run --overwrite --keep name --partition-by names", 'did you mean "name"?'),
            ("--dry-run --overwrite --output-format csv", "CSV has no lists, structs or maps"),
            ("--overwrite --keep nam", 'keep: the table has no column "nam"'),
            ("--dry-run --overwrite --model-column User_id", 'the model column "User_id" has the'),
        ],
    )
    def test_the_output_is_checked_before_the_catalog_is_computed(
        self,
        model: str,
        tables: list[str],
        tmp_path: Path,
        capsys: Capture,
        monkeypatch: pytest.MonkeyPatch,
        options: str,
        says: str,
    ) -> None:
        """Columns that collide, or that the output doesn't have, with and without a dry run."""
        (tmp_path / "out").mkdir()
        pq.write_table(pa.table({"user_id": [1], "extra": [1]}), tmp_path / "out" / "a.parquet")
        monkeypatch.setattr(recommend_command, "prepare", lambda *_: pytest.fail("computed"))
        assert run(["recommend", model, *tables, *options.split()]) == 2
        assert says in capsys.readouterr().err

    def test_a_dry_run_prints_the_columns(
        self, model: str, tables: list[str], tmp_path: Path, capsys: Capture
    ) -> None:
        """Those that are written then, and nothing is; the plan is that of `inspect`."""
        assert run(["recommend", model, *tables, "--dry-run", "--keep", "name"]) == 0
        printed = capsys.readouterr().out
        (line,) = re.findall(r"^columns  (.*)$", printed, re.M)
        for part in ("The graph is split.", "for every pair", "a million pairs: "):
            assert part in printed
        assert printed.endswith("read, and nothing was written\n")
        assert not (tmp_path / "out").exists()
        assert run(["recommend", model, *tables, "--keep", "name"]) == 0
        written = pq.read_schema(next((tmp_path / "out").glob("*.parquet")))
        assert re.findall(r"(\w+) (?:bigint|string|array)", line) == written.names

    def test_progress_counts_users(
        self, model: str, tables: list[str], spark: SparkSession
    ) -> None:
        """Spark says how many users are done: after the job, all of them."""
        assert run(["recommend", model, *tables]) == 0
        assert rows_done(spark) == USERS


@pytest.mark.usefixtures("spark")
class TestUsersThatCannotBeScored:
    @pytest.fixture
    def holes(self, tables: list[str], tmp_path: Path) -> list[str]:
        """Three users, the second without what feeds `user`."""
        rows = users(3).to_pylist()
        rows[1]["user"] = None
        pq.write_table(pa.Table.from_pylist(rows, users(3).schema), tmp_path / "users.parquet")
        return tables

    def test_failfast_ends_with_2_and_no_output(
        self, model: str, holes: list[str], tmp_path: Path, capsys: Capture
    ) -> None:
        """The message names the column and the row, and nothing is left behind."""
        assert run(["recommend", model, *holes]) == 2
        message = capsys.readouterr().err.splitlines()[-1]
        assert message.startswith("Error: ")
        assert '"user"' in message
        assert "row 1" in message
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "items.parquet",
            "users.parquet",
        ]

    def test_permissive_writes_the_reason(
        self, model: str, holes: list[str], tmp_path: Path, capsys: Capture
    ) -> None:
        """Every user is written, the bad one without recommendations; pairs count the good."""
        command = ["recommend", model, *holes, "--mode", "permissive", "--error-column", "why"]
        assert run(command) == 0
        bad = [row for row in rows_of(tmp_path / "out").values() if row["why"] is not None]
        assert [row["recommendations"] for row in bad] == [None]
        printed = capsys.readouterr().out
        assert printed.startswith("3 users, 1 of them could not be scored, 60 pairs, ")

    def test_dropmalformed_counts_what_it_drops(
        self, model: str, holes: list[str], tmp_path: Path, capsys: Capture
    ) -> None:
        """The bad user is left out, and the closing line says so."""
        assert run(["recommend", model, *holes, "--mode", "dropmalformed"]) == 0
        assert len(rows_of(tmp_path / "out")) == 2
        assert capsys.readouterr().out.startswith("2 users, 1 dropped, 60 pairs, ")

    def test_failure_with_overwrite_keeps_the_old_output(
        self, model: str, holes: list[str], tmp_path: Path
    ) -> None:
        """A job that fails leaves the recommendations that were there."""
        (tmp_path / "out").mkdir()
        pq.write_table(pa.table({"user_id": [1]}), tmp_path / "out" / "old.parquet")
        assert run(["recommend", model, *holes, "--overwrite"]) == 2
        assert rows_of(tmp_path / "out") == {1: {"user_id": 1}}


@pytest.mark.usefixtures("spark")
class TestRefused:
    def test_output_that_exists(
        self, model: str, tables: list[str], tmp_path: Path, capsys: Capture
    ) -> None:
        """It is refused without --overwrite."""
        (tmp_path / "out").mkdir()
        assert run(["recommend", model, *tables]) == 2
        assert "already exists: pass --overwrite" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["users", "items"])
    def test_table_that_is_not_there(
        self, name: str, model: str, tables: list[str], tmp_path: Path, capsys: Capture
    ) -> None:
        """The message has the option that named it."""
        (tmp_path / f"{name}.parquet").unlink()
        assert run(["recommend", model, *tables]) == 2
        path = tmp_path / f"{name}.parquet"
        assert capsys.readouterr().err == (
            f"Error: --{name} {path}: there is no such file or folder\n"
        )

    def test_tables_that_are_swapped(
        self, model: str, tables: list[str], tmp_path: Path, capsys: Capture
    ) -> None:
        """The message says which options to exchange."""
        files = [f"--users={tmp_path}/items.parquet", f"--items={tmp_path}/users.parquet"]
        assert run(["recommend", model, *files, tables[-1]]) == 2
        assert re.search(
            r"^Error: the tables look swapped: .*; exchange the tables of --users and --items$",
            capsys.readouterr().err,
            re.M,
        )

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("--user-id uid", r"the users have no column \"uid\".*--user-id \.\.\."),
            ("--item-id film", r"the items have no column \"film\".*--item-id \.\.\."),
            ("--exclude seen", r"exclude: the users have no column \"seen\""),
            ("--candidates name", r"candidates: column \"name\" of the users is string"),
            ("--feed user=age", r"neither users nor items have a column \"age\""),
            ("--feed user", r"--feed user can't be parsed; write INPUT=COLUMN"),
            ("--users-option x", r"--users-option x has no value; write --users-option KEY=VALUE"),
            ("--error-column e", r"error column needs the mode \"permissive\".*--mode permissive"),
            ("--score probs", r"probs"),
            ("--score score[1]", r"output \"score\" has shape \[None\].*; write --score score"),
            ("--k 0", r"--k"),
        ],
    )
    def test_wrong_option(
        self, options: str, message: str, model: str, tables: list[str], capsys: Capture
    ) -> None:
        """What doesn't fit is named, with the way to write it."""
        assert run(["recommend", model, *tables, *shlex.split(options)]) == 2
        assert re.search(message, capsys.readouterr().err)

    def test_item_that_comes_twice(
        self, model: str, tables: list[str], tmp_path: Path, capsys: Capture
    ) -> None:
        """A catalog with an id twice is an error, before users are looked at."""
        twice = pa.concat_tables([CASE.items(ITEMS), CASE.items(2)])
        pq.write_table(twice, tmp_path / "items.parquet")
        assert run(["recommend", model, *tables]) == 2
        assert "occurs more than once" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_several_outputs(self, tables: list[str], tmp_path: Path, capsys: Capture) -> None:
        """A model with several outputs asks for --score."""
        case = recommenders.case("mmoe_ctr")
        assert run(["recommend", str(path_of(case)), *tables]) == 2
        assert "say which one ranks: --score " in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("score", "message"),
        [
            ("probs", "has 3 values per row; say which one ranks: --score 'probs[0]'"),
            ("probs[3]", "the last entry is --score 'probs[2]'"),
        ],
    )
    def test_output_of_several_values_a_row(
        self, score: str, message: str, tables: list[str], capsys: Capture
    ) -> None:
        """Which entry of its rows ranks must be said, and be there."""
        model = str(path_of(recommenders.case("probs")))
        assert run(["recommend", model, *tables, "--score", score]) == 2
        assert message in capsys.readouterr().err


def _is_measured(line: str) -> bool:
    """Say whether a line of a plan has a time; only local tables tell how many users there are."""
    return line.startswith(("a million pairs: ", "all pairs: "))


@pytest.mark.usefixtures("spark")
class TestInspect:
    def test_prints_the_plan_after_the_contract(
        self, model: str, tables: list[str], capsys: Capture
    ) -> None:
        """With users and items, what leaves the pair loop follows what the model takes."""
        assert run(["inspect", model, *tables[:2]]) == 0
        printed = capsys.readouterr().out
        plan = tf2spark.SavedModel(model).plan(users(), CASE.items(ITEMS))
        assert printed.startswith("SavedModel ") or printed.startswith("package ")
        told = [line for line in printed.splitlines() if not _is_measured(line)]
        expected = [line for line in str(plan).splitlines() if not _is_measured(line)]
        assert told[-len(expected) :] == expected
        assert "\na million pairs: " in printed

    def test_json_has_the_plan(self, model: str, tables: list[str], capsys: Capture) -> None:
        """--json has the text, the reason, and the figures."""
        assert run(["inspect", model, *tables[:2], "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert "signatures" in report
        plan = report["recommend"]
        assert plan["text"].startswith("The graph is split.")
        assert (plan["why_whole"], plan["items"]) == (None, ITEMS)
        assert plan["sizing"]["flops_pair"] < plan["sizing"]["flops_whole"]
        assert plan["verified"]["difference"] <= plan["verified"]["tolerance"]

    @pytest.mark.parametrize(
        ("options", "missing"),
        [("--users u", "--items PATH"), ("--score y", "--users PATH and --items PATH")],
    )
    def test_half_of_what_a_plan_needs(
        self, options: str, missing: str, model: str, capsys: Capture
    ) -> None:
        """An option of the plan without the tables says which are missing."""
        assert run(["inspect", model, *shlex.split(options)]) == 2
        assert capsys.readouterr().err.endswith(f"write {missing} as well\n")
