"""What a call asks of a model: inputs with feeds, outputs with columns."""

from __future__ import annotations

import pickle
from collections.abc import Collection
from typing import Any

import pytest
from attrs import evolve

from cases.contracts import N, dense, sparse
from tf2spark.binding.feeds import Column, Constant, Joined, literal, output
from tf2spark.binding.make_request import choose_signature, make_request
from tf2spark.binding.request import FedInput, Graph, Request, Unfed, check_columns
from tf2spark.dtypes import BOOL, FLOAT32, INT64, STRING
from tf2spark.errors import ContractError
from tf2spark.saved_model.contract import Contract, Signature, TensorSpec

X, IDS = dense(FLOAT32, N, 8, name="x"), dense(INT64, N, name="ids")
KEEP = dense(FLOAT32, name="keep_prob")
Y, Z = dense(FLOAT32, N, 1, name="y"), dense(FLOAT32, N, 4, name="z")
HIDDEN = TensorSpec("hidden:0", FLOAT32, (None, 4), ("hidden:0",))


def signature(
    name: str = "serving_default",
    inputs: tuple[TensorSpec, ...] = (X, IDS),
    outputs: tuple[TensorSpec, ...] = (Y, Z),
) -> Signature:
    return Signature(name, inputs, outputs, "tensorflow/serving/predict")


def contract(*signatures: Signature) -> Contract:
    return Contract("/model", None, (("serve",),), ("serve",), signatures)


def graph(required: Collection[str] = ("x:0", "ids:0"), optional: Collection[str] = ()) -> Graph:
    """A graph in which every output depends on these tensors, as far as nothing feeds them."""

    def find(name: str) -> TensorSpec:
        if name != "hidden:0":
            raise ContractError(f'the graph has no tensor "{name}"')
        return HIDDEN

    def unfed(_: Collection[str], feeds: Collection[str], __: Collection[str]) -> Unfed:
        return Unfed(frozenset(required) - set(feeds), frozenset(optional) - set(feeds))

    return Graph(find, unfed)


def request_of(*signatures: Signature, on: Graph | None = None, **arguments: Any) -> Request:
    return make_request(contract(*(signatures or (signature(),))), on or graph(), **arguments)


def message_of(*signatures: Signature, on: Graph | None = None, **arguments: Any) -> str:
    with pytest.raises(ContractError) as refused:
        request_of(*signatures, on=on, **arguments)
    return str(refused.value)


def fed(request: Request) -> dict[str, str]:
    return {fed_input.spec.name: str(fed_input.feed) for fed_input in request.inputs}


def test_names_decide_by_default() -> None:
    """Without feed and fetch, inputs take columns of their names and every output is fetched."""
    request = request_of()
    assert request.inputs == (
        FedInput(X, Column("x"), by_name=True),
        FedInput(IDS, Column("ids"), by_name=True),
    )
    assert [(output.column, output.spec) for output in request.outputs] == [("y", Y), ("z", Z)]


def test_named_inputs_come_first_and_the_rest_by_name() -> None:
    """A feed for one input leaves the others to the columns of their names."""
    request = request_of(feed={"ids": ["a", "b"]})
    assert request.inputs == (
        FedInput(IDS, Joined((Column("a"), Column("b")))),
        FedInput(X, Column("x"), by_name=True),
    )


def test_outputs_are_chosen_and_named() -> None:
    """`fetch` names columns, in its own order, and leaves outputs out."""
    request = request_of(fetch={"p": "z", "q": "y"})
    assert [fetched.column for fetched in request.outputs] == ["p", "q"]
    assert [fetched.spec for fetched in request_of(fetch="z").outputs] == [Z]


def test_inputs_that_no_fetched_output_needs_go_unfed() -> None:
    """An input that isn't reached needs no column."""
    assert fed(request_of(on=graph(["ids:0"]), fetch=["y"])) == {"ids": "ids"}


def test_raw_tensors_are_fed_and_fetched() -> None:
    """A name with a number is a tensor of the graph, fed or fetched along with the signature's."""
    request = request_of(feed={"hidden:0": "h"}, fetch={"inner": "hidden:0", "y": "y"})
    assert request.inputs[0] == FedInput(HIDDEN, Column("h"))
    assert request.outputs[0].spec == HIDDEN


def test_default_of_the_model_makes_an_input_optional() -> None:
    """It takes a column of its name if there is one; a single value keeps its default."""
    inputs = (X, IDS, KEEP)
    request = request_of(signature(inputs=inputs), on=graph(["x:0"], ["ids:0", "keep_prob:0"]))
    assert request.inputs == (
        FedInput(X, Column("x"), by_name=True),
        FedInput(IDS, Column("ids"), by_name=True, optional=True),
    )


def test_default_of_the_model_can_be_overruled() -> None:
    """An input that is named is fed, default or not."""
    request = request_of(
        signature(inputs=(X, KEEP)), on=graph(["x:0"], ["keep_prob:0"]), feed={"keep_prob": 0.5}
    )
    assert request.inputs[0] == FedInput(KEEP, Constant(0.5))


def test_two_inputs_of_one_tensor_need_one_column() -> None:
    """Where two keys of a signature are the same tensor, the first takes the column."""
    same = TensorSpec("x_again", FLOAT32, (None, 8), ("x:0",))
    assert fed(request_of(signature(inputs=(X, same)), on=graph(["x:0"]))) == {"x": "x"}


def test_part_of_a_sparse_input_fed_raw_asks_for_the_other_parts() -> None:
    """A sparse input isn't fed as a whole if one of its tensors is fed by its own name."""
    on = graph(["indices:0", "values:0", "shape:0"])
    raw = Graph(lambda name: TensorSpec(name, INT64, (None, 2), (name,)), on.unfed)
    assert message_of(
        signature(inputs=(sparse(),)), on=raw, feed={"indices:0": "i"}, fetch=["y"]
    ) == (
        '"y" can\'t be computed without "shape:0", "values:0"; write feed={"shape:0": "COLUMN"}, '
        "or feed a constant"
    )


def test_a_request_travels() -> None:
    """A udf carries it to the workers."""
    request = request_of(feed={"ids": literal(3)}, fetch={"p": "y"})
    assert pickle.loads(pickle.dumps(request)) == request


@pytest.mark.parametrize(
    ("names", "wanted", "chosen"),
    [
        (["serving_default", "other"], None, "serving_default"),
        (["other"], None, "other"),
        (["serving_default", "other"], "other", "other"),
    ],
)
def test_the_right_signature_is_chosen(names: list[str], wanted: str | None, chosen: str) -> None:
    """The named one; else ``serving_default``; else the only one."""
    match = choose_signature(contract(*map(signature, names)), wanted)
    assert match is not None
    assert match.name == chosen


def test_model_without_signatures() -> None:
    """There is none to choose, which isn't wrong where raw tensors are named."""
    assert choose_signature(contract(), None) is None
    on = graph(["hidden:0"])
    request = make_request(contract(), on, feed={"hidden:0": "h"}, fetch={"p": "hidden:0"})
    assert fed(request) == {"hidden:0": "h"}


def test_raw_tensors_need_no_signature_chosen() -> None:
    """Several signatures without a default don't matter where only raw tensors are named."""
    arguments: Any = {"feed": {"hidden:0": "h"}, "fetch": {"p": "hidden:0"}}
    both = (signature("a"), signature("b"))
    assert fed(request_of(*both, on=graph(["hidden:0"]), **arguments)) == {"hidden:0": "h"}


def test_raw_tensors_beside_a_default_signature_leave_the_rest_to_it() -> None:
    """The default signature's inputs are matched by name even where only raw ones are named."""
    both = (signature("serving_default"), signature("other"))
    request = request_of(*both, feed={"hidden:0": "h"}, fetch={"p": "hidden:0"})
    assert fed(request) == {"hidden:0": "h", "x": "x", "ids": "ids"}


TENSOR = "(a tensor of the graph has a number after its name, "
BOTH = (signature("a"), signature("b", (IDS,), (Z,)))


@pytest.mark.parametrize(
    ("signatures", "arguments", "message"),
    [
        (
            BOTH,
            {},
            'the model has several signatures ("a", "b") and none is "serving_default"; choose '
            'one: signature="a"',
        ),
        (
            BOTH,
            {"fetch": {"p": "hidden:0"}},
            'the model has several signatures ("a", "b") and none is "serving_default"; choose '
            'one: signature="a"',
        ),
        (
            (signature(),),
            {"signature": "serving_defualt"},
            'the model has no signature "serving_defualt"; did you mean "serving_default"?',
        ),
        (
            (signature(),),
            {"signature": "predict"},
            'the model has no signature "predict"; the signatures are "serving_default"',
        ),
        (
            (signature(),),
            {"fetch": {"p": "score"}},
            'the signature "serving_default" has no output "score"; the outputs are "y", "z" '
            f'{TENSOR}"score:0")',
        ),
        (
            (signature(),),
            {"feed": {"idx": "a"}},
            'the signature "serving_default" has no input "idx"; did you mean "ids"? '
            f'{TENSOR}"idx:0")',
        ),
        (
            (signature(),),
            {"fetch": {"y": "score"}},
            'the signature "serving_default" has no output "score", but it has "y"; fetch maps new '
            'columns to outputs: write fetch={"score": "y"}',
        ),
        (
            (signature(),),
            {"feed": {"features": "x", "ids": "ids"}},
            'the signature "serving_default" has no input "features", but it has "x", "ids"; feed '
            'maps inputs to columns: write feed={"x": "features", "ids": "ids"}',
        ),
        (
            (signature(inputs=(evolve(X, name="features"),)),),
            {"feed": {"feature": "features"}},
            'the signature "serving_default" has no input "feature", but it has "features"; did '
            'you mean feed={"features": "features"}? Otherwise, feed maps inputs to columns: write '
            'feed={"features": "feature"}',
        ),
        (
            (signature(outputs=(evolve(Y, name="score"),)),),
            {"fetch": {"score": "scores"}},
            'the signature "serving_default" has no output "scores", but it has "score"; did you '
            'mean fetch={"score": "score"}? Otherwise, fetch maps new columns to outputs: write '
            'fetch={"scores": "score"}',
        ),
        (
            (signature(),),
            {"feed": {"idx": "a", "weight": "b"}, "fetch": ["p", "q"]},
            "4 mistakes:\n"
            '- the signature "serving_default" has no input "idx"; did you mean "ids"? '
            f'{TENSOR}"idx:0")\n'
            '- the signature "serving_default" has no input "weight"; the inputs are "x", "ids" '
            f'{TENSOR}"weight:0")\n'
            '- the signature "serving_default" has no output "p"; the outputs are "y", "z" '
            f'{TENSOR}"p:0")\n'
            '- the signature "serving_default" has no output "q"; the outputs are "y", "z" '
            f'{TENSOR}"q:0")',
        ),
        (
            (signature(),),
            {"feed": {"x": None, "ids": {}}, "fetch": 3},
            "3 mistakes:\n"
            '- feed["x"]: None can\'t feed an input; leave the input out, and it takes the column '
            "of its own name\n"
            '- feed["ids"]: {} can\'t feed an input; write a column name, a list of column '
            'names, a number, literal("text"), literal([1, 2]), padded(column, value) or '
            'assembled("a", "b")\n'
            "- 3 doesn't say which outputs to fetch; write a list of outputs, or which output "
            'becomes which column: fetch={"COLUMN": "OUTPUT"}',
        ),
        (
            (signature(outputs=(Y,)), signature("b", (X,), (Z,))),
            {"fetch": ["z"]},
            'the signature "serving_default" has no output "z", but "b" has; write signature="b"',
        ),
        (
            (signature(),),
            {"feed": {"lost:0": "a"}},
            'the graph has no tensor "lost:0"',
        ),
        (
            (signature(inputs=(X, TensorSpec("x2", FLOAT32, (None, 8), ("x:0",)))),),
            {"feed": {"x": "a", "x2": "b"}},
            'feed: "x" and "x2" are the same tensor, "x:0"; name only one of them',
        ),
        (
            (signature(inputs=(X,)),),
            {},
            '"y", "z" can\'t be computed without "ids:0"; write feed={"ids:0": "COLUMN"}, or feed '
            "a constant",
        ),
        (
            (signature(),),
            {"fetch": {"p": output("y", rank=3)}},
            'output "y" (float32 [None, 1]) has rank 2, not 3; name the output without a rank',
        ),
        (
            (signature(outputs=()),),
            {},
            'the signature "serving_default" has no output; name tensors, as in '
            'feed={"x:0": "COLUMN"}, fetch={"score": "y:0"}',
        ),
        (
            (),
            {"feed": {"x": "a"}, "fetch": ["hidden:0"]},
            f'the model has no signature, so there is no input "x" {TENSOR}"x:0")',
        ),
        (
            (),
            {"fetch": ["hidden:0"]},
            '"hidden:0" can\'t be computed without "ids:0", "x:0"; write feed={"ids:0": "COLUMN"}, '
            "or feed a constant",
        ),
        (
            (),
            {},
            'the model has no signature; name tensors, as in feed={"x:0": "COLUMN"}, '
            'fetch={"score": "y:0"}',
        ),
    ],
)
def test_what_the_model_lacks(
    signatures: tuple[Signature, ...], arguments: dict[str, Any], message: str
) -> None:
    """A message names what is missing and what to write."""
    with pytest.raises(ContractError) as refused:
        make_request(contract(*signatures), graph(), **arguments)
    assert str(refused.value) == message


def test_rank_of_an_output_is_stated_where_the_graph_doesnt_tell() -> None:
    """`output(name, rank=2)` gives an output of unknown rank two dimensions."""
    unknown = TensorSpec("y", FLOAT32, None, ("y:0",))
    request = request_of(signature(outputs=(unknown,)), fetch={"p": output("y", rank=2)})
    assert request.outputs[0].spec.shape == (None, None)


COLUMNS_A = 'its columns are "features", "user_id"'


@pytest.mark.parametrize(
    ("inputs", "columns", "message"),
    [
        (
            (X,),
            ["features", "user_id"],
            'the table has no column for input "x" (float32 [None, 8]); '
            f'{COLUMNS_A}; say what feeds it: feed={{"x": "COLUMN"}}',
        ),
        (
            (dense(INT64, N, name="userid"),),
            ["features", "user_id"],
            'the table has no column for input "userid" (int64 [None]); '
            f'{COLUMNS_A}; did you mean feed={{"userid": "user_id"}}?',
        ),
        (
            (dense(INT64, N, name="userid"), X, dense(BOOL, name="is_training")),
            ["features", "user_id"],
            'the table has no column for input "userid" (int64 [None]) and input "x" '
            f'(float32 [None, 8]) and input "is_training" (bool []); {COLUMNS_A}; say what feeds '
            'them: feed={"userid": "user_id", "x": "COLUMN", "is_training": True}',
        ),
        (
            (dense(STRING, name="lang"),),
            [],
            'the table has no column for input "lang" (string []); it has no columns; say '
            'what feeds it: feed={"lang": tf2spark.literal("text")}',
        ),
    ],
)
def test_inputs_without_a_column_of_their_name(
    inputs: tuple[TensorSpec, ...], columns: list[str], message: str
) -> None:
    """All of them are named in one message, which ends with the feed to write."""
    on = graph([spec.tensors[0] for spec in inputs])
    with pytest.raises(ContractError) as refused:
        check_columns(request_of(signature(inputs=inputs), on=on), columns)
    assert str(refused.value) == message


def test_a_wide_table_is_not_listed_whole() -> None:
    """The first twelve columns are enough."""
    columns = [f"c{number}" for number in range(500)]
    with pytest.raises(ContractError, match='"c11" and 488 more; say'):
        check_columns(request_of(signature(inputs=(X,)), on=graph(["x:0"])), columns)


def test_optional_inputs_need_no_column() -> None:
    """The model's default stands where the table has no column of the name."""
    check_columns(request_of(on=graph(["x:0"], ["ids:0"])), ["x"])
