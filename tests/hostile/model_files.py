"""Writes SavedModel folders and packages by hand, hostile ones among them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import Factory, frozen

from hostile.graphs import serialize

VARIABLES = {
    "variables/variables.index": b"",
    "variables/variables.data-00000-of-00001": b"",
}
"""Variable files without which the loader wouldn't run the restore op; it doesn't read them."""


@frozen
class Model:
    """A SavedModel that is not written yet.

    Attributes:
        metas: Its MetaGraphs.
        files: Further files by path: the content, or a path to link to.
        raw: The content of saved_model.pb, where no message object can hold it.
    """

    metas: tuple[Any, ...] = ()
    files: Mapping[str, bytes | Path] = Factory(dict)
    raw: bytes | None = None

    @property
    def graph_file(self) -> bytes:
        return serialize(*self.metas) if self.raw is None else self.raw

    def write(self, folder: Path) -> Path:
        """Write the model to a new folder, and return the folder."""
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(self.graph_file)
        write_files(folder, self.files)
        return folder


def model(meta: Any, **files: bytes | Path) -> Model:
    """Return a SavedModel with one MetaGraph."""
    return Model((meta,), files)


def write_files(folder: Path, files: Mapping[str, bytes | Path]) -> None:
    """Write files into a folder: bytes as they are, paths as links."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            path.symlink_to(content)
        else:
            path.write_bytes(content)


@frozen
class Stored:
    """A file of a package: its entry in the manifest, and what is stored, if anything is."""

    entry: Mapping[str, Any]
    content: bytes | None

    @property
    def stored_name(self) -> str:
        return f"{self.entry['sha256'][:16]}-{Path(self.entry['path']).name}"


def stored(path: str, content: bytes, **changes: Any) -> Stored:
    """Return a file of a package; `changes` replace what its entry says."""
    sha256 = hashlib.sha256(content).hexdigest()
    entry = {"path": path, "sha256": sha256, "size_bytes": len(content)} | changes
    return Stored(entry, content)


def weight(path: str, dtype: int, shape: Iterable[int], tensor: str = "w:0") -> dict[str, Any]:
    """Return the manifest's entry of a tensor that is fed from a file."""
    return {"tensor": tensor, "path": path, "code": dtype, "shape": list(shape)}


def manifest(files: Iterable[Stored], weights: Iterable[Any] = (), /, **changes: Any) -> bytes:
    """Return a manifest.json whose digest fits its content, whatever that is."""
    content: dict[str, Any] = {
        "files": [dict(file.entry) for file in files],
        "tags": ["serve"],
        "weights": list(weights),
    }
    content |= {name: value for name, value in changes.items() if name in content}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    about = {
        "format": 1,
        "digest": digest,
        "signature": None,
        "constants": [],
        "why_as_it_was": "made by hand",
        "source": "",
        "source_digest": "",
        "tensorflow": "2.21.0",
        "tf2spark": "0",
        "verified": None,
        "not_verified": None,
    }
    return json.dumps(content | about | changes).encode()


def write_package(
    folder: Path,
    listed: Iterable[Stored],
    weights: Iterable[Any] = (),
    /,
    change: Callable[[bytes], bytes] = lambda text: text,
    **changes: Any,
) -> Path:
    """Write a package, and return its folder.

    Args:
        folder: Where.
        listed: What the manifest lists, and what is stored under the names that it implies.
        weights: The manifest's weights.
        change: Applied to the manifest's text at last.
        changes: Fields of the manifest that replace the right ones.
    """
    files = list(listed)
    (folder / "files").mkdir(parents=True)
    for file in files:
        if file.content is not None:
            # Not every hostile name can be a file's.
            with contextlib.suppress(OSError, ValueError):
                (folder / "files" / file.stored_name).write_bytes(file.content)
    (folder / "manifest.json").write_bytes(change(manifest(files, weights, **changes)))
    return folder
