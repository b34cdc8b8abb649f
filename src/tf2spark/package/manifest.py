"""The manifest of a package: ``manifest.json`` as frozen values.

A package is a folder with ``manifest.json`` and ``files/``. The stored name of a model's file
begins with the SHA-256 of its content, so the same name means the same bytes wherever the file is
copied to; the manifest gives the path of each in the model. `stored_names` has the names, and
`manifest_reader` reads the file::

    ctr.tf2spark/
      manifest.json
      files/0c5f8ab2e1d94c77-saved_model.pb        saved_model.pb
      files/9be1f00d7f3a6c21-0.bin                 weights/0.bin
      files/51c0ffee2ab39d10-words.txt             assets/words.txt

The model is again a SavedModel. A compiled one has no checkpoint: small variables are constants of
its graph, large ones are files in ``weights/`` and are fed at every run.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from attrs import asdict, frozen

from tf2spark.package.stored_names import stored_name

FORMAT = 1
MANIFEST = "manifest.json"
FILES = "files"


@frozen
class FileEntry:
    """A file of the model: its path relative to the model's folder, its SHA-256 (hex), its size."""

    path: str
    sha256: str
    size_bytes: int

    @property
    def stored(self) -> str:
        """Return its name in a package and in transit: equal names mean equal bytes."""
        return stored_name(self.sha256, self.path)


@frozen
class Weight:
    """A tensor that was moved out of the graph: workers map its file and feed it at every run.

    `code` is the dtype's number in ``types.proto``. The file is the raw values, little-endian and
    in C order, without a header.
    """

    tensor: str
    path: str
    code: int
    shape: tuple[int, ...]


@frozen
class Verified:
    """How the compiled model was compared with the original, and how much they differed.

    Attributes:
        inputs: "warmup requests", "sample" or "generated from the contract".
        rows: How many rows both models were run on.
        differences: The largest absolute difference of each output.
        tolerance: The tolerance; see `tf2spark.compile.verification.verify`.
    """

    inputs: str
    rows: int
    differences: tuple[tuple[str, float], ...]
    tolerance: float


@frozen
class Manifest:
    """The content of a package, and where it came from.

    Attributes:
        files: Every file of the model, sorted by path.
        tags: The tags of its MetaGraph.
        weights: The tensors that are fed from files.
        signature: The signature that was compiled; None where the model was packaged unchanged.
        constants: The inputs that became part of the graph, each with its value as JSON.
        why_as_it_was: Why the model was packaged unchanged; None where it was compiled.
        source: Where the original was, for people to read.
        source_digest: The SHA-256 over the original's files.
        tensorflow: The version of TensorFlow that compiled it.
        tf2spark: The version of tf2spark that wrote it.
        verified: How it was verified; None where it wasn't.
        not_verified: Why it wasn't verified; None where it was.
        op_libraries: The op libraries that it was made with, by name. They are for people to read:
            a package never loads native code by itself.
    """

    files: tuple[FileEntry, ...]
    tags: tuple[str, ...]
    weights: tuple[Weight, ...] = ()
    signature: str | None = None
    constants: tuple[tuple[str, str], ...] = ()
    why_as_it_was: str | None = None
    source: str = ""
    source_digest: str = ""
    tensorflow: str = ""
    tf2spark: str = ""
    verified: Verified | None = None
    not_verified: str | None = None
    op_libraries: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Return the SHA-256 over everything that scores depend on: files, tags and weights."""
        content = {name: value for name, value in asdict(self).items() if name in _CONTENT}
        return hashlib.sha256(_json(content).encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


_CONTENT = frozenset({"files", "tags", "weights"})


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, sort_keys=True)


def constant_text(value: Any) -> str:
    """Write the value of an input that became part of the graph, as JSON."""
    return json.dumps(value, default=_plain_value)


def _plain_value(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def to_json(manifest: Manifest) -> str:
    """Write a manifest in the form of ``manifest.json``."""
    return _json(as_dict(manifest), indent=2) + "\n"


def as_dict(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest as plain values, with its format and digest."""
    return {"format": FORMAT, "digest": manifest.digest, **asdict(manifest)}
