"""`score` on a model that was read: tables of Spark and of this process."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from attrs import evolve

from tf2spark.binding.options import Options, not_reproducible
from tf2spark.binding.request import Request
from tf2spark.locations.fetch import fetch_to_this_machine
from tf2spark.locations.paths import is_uri
from tf2spark.row_dependence import RowFinding, find_dependence
from tf2spark.runnable.model import RunnableModel
from tf2spark.table_types import TableT, is_spark
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker.model_session import session_of
from tf2spark.worker.task_start import available_cpus

# The largest model that the driver of a Spark job opens to see whether rows depend on each other.
_CHECKED_BYTES = 1 << 30


def score(
    model: RunnableModel, table: TableT, request: Request, options: Options, **spark: Any
) -> TableT:
    """Return the table with the outputs of a request as columns; see `SavedModel.score`."""
    scored: Any
    options = with_row_relation(model, request, options, on_spark=is_spark(table))
    if is_spark(table):
        from tf2spark.spark.late_binding.tables import score_any

        reference = evolve(model.reference_for(request), limit_seconds=options.task_timeout)
        df: Any = table
        scored = score_any(df, request, options, reference, model.bind, model.runs.shapes, **spark)
    else:
        from tf2spark.local.score import score_table

        reference = model.reference_for(request, threads=available_cpus())
        reference = fetch_to_this_machine(reference)
        scored = score_table(table, request, options, reference, model.bind)
    return cast(TableT, scored)


def with_row_relation(
    model: RunnableModel, request: Request, options: Options, *, on_spark: bool
) -> Options:
    """Return options that say whether rows depend on each other, as far as that is known.

    For a Spark job, the model runs here only if its graph has ops that may mix rows, and if it
    is on this machine and not large.

    Raises:
        ContractError: They do, and scores were to be reproducible.
    """
    if request.left_out:
        model.warnings.warn_of_left_out(request, options)
    if options.rows != "unknown":
        return options
    asked = options.batch_rows, on_spark
    finding = model.row_findings.get(request, partial(_find, model, request, *asked), *asked)
    if finding.relation == "batch":
        if options.reproducible:
            raise not_reproducible(finding.through)
        model.warnings.warn_of_rows(finding.through, options)
    return evolve(options, rows=finding.relation)


def _find(
    model: RunnableModel, request: Request, batch_rows: int | None, on_spark: bool
) -> RowFinding:
    def open_here() -> CApiSession:
        reference = model.reference_for(request, threads=available_cpus())
        return session_of(fetch_to_this_machine(reference))

    facts = model.runs.check_request(request)
    is_small = model.contract.graph_bytes + model.contract.variables_bytes <= _CHECKED_BYTES
    opens = not on_spark or (facts.mixing_ops and is_small and not is_uri(model.location))
    return find_dependence(request, facts, batch_rows, open_here if opens else None)
