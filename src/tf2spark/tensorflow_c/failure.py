"""TensorFlow's errors: the status code, the message made readable, and what can be the cause."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from tf2spark.errors import ModelError, RunError

# Codes of ``tsl_status.h`` that are handled differently.
INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, FAILED_PRECONDITION = 3, 5, 7, 9
OUT_OF_RANGE, UNIMPLEMENTED, DATA_LOSS = 11, 12, 15

Cause = Literal["values", "values or model", "process"]
"""What can make a run fail: the fed values, as a rule; these or the model; or neither of them, but
the process that runs it (no memory, say)."""

# What kernels return for values they can't work with: a gather out of range, a failed assertion, a
# malformed Example (3); a read past the end of the data (11); corrupt compressed bytes (15).
_ROW_CAUSED = frozenset({INVALID_ARGUMENT, OUT_OF_RANGE, DATA_LOSS})
# A file that isn't there (5), may not be read (7) or is a folder (9): it can be named by a value or
# by the graph. And a kernel that can't do what it is asked for (12).
_UNCLEAR = frozenset({NOT_FOUND, PERMISSION_DENIED, FAILED_PRECONDITION, UNIMPLEMENTED})

# What has these codes too, but is said of a constant of the graph (``const_op.cc``): each run would
# fail alike, after waiting for memory.
_GRAPH_CAUSED = re.compile("Cannot parse tensor from (tensor_)?proto")


# What `readable` appends.
_NODE_AT_END = re.compile(r" \(node ([^()]*)\)\Z")


class TensorFlowFailure(RunError):
    """TensorFlow returned an error.

    Attributes:
        code: TensorFlow's status code (``tsl_status.h``).
        message: Its message, without the stack of nodes, safe to show.
        cause: What can be the cause.
        row_caused: True if the fed values are the likely cause, so that a smaller batch may pass.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = self.problem

    @property
    def node(self) -> str:
        """The node that failed; empty if TensorFlow names none."""
        match = _NODE_AT_END.search(self.message)
        return match[1] if match else ""

    @property
    def without_node(self) -> str:
        """The message for people who know the model's inputs, but not its nodes.

        Some of TensorFlow's messages end as a sentence does, but ours go on.
        """
        return _NODE_AT_END.sub("", self.message).removesuffix(".")

    @property
    def cause(self) -> Cause:
        if _GRAPH_CAUSED.search(self.message):
            return "process"
        if self.code in _ROW_CAUSED:
            return "values"
        return "values or model" if self.code in _UNCLEAR else "process"

    @property
    def row_caused(self) -> bool:
        return self.cause == "values"


def model_fault(failure: TensorFlowFailure) -> ModelError | None:
    """Return the error of a model that can't run with any values; None for any other failure.

    Recognized by how TensorFlow words it: such failures have codes that values can cause too.
    """
    for pattern, describe in _MODEL_FAULTS:
        # At the start: further on, a message can quote a value.
        if match := pattern.match(failure.message):
            return ModelError(*describe(match))
    return None


def _no_kernel(match: re.Match[str]) -> tuple[str, str]:
    op, details = match["op"] or match["name"], match["details"] or ""
    devices = re.search(r"Registered devices: \[(.*?)\]", details)
    kernels = re.search(r"Registered kernels:; (device=.*?)(?:; \[\[|$)", details)
    where = f"on {devices[1]}" if devices else "on this machine's devices"
    others = f" for these types (kernels: {kernels[1][:200]})" if kernels else ""
    return (
        f"the model can't run here: this TensorFlow has no kernel {where} for its op {op}{others}",
        "export the model without that op; the Cudnn ops need a GPU (layers that are built with "
        "use_cudnn=False, or loaded without one, don't have them)"
        if op.startswith("Cudnn")
        else "export the model without that op",
    )


def _empty_table(match: re.Match[str]) -> tuple[str, str]:
    return (
        f"the model can't run: nothing fills one of its lookup tables ({match[0].rstrip('. ')})",
        "export it with the initializer of its tables: in TensorFlow 2 the saved object must have "
        "the table as an attribute; in TensorFlow 1 tf.tables_initializer() is the main_op",
    )


def _not_for_xla(match: re.Match[str]) -> tuple[str, str]:
    ops = dict.fromkeys(re.findall(r"(\w+) \((?:No registered|[^()]*XLA)", match["ops"]))
    names = ", ".join("its arguments" if op in ("_Arg", "_Retval") else op for op in ops)
    types = sorted(set(re.findall(r"DT_(STRING|VARIANT|RESOURCE)", match["ops"])))
    of_type = f" of type {', '.join(types).lower()}" if types else ""
    return (
        f"the model can't run: its function {match['function']} is compiled by XLA "
        f"(jit_compile=True), which can't compile {names or 'it'}{of_type}",
        "export the model without jit_compile: tf.function(...) without it, and in Keras "
        "model.compile(..., jit_compile=False) before model.export(path)",
    )


def _no_device(match: re.Match[str]) -> tuple[str, str]:
    return (
        f'the model can\'t run: its node "{match["node"]}" is assigned to {match["device"]}, a '
        "device of the cluster that it was trained on",
        "compile the model, as a package has no devices (SavedModel(path).compile(package) or "
        "tf2spark compile MODEL PACKAGE), or export it with clear_devices=True",
    )


def _no_python_function(_: re.Match[str]) -> tuple[str, str]:
    return (
        "the model can't run: it calls a Python function, which a SavedModel doesn't contain",
        "export it without tf.py_function and tf.numpy_function",
    )


def _missing(match: re.Match[str]) -> tuple[str, None]:
    return f"the model can't run: {match[0]}", None


_MODEL_FAULTS: tuple[
    tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[str, str | None]]], ...
] = (
    (
        re.compile(
            r"(?:No OpKernel was registered to support Op '(?P<op>\w+)'"
            r"|(?:Could not find|No registered) '(?P<name>\w+)' OpKernel)(?P<details>.*)",
            re.DOTALL,
        ),
        _no_kernel,
    ),
    (re.compile(r"Table not initialized\b.*", re.DOTALL), _empty_table),
    (re.compile(r"ValueError: Could not find callback with key="), _no_python_function),
    (
        re.compile(
            r"Cannot assign a device for operation (?P<node>[^:\s]+): .*?"
            r"(?:explicitly )?assigned to (?P<device>/\S+)",
            re.DOTALL,
        ),
        _no_device,
    ),
    (
        re.compile(
            r"(?:Resource \S+ does not exist|Container \S+ does not exist"
            r"|Op type not registered|Function \S+ is not defined).*",
            re.DOTALL,
        ),
        _missing,
    ),
    (
        re.compile(
            r"Detected unsupported operations when trying to compile graph "
            r"(?:__inference_)?(?P<function>[^\s\[]+?)(?:_\d+)?(?:\[\])? on \S+: (?P<ops>.*)",
            re.DOTALL,
        ),
        _not_for_xla,
    ),
)


# "[[{{function_node f}}{{node a/b}}]]", then perhaps "[[a/c/_5]]"; only the first node helps.
_NODES = re.compile(r"\s*\[\[\{\{.*?\}\}\]\](?:\s*\[\[.*?\]\])*|\n\t \[\[[\w./-]+\]\]")
_NODE = re.compile(r"\{\{node ([^}]+)\}\}\]\]")
# Before the reason, once for each function that was being instantiated: the body of a loop, say.
_FUNCTION_NODES = re.compile(r"(?:\{\{function_node [^{}]*\}\}\s*)+")
# Advice and bookkeeping meant for TensorFlow's own developers.
_NOISE = re.compile(
    r"\s*\[Op:\w+\].*"
    r"|\s*Hint: If you want to see a list of allocated tensors.*"
    r"|\s*Make sure the Op and Kernel are registered in the binary.*"
    r"|\s*To inspect available tag-sets in the SavedModel.*"
    r"|\s*\d+ successful operations\."
    r"|\s*\d+ derived errors ignored\."
    r"| in binary running on \S+(?= Make)"
)
_FIRST_ROOT = re.compile(
    r"\d+ root error\(s\) found\.\s*\(0\) [\w ]+: (.*?)(?=\n\s*\(1\)|\Z)", re.DOTALL
)


def readable(message: str) -> str:
    """Return an error message without TensorFlow's stack of nodes, but with the failing one."""
    roots = _FIRST_ROOT.match(message)
    text = _FUNCTION_NODES.sub("", roots[1] if roots else message, count=1)
    node = _NODE.search(text)
    lines = (line.strip() for line in _NOISE.sub("", _NODES.sub("", text)).splitlines())
    kept = "; ".join(line for line in lines if line) or "no message"
    return f"{kept} (node {node[1]})" if node else kept
