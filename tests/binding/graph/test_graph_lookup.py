"""What requests ask of a real graph."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf
from attrs import evolve

from cases.models.saving import save_function
from cases.tiny_models import save_function_model, save_graph_model
from tf2spark.binding.calls.checks import check_call
from tf2spark.binding.feeds import Column, Output
from tf2spark.binding.graph.graph_lookup import check_described, graph_of, inferred_shapes
from tf2spark.binding.make_request import make_request
from tf2spark.binding.request import FedInput, FetchedOutput, Graph, Request
from tf2spark.dtypes import FLOAT32, INT32, INT64, STRING, Shape
from tf2spark.errors import ContractError
from tf2spark.saved_model import reader
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.saved_model.reader import LoadedModel


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """The TF1 graph."""
    path = tmp_path_factory.mktemp("models") / "graph"
    save_graph_model(path)
    return reader.read(path)


@pytest.fixture(scope="module")
def graph(loaded: LoadedModel) -> Graph:
    return graph_of(loaded)


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """The TF2 function."""
    path = tmp_path_factory.mktemp("models") / "function"
    save_function_model(path)
    return reader.read(path)


@pytest.mark.parametrize(
    "spec",
    [
        TensorSpec("x:0", FLOAT32, (None, 2), ("x:0",)),
        TensorSpec("scale:0", FLOAT32, (None,), ("scale:0",)),
        TensorSpec("keep_prob:0", FLOAT32, (), ("keep_prob:0",)),
        TensorSpec("any:0", FLOAT32, None, ("any:0",)),
        TensorSpec("any_out:0", FLOAT32, None, ("any_out:0",)),
        TensorSpec("words:0", STRING, (None,), ("words:0",)),
        TensorSpec("layer/hidden:0", FLOAT32, (None, 2), ("layer/hidden:0",)),
        TensorSpec("picked:0", FLOAT32, (None,), ("picked:0",)),
        TensorSpec("halves:1", FLOAT32, (None, 1), ("halves:1",)),
        TensorSpec("after:0", INT64, (None,), ("after:0",)),
    ],
    ids=lambda spec: spec.name,
)
def test_raw_tensors_have_dtype_and_shape(graph: Graph, spec: TensorSpec) -> None:
    """Placeholders tell their own, TensorFlow's shape inference that of other tensors."""
    assert graph.find(spec.name) == spec


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "weigths:0",
            'the graph has no tensor "weigths:0"; did you mean "weights:0"?',
        ),
        ("^x:0", 'the graph has no tensor "^x:0"; did you mean "x:0"?'),
        ("x:1", 'the graph has no tensor "x:1": node "x" (Placeholder) has no such output'),
        ("x:", 'the graph has no tensor "x:": node "x" (Placeholder) has no such output'),
        ("x:a", 'the graph has no tensor "x:a": node "x" (Placeholder) has no such output'),
        (
            "halves:2",
            'the graph has no tensor "halves:2": node "halves" (Split) has no such output',
        ),
        (
            "nothing:0",
            'the graph has no tensor "nothing:0": node "nothing" (NoOp) has no such output',
        ),
    ],
)
def test_raw_tensors_that_arent_there(graph: Graph, name: str, message: str) -> None:
    """A near name is suggested; an output that the node doesn't have is reported."""
    with pytest.raises(ContractError) as refused:
        graph.find(name)
    assert str(refused.value) == message


def test_tensors_inside_functions_are_said_to_be(function: LoadedModel) -> None:
    """TF2's exports keep a model's tensors where no session can fetch them."""
    with pytest.raises(ContractError) as refused:
        graph_of(function).find("tripled:0")
    assert str(refused.value).startswith(
        'the graph has no tensor "tripled:0"; "tripled" is inside the function "__inference_'
    )
    assert str(refused.value).endswith(
        "whose tensors can't be fed or fetched from outside: export the model with that tensor as "
        "an output of a signature"
    )


@pytest.mark.parametrize(
    ("fetches", "feeds", "inputs", "required", "optional"),
    [
        (["score:0"], [], ["x:0", "scale:0"], {"x:0"}, {"scale:0"}),
        (["score:0"], [], [], {"x:0"}, set()),
        (["score"], ["x"], ["scale:0"], set(), {"scale:0"}),
        (["score:0"], ["x:0", "scale:0"], ["rate:0"], set(), set()),
        (["layer/hidden:0"], [], ["x:0", "scale:0", "ids:0"], {"x:0"}, set()),
        (["score:0"], ["layer/hidden:0"], ["x:0"], set(), set()),
        (["score:0"], [], ["layer/hidden:0"], {"layer/hidden:0"}, set()),
        (["score:0"], ["x:0"], ["layer/hidden:0"], set(), {"layer/hidden:0"}),
        (["picked:0"], ["ids:0"], ["weights:0"], set(), {"weights:0"}),
        (["layer/hidden:0"], ["layer/hidden:0"], ["x:0"], set(), set()),
        (["x:0"], [], [], {"x:0"}, set()),
        (["score:0", "picked:0"], [], [], {"x:0", "ids:0"}, set()),
        (["after:0"], [], [], {"x:0", "ids:0"}, set()),
        (["after:0"], ["x:0"], [], {"ids:0"}, set()),
        (["halves:1"], [], [], {"x:0"}, set()),
    ],
)
def test_what_outputs_need(
    graph: Graph,
    fetches: Collection[str],
    feeds: Collection[str],
    inputs: Collection[str],
    required: Collection[str],
    optional: Collection[str],
) -> None:
    """Placeholders and inputs below the outputs are required, those with a default are not."""
    unfed = graph.unfed(fetches, feeds, inputs)
    assert (unfed.required, unfed.optional) == (required, optional)


def test_every_input_of_a_function_is_needed(function: LoadedModel) -> None:
    """A call takes all of its arguments, whichever output is wanted."""
    request = make_request(function.contract, graph_of(function), fetch=["total"])
    assert [fed.spec.name for fed in request.inputs] == ["times", "words", "x"]
    assert not any(fed.optional for fed in request.inputs)


@pytest.mark.parametrize(
    ("arguments", "inputs"),
    [
        ({}, {"x": False, "scale": True}),
        ({"fetch": ["hidden"]}, {"x": False}),
        ({"feed": {"scale": "s"}}, {"scale": False, "x": False}),
        ({"feed": {"layer/hidden:0": "h"}}, {"layer/hidden:0": False, "scale": True}),
        ({"signature": "from_hidden"}, {"h": False}),
        ({"signature": "both", "fetch": ["after"]}, {"ids": False, "x": False}),
        ({"signature": "both", "fetch": ["score"]}, {"x": False}),
        ({"feed": {"x:0": "a"}, "fetch": {"p": "score:0"}}, {"x:0": False, "scale": True}),
    ],
)
def test_inputs_of_requests(
    loaded: LoadedModel, graph: Graph, arguments: dict[str, Any], inputs: dict[str, bool]
) -> None:
    """Signatures, raw names, defaults and unused inputs come together in a request."""
    request = make_request(loaded.contract, graph, **arguments)
    assert {fed.spec.name: fed.optional for fed in request.inputs} == inputs


def test_an_input_that_is_not_in_the_graph_is_the_signature_s_fault(graph: Graph) -> None:
    """What the graph needs instead is named, as the feed that does without the signature."""
    with pytest.raises(
        ContractError, match=r"signature of the model is wrong.*\"gone:0\""
    ) as raised:
        graph.unfed(["score:0"], [], ["gone:0"])
    assert str(raised.value).endswith('feed={"x:0": "COLUMN"}')
    assert graph.unfed(["score:0"], ["x:0"], ["gone:0"]).required == frozenset()


@pytest.mark.parametrize(
    ("problem", "count"), [("the signature of the model is wrong: x", 1), ("no output y", 2)]
)
def test_columns_are_not_compared_with_a_wrong_signature(
    loaded: LoadedModel, problem: str, count: int
) -> None:
    """Beside other mistakes of a call, columns of a wrong type are named."""

    def make_request(*_: object) -> Request:
        raise ContractError(problem)

    schema = pa.schema([("x", pa.string())])
    with pytest.raises(ContractError) as refused:
        check_call(
            make_request,
            loaded.contract,
            (None, None, None),
            lambda _: schema,
            {"batch_rows": None},
        )
    assert len(refused.value.mistakes or (refused.value,)) == count


def request_of(*, fed: TensorSpec | None = None, fetched: TensorSpec | None = None) -> Request:
    inputs = () if fed is None else (FedInput(fed, Column("column")),)
    outputs = () if fetched is None else (FetchedOutput("p", fetched, Output("y")),)
    return Request(inputs, outputs)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (TensorSpec("in", FLOAT32, (None,), ("words:0",)), 'float32, .* "words:0" is string'),
        (TensorSpec("in", FLOAT32, (None,), ("words",)), 'float32, .* "words" is string'),
        (TensorSpec("in", FLOAT32, (None, 3), ("x:0",)), r"\[None, 3\], .* has \[None, 2\]"),
        (TensorSpec("in", FLOAT32, (None,), ("x:0",)), r"\[None\], .* has \[None, 2\]"),
        (TensorSpec("in", FLOAT32, (None,), ("nowhere:0",)), "which is not in the graph"),
        (TensorSpec("in", FLOAT32, (None,), ("x:y",)), "which is not in the graph"),
        (TensorSpec("in", FLOAT32, (None,), ("x:1",)), '"x:1", but Placeholder "x" has 1 outputs'),
        (
            TensorSpec("in", INT32, (None, 2), ("x:0", "any:0", "any:0"), "sparse"),
            'int64, .* "x:0" is float32',
        ),
        (
            TensorSpec("in", FLOAT32, (None, None), ("x:0", "any:0"), "ragged", (), INT64),
            'int64, .* "any:0" is float32',
        ),
    ],
)
def test_a_signature_that_is_not_the_graphs_is_refused(
    loaded: LoadedModel, spec: TensorSpec, problem: str
) -> None:
    """The message names the tensor and shows how to use it without the signature."""
    with pytest.raises(ContractError, match=f'is wrong: input "in" .*{problem}') as caught:
        check_described(loaded, request_of(fed=spec))
    assert f'feed={{"{spec.tensors[-1 if spec.kind == "ragged" else 0]}": "column"}}' in str(
        caught.value
    )
    with pytest.raises(ContractError, match=f'is wrong: output "in" .*{problem}'):
        check_described(loaded, request_of(fetched=spec))


@pytest.mark.parametrize(
    "spec",
    [
        TensorSpec("in", FLOAT32, None, ("x:0",)),
        TensorSpec("in", FLOAT32, (1, None), ("x:0",)),
        TensorSpec("in", FLOAT32, (None, 7), ("any:0",)),
        TensorSpec("in", FLOAT32, (None, 5), ("x:0",), "ragged"),
    ],
)
def test_a_signature_may_say_more_or_less_than_the_graph(
    loaded: LoadedModel, spec: TensorSpec
) -> None:
    """An unknown rank or dimension fits any."""
    check_described(loaded, request_of(fed=spec))


def test_the_outputs_of_a_function_are_compared(function: LoadedModel) -> None:
    """The node that calls it has the dtype of each output, and their number."""
    (signature,) = function.contract.signatures
    spec = signature.outputs[0]
    node = spec.tensors[0].partition(":")[0]
    check_described(function, request_of(fetched=spec))
    wrong = INT32 if spec.dtype is not INT32 else FLOAT32
    with pytest.raises(ContractError, match=f'output "{spec.name}" is {wrong}, but in the graph'):
        check_described(function, request_of(fetched=evolve(spec, dtype=wrong)))
    with pytest.raises(ContractError, match=rf'"{node}" has \d+ outputs; export .*fetch='):
        check_described(function, request_of(fetched=evolve(spec, tensors=(f"{node}:99",))))


@pytest.mark.parametrize("keys", [(None,), (None, 3), (None, 2, None)])
def test_a_table_of_scalars_keeps_the_shape_of_its_keys(tmp_path: Path, keys: Shape) -> None:
    """Also behind a call of a function; TensorFlow doesn't know that the values are scalars."""
    entries = tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2], tf.string, tf.int64)
    table = tf.lookup.StaticHashTable(entries, -1)
    spec = tf.TensorSpec(None, tf.string, "x")
    save_function(tmp_path, lambda x: {"y": table.lookup(x) + 1}, spec, keep={"table": table})
    loaded = reader.read(tmp_path)
    (signature,) = loaded.contract.signatures
    (fed,), (fetched,) = signature.inputs, signature.outputs
    shapes = inferred_shapes(
        loaded.meta_graph.graph_def, {fed.tensors[0]: (STRING, keys)}, fetched.tensors
    )
    assert shapes == {fetched.tensors[0]: keys}
