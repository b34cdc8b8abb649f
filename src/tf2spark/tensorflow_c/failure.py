"""TensorFlow's errors: the status code, and the message made readable."""

from __future__ import annotations

import re

from tf2spark.errors import RunError

# Codes of ``tsl_status.h`` that are handled differently.
INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, OUT_OF_RANGE, DATA_LOSS = 3, 5, 9, 11, 15

# What kernels return for values they can't work with: a gather out of range, a failed assertion, a
# malformed Example (3); a read past the end of the data (11); corrupt compressed bytes (15).
_ROW_CAUSED = frozenset({INVALID_ARGUMENT, OUT_OF_RANGE, DATA_LOSS})


# What has these codes too, but is said of a constant of the graph (``const_op.cc``): each run would
# fail alike, after waiting for memory.
_GRAPH_CAUSED = re.compile("Cannot parse tensor from (tensor_)?proto")


class TensorFlowFailure(RunError):
    """TensorFlow returned an error.

    Attributes:
        code: TensorFlow's status code (``tsl_status.h``).
        message: Its message, without the stack of nodes, safe to show.
        row_caused: True if the fed values can be the cause, so that a smaller batch may pass.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = self.problem

    @property
    def row_caused(self) -> bool:
        return self.code in _ROW_CAUSED and not _GRAPH_CAUSED.search(self.message)


# "[[{{function_node f}}{{node a/b}}]]", then perhaps "[[a/c/_5]]"; only the first node helps.
_NODES = re.compile(r"\s*\[\[\{\{.*?\}\}\]\](?:\s*\[\[.*?\]\])*")
_NODE = re.compile(r"\{\{node ([^}]+)\}\}\]\]")
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
    text = roots[1] if roots else message
    node = _NODE.search(text)
    lines = (line.strip() for line in _NOISE.sub("", _NODES.sub("", text)).splitlines())
    kept = "; ".join(line for line in lines if line) or "no message"
    return f"{kept} (node {node[1]})" if node else kept
