"""The notebooks of examples/, and what tf2spark shows in one: in a real kernel, with its Spark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.notebooks import PROGRESS, code_notebook, execute, kernel, read, without_progress

pytestmark = pytest.mark.spark

_EXAMPLES = Path(__file__).parents[2] / "examples"
_NAMES = sorted(path.stem for path in _EXAMPLES.glob("*.ipynb"))
_COLORS = re.compile(r"\x1b\[[\d;]*m")
Run = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The examples, executed one after the other by one kernel; under "run", what runs cells."""
    folder = tmp_path_factory.mktemp("notebooks")
    with kernel(folder) as manager:

        def run(*sources: str, with_progress: bool = False) -> list[Any]:
            done = execute(code_notebook(*sources, may_fail=True), manager, folder)
            # How many cells take longer than two seconds depends on the machine.
            shown = done if with_progress else without_progress(done)
            return outputs_of(shown)

        done: dict[str, Any] = {"run": run}
        for name in _NAMES:
            example = read(_EXAMPLES / f"{name}.ipynb")
            done[name] = without_progress(execute(example, manager, folder))
            run("%unload_ext tf2spark", "%reset -f")
        yield done


@pytest.fixture
def run(executed: dict[str, Any]) -> Iterator[Run]:
    """Runs cells in the kernel of the examples, which has a Spark session; returns outputs."""
    of_kernel: Run = executed["run"]
    yield of_kernel
    # Loading it twice makes IPython say so, in a line of output.
    of_kernel("%unload_ext tf2spark")


def outputs_of(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def without_numbers(notebook: Any) -> list[str]:
    """Return what the outputs show, without the numbers and names that differ between runs."""
    shown = []
    for output in outputs_of(notebook):
        data = output.get("data", {})
        text = data.get("text/plain", "") + data.get("text/html", "") + output.get("text", "")
        text += "\n".join(output.get("traceback", []))
        text = re.sub(r"<__main__.*?>|0x[0-9a-f]+|sha256:\w+", "X", _COLORS.sub("", text))
        text = re.sub(r"[-+]?\d[\d.,e+-]*|-{3,}", " ", text)
        shown.append(" ".join(text.split()))
    return shown


@pytest.mark.parametrize("name", _NAMES)
def test_an_example_shows_what_its_file_has(name: str, executed: dict[str, Any]) -> None:
    """Every cell runs, and its outputs are those that are stored: `make notebooks` stores them."""
    assert without_numbers(executed[name]) == without_numbers(read(_EXAMPLES / f"{name}.ipynb"))


@pytest.mark.parametrize("name", _NAMES)
def test_an_example_shows_no_chatter(name: str, executed: dict[str, Any]) -> None:
    """Neither TensorFlow nor Spark write anything, also while a job fails."""
    for output in outputs_of(executed[name]):
        assert output.get("name") != "stderr", output
        if output.output_type == "error":
            lines = _COLORS.sub("", "\n".join(output.traceback)).splitlines()
            assert len(lines) < 16, "\n".join(lines)
            assert output.ename in ("RowError", "ContractError")


@pytest.mark.parametrize("name", _NAMES)
def test_an_example_has_nothing_of_a_machine(name: str) -> None:
    """No path, and no time of a run."""
    text = (_EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8")
    assert not re.search(r"/(tmp|work|root|home|usr)/|site-packages|\d\d:\d\d:\d\d", text)


SESSION = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
"""
FAILING = f"""
import tf2spark
{SESSION}
model = tf2spark.SavedModel("models/price")
rows = spark.createDataFrame([(1, [1.0])], "id long, features array<double>")
scored = model.score(rows, keep=["id"])
"""


@pytest.mark.parametrize(
    "action",
    ["scored.collect()", "scored.toPandas()", "scored.show()", "scored.write.parquet('x')"],
)
def test_with_the_extension_an_action_fails_with_our_message(run: Run, action: str) -> None:
    """The cell and the message are shown; `%tb` and later cells work on."""
    *_, error = run("%load_ext tf2spark", FAILING, action)
    assert error.ename == "RowError"
    assert "id=1" in error.evalue
    lines = _COLORS.sub("", "\n".join(error.traceback)).splitlines()
    assert any(action in line for line in lines)
    assert not any("pyspark" in line or "at org." in line for line in lines)
    assert len(lines) < 16


def test_without_the_extension_our_own_errors_are_short_too(run: Run) -> None:
    """A mistake in a call shows the line of the call, and none of tf2spark's own."""
    *_, error = run(FAILING, "model.score(rows, feed={'x': 'features'})")
    assert error.ename == "ContractError"
    lines = _COLORS.sub("", "\n".join(error.traceback)).splitlines()
    assert any("model.score(rows" in line for line in lines)
    assert not any("tf2spark/" in line for line in lines)


def test_verbose_tracebacks_have_all_frames(run: Run) -> None:
    """Who debugs tf2spark itself asks for them."""
    call = "model.score(rows, feed={'x': 'features'})"
    *_, error, _ = run(FAILING, "%xmode Verbose", call, "%xmode Context")
    assert any("tf2spark/" in line for line in error.traceback)


def test_errors_of_others_are_shown_as_ever(run: Run) -> None:
    """The extension changes only errors that quote one of tf2spark."""
    *_, error = run("%load_ext tf2spark", SESSION, "spark.sql('SELECT nothing')")
    assert error.ename == "AnalysisException"
    *_, error = run("1 / 0")
    assert error.ename == "ZeroDivisionError"


def quiet_for(seconds: float) -> str:
    """Return a cell after which shorter cells show no progress."""
    return f"import tf2spark.notebook.cell_progress as p; p._QUIET_SECONDS = {seconds}"


def test_a_long_job_shows_its_progress_in_one_line(run: Run) -> None:
    """One output, which is updated, and at the end says what was done and how long it took."""
    slow = """
import time
def wait(batches):
    for batch in batches:
        time.sleep(1)
        yield batch
spark.range(0, 8, 1, 8).mapInArrow(wait, "id long").count()
"""
    run("%load_ext tf2spark", FAILING, quiet_for(0.5))
    progress, result = run(slow, with_progress=True)
    assert result.data["text/plain"] == "8"
    assert PROGRESS.fullmatch(progress.data["text/plain"])
    assert progress.data["text/html"] == progress.data["text/plain"]


def test_the_code_of_the_page_runs(run: Run) -> None:
    """docs/notebooks.md: an error is caught as what it is, and a function holds a model."""
    page = (_EXAMPLES.parent / "docs" / "notebooks.md").read_text(encoding="utf-8")
    load, catch, function = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    table = 'df = spark.createDataFrame([(7, [1.0, 2.0, 3.0])], "id long, features array<double>")'
    model = 'model = tf2spark.SavedModel("models/price")'
    caught, cheap = run(load, FAILING, catch, table, model, function)
    assert "id=1" in caught.text
    assert "7" in cheap.data["text/plain"]


def test_a_short_cell_shows_nothing(run: Run) -> None:
    """Neither a cell without Spark nor a job that ends soon enough leaves an output."""
    cells = ("%load_ext tf2spark", SESSION, quiet_for(600), "x = 1", "n = spark.range(10).count()")
    assert run(*cells, with_progress=True) == []
