"""Digests of models: one SHA-256 over all files of a model, by which people name exact bytes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable

from tf2spark.errors import ContractError, ModelError, argument
from tf2spark.package.manifest import FileEntry

_PREFIX = "sha256:"
_DIGEST = re.compile(rf"(?:{_PREFIX})?([0-9a-f]{{64}})", re.IGNORECASE)


def digest_of_files(files: Iterable[FileEntry]) -> str:
    """Return the SHA-256 (hex) over the path, size and content of every file of a SavedModel."""
    total = hashlib.sha256()
    for file in files:
        total.update(os.fsencode(file.path) + f"\0{file.size_bytes}\0".encode())
        total.update(bytes.fromhex(file.sha256))
    return total.hexdigest()


def digest_text(digest: str) -> str:
    """Write a digest (hex) for people: ``sha256:...``."""
    return f"{_PREFIX}{digest}"


def parse_digest(text: str) -> str:
    """Return the hex digits of a digest, which may begin with ``sha256:``.

    Raises:
        ContractError: It isn't a digest.
    """
    match = _DIGEST.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ContractError(
            f"{text!r} is not a digest: a digest has 64 hexadecimal digits, with or without "
            f'"{_PREFIX}" before them',
            argument("digest") + " takes what `tf2spark inspect` prints",
        )
    return match[1].lower()


def check_digest(expected: str | None, actual: str, path: str) -> None:
    """Check that a model is the one that was asked for.

    Args:
        expected: The digest (hex) that it must have; None for any.
        actual: The digest that it has.
        path: Where it is.

    Raises:
        ModelError: It is another model.
    """
    if expected is not None and actual != expected:
        raise ModelError(
            f'the model at "{path}" is not the expected one: its digest is {digest_text(actual)}, '
            f"expected {digest_text(expected)}"
        )
