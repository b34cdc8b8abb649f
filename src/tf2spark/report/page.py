"""Renders a report as one HTML page that loads nothing and runs no script."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tf2spark.errors import SetupError
from tf2spark.package.digests import digest_text
from tf2spark.report.facts import JobFacts
from tf2spark.shown_text import redact, shown

if TYPE_CHECKING:
    from jinja2 import Template

_MEMORY_NOTE = (
    "The most resident memory that a Python worker has used so far, of those that read the output "
    "for this report. Spark uses workers again, so most of them have scored as well; one that "
    "ended before isn't seen. Executors report their heap every ten seconds, and with each task."
)


def need_jinja() -> Any:
    """Import Jinja.

    Raises:
        SetupError: It isn't installed.
    """
    try:
        import jinja2
    except ImportError:
        raise SetupError("a report needs Jinja", "pip install 'tf2spark[report]'") from None
    return jinja2


def render(facts: JobFacts) -> str:
    """Return a report as HTML; everything in it is escaped, and secrets are left out."""
    from markupsafe import Markup

    from tf2spark.report import numbers, sections
    from tf2spark.saved_model.contract_text import as_html

    heading, groups = sections.group_cards(facts)
    return _template().render(
        facts=facts,
        started=facts.started.strftime("%Y-%m-%d %H:%M:%S %Z").strip(),
        outputs=sections.output_cards(facts),
        group_heading=heading,
        groups=groups,
        reasons=sections.reasons(facts),
        sample_columns=_sample_columns(facts),
        memory=_memory(facts),
        memory_note=_MEMORY_NOTE,
        # It escapes what is in it.
        contract=Markup(as_html(facts.contract)),
        style=Markup(_resource("style.css")),
        number=numbers.number_text,
        percent=numbers.percent_text,
        duration=numbers.duration_text,
        digest_text=digest_text,
        shown=shown,
        redact=redact,
    )


def _sample_columns(facts: JobFacts) -> list[str]:
    rows = facts.written.refused_rows
    return list(rows[0]) if rows else []


def _memory(facts: JobFacts) -> list[tuple[str, str]]:
    from tf2spark.saved_model.contract_text import size_text

    statistics = facts.written.statistics
    peaks = statistics.peak_bytes if statistics else {}
    largest = max(peaks.values(), default=0)
    workers = f"{size_text(largest)}, the largest of {len(peaks):,}" if largest else "not measured"
    driver = facts.driver_peak_bytes
    return [
        ("Python workers, peak", workers),
        ("this process, peak", size_text(driver) if driver else "not measured"),
        *((name, size_text(peak)) for name, peak in facts.jvm_peaks),
    ]


@functools.cache
def _template() -> Template:
    jinja2 = need_jinja()
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template: Template = environment.from_string(_resource("page.html.jinja"))
    return template


def _resource(name: str) -> str:
    return files("tf2spark.report").joinpath(name).read_text(encoding="utf-8")
