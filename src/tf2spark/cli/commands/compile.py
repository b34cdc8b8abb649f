"""`tf2spark compile`: write a SavedModel as a package, checked, complete and faster to open."""

from __future__ import annotations

import os
from typing import Any

import click

from tf2spark.cli.options import (
    call_options,
    model_options,
    number,
    open_model,
    session_if_needed,
    spark_options,
)
from tf2spark.errors import ContractError


@click.command("compile", short_help="Write a model as a package: checked, faster to open.")
@click.argument("model", metavar="MODEL")
@click.argument("package", metavar="PACKAGE")
@click.option(
    "--feed",
    multiple=True,
    metavar="INPUT=COLUMN",
    help="keep_prob:=1.0 makes an input a constant, x:0=features names a raw tensor; can be "
    "repeated. Pass all other feeds to score.",
)
@click.option(
    "--fetch",
    multiple=True,
    metavar="NAME=OUTPUT",
    help="Which outputs the package has, under which names; can be repeated.  [default: all]",
)
@click.option(
    "--sample",
    metavar="FILE",
    help="A Parquet file of rows to run both the original and the package on.  [default: the "
    "model's warmup requests, or rows generated from the contract]",
)
@click.option(
    "--tolerance",
    type=number(least=0),
    metavar="X",
    help="How far numbers may differ.  [default: 1e-5]",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing package.")
@call_options
@model_options
@spark_options
def compile_(**params: Any) -> None:
    """Write MODEL to PACKAGE: a complete folder with each file under its SHA-256.

    Functions are inlined, variables become constants, large tensors become files that all workers
    of a host share. The result is compared with the original. A model that can't be compiled is
    packaged unchanged, and the output says why. A package is scored like any model.

    MODEL can also be a Keras file (.keras, .h5), which is exported first. Keras loads it in its
    safe mode: Python code in it (a Lambda layer) isn't run.

    \b
    Examples:
      tf2spark compile models/ctr ctr.tf2spark
      tf2spark compile models/ctr ctr.tf2spark --feed keep_prob:=1.0 --sample rows.parquet
      tf2spark compile ctr.keras ctr.tf2spark
      tf2spark compile models/ctr hdfs:///models/ctr.tf2spark
      tf2spark inspect ctr.tf2spark
    """
    from tf2spark.cli.feed_text import parse_feed, parse_fetch
    from tf2spark.compile.quiet import silence
    from tf2spark.locations.keras_models import saved_model_of
    from tf2spark.locations.paths import local_package
    from tf2spark.locations.read import read_model
    from tf2spark.package.folder import check_free
    from tf2spark.runnable.compile import write_package
    from tf2spark.saved_model.contract_text import as_text

    sample = _rows(params["sample"])
    feed, fetch = parse_feed(params["feed"]), parse_fetch(params["fetch"])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    local = local_package(params["package"])
    if local is not None:
        check_free(local, overwrite=params["overwrite"])
    with (
        session_if_needed(params, params["model"], params["package"]),
        silence(),
        saved_model_of(params["model"]) as (folder, exported_from),
    ):
        model = open_model({**params, "model": folder})
        if exported_from is not None:
            model.name_source(exported_from)
        digest = write_package(
            model,
            params["package"],
            params["signature"],
            feed,
            fetch,
            sample=sample,
            tolerance=params["tolerance"],
            overwrite=params["overwrite"],
        )
        package, _ = read_model(params["package"], None, None, digest)
    click.echo(as_text(package.contract))


def _rows(path: str | None) -> Any:
    if path is None:
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise ContractError(f"--sample {path}: there is no such file or folder") from None
    except (OSError, pa.ArrowException) as error:
        raise ContractError(f"--sample {path} can't be read as Parquet: {error}") from None
