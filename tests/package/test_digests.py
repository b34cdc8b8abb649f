"""`digests`: one name for exact bytes, read as people copy it."""

from __future__ import annotations

import pytest

from tf2spark.errors import ContractError, ModelError
from tf2spark.package.digests import check_digest, digest_of_files, digest_text, parse_digest
from tf2spark.package.manifest import FileEntry

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "text", [DIGEST, f"sha256:{DIGEST}", DIGEST.upper(), f"SHA256:{DIGEST.upper()}"]
)
def test_a_digest_is_read_with_or_without_its_prefix(text: str) -> None:
    """People paste what a command printed, or what another tool computed."""
    assert parse_digest(text) == DIGEST
    assert parse_digest(digest_text(DIGEST)) == DIGEST


@pytest.mark.parametrize(
    "text",
    ["", "sha256:", DIGEST[:-1], DIGEST + "0", f"md5:{DIGEST}", f" {DIGEST}", f"{DIGEST}\n",
     "g" * 64, f"sha256:sha256:{DIGEST}", None, 7],
    ids=repr,
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    """A shortened or mistyped digest must not mean "any model"."""
    with pytest.raises(ContractError, match=r"is not a digest: a digest has 64 hexadecimal digits"):
        parse_digest(text)


def test_another_digest_is_an_error_with_both() -> None:
    """The message has the digest that was found, and the one that was expected."""
    check_digest(None, DIGEST, "/m")
    check_digest(DIGEST, DIGEST, "/m")
    with pytest.raises(ModelError) as caught:
        check_digest("f" * 64, DIGEST, "/m")
    assert f"its digest is sha256:{DIGEST}, expected sha256:{'f' * 64}" in str(caught.value)


def test_paths_sizes_and_contents_change_a_digest() -> None:
    """Two lists of files have the same digest only if they are the same."""
    file = FileEntry("a", "ab" * 32, 7)
    others = [
        [], [FileEntry("b", "ab" * 32, 7)], [FileEntry("a", "cd" * 32, 7)],
        [FileEntry("a", "ab" * 32, 8)], [file, file], [FileEntry("a\n7", "ab" * 32, 7)],
    ]  # fmt: skip
    digests = {digest_of_files(files) for files in ([file], *others)}
    assert len(digests) == 7
    assert digest_of_files([FileEntry("\udcff", "ab" * 32, 7)])  # a name that is not UTF-8
