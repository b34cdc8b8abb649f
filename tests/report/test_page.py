from __future__ import annotations

import datetime
import math
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve

from cases.html_page import Page
from cases.reports import HOSTILE, facts_of, nightly_job, statistics_of
from tf2spark.report.facts import JobFacts, WrittenTable
from tf2spark.report.page import render

RECOMMENDATIONS = pa.list_(pa.struct([("item_id", pa.string()), ("score", pa.float32())]))


def page_of(outputs: dict[str, pa.Array], **changes: Any) -> Page:
    written = WrittenTable(outputs=list(outputs), statistics=statistics_of(outputs))
    return Page(render(facts_of(written, **changes)))


def plots_of(page: Page) -> list[str]:
    return [str(attributes["aria-label"]) for tag, attributes in page.tags if tag == "svg"]


@pytest.fixture(scope="module")
def nightly() -> Page:
    return Page(render(nightly_job(3000)))


def test_everything_of_the_job_is_there(nightly: Page) -> None:
    """Model, digest, tables, feed, plan, options, versions and counts are on the page."""
    for text in (
        "models/price",
        "sha256:0c46",
        "3,000 rows in",
        "input houses",
        "city (string, [?]) column city",
        "workers read 96 Parquet files",
        "--mode permissive",
        "TensorFlow 2.20.0",
        "serving_default",
        "By day of dt",
        'column "city" is null (row #)',
        "Python workers, peak 1.0 GiB, the largest of 1",
        "executors' heap, peak, the largest of 2 3.0 GiB",
    ):
        assert text in nightly.text


def test_nothing_is_loaded_and_nothing_runs(nightly: Page) -> None:
    """The page has no script, no handler, and no address of anything outside."""
    names = {tag for tag, _ in nightly.tags}
    assert not names & {"script", "iframe", "object", "embed", "img", "form", "base", "a"}
    for tag, attributes in nightly.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "xlink:href", "action"):
            assert attributes.get(name) in (None, "data:,"), tag
    html = render(nightly_job(100))
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert "url(" not in html


def test_secrets_are_left_out() -> None:
    """Settings reach the page through the same filter as messages."""
    facts = facts_of(
        WrittenTable(outputs=[]), tables=[("input", "s3a://me:hunter2-long@bucket/houses")]
    )
    html = render(facts)
    assert "hunter2" not in html.replace("hunter2-long</td>", "")
    assert "s3a://***@bucket/houses" in html


def hostile_facts() -> JobFacts:
    outputs = {
        HOSTILE: pa.array([1.0, 2.0]),
        f"texts {HOSTILE}": pa.array([HOSTILE, "x\u202ey\x1b[2J\nz"]),
    }
    groups = pa.array([HOSTILE, "</svg><b>"])
    statistics = statistics_of(outputs, [HOSTILE, None], groups)
    written = WrittenTable(
        outputs=list(outputs),
        statistics=statistics,
        note=HOSTILE,
        group_column=HOSTILE,
        refused_rows=[{HOSTILE: HOSTILE, "_error": "</td></table><script>"}],
    )
    pairs = [(HOSTILE, HOSTILE)]
    facts = facts_of(
        written, model=HOSTILE, digest=HOSTILE, tables=pairs, feed=pairs, plan=[HOSTILE, "\x00"]
    )
    contract = evolve(facts.contract, path=HOSTILE)
    return evolve(facts, options=pairs, settings=pairs, versions=pairs, contract=contract)


def test_hostile_names_and_values_stay_text() -> None:
    """Column names, values, reasons, paths and settings with markup in them are shown as text."""
    html = render(hostile_facts())
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert {name for tag, attributes in page.tags if tag == "svg" for name in attributes} == {
        "viewbox",
        "role",
        "aria-label",
    }
    assert page.text.count("<script>alert(1)</script>") > 10
    assert "{{ 1234*5678 }}" in page.text
    assert str(1234 * 5678) not in page.text
    assert not re.search("[\x00\x1b\u202e]", html)
    assert len([tag for tag, _ in page.tags if tag == "html"]) == 1


def test_every_type_of_output() -> None:
    """Numbers, texts, booleans, lists, maps and structs have a card each."""
    outputs = {
        "number": pa.array([1.5, None, math.nan, math.inf]),
        "int": pa.array([1, 2, 2, None]),
        "text": pa.array(["a", "b", "a", None]),
        "flag": pa.array([True, False, None, True]),
        "list": pa.array([[1.0, 2.0], [], None, [3.0]]),
        "map": pa.array([[(1, 2.0)], [], None, []], pa.map_(pa.int64(), pa.float32())),
        "sparse": pa.array([{"indices": [1], "values": [1.0]}, None, None, None]),
        "nothing": pa.nulls(4),
    }
    page = page_of(outputs)
    headings = [name for name in outputs if name in page.text]
    assert headings == list(outputs)
    assert "Distribution of number" in plots_of(page)
    assert "Most frequent values" in plots_of(page)
    assert "NaN 1 infinite 1" in page.text
    assert "Only nulls are counted for a column of this type." in page.text


@pytest.mark.parametrize("kind", [pa.float32(), pa.string(), pa.list_(pa.int64())])
def test_an_empty_result(kind: pa.DataType) -> None:
    """A job without rows has a page that says so, and draws nothing."""
    page = page_of({"y": pa.array([], kind)}, phases={})
    assert "0 rows in" in page.text
    assert plots_of(page) == []


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-300, 1e300, 7, "only", True, [1.0, 2.0]])
def test_one_row(value: Any) -> None:
    """One row is drawn as one bar."""
    assert plots_of(page_of({"y": pa.array([value])}))


@pytest.mark.parametrize(
    "values",
    [
        [-1.7e308, 1.7e308],
        [5e-324, 1e-323],
        [1e15, 1e15 + 0.125],
        [0.0, *np.linspace(1, 2, 500), 1e12],
        [math.nan, math.inf],
        [None, None],
    ],
    ids=["ends of doubles", "subnormal", "close", "outlier", "not finite", "null"],
)
def test_awkward_numbers(values: list[Any]) -> None:
    """Whatever the numbers are, the page has only finite coordinates."""
    written_page = render(
        facts_of(
            WrittenTable(
                outputs=["y"], statistics=statistics_of({"y": pa.array(values, pa.float64())})
            )
        )
    )
    assert not re.search(r'="[^"]*\b(nan|inf)\b[^"]*"', written_page)


def test_far_outliers_are_named_instead_of_drawn() -> None:
    """One far value doesn't press the others into one bar; a note says that it isn't drawn."""
    page = page_of({"y": pa.array([*np.linspace(1, 2, 2000), 1e12])})
    assert re.search(r"Not drawn: [\d,]+ rows farther out, from 1 to 1e\+12", page.text)


def test_approximate_numbers_are_labeled() -> None:
    """Quantiles of more values than can be told apart say how far off they may be."""
    many = page_of({"y": pa.array(np.random.default_rng(0).random(20_000))})
    few = page_of({"y": pa.array([1.0, 2.0])})
    assert re.search(r"approximate: within 0\.\d+ % of the value", many.text)
    assert "approximate" not in few.text


def test_recommendations() -> None:
    """Scores, items, and users with fewer than k items are counted."""
    rows = [
        [{"item_id": "a", "score": 2.0}, {"item_id": "b", "score": 1.0}],
        [{"item_id": "a", "score": 3.0}],
        None,
    ]
    outputs = {"recommendations": pa.array(rows, RECOMMENDATIONS)}
    page = page_of(outputs, command="recommend", unit="users", k=2, pairs=1200)
    assert "users with fewer than 2 items 2 (66.7 %)" in page.text
    assert "different items 2" in page.text
    assert plots_of(page)[:2] == ["Scores of recommended items", "Most recommended items"]
    assert "pairs per second" in page.text


def test_dropped_rows_have_no_reasons() -> None:
    """Mode dropmalformed counts what it dropped, and the page says where reasons can be had."""
    page = page_of({"y": pa.array([1.0])}, rows_in=3, refused=2, drops=True)
    assert "2 rows were dropped" in page.text
    assert "Mode permissive keeps them with their reasons." in page.text


@pytest.mark.parametrize(
    ("groups", "heading"),
    [
        (pa.array([datetime.date(2020 + n // 300, 1 + n % 12, 1 + n % 28) for n in range(900)]),
         "By month of when"),
        (pa.array([datetime.datetime(2026, 1, 1, n % 24) for n in range(900)]), "By hour of when"),
        (pa.array([f"2026-11-{1 + n % 30:02}" for n in range(900)]), "By day of when"),
        (pa.array([f"shop {n % 40}" for n in range(900)]), "By when"),
        (pa.array([n % 3 for n in range(900)]), "By when"),
        (pa.array([None] * 900, pa.string()), "By when"),
    ],
    ids=["dates", "times", "texts of dates", "texts", "numbers", "nulls"],
)  # fmt: skip
def test_groups(groups: pa.Array, heading: str) -> None:
    """Scores are drawn over time, as fine as there is room, or by partition."""
    statistics = statistics_of({"y": pa.array(np.arange(900.0))}, groups=groups)
    written = WrittenTable(outputs=["y"], statistics=statistics, group_column="when")
    page = Page(render(facts_of(written)))
    assert heading in page.text
    assert "Median, and the range of 80 % of the values" in plots_of(page)
