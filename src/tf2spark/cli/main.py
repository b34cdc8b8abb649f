"""The command `tf2spark`: its subcommands, and how errors become messages and exit statuses."""

from __future__ import annotations

import sys
from typing import Any

import click

import tf2spark
from tf2spark.cli.commands.compile import compile_
from tf2spark.cli.commands.demo import demo
from tf2spark.cli.commands.doctor import doctor
from tf2spark.cli.commands.inspect import inspect
from tf2spark.cli.commands.recommend import recommend
from tf2spark.cli.commands.run import run as run_command
from tf2spark.cli.commands.score import score
from tf2spark.cli.failures import (
    report_failure,
    report_interruption,
    report_usage,
    termination_as_interruption,
)
from tf2spark.cli.job_log import log_for_failure


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(tf2spark.__version__, prog_name="tf2spark")
@click.option("--debug", is_flag=True, help="Show tracebacks and Spark's own log.")
@click.pass_context
def commands(context: click.Context, debug: bool) -> None:
    """Score tables, and users against items, with TensorFlow SavedModels on Apache Spark.

    \b
    Exit status:
      0  success
      2  the arguments, the model or the data are wrong: the message says how to fix it
      1  any other failure
    """
    context.ensure_object(dict)["debug"] = debug


for _command in (inspect, compile_, score, recommend, run_command, doctor, demo):
    commands.add_command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit status."""
    # --debug belongs to the group, but people write it at the end as well.
    debug = "--debug" in arguments
    arguments = ["--debug"] * debug + [argument for argument in arguments if argument != "--debug"]
    settings: dict[str, Any] = {}
    try:
        with termination_as_interruption():
            status: Any = commands.main(
                arguments, prog_name="tf2spark", standalone_mode=False, obj=settings
            )
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.ClickException as error:
        return report_usage(error, log_for_failure(settings, arguments))
    except (KeyboardInterrupt, click.Abort):
        return report_interruption(log_for_failure(settings, arguments))
    except Exception as error:
        return report_failure(error, log_for_failure(settings, arguments), debug=debug)


if __name__ == "__main__":
    main()
