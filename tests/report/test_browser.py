"""Reports in a real browser: Qt's build of Chromium, which `make unit` installs from PyPI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cases.reports import facts_of, nightly_job, statistics_of
from services import browser
from tf2spark.report.facts import WrittenTable
from tf2spark.report.page import render

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _needs_browser() -> None:
    if reason := browser.why_missing():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with outputs of many types, long names, and all sections unfolded."""
    path = tmp_path_factory.mktemp("report") / "job.html"
    html = render(nightly_job(5000))
    path.write_text(html.replace("<details>", "<details open>"), encoding="utf-8")
    return path


def look(page: Path, pixels: int, scheme: str = "light") -> dict[str, Any]:
    picture = page.with_name(f"{page.stem}_{pixels}_{scheme}.png")
    noticed = browser.look_at(page, pixels, scheme, picture)
    assert picture.stat().st_size > 10_000
    return noticed


@pytest.mark.parametrize("pixels", [375, 1280])
def test_a_browser_shows_it_without_complaint(page: Path, pixels: int) -> None:
    """No message in the console, no request but the page, and no scrolling to the side."""
    noticed = look(page, pixels)
    assert noticed["console"] == []
    assert noticed["requests"] == [page.as_uri()]
    assert noticed["scripts"] == 0
    assert noticed["width"] == pixels
    assert noticed["scroll_width"] <= pixels
    assert noticed["overflowing"] == []
    assert noticed["smallest_text"] >= 9
    assert "By day of dt" in noticed["text"]


def test_the_dark_theme_is_dark(page: Path) -> None:
    """The page follows the browser's color scheme."""
    backgrounds = {scheme: look(page, 375, scheme)["background"] for scheme in ("light", "dark")}
    light, dark = (
        [int(part) for part in backgrounds[scheme].strip("rgb()").split(",")]
        for scheme in ("light", "dark")
    )
    assert min(light) > 200
    assert max(dark) < 60


def test_it_prints(page: Path, tmp_path: Path) -> None:
    """On paper it takes a few pages, and none of its tables or plots is cut."""
    printed = tmp_path / "job.pdf"
    assert browser.look_at(page, 1280, "light", printed)["console"] == []
    assert printed.read_bytes().startswith(b"%PDF")
    assert 1 < printed.read_bytes().count(b"/Type /Page\n") < 12


def test_long_words_wrap(tmp_path: Path) -> None:
    """Names, reasons and paths without a space in them don't widen the page on a phone."""
    word = "w" * 300
    outputs = {word: pa.array(np.arange(50.0)), f"{word}2": pa.array([word] * 50)}
    statistics = statistics_of(outputs, [word] * 50, pa.array([word, "b"] * 25))
    written = WrittenTable(
        outputs=list(outputs),
        statistics=statistics,
        group_column=word,
        refused_rows=[{word: word, "_error": word}],
    )
    pairs = [(word, word)]
    facts = facts_of(written, model=f"/{word}", tables=pairs, feed=pairs, plan=[word])
    path = tmp_path / "long.html"
    path.write_text(render(facts).replace("<details>", "<details open>"), encoding="utf-8")
    noticed = look(path, 375)
    assert noticed["scroll_width"] <= 375
    assert noticed["overflowing"] == []
