"""`tf2spark inspect`: what a model takes and gives."""

from __future__ import annotations

import json

import click

from tf2spark.cli.options import model_options


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--signature", metavar="NAME", help="Only this signature.")
@model_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def inspect(
    model: str, signature: str | None, version: int | None, tags: str | None, as_json: bool
) -> None:
    """Print what MODEL takes and gives, without loading TensorFlow.

    MODEL is a SavedModel folder, or a base path of integer folders as TF Serving has it.

    \b
    Examples:
      tf2spark inspect models/ctr
      tf2spark inspect models/ctr --version 41 --signature serving_default
      tf2spark inspect models/ctr --json | jq '.signatures.serving_default.inputs'
    """
    from tf2spark.errors import ContractError
    from tf2spark.report import contract as report
    from tf2spark.savedmodel import read_contract

    contract = read_contract(model, version, tags.split(",") if tags else None)
    names = [one.name for one in contract.signatures]
    if signature is not None and signature not in names:
        raise ContractError(
            f"the model has no signature {signature}; it has: {', '.join(names) or 'none'}"
        )
    if as_json:
        click.echo(json.dumps(report.as_json(contract, signature), indent=2))
    else:
        click.echo(report.as_text(contract, signature))
