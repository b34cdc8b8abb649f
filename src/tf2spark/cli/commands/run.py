"""`tf2spark run`: the job of a TOML file."""

from __future__ import annotations

from pathlib import Path

import click

from tf2spark.cli.commands.recommend import recommend
from tf2spark.cli.commands.score import score
from tf2spark.cli.job_file import command_line, read_job
from tf2spark.cli.job_keys import in_keys
from tf2spark.errors import Tf2SparkError, from_text
from tf2spark.shown_text import Lines

JOBS: dict[str, click.Command] = {"score": score, "recommend": recommend}


@click.command(short_help="Run the score or recommend job of a TOML file.")
@click.argument("job", metavar="JOB.toml")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace a key of the file: options.mode=failfast. The value is TOML, or text as it "
    "stands; can be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Print what the job would do, and write nothing.")
@click.pass_context
def run(context: click.Context, /, job: str, overrides: tuple[str, ...], dry_run: bool) -> None:
    """Run the job of a TOML file: a command, a model, tables, and any option of the command.

    Relative paths, also those of --set, are relative to the file. docs/jobs.md lists all keys.

    \b
    Examples:
      tf2spark run nightly.toml
      tf2spark run nightly.toml --set "input.where=dt = '2026-11-29'" --set output.mode=append
      tf2spark run nightly.toml --dry-run

    \b
    A file:
      command = "score"                      # or "recommend", with [users] and [items]
      model = "models/price"
      [input]
      table = "houses"                       # or path, sql; format, options
      where = "dt = '2026-11-28'"
      [output]
      path = "scored"                        # or table
      mode = "append"                        # error, overwrite, append, overwrite_partitions
      partition_by = ["dt"]
      [feed]
      features = "features"                  # what --feed takes; numbers are constants
      [fetch]
      price = "output_0"
      [options]
      keep = ["id", "dt"]
      mode = "permissive"
      [spark]
      "spark.master" = "local[2]"
    """
    arguments = command_line(read_job(Path(job), overrides), JOBS)
    if dry_run and "--dry-run" not in arguments:
        arguments.insert(1, "--dry-run")
    command = JOBS[arguments[0]]
    try:
        with command.make_context(arguments[0], arguments[1:], parent=context) as inner:
            command.invoke(inner)
    except Exception as error:
        own = error if isinstance(error, Tf2SparkError) else from_text(str(error))
        if own is None:
            raise
        raise _as_written(own, command) from error


def _as_written(error: Tf2SparkError, command: click.Command) -> Tf2SparkError:
    """Return an error whose message names keys of the file instead of options."""
    mistakes = tuple(_as_written(each, command) for each in error.mistakes)
    advice = in_keys(error.advice_for("command_line"), command)
    problem = in_keys(error.problem, command)
    if isinstance(error.problem, Lines):
        problem = Lines(problem)
    written = type(error)(problem, advice or None)
    written.mistakes = mistakes
    return written
