"""Exports Keras models, from files or in memory, as SavedModels.

Files are loaded by Keras in its safe mode, which refuses Python code stored in a file.
"""

from __future__ import annotations

import io
import re
import zipfile
from contextlib import nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import tensorflow as tf

from tf2spark.errors import Advice, ModelError, SetupError, first_line
from tf2spark.other_formats import error_of
from tf2spark.table_types import is_a

_LAMBDA = re.compile(r"\bLambda\b.*(lambda|safe)|safe_mode", re.DOTALL)
_MISSING_CLASS = re.compile(
    r"Could not locate (?:class|function|registered|object) '?(?P<a>[\w>.]+)|"
    r"Unknown (?:layer|object|activation function|initializer): '?(?P<b>[\w>.]+)"
)


def export_file(file: Path, folder: Path, path: str) -> None:
    """Export a ``.keras`` or HDF5 file as a SavedModel.

    Args:
        file: The file on this machine, with the ending that Keras knows it by.
        folder: A folder that doesn't exist yet.
        path: The path that the user gave, for messages.

    Raises:
        ModelError: Keras can't load or export it.
        SetupError: Keras isn't installed, or doesn't run on TensorFlow.
    """
    keras = _keras()
    if not file.stat().st_size:
        raise ModelError(f'"{path}" is empty', "copy or save it again")
    if file.suffix == ".keras" and not zipfile.is_zipfile(file):
        # Keras would say that there is no such file.
        raise ModelError(
            f'"{path}" is damaged: it begins like a Keras file, but is not a whole zip archive',
            "copy or save it again",
        )
    try:
        model = keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # a file ends in any error: it is Keras's own code that parses it
        raise _not_loaded(path, error) from None
    _call_on_saved_shape(keras, model)
    export_object(model, folder, path)


def _call_on_saved_shape(keras: Any, model: Any) -> None:
    """Trace a subclassed model, which a call alone gives inputs, on its saved shape.

    Where that fails, exporting says what is missing.
    """
    shape = (model.get_build_config() or {}).get("input_shape")
    if getattr(model, "inputs", None) or shape is None:
        return
    with suppress(Exception):
        model(
            keras.tree.map_shape_structure(
                lambda sizes: keras.KerasTensor((None, *sizes[1:]), model.compute_dtype), shape
            )
        )


def export_object(model: Any, folder: Path, name: str) -> None:
    """Export a Keras model as a SavedModel.

    Args:
        model: A model of Keras 3, or of ``tf_keras``.
        folder: A folder that doesn't exist yet.
        name: What messages call it.

    Raises:
        ModelError: Keras can't export it.
        SetupError: Keras doesn't run on TensorFlow.
    """
    options: dict[str, Any] = {}
    if not is_a(model, "tf_keras", "Model"):
        _keras()
        options = {"verbose": False}
    # Keras 2 prints the endpoints, and has no option against that.
    printed = nullcontext() if options else redirect_stdout(io.StringIO())
    try:
        with printed:
            model.export(str(folder), **options)
    except Exception as error:  # the user's own layers run here
        built = getattr(model, "built", True) and getattr(model, "inputs", True) is not None
        raise ModelError(
            f'Keras can\'t export "{name}" as a SavedModel: {_reason(error)}',
            None
            if built
            else "a model that was never called has no inputs: call it once on a batch, then "
            "save or compile it",
        ) from error


def _reason(error: Exception) -> str:
    """Return what an error says; of one raised in user code that TensorFlow traces, its end."""
    first = first_line(error)
    if not first.endswith("in user code:"):
        return first
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next(
        (line for line in reversed(lines) if re.match(r"\w+(Error|Exception)\b", line)), first
    )


def _keras() -> Any:
    try:
        import keras
    except ImportError as error:
        raise SetupError(
            f"Keras can't be imported ({error}), and exporting a Keras model needs it",
            "pip install keras",
        ) from None
    if keras.config.backend() != "tensorflow":
        raise SetupError(
            f"Keras runs on {keras.config.backend()} here, and a SavedModel is exported by "
            "TensorFlow",
            "set the environment variable KERAS_BACKEND=tensorflow before Keras is imported",
        )
    return keras


def _not_loaded(path: str, error: Exception) -> ModelError:
    text = str(error)
    if match := _MISSING_CLASS.search(text):
        name = (match["a"] or match["b"]).rpartition(">")[2]
        return ModelError(
            f'"{path}" needs the class or function {name}, which is code of yours',
            f"load it in Python, where that code can be imported, and compile the object: "
            f'model = keras.saving.load_model("{path}", custom_objects={{"{name}": {name}}}); '
            'tf2spark.compile_model(model, "model.tf2spark")',
        )
    if _LAMBDA.search(text):
        return ModelError(
            f'"{path}" has Python code in it (a Lambda layer), which Keras\'s safe mode refuses '
            "to run",
            "if you trust the file, load it in Python and compile the object: "
            f'model = keras.saving.load_model("{path}", safe_mode=False); '
            'tf2spark.compile_model(model, "model.tf2spark")',
        )
    if re.search("truncated file|file signature not found|bad .*checksum", text):
        return ModelError(f'"{path}" is damaged ({first_line(error)})', "copy or save it again")
    if "No model config found" in text:
        return error_of("keras weights", path)
    return ModelError(
        f'Keras {_keras().__version__} can\'t load "{path}": {first_line(error)}',
        Advice(
            "load it with the Keras that saved it, and write a SavedModel: model.export(folder)",
            "load it in Python with the Keras that saved it, and write a SavedModel: "
            "model.export(folder)",
        ),
    )


assert tf  # imported first: without it, the error must name TensorFlow, not Keras
