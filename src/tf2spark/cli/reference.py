"""The page docs/cli.md, from the commands' own help: `python -m tf2spark.cli.reference`."""

from __future__ import annotations

import click

from tf2spark.cli.main import commands

_HEAD = """\
# The command line

Written by `make docs` from the commands' own `--help`; a test holds the two equal.
"""


def page() -> str:
    """Return the whole page as Markdown."""
    root = commands.make_context("tf2spark", [], resilient_parsing=True, terminal_width=96)
    parts = [_HEAD, _section("tf2spark", commands.get_help(root))]
    for name, command in sorted(commands.commands.items()):
        context = command.make_context(name, [], parent=root, resilient_parsing=True)
        parts.append(_section(f"tf2spark {name}", command.get_help(context)))
    return "\n".join(parts)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    click.echo(page(), nl=False)
