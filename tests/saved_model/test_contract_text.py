"""`contract_text`: what `inspect` prints and a notebook shows."""

from __future__ import annotations

import re

from attrs import evolve

from tf2spark.dtypes import FLOAT32, INT64
from tf2spark.package.manifest import Manifest
from tf2spark.saved_model.contract import Contract, Signature, TensorSpec
from tf2spark.saved_model.contract_text import (
    as_html,
    as_json,
    as_text,
    notebook_html,
    size_text,
)

CONTRACT = Contract(
    path="/models/ctr/42",
    version=42,
    tag_sets=(("serve",), ("gpu", "serve")),
    tags=("serve",),
    signatures=(
        Signature(
            "serving_default",
            (
                TensorSpec("ids", INT64, (None, 3), ("ids:0",)),
                TensorSpec(
                    "<x>", FLOAT32, (None, 10), ("x/i:0", "x/v:0", "x/s:0"), "sparse", ("x",)
                ),
            ),
            (TensorSpec("score", FLOAT32, None, ("score:0",)),),
            "tensorflow/serving/predict",
        ),
    ),
    tensorflow_version="2.21.0",
    graph_bytes=12_000,
    variables_bytes=3_500_000,
    node_count=1234,
    function_count=5,
    careful_ops=(("PyFunc", "runs Python"), ("RandomUniform", "draws numbers")),
    assets=("vocabulary.txt",),
    warmup_requests=10,
)

TEXT = """\
SavedModel    /models/ctr/42
  version     42
  written by  TensorFlow 2.21.0
  tags        serve
  other tags  gpu, serve
  graph       11.7 KiB, 1,234 nodes, 5 functions
  variables   3.3 MiB
  assets      vocabulary.txt
  warmup      10 requests
  caution     PyFunc: runs Python
              RandomUniform: draws numbers

signature serving_default  (tensorflow/serving/predict)
  input   ids    int64           [None, 3]     ids:0
  input   <x>    sparse float32  [None, 10]    x/i:0, x/v:0, x/s:0
  output  score  float32         unknown_rank  score:0"""


def test_text_is_aligned_and_complete() -> None:
    """The text shows everything in the contract, in columns."""
    assert as_text(CONTRACT) == TEXT


def test_contract_prints_itself() -> None:
    """print(model.contract) shows the text, and a notebook the tables."""
    assert str(CONTRACT) == TEXT
    assert CONTRACT._repr_html_() == notebook_html(as_html(CONTRACT))


def test_a_notebook_s_theme_gives_the_colors() -> None:
    """The style has no color of its own, except for lines that show on any background."""
    page = notebook_html(as_html(CONTRACT))
    colors = re.findall(r"(?:color|background|border-bottom): ([^;]+);", page)
    assert set(colors) == {"inherit", "1px solid rgba(128, 128, 128, .35)"}
    assert "<script" not in page


def test_missing_facts_are_left_out() -> None:
    """Facts that don't apply take no line, and a model without signatures says so."""
    bare = Contract("/m", None, ((),), (), ())
    assert as_text(bare).splitlines() == [
        "SavedModel   /m",
        "  tags       (no tag)",
        "  graph      0 bytes, 0 nodes, 0 functions",
        "  variables  none",
        "",
        "no signatures: feed and fetch tensors by name (x:0)",
    ]
    assert "<p>no signatures: feed and fetch tensors by name (x:0)</p>" in as_html(bare)


def test_signature_without_inputs_says_so() -> None:
    """A signature without inputs has a line that says it."""
    signature = evolve(CONTRACT.signatures[0], inputs=())
    lines = as_text(evolve(CONTRACT, signatures=(signature,))).splitlines()
    assert lines[-2:] == ["  input   none", "  output  score  float32  unknown_rank  score:0"]


def test_json_is_plain_values() -> None:
    """Unknown sizes and ranks are null, and a composite input lists all its tensors."""
    signature = as_json(CONTRACT)["signatures"]["serving_default"]
    assert signature["inputs"]["<x>"] == {
        "dtype": "float32",
        "shape": [None, 10],
        "kind": "sparse",
        "tensors": ["x/i:0", "x/v:0", "x/s:0"],
    }
    assert signature["outputs"]["score"]["shape"] is None
    assert as_json(CONTRACT)["careful_ops"][0] == {"op": "PyFunc", "why": "runs Python"}


def test_html_escapes_names() -> None:
    """A name from the model can't become markup in a notebook."""
    page = as_html(CONTRACT)
    assert "&lt;x&gt;" in page
    assert "<x>" not in page


def test_names_are_shown_as_text() -> None:
    """A name can't act on a terminal, or make a line or a cell of its own."""
    forged = "a\x1b[2J\nError: all is well\u202e"
    (signature,) = CONTRACT.signatures
    hostile = evolve(
        CONTRACT,
        path=f"s3a://user:PASSWORD@bucket/{forged}",
        tag_sets=((forged,), (f"other{forged}",)),
        tags=(forged,),
        signatures=(evolve(signature, name=forged, method_name=forged),),
        tensorflow_version=forged,
        assets=(forged,),
        careful_ops=((forged, "draws numbers"), ("b", forged)),
    )
    safe = r"a\x1b[2J\nError: all is well\u202e"
    plain, text = as_text(CONTRACT), as_text(hostile)
    assert text.replace("\n", "").isprintable()
    assert len(text.splitlines()) == len(plain.splitlines())
    assert text.count(safe) == 9
    assert as_html(hostile).replace("\n", "").isprintable()
    assert "PASSWORD" not in text + as_html(hostile)


def test_a_package_s_source_is_shown_without_a_password() -> None:
    """Whoever made a package may have recorded one; neither form shows it."""
    manifest = Manifest((), ("serve",), source="s3a://user:PASSWORD@bucket/m")
    package = evolve(CONTRACT, package=manifest)
    assert as_json(package)["package"]["source"] == "s3a://***@bucket/m"
    assert "s3a://***@bucket/m" in as_text(package)
    assert "PASSWORD" not in as_html(package)


def test_sizes_are_readable() -> None:
    """A size is written in the largest unit that fits."""
    sizes = [size_text(size) for size in (0, 1023, 1024, 5 * 1024**3, 3 * 1024**5)]
    assert sizes == ["0 bytes", "1,023 bytes", "1.0 KiB", "5.0 GiB", "3072.0 TiB"]
