"""`tf2spark compile`: a package on the command line, and what it says of itself."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tf2spark
from cases.comparing import same_but_for_rounding
from cases.models import case, path_of
from tf2spark.cli.main import run


@pytest.fixture(scope="module")
def model() -> str:
    return str(path_of(case("keras_mlp")))


def test_writes_a_package_and_describes_it(
    model: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The package is there, what is printed is what `inspect` prints, and stderr is empty."""
    target = str(tmp_path / "p")
    assert run(["compile", model, target]) == 0
    printed = capfd.readouterr()
    assert run(["inspect", target]) == 0
    assert capfd.readouterr().out == printed.out
    assert printed.err == ""
    assert f"made from   {model}" in printed.out
    assert "9 rows, generated from the contract: " in printed.out


def test_damaged_variables_are_named(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `score` names them: TensorFlow says only that it read too little."""
    damaged = shutil.copytree(model, tmp_path / "damaged")
    (values,) = damaged.glob("variables/variables.data-*")
    os.truncate(values, 100)
    assert run(["compile", str(damaged), str(tmp_path / "p")]) == 2
    files = f"The files under {damaged}/variables are damaged or incomplete\n"
    assert capsys.readouterr().err.endswith(files)


def test_json_holds_the_manifest(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`inspect --json` of a package has its manifest, digest and all."""
    target = str(tmp_path / "p")
    assert run(["compile", model, target, "--fetch", "score=output_0"]) == 0
    capsys.readouterr()
    assert run(["inspect", target, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    package = tf2spark.SavedModel(target).contract.package
    assert package is not None
    assert report["package"]["digest"] == package.digest
    assert list(report["signatures"]["serving_default"]["outputs"]) == ["score"]


def test_a_sample_comes_from_parquet(model: str, tmp_path: Path) -> None:
    """--sample names rows to verify with."""
    pq.write_table(case("keras_mlp").table(5), tmp_path / "rows.parquet")
    target = str(tmp_path / "p")
    assert run(["compile", model, target, "--sample", str(tmp_path / "rows.parquet")]) == 0
    package = tf2spark.SavedModel(target).contract.package
    assert package is not None
    assert package.verified is not None
    assert package.verified.inputs == "sample"


def test_a_sample_that_cant_be_read_is_named(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sample that isn't there, or is no Parquet, ends with 2."""
    command = ["compile", model, str(tmp_path / "p"), "--sample", str(tmp_path / "no")]
    assert run(command) == 2
    assert f"--sample {tmp_path / 'no'}: there is no such file or folder" in capsys.readouterr().err
    (tmp_path / "no").write_text("no Parquet")
    assert run(command) == 2
    assert f"--sample {tmp_path / 'no'} can't be read as Parquet" in capsys.readouterr().err


def test_an_existing_package_needs_overwrite(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is there is kept, unless --overwrite is given."""
    target = str(tmp_path / "p")
    assert run(["compile", model, target]) == 0
    assert run(["compile", model, target]) == 2
    assert "already exists; --overwrite replaces it" in capsys.readouterr().err
    assert run(["compile", model, target, "--overwrite"]) == 0


@pytest.mark.spark
def test_scores_of_a_package_are_those_of_the_model(model: str, tmp_path: Path) -> None:
    """`score` takes a package as it takes a SavedModel, and writes the same rows."""
    rows = tmp_path / "rows.parquet"
    pq.write_table(case("keras_mlp").table(7), rows)
    assert run(["compile", model, str(tmp_path / "p")]) == 0
    for name, path in (("a", model), ("b", str(tmp_path / "p"))):
        arguments = ["--input", str(rows), "--output", str(tmp_path / name)]
        assert run(["score", path, *arguments, "--master", "local[1]"]) == 0
    tables: list[pa.Table] = [pq.read_table(tmp_path / name) for name in "ab"]
    assert tables[0].schema.equals(tables[1].schema)
    assert same_but_for_rounding(*(table.to_pylist() for table in tables))
