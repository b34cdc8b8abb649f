from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import tf2spark
from cases.models import case, path_of
from tf2spark.cli.main import run


@pytest.fixture(scope="module")
def model() -> str:
    return str(path_of(case("keras_lookups")))


def test_prints_what_the_model_takes_and_gives(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tags, signatures, method names, and every tensor's name, dtype and shape are printed."""
    assert run(["inspect", model]) == 0
    lines = capsys.readouterr().out.splitlines()
    words = [line.split() for line in lines]
    assert lines[0] == f"SavedModel    {model}"
    assert ["tags", "serve"] in words
    assert "signature serving_default  (tensorflow/serving/predict)" in lines
    assert ["input", "city", "string", "[None]", "serving_default_city:0"] in words
    assert words[-1][:5] == ["output", "output_0", "float32", "[None,", "2]"]


def test_prints_one_signature(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--signature leaves the others out."""
    assert run(["inspect", model, "--signature", "serve"]) == 0
    out = capsys.readouterr().out
    assert "signature serve  (" in out
    assert "signature serving_default" not in out


def test_unknown_signature_lists_those_there_are(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signature that the model doesn't have ends with 2, and the existing ones are listed."""
    assert run(["inspect", model, "--signature", "predict"]) == 2
    assert capsys.readouterr().err == (
        "Error: the model has no signature predict; it has serve, serving_default\n"
    )


def test_json_holds_the_same(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints the contract as JSON; an unknown size is null."""
    assert run(["inspect", model, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["path"] == model
    assert report["tag_sets"] == [["serve"]]
    signature = report["signatures"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["year"] == {
        "dtype": "int64",
        "shape": [None],
        "kind": "dense",
        "tensors": ["serving_default_year:0"],
    }
    assert signature["outputs"]["output_0"]["shape"] == [None, 2]


def test_version_and_tags_choose(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a base path the largest folder is read, --version another, --tags must be there."""
    for number in ("1", "2"):
        (tmp_path / number).symlink_to(model)
    assert run(["inspect", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == 2
    assert run(["inspect", str(tmp_path), "--version", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == 1
    assert run(["inspect", str(tmp_path), "--tags", "serve,gpu"]) == 2
    assert "gpu" in capsys.readouterr().err


def test_needs_neither_tensorflow_nor_spark(model: str) -> None:
    """Inspecting a model imports none of the packages that take seconds to import."""
    program = (
        "import sys; from tf2spark.cli.main import run; run(['inspect', sys.argv[1]]); "
        "slow = {'tensorflow', 'pyspark', 'pandas', 'rich', 'keras'} & set(sys.modules); "
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    command = [sys.executable, "-c", program, model]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_prints_the_digest(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The digest is that of `SavedModel.digest`, in the text and in the JSON."""
    digest = tf2spark.SavedModel(model).digest
    assert run(["inspect", model]) == 0
    assert ["digest", digest] in [line.split() for line in capsys.readouterr().out.splitlines()]
    assert run(["inspect", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == digest


@pytest.mark.parametrize("command", ["inspect", "score", "recommend", "compile"])
def test_a_demanded_digest_is_compared_first(
    command: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another model ends each command with 2 and a message that has both digests."""
    digest, other = tf2spark.SavedModel(model).digest, f"sha256:{'0' * 64}"
    tables = {
        "inspect": [],
        "score": ["--input", "in", "--output", str(tmp_path / "out")],
        "recommend": ["--users", "u", "--items", "i", "--output", str(tmp_path / "out")],
        "compile": [str(tmp_path / "out")],
    }
    assert run([command, model, *tables[command], "--digest", other]) == 2
    message = capsys.readouterr().err
    assert f"its digest is {digest}, expected {other}" in message
    assert not (tmp_path / "out").exists()
    assert run([command, model, *tables[command], "--digest", "latest"]) == 2
    assert "'latest' is not a digest" in capsys.readouterr().err
    if command == "inspect":
        assert run([command, model, "--digest", digest]) == 0
