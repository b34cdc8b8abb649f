"""`stored_names`: no file of a model ships under a name that Spark or Python acts upon."""

from __future__ import annotations

import re

import pytest

from tf2spark.package.stored_names import readable_names, stored_name

SHA256 = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "path",
    [
        "saved_model.pb",
        "fingerprint.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "weights/12.bin",
        "assets/words.txt",
        "assets/vocab",
        "assets/m.model",
        "assets.extra/tf_serving_warmup_requests",
        "catalog/ids.arrow",
    ],
)
def test_usual_names_are_kept(path: str) -> None:
    """People see in a package which file is which."""
    assert stored_name(SHA256, path) == f"0123456789abcdef-{path.rpartition('/')[2]}"
    assert readable_names(SHA256, path) == (stored_name(SHA256, path),)


@pytest.mark.parametrize(
    "name",
    [
        "x.tar.gz", "x.tgz", "x.tar", "x.zip", "x.jar", "x.TAR.GZ", "x.Zip", "x.py", "x.pyc",
        "x.so", "x.cpython-311-x86_64-linux-gnu.so", "x.pth", "x.egg", "x.whl", "x.class", "x.gz",
        "x.sh", "x.exe", "x.", ".pb", "..", "x.tar.gz ", "x.tar.gz\n", "a b.txt", "a%2e.txt",
        "a#b.txt", "a?b.txt", "a:b.txt", "a*.txt", "a{b}.txt", "[a].txt", "ü.txt", "a\\b.txt",
        "a\nb.txt", "a" * 80 + ".txt", "x.txt\n", "\u0661.txt",
    ],
    ids=repr,
)  # fmt: skip
def test_other_names_are_neutral(name: str) -> None:
    """Archives, modules, and what a URI or a pattern would read otherwise, lose their names."""
    stored = stored_name(SHA256, f"assets/{name}")
    assert stored == "0123456789abcdef-asset.file"
    assert readable_names(SHA256, f"assets/{name}") == (stored, f"0123456789abcdef-{name}")


def test_no_stored_name_is_acted_upon() -> None:
    """Whatever follows a harmless ending, or precedes a harmful one, the result is harmless."""
    harmful = re.compile(r"\.(tar|gz|tgz|zip|jar|py|pyc|so|pth|egg|whl|class)$", re.IGNORECASE)
    names = ["a", "a.txt", "a.pb", "a.tar.gz", "a.zip", "a.py", ""]
    for first in names:
        for second in names:
            for name in (first + second, f"{first}.{second}", f"{first} {second}"):
                stored = stored_name(SHA256, name)
                assert not harmful.search(stored)
                assert re.fullmatch(r"[0-9a-f]{16}-[\w.-]{1,80}", stored, re.ASCII)
