"""The site that `make docs` builds: no page missing, no broken link, nothing from a network."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from services import browser

pytest.importorskip("sphinx")
pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parent.parent
_PAGES = [*_ROOT.glob("*.md"), *(_ROOT / "docs").rglob("*.md"), _ROOT / "benchmarks" / "RESULTS.md"]


class Links(HTMLParser):
    """What a page links to, what it loads, and what can be linked to in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.add(given.get("id", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(given["href"])
        elif "src" in given:
            self.loads.append(given["src"])


@functools.cache
def links_of(page: Path) -> Links:
    return Links(page)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", "docs", ".", folder],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        # Proxies that refuse: what is loaded from elsewhere fails the build.
        env=os.environ | dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9"),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.relative_to(_ROOT).as_posix())
def test_every_page_is_in_the_site(page: Path, site: Path) -> None:
    """Each has a title, and its links and pictures lead to something that is there."""
    html = site / page.relative_to(_ROOT).with_suffix(".html")
    found = links_of(html)
    assert "<h1>" in html.read_text(encoding="utf-8")
    for link in found.links + found.loads:
        parts = urlsplit(link)
        if parts.scheme in ("http", "https", "mailto"):
            assert link not in found.loads, f"{page.name} loads {link}"
            continue
        target = (html.parent / unquote(parts.path)).resolve() if parts.path else html
        assert target.exists(), f"{page.name} links to {link}"
        if parts.fragment and target.suffix == ".html":
            assert unquote(parts.fragment) in links_of(target).anchors, (
                f"{page.name} links to {link}"
            )


def test_the_folder_opens_with_the_readme(site: Path) -> None:
    """build/site/index.html leads to the first page, whose sidebar has every page."""
    assert "url=README.html" in (site / "index.html").read_text()
    sidebar = set(Links(site / "README.html").links)
    for page in _PAGES[1:]:
        name = page.relative_to(_ROOT).with_suffix(".html").as_posix()
        assert name in sidebar or name == "README.html", name


def test_chinese_pages_say_that_they_are(site: Path) -> None:
    """Browsers choose fonts and screen readers a voice by the page's language."""
    for name, language in (("README.zh-CN", "zh-CN"), ("docs/start.zh", "zh-CN"), ("README", "en")):
        html = (site / f"{name}.html").read_text(encoding="utf-8")
        assert re.search(rf'<html[^>]* lang="{language}"', html)


@pytest.mark.parametrize(
    ("address", "pixels", "scheme", "shows"),
    [
        ("README.html", 375, "dark", "Score tables with TensorFlow SavedModels"),
        ("docs/messages.html", 375, "light", "fetch is empty"),
        ("search.html?q=permissive", 1280, "light", "pages matching the search query"),
        ("search.html?q=定时作业", 1280, "dark", "pages matching the search query"),
    ],
)
def test_a_browser_shows_it_without_complaint(
    address: str, pixels: int, scheme: str, shows: str, site: Path, tmp_path: Path
) -> None:
    """Opened as a file: no message in the console, no request to a network, nothing cut off."""
    if reason := browser.why_missing():
        pytest.skip(reason)
    noticed = browser.look_at(f"{site.as_uri()}/{address}", pixels, scheme, tmp_path / "page.png")
    assert noticed["console"] == []
    assert {urlsplit(request).scheme for request in noticed["requests"]} <= {"file", "data"}
    assert noticed["scroll_width"] <= pixels
    assert shows in noticed["text"]
