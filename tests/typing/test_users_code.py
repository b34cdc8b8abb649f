"""Type checkers flag the mistakes of users, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

import tf2spark
from tf2spark.table_types import ArrowTable, PandasTable, SparkTable, audience_of

ROOT = Path(__file__).parent.parent.parent
CODE = Path(__file__).parent / "users_code.py"
LINES = CODE.read_text().splitlines()
WRONG = {number for number, line in enumerate(LINES, 1) if line.endswith("# wrong")}


def shown(numbers: set[int]) -> list[str]:
    """The lines of these numbers, for a message that can be read."""
    return [f"{number}: {LINES[number - 1].strip()}" for number in sorted(numbers)]


@pytest.mark.slow
def test_mypy_flags_what_is_wrong(tmp_path: Path) -> None:
    """`mypy --strict`, for a user without stubs of pandas and pyarrow."""
    settings = tmp_path / "mypy.ini"
    settings.write_text(
        f"[mypy]\nmypy_path = {ROOT / 'src'}\nstrict = True\n"
        "[mypy-tf2spark.*]\nfollow_imports = silent\n"
        "[mypy-pandas.*,pyarrow.*]\nignore_missing_imports = True\n"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), str(CODE)]
    command += ["--cache-dir", str(ROOT / ".mypy_cache" / "users_code")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    flagged = {int(line) for line in re.findall(rf"{CODE.name}:(\d+): error", done.stdout)}
    assert (shown(flagged - WRONG), shown(WRONG - flagged)) == ([], []), done.stdout + done.stderr


@pytest.mark.slow
def test_pyright_flags_what_is_wrong(tmp_path: Path) -> None:
    """Pyright, which editors run: it reads the types of pandas from its source."""
    if find_spec("basedpyright") is None:
        pytest.skip("basedpyright isn't installed")
    settings = {
        "typeCheckingMode": "standard",
        "include": [str(CODE)],
        "extraPaths": [str(ROOT / "src")],
        "pythonVersion": f"{sys.version_info[0]}.{sys.version_info[1]}",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--project", str(tmp_path)]
    command += ["--pythonpath", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    diagnostics = json.loads(done.stdout)["generalDiagnostics"]
    flagged = {
        diagnostic["range"]["start"]["line"] + 1
        for diagnostic in diagnostics
        if diagnostic["severity"] == "error"
    }
    assert (shown(flagged - WRONG), shown(WRONG - flagged)) == ([], []), done.stdout


def test_real_tables_are_those_of_the_types(spark: SparkSession) -> None:
    """What each library calls a table has what its protocol asks for, and no other does."""
    df: DataFrame = spark.range(2)
    frame, table = pd.DataFrame({"a": [1]}), pa.table({"a": [1]})
    protocols = (SparkTable, PandasTable, ArrowTable)

    def matches(value: object) -> list[bool]:
        return [isinstance(value, protocol) for protocol in protocols]

    assert matches(df) == [True, False, False]
    assert matches(frame) == [False, True, False]
    assert matches(table) == [False, False, True]
    assert matches(table.to_batches()[0]) == [False, False, True]
    assert matches(5) == matches([1.0]) == [False, False, False]


@pytest.mark.parametrize(
    ("table", "audience"),
    [
        (pd.DataFrame({"a": [1]}), "pandas"),
        (pa.table({"a": [1]}), "arrow"),
        (pa.record_batch({"a": [1]}), "arrow"),
        (5, "arrow"),
    ],
)
def test_messages_are_in_the_words_of_the_table(table: object, audience: str) -> None:
    """A user of pandas reads of pandas; whoever gives no table at all reads of Arrow."""
    assert audience_of(table) == audience


def test_completion_shows_the_names_of_users() -> None:
    """A model has what users call, and nothing of ours."""
    names = [name for name in dir(tf2spark.SavedModel) if not name.startswith("_")]
    assert names == [
        "compile", "contract", "digest", "plan", "recommend", "register", "score", "udf",
    ]  # fmt: skip


def test_public_signatures_say_what_they_take() -> None:
    """The public face has no `Any`."""
    source = (ROOT / "src" / "tf2spark" / "model.py").read_text()
    assert re.findall(r"\bAny\b", source) == []
