"""What a package says of itself: ``manifest.json``, as frozen values.

A package is a folder that holds ``manifest.json`` and ``files/``. Every file of the model lies
under a name that begins with the SHA-256 of its content, so that the same name means the same
bytes wherever it is copied to; the manifest says which path each has in the model::

    ctr.tf2spark/
      manifest.json
      files/0c5f8ab2e1d94c77-saved_model.pb        saved_model.pb
      files/9be1f00d7f3a6c21-0.bin                 weights/0.bin
      files/51c0ffee2ab39d10-words.txt             assets/words.txt

The model is a SavedModel again. What was compiled has no checkpoint: small variables are constants
of its graph, large ones lie under ``weights/`` and are fed at every run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePosixPath
from typing import Any

from attrs import asdict, frozen

from tf2spark.errors import ModelError

FORMAT = 1
MANIFEST = "manifest.json"
FILES = "files"


@frozen
class FileEntry:
    """A file of the model: its path below the model's folder, and what it holds."""

    path: str
    sha256: str
    size_bytes: int

    @property
    def stored(self) -> str:
        """Return its name in a package and on its way to the workers: same name, same bytes."""
        return f"{self.sha256[:16]}-{PurePosixPath(self.path).name}"


@frozen
class Weight:
    """A tensor that was taken out of the graph: workers map its file and feed it at every run.

    `code` is the dtype's number in ``types.proto``. The file holds the values raw, little-endian
    and in C order, from its first byte.
    """

    tensor: str
    path: str
    code: int
    shape: tuple[int, ...]


@frozen
class Verified:
    """How the compiled model was held against the original, and how far apart they were.

    `inputs` is "warmup requests", "sample" or "made from the contract"; `differences` has the
    largest absolute difference of each output.
    """

    inputs: str
    rows: int
    differences: tuple[tuple[str, float], ...]
    tolerance: float


@frozen
class Manifest:
    """What a package says of itself.

    Attributes:
        files: Every file of the model, sorted by path.
        tags: The tags of its MetaGraph.
        weights: The tensors that are fed from files.
        signature: The signature that was compiled; None where the model is as it was.
        constants: The inputs that became part of the graph, each with its value as JSON.
        why_as_it_was: Why it wasn't compiled; None where it was.
        source: Where the original was, for people.
        source_digest: The SHA-256 over the original's files.
        tensorflow: The TensorFlow that compiled it.
        tf2spark: The tf2spark that wrote it.
        verified: How it was checked; None where it wasn't.
        not_verified: Why it wasn't; None where it was.
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

    @property
    def digest(self) -> str:
        """Return the SHA-256 over all that scores depend on: files, tags and weights."""
        whole = {name: value for name, value in asdict(self).items() if name in _CONTENT}
        return hashlib.sha256(_json(whole).encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.files)


_CONTENT = frozenset({"files", "tags", "weights"})


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, sort_keys=True)


def constant_text(value: Any) -> str:
    """Write the value of an input that became part of the graph."""
    return json.dumps(
        value, default=lambda one: one.tolist() if hasattr(one, "tolist") else str(one)
    )


def to_json(manifest: Manifest) -> str:
    """Write a manifest as ``manifest.json`` has it."""
    return _json(as_dict(manifest), indent=2) + "\n"


def as_dict(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest as plain values, its format and digest with them."""
    return {"format": FORMAT, "digest": manifest.digest, **asdict(manifest)}


def from_json(text: str, where: str) -> Manifest:
    """Read ``manifest.json``; `where` is its place, for messages.

    Raises:
        ModelError: It is damaged, or of a format that this version doesn't know.
    """
    damaged = f'"{where}" is damaged or was cut off: copy the package again'
    try:
        read = json.loads(text)
        written_format = read.pop("format")
        if written_format != FORMAT:
            raise ModelError(
                f'"{where}" has package format {written_format}, written by tf2spark '
                f"{read.get('tf2spark')}; this one knows format {FORMAT}: install a newer tf2spark"
            )
        digest = read.pop("digest")
        manifest = _structured(read)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(damaged) from error
    if manifest.digest != digest:
        raise ModelError(f"{damaged} (its digest doesn't fit what it lists)")
    return manifest


def _structured(read: dict[str, Any]) -> Manifest:
    verified = read.pop("verified")
    if verified is not None:
        differences = tuple((name, float(value)) for name, value in verified.pop("differences"))
        verified = Verified(differences=differences, **verified)
    files = tuple(FileEntry(**one) for one in read.pop("files"))
    for one in files:
        if ".." in PurePosixPath(one.path).parts or one.path.startswith("/"):
            raise ValueError(one.path)
    weights = tuple(
        Weight(shape=tuple(one.pop("shape")), **one) for one in list(read.pop("weights"))
    )
    tags = tuple(read.pop("tags"))
    constants = tuple((name, value) for name, value in read.pop("constants"))
    return Manifest(
        files=files, tags=tags, weights=weights, constants=constants, verified=verified, **read
    )
