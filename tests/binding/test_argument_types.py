"""Arguments of a wrong type are refused in one sentence, and unambiguous ones are accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tf2spark
from cases.tiny_models import save_graph_model
from tf2spark.binding import argument_types
from tf2spark.errors import ContractError

TABLE = pd.DataFrame({"x": [[1.0, 2.0]]})
OBJECTS = (3, 1.5, True, None, "nope", b"nope", ["nope"], {"a": 1}, {3}, lambda: 1, object(), 1j)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    save_graph_model(path / "1")
    save_graph_model(path / "12")
    return path


def test_unambiguous_text_is_accepted(folder: Path) -> None:
    """A version in quotes, tags as one text, one op without a list."""
    assert tf2spark.SavedModel(folder, version="1").contract.version == 1
    assert tf2spark.SavedModel(folder, version=np.int64(1)).contract.version == 1  # type: ignore[arg-type]
    model = tf2spark.SavedModel(folder, tags="serve", allow_ops="ReadFile")
    assert model.score(TABLE, fetch="score", keep="x")["score"].tolist() == [6.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: argument_types.version_number("v1"),
         "version must be the number of a version folder, as in version=3, not 'v1'; leave it out "
         "for the largest"),
        (lambda: argument_types.version_number(True),
         "version must be the number of a version folder, as in version=3, not True; leave it out "
         "for the largest"),
        (lambda: argument_types.tag_names([1]),
         'tags must be a list of names, not [1]; write tags=["serve"]'),
        (lambda: argument_types.op_names(3),
         'allow_ops must be a list of names, not 3; write allow_ops=["ReadFile"]'),
        (lambda: argument_types.path_text(None),
         'path must be a path or a URI, not None; write "/models/ctr"'),
        (lambda: argument_types.path_text(b"/models"),
         "path must be a path or a URI, not b'/models'; write \"/models/ctr\""),
        (lambda: argument_types.optional_name("signature", 3, "serving_default"),
         'signature must be a name, not 3; write signature="serving_default"'),
        (lambda: argument_types.check_switch("reproducible", "false"),
         "reproducible must be True or False, not 'false'"),
        (lambda: argument_types.check_tolerance("1"),
         "tolerance must be a number of at least 0, not '1'"),
        (lambda: argument_types.check_tolerance(float("nan")),
         "tolerance must be a number of at least 0, not nan"),
        (lambda: argument_types.whole_number("k", "10"),
         "k must be an integer of at least 1, not '10'"),
        (lambda: argument_types.check_choice("mode", ["failfast"], ["failfast"]),
         "mode can't be ['failfast']; did you mean \"failfast\"?"),
    ],
)  # fmt: skip
def test_the_message_says_what_to_write(call: Callable[[], Any], message: str) -> None:
    """The argument, what it must be, what was given."""
    with pytest.raises(ContractError) as refused:
        call()
    assert str(refused.value) == message


def test_tags_are_split_at_commas() -> None:
    """As on the command line, where a MetaGraph may have several."""
    assert argument_types.tag_names("serve,gpu") == ("serve", "gpu")
    assert argument_types.tag_names(None) is None
    assert argument_types.op_names(None) == ()


def with_argument(function: Callable[..., Any], name: str, *given: Any, **fixed: Any) -> Any:
    """A function of the value of one argument."""
    return lambda value: function(*given, **fixed | {name: value})


def calls(folder: Path) -> dict[str, Any]:
    """A call for each public argument, with one value of it."""
    model = tf2spark.SavedModel(folder)
    users, items = TABLE.assign(user_id=[1]), TABLE.assign(item_id=[1])
    arguments: dict[str, tuple[Any, ...]] = {
        "version tags allow_ops digest": (tf2spark.SavedModel, folder),
        "feed fetch signature keep batch_rows mode error_column reproducible model_column read "
        "rows": (model.score, TABLE),
        "feed fetch signature": (model.udf,),
    }
    calls = {
        f"{function.__qualname__}({name})": with_argument(function, name, *given)
        for names, (function, *given) in arguments.items()
        for name in names.split()
    }
    names = (
        "k user_id item_id feed score signature exclude candidates keep mode error_column "
        "model_column tolerance"
    )
    for name in names.split():
        # An output that isn't there ends the calls whose argument is right, before TensorFlow runs.
        calls[f"recommend({name})"] = with_argument(
            model.recommend, name, users, items, feed={"x": 1.0}, score="nope"
        )
    for name in ("signature", "feed", "fetch", "sample", "tolerance", "overwrite"):
        calls[f"compile({name})"] = with_argument(
            model.compile, name, folder / "package", fetch="nope"
        )
    return calls | {
        "path": tf2spark.SavedModel,
        "table": model.score,
        "users": with_argument(model.plan, "users", items=items),
        "items": with_argument(model.plan, "items", users),
        "literal": lambda value: model.score(TABLE, feed={"scale": tf2spark.literal(value)}),
        "padded": lambda value: tf2spark.padded(value, 0),
        "padded with": lambda value: tf2spark.padded("x", value),
        "assembled": tf2spark.assembled,
        "output": lambda value: model.score(TABLE, fetch=tf2spark.output(value)),
        "rank": lambda value: model.score(TABLE, fetch=tf2spark.output("score", rank=value)),
        "binary": lambda value: model.score(TABLE, fetch=tf2spark.binary(value)),
    }


def test_no_argument_ends_in_an_error_of_python(folder: Path) -> None:
    """Whatever an argument is given, it is accepted or refused with an error of this project."""
    for name, call in calls(folder).items():
        for value in OBJECTS:
            try:
                call(value)
            except tf2spark.errors.Tf2SparkError:
                continue
            except Exception as error:
                raise AssertionError(f"{name}={value!r}: {error!r}") from error
