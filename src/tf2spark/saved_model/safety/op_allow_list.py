"""The allow-list of ops (``safe_ops.txt``), how many inputs ops have (``op_inputs.txt``), and which
packages have well-known custom ops.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from attrs import frozen

UNKNOWN = "unknown to tf2spark: it comes from an op library or a newer TensorFlow"
_ALLOWED = "allowed"
_STATELESS = "*"


@frozen
class OpPackage:
    """A Python package with custom ops.

    Attributes:
        name: As people install it, for messages.
        module: The name for ``op_libraries``.
    """

    name: str
    module: str


_TEXT_OPS = (
    "TFText>.*|CaseFoldUTF8|ConstrainedSequence|FastBertNormalize|FastWordpieceTokenizeWithOffsets"
    "|FindSourceOffsets|MaxSpanningTree|NormalizeUTF8(WithOffsetsMap)?|PhraseTokenize"
    "|RegexSplitWithOffsets|RougeL|SentenceFragments(V2)?|Sentencepiece.*Op"
    "|SplitMergeTokenizeWithOffsets|TokenizerFromLogits|UnicodeScriptTokenizeWithOffsets"
    "|(Whitespace|Wordpiece)TokenizeWithOffsets"
)
# The ops of tensorflow-text 2.21 and ydf-tf 2.21 were listed by loading them. The other packages
# register their ops under these prefixes.
_PACKAGES = tuple(
    (re.compile(pattern), OpPackage(*package))
    for pattern, package in (
        (_TEXT_OPS, ("tensorflow-text", "tensorflow_text")),
        ("SimpleML.*", ("ydf or tensorflow-decision-forests", "ydf")),
        ("TFRA>.*", ("tensorflow-recommenders-addons", "tensorflow_recommenders_addons")),
        ("Addons>.*", ("tensorflow-addons", "tensorflow_addons")),
        ("IO>.*", ("tensorflow-io", "tensorflow_io")),
        (
            "DecodeProtoSparseV[2-9]|EquiJoin(Any)?Indices|RunLengthBefore",
            ("struct2tensor", "struct2tensor"),
        ),
        ("Horovod.*", ("horovod", "horovod.tensorflow")),
        ("Tfq.*", ("tensorflow-quantum", "tensorflow_quantum")),
    )
)


def package_of(op: str) -> OpPackage | None:
    """Return the package that is known to have a custom op; None for an op that TensorFlow has."""
    if is_known(op):
        return None
    return next((package for pattern, package in _PACKAGES if pattern.fullmatch(op)), None)


def reason_refused(op: str) -> str | None:
    """Return why an op of this name is refused; None where the list allows it."""
    return None if op in _ops_by_title()[_ALLOWED] else refused_ops().get(op, UNKNOWN)


def is_known(op: str) -> bool:
    """Return whether an op is on the list, allowed or refused."""
    return reason_refused(op) != UNKNOWN


@cache
def refused_ops() -> dict[str, str]:
    """Return the ops known to be unsafe, each with the reason."""
    sections = _ops_by_title().items()
    return {
        op.removesuffix(_STATELESS): reason
        for reason, ops in sections
        if reason != _ALLOWED
        for op in ops
    }


@cache
def unsafe_at_import() -> frozenset[str]:
    """Return the refused ops that aren't stateful.

    TensorFlow may run them while it imports a graph (see `import_evaluation`).
    """
    marked = (op for ops in _ops_by_title().values() for op in ops if op.endswith(_STATELESS))
    return frozenset(op.removesuffix(_STATELESS) for op in marked)


@cache
def input_counts() -> dict[str, tuple[int, bool]]:
    """Return how many inputs an op has, and whether it can have more (``op_inputs.txt``)."""
    return {
        op: (int(count.rstrip("+")), count.endswith("+"))
        for count, ops in _sections("op_inputs.txt").items()
        for op in ops
    }


@cache
def _ops_by_title() -> dict[str, frozenset[str]]:
    return _sections("safe_ops.txt")


def _sections(file_name: str) -> dict[str, frozenset[str]]:
    """Return the words below each title of a file."""
    text = (resources.files(__package__) / file_name).read_text(encoding="utf-8")
    sections: dict[str, set[str]] = {}
    title = ""
    for line in text.splitlines():
        if line.startswith("["):
            title = line.strip("[]")
        elif line and not line.startswith("#"):
            sections.setdefault(title, set()).update(line.split())
    return {title: frozenset(words) for title, words in sections.items()}
