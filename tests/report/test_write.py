from __future__ import annotations

import os
from pathlib import Path

import pytest

from tf2spark.errors import OutputError
from tf2spark.report.write import check_report_path, write_report


def test_a_report_replaces_the_one_before(tmp_path: Path) -> None:
    """The new page is there whole, and nothing is left beside it."""
    target = tmp_path / "job.html"
    target.write_text("old")
    assert check_report_path(str(target), None) == target
    assert target.read_text() == "old"
    write_report(target, "new \u00e9")
    assert target.read_text(encoding="utf-8") == "new \u00e9"
    assert os.listdir(tmp_path) == ["job.html"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("s3a://bucket/job.html", "a report is written to a file of this machine"),
        ("missing/job.html", "can't be written: No such file or directory"),
        (".", "is a folder"),
        ("file/job.html", "can't be written: Not a directory"),
        ("out/job.html", "lies in the output"),
        ("x" * 300 + ".html", "can't be written: File name too long"),
    ],
    ids=["uri", "no folder", "folder", "below a file", "in the output", "long"],
)
def test_where_no_report_can_be(
    path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that can't be written is refused by name, and nothing is left there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match=message):
        check_report_path(path, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["file", "out"]
