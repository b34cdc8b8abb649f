"""`tf2spark inspect`: what a model takes and gives, and how it would score users against items."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tf2spark.cli.catalog import pair_call, pair_options, prepared_of
from tf2spark.cli.jobs import job
from tf2spark.cli.options import model_options, session_for, spark_options
from tf2spark.cli.tables import source_of
from tf2spark.errors import ContractError

if TYPE_CHECKING:
    from tf2spark.recommend.explain import RecommendPlan
    from tf2spark.saved_model.contract import Contract


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--signature", metavar="NAME", help="Only this signature.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@pair_options(required=False)
@click.option(
    "--allow-op", multiple=True, metavar="OP", help="An op that you vouch for; can be repeated."
)
@model_options
@spark_options
@click.pass_context
def inspect(context: click.Context, /, **given: Any) -> None:
    """Print what MODEL takes and gives, without loading TensorFlow.

    MODEL is a SavedModel folder or a package, or a base path of integer folders as TF Serving has
    it; on this machine, or a URI that is read through Spark (hdfs://, s3a://, oss://).

    With --users and --items it also prints how `tf2spark recommend` would go about them: what is
    computed once a user, once an item and for every pair, what that takes, and why a model isn't
    taken apart. For that the model is compiled, and the items' part computed.

    \b
    Examples:
      tf2spark inspect models/ctr
      tf2spark inspect models/ctr --version 41 --signature serving_default
      tf2spark inspect s3a://models/ctr.tf2spark --conf spark.hadoop.fs.s3a.endpoint=URL
      tf2spark inspect models/ctr --json | jq '.signatures.serving_default.inputs'
      tf2spark inspect models/deepfm --users users --items films --item-id film \\
        --feed feat_ids=user:features.indices,item:features.indices \\
        --feed feat_vals=user:features.values,item:features.values
    """
    debug = bool((context.obj or {}).get("debug"))
    plan: RecommendPlan | None = None
    if _wants_plan(given):
        contract, plan = _planned(given, debug)
    else:
        contract = _contract(given)
    _check_signature(contract, given["signature"])
    show = _as_json if given["as_json"] else _as_text
    click.echo(show(contract, given["signature"], plan))


def _wants_plan(given: Mapping[str, Any]) -> bool:
    paths = {f"--{name}": given[f"{name}_path"] for name in ("users", "items")}
    missing = [option for option, path in paths.items() if path is None]
    others = [f"--{name}" for name in ("feed", "score", "tolerance") if given[name]]
    named = [option for option in paths if option not in missing] + others
    if missing and named:
        text = " and ".join(f"{option} PATH" for option in missing)
        raise ContractError(f"{named[0]} is for the plan of recommend: write {text} as well")
    return not missing


def _contract(given: Mapping[str, Any]) -> Contract:
    from tf2spark.locations import read

    tags = given["tags"].split(",") if given["tags"] else None
    with session_for(given, given["model"]):
        return read(given["model"], given["version"], tags)[0].contract


def _planned(given: Mapping[str, Any], debug: bool) -> tuple[Contract, RecommendPlan]:
    call = pair_call(given)
    sources = [source_of(given, "users"), source_of(given, "items")]
    with job(given, sources, None, debug=debug) as running:
        from tf2spark.recommend.explain import explained

        return running.model.contract, explained(prepared_of(running, given, call))


def _check_signature(contract: Contract, signature: str | None) -> None:
    names = [one.name for one in contract.signatures]
    if signature is not None and signature not in names:
        raise ContractError(
            f"the model has no signature {signature}; it has: {', '.join(names) or 'none'}"
        )


def _as_text(contract: Contract, signature: str | None, plan: RecommendPlan | None) -> str:
    from tf2spark.saved_model import contract_text as report

    text = report.as_text(contract, signature)
    return text if plan is None else f"{text}\n\n{plan}"


def _as_json(contract: Contract, signature: str | None, plan: RecommendPlan | None) -> str:
    from attrs import asdict

    from tf2spark.saved_model import contract_text as report

    told = report.as_json(contract, signature)
    if plan is not None:
        told = {**told, "recommend": asdict(plan)}
    return json.dumps(told, indent=2)
