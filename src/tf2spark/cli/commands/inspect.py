"""`tf2spark inspect`: a model's inputs and outputs, and how it would score users against items."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tf2spark.cli.catalog import pair_call, pair_options, prepare
from tf2spark.cli.jobs import open_job
from tf2spark.cli.options import (
    allow_op_option,
    model_options,
    op_library_option,
    open_model,
    session_if_needed,
    spark_options,
)
from tf2spark.cli.tables import is_named, source_of
from tf2spark.errors import ContractError

if TYPE_CHECKING:
    from tf2spark.recommend.explanation.plan import RecommendPlan
    from tf2spark.saved_model.contract import Contract


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--signature", metavar="NAME", help="Only this signature.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@pair_options
@allow_op_option
@op_library_option
@model_options
@spark_options
@click.pass_context
def inspect(context: click.Context, /, **params: Any) -> None:
    """Print the inputs and outputs of MODEL, without loading TensorFlow.

    MODEL is a SavedModel folder, a package, or a base path with integer folders, as for TF Serving:
    on this machine, or a URI that is read through Spark (hdfs://, s3a://, oss://).

    With --users and --items it also prints the plan of `tf2spark recommend`: what is computed once
    per user, once per item and for every pair, what that costs, and why a model can't be split. To
    find out, it compiles the model and computes the item side.

    \b
    Examples:
      tf2spark inspect models/ctr
      tf2spark inspect models/ctr --version 41 --signature serving_default
      tf2spark inspect s3a://models/ctr.tf2spark --conf spark.hadoop.fs.s3a.endpoint=URL
      tf2spark inspect models:/ctr@champion
      tf2spark inspect models/ctr --json | jq '.signatures.serving_default.inputs'
      tf2spark inspect models/deepfm --users users --items films --item-id film \\
        --feed feat_ids=user:features.indices,item:features.indices \\
        --feed feat_vals=user:features.values,item:features.values
    """
    debug = bool((context.obj or {}).get("debug"))
    plan: RecommendPlan | None = None
    if _wants_plan(params):
        contract, digest, plan = _contract_and_plan(params, debug)
    else:
        contract, digest = _contract(params)
    _check_signature(contract, params["signature"])
    show = _as_json if params["as_json"] else _as_text
    click.echo(show(contract, params["signature"], digest, plan))


def _wants_plan(params: Mapping[str, Any]) -> bool:
    tables = {f"--{name}": is_named(params, name) for name in ("users", "items")}
    missing = [option for option, named in tables.items() if not named]
    others = [f"--{name}" for name in ("feed", "score", "tolerance") if params[name]]
    named = [option for option in tables if option not in missing] + others
    if missing and named:
        text = " and ".join(f"{option} PATH" for option in missing)
        raise ContractError(f"{named[0]} is for the plan of recommend", f"write {text} as well")
    return not missing


def _contract(params: Mapping[str, Any]) -> tuple[Contract, str]:
    """Return the contract of the model, and its digest."""
    with session_if_needed(params, params["model"]):
        model = open_model(params)
        return model.contract, model.digest


def _contract_and_plan(
    params: Mapping[str, Any], debug: bool
) -> tuple[Contract, str, RecommendPlan]:
    call = pair_call(params)
    sources = [source_of(params, "users"), source_of(params, "items")]
    with open_job(params, sources, None, debug=debug) as job:
        from tf2spark.recommend.explanation.plan import explain
        from tf2spark.runnable.recommend import ranking_request

        model, score, signature = job.model, params["score"], params["signature"]
        request = ranking_request(model, call.feed, score, signature)
        return model.contract, model.digest, explain(prepare(job, params, call, request))


def _check_signature(contract: Contract, signature: str | None) -> None:
    names = [known.name for known in contract.signatures]
    if signature is not None and signature not in names:
        raise ContractError(
            f"the model has no signature {signature}; it has {', '.join(names) or 'none'}"
        )


def _as_text(
    contract: Contract, signature: str | None, digest: str, plan: RecommendPlan | None
) -> str:
    from tf2spark.saved_model.contract_text import as_text

    text = as_text(contract, signature, digest=digest)
    return text if plan is None else f"{text}\n\n{plan}"


def _as_json(
    contract: Contract, signature: str | None, digest: str, plan: RecommendPlan | None
) -> str:
    from tf2spark.package.digests import digest_text
    from tf2spark.saved_model.contract_text import as_json

    description = {**as_json(contract, signature), "digest": digest_text(digest)}
    if plan is not None:
        description = {**description, "recommend": json.loads(plan.to_json())}
    return json.dumps(description, indent=2)
