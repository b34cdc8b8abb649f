"""What TensorFlow says of a model that it can't load, as an error that names the model."""

from __future__ import annotations

import re
from pathlib import Path

from tf2spark.errors import ModelError, unrestored
from tf2spark.tensorflow_c.failure import TensorFlowFailure, model_fault
from tf2spark.tensorflow_c.library import version


def not_loaded(name: str, failure: TensorFlowFailure) -> ModelError:
    """Return the error of a model at `name` that TensorFlow refused to load."""
    why = f"TensorFlow {version()} can't load {name}: {failure.message}"
    if failure.message.startswith("Op type not registered"):
        return ModelError(f"{why}. It is a custom op, or one of a newer TensorFlow")
    if fault := model_fault(failure):
        return fault
    if "RestoreV2" in failure.message:
        return ModelError(f"{why}. The files under {name}/variables are damaged or incomplete")
    if "InitializeTableFromTextFile" in failure.message:
        return ModelError(f"{why}. It fills a lookup table from a file under {name}/assets")
    return ModelError(why)


_UNRESTORED = re.compile(
    r"Could not find variable (?P<a>.+?)\. This could mean"
    r"|Error while reading resource variable (?P<b>\S+) from Container"
    r"|Attempting to use uninitialized value (?P<c>\S+)"
    # Of a function that XLA compiles (jit_compile=True).
    r"|Read variable failure (?P<d>\S+)\. It could mean the variable is uninitialized"
)


def uninitialized(path: str, model_name: str, failure: TensorFlowFailure) -> ModelError | None:
    """Return the error of a model whose restore op leaves a variable without a value."""
    # At the start: further on, a message can quote a value.
    match = _UNRESTORED.match(failure.message)
    if match is None:
        return None
    name = next(filter(None, match.groups()))
    if not (Path(path) / "variables" / "variables.index").is_file():
        return ModelError(
            f"variable {name!r} of {model_name} has no value: the model comes without "
            f"{model_name}/variables/variables.index"
        )
    return unrestored(model_name, [name])
