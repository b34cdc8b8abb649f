"""`tf2spark inspect`: what a model takes and gives."""

from __future__ import annotations

import json
from typing import Any

import click

from tf2spark.cli.options import model_options, session_for, spark_options


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--signature", metavar="NAME", help="Only this signature.")
@model_options
@spark_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def inspect(signature: str | None, as_json: bool, **given: Any) -> None:
    """Print what MODEL takes and gives, without loading TensorFlow.

    MODEL is a SavedModel folder or a package, or a base path of integer folders as TF Serving has
    it; on this machine, or a URI that is read through Spark (hdfs://, s3a://, oss://).

    \b
    Examples:
      tf2spark inspect models/ctr
      tf2spark inspect models/ctr --version 41 --signature serving_default
      tf2spark inspect s3a://models/ctr.tf2spark --conf spark.hadoop.fs.s3a.endpoint=URL
      tf2spark inspect models/ctr --json | jq '.signatures.serving_default.inputs'
    """
    from tf2spark.errors import ContractError
    from tf2spark.places import read
    from tf2spark.report import contract as report

    tags = given["tags"].split(",") if given["tags"] else None
    with session_for(given, given["model"]):
        contract = read(given["model"], given["version"], tags)[0].contract
    names = [one.name for one in contract.signatures]
    if signature is not None and signature not in names:
        raise ContractError(
            f"the model has no signature {signature}; it has: {', '.join(names) or 'none'}"
        )
    if as_json:
        click.echo(json.dumps(report.as_json(contract, signature), indent=2))
    else:
        click.echo(report.as_text(contract, signature))
