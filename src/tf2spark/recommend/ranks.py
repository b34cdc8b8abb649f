"""Ranks that the graph leaves open: they follow from the columns of the call."""

from __future__ import annotations

from attrs import evolve

from tf2spark.binding.bind import fed_shapes
from tf2spark.binding.graph.graph_lookup import inferred_shapes
from tf2spark.binding.messages import output_text
from tf2spark.errors import ContractError, ModelError, SetupError, argument
from tf2spark.plan.score import InputPlan
from tf2spark.recommend.arguments import RankingOutput, check_ranking
from tf2spark.recommend.job import RecommendJob
from tf2spark.recommend.model.whole_graph import bind_pair_inputs
from tf2spark.recommend.sides import SidedInput
from tf2spark.saved_model.contract import TensorSpec


def with_ranks(job: RecommendJob) -> RecommendJob:
    """Return the job with the ranks of its inputs and of the score.

    TensorFlow infers the score's, if its library is on this machine.

    Raises:
        ContractError: The score's rank doesn't follow from anything, or its rows can't rank.
    """
    specs = [sided_input.fed.spec for sided_input in job.inputs]
    if None not in (job.model.score.shape, *(spec.shape for spec in specs)):
        return job
    planned = bind_pair_inputs(job)
    inputs = tuple(_with_rank(sided_input, planned) for sided_input in job.inputs)
    score = job.model.score
    if score.shape is None:
        score = _ranked_score(job, planned)
        check_ranking(RankingOutput(score.name, job.model.column), score)
    return evolve(job, inputs=inputs, model=evolve(job.model, score=score))


def _with_rank(sided_input: SidedInput, planned: tuple[InputPlan, ...]) -> SidedInput:
    fed = sided_input.fed
    (plan,) = (plan for plan in planned if plan.tensors == fed.spec.tensors)
    if fed.spec.shape is not None or plan.form not in ("dense", "padded"):
        return sided_input
    shape = (None, *plan.dims)
    return evolve(sided_input, fed=evolve(fed, spec=evolve(fed.spec, shape=shape)))


def _ranked_score(job: RecommendJob, planned: tuple[InputPlan, ...]) -> TensorSpec:
    score, tensor = job.model.score, job.model.score.tensors[0]
    try:
        graph_def = job.model.meta_graph.graph_def
        shape = inferred_shapes(graph_def, fed_shapes(planned), [tensor]).get(tensor)
    except (ModelError, SetupError):
        shape = None  # TensorFlow isn't on this machine, or can't import the graph
    if shape is None and job.model.column is not None:
        shape = (None, None)  # the call names an entry of its rows
    if shape is None:
        raise ContractError(
            f"{output_text(score)}: the graph doesn't say its rank, and items are ranked by one "
            "number for each user and item",
            f"export tf.ensure_shape({score.name}, [None]) instead, or name an entry of its rows "
            "with " + argument("score", f"{score.name}[0]"),
        )
    return evolve(score, shape=shape)
