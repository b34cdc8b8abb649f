"""Options that several commands share."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from tf2spark.cli.options import number, whole_number


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (number(least=1), "abc", "'abc' is not a valid number"),
        (number(least=1), "0.5", "0.5 is not in the range x>=1"),
        (whole_number(least=0), "1.5", "'1.5' is not a valid whole number"),
    ],
)
def test_what_is_no_such_number_is_refused(
    kind: click.FloatRange | click.IntRange, text: str, message: str
) -> None:
    """In words that don't name a class of click."""

    @click.command()
    @click.option("--limit", type=kind)
    def command(limit: float) -> None:
        click.echo(limit)

    result = CliRunner().invoke(command, ["--limit", text])
    assert result.exit_code == 2
    assert message in result.output
