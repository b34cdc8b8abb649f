"""A contract for people and programs to read: as text, JSON and HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from attrs import evolve

from tf2spark.dtypes import shape_text
from tf2spark.package.digests import digest_text
from tf2spark.package.manifest import Manifest, as_dict
from tf2spark.saved_model.contract import Contract, Signature, TensorSpec
from tf2spark.saved_model.tf_example.features import ParsedFeature
from tf2spark.shown_text import redact, shown

_NO_SIGNATURES = "no signatures: feed and fetch tensors by name (x:0)"
# Colors are those of the notebook's theme: text keeps its own, and lines are halfway to any other.
# The class is named twice, to win over the rules of JupyterLab.
_NOTEBOOK_STYLE = """\
.tf2spark { overflow-x: auto; }
.tf2spark table { border: 0; border-collapse: collapse; margin: 0 0 1em; color: inherit; }
.tf2spark caption { padding: 0 0 .3em; color: inherit; font-weight: 600; text-align: left; }
.tf2spark.tf2spark :is(th, td) {
  padding: .3em 1.4em .3em 0; border: 0; border-bottom: 1px solid rgba(128, 128, 128, .35);
  color: inherit; text-align: left; vertical-align: top; overflow-wrap: anywhere;
}
.tf2spark td:first-child:not(:last-child) { opacity: .75; }"""
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def as_text(contract: Contract, signature: str | None = None, *, digest: str | None = None) -> str:
    """Write a contract as aligned lines.

    Args:
        contract: The contract.
        signature: The only signature to show; all of them by default.
        digest: The model's digest (hex), which a contract doesn't have unless it is a package's.
    """
    header = [
        (_kind(contract), contract.path),
        *((f"  {name}", value) for name, value in _facts(contract)),
    ]
    if digest is not None and contract.package is None:
        header.append(("  digest", digest_text(digest)))
    lines = _aligned(header)
    for chosen in _signatures(contract, signature):
        method = chosen.method_name or "no method name"
        lines += ["", shown(f"signature {chosen.name}  ({method})")]
        lines += _tensor_lines(chosen)
        for spec in chosen.inputs:
            lines += _example_lines(spec)
    if not contract.signatures:
        lines += ["", _NO_SIGNATURES]
    return "\n".join(lines)


def as_json(contract: Contract, signature: str | None = None) -> dict[str, Any]:
    """Return a contract as plain values for JSON; an unknown size or rank is null."""
    return {
        "path": contract.path,
        "version": contract.version,
        "tag_sets": [list(tags) for tags in contract.tag_sets],
        "tags": list(contract.tags),
        "tensorflow_version": contract.tensorflow_version or None,
        "graph_bytes": contract.graph_bytes,
        "variables_bytes": contract.variables_bytes,
        "node_count": contract.node_count,
        "function_count": contract.function_count,
        "careful_ops": [{"op": op, "why": why} for op, why in contract.careful_ops],
        "assets": list(contract.assets),
        "warmup_requests": contract.warmup_requests,
        "package": None if contract.package is None else _package_json(contract.package),
        "signatures": {
            chosen.name: _signature_json(chosen) for chosen in _signatures(contract, signature)
        },
    }


def _package_json(package: Manifest) -> dict[str, Any]:
    # Whoever made the package may have recorded the password of a URL.
    return as_dict(evolve(package, source=redact(package.source)))


def as_html(contract: Contract) -> str:
    """Write a contract as HTML tables."""
    tables = [html_table(None, [(_kind(contract), contract.path), *_facts(contract)])]
    for signature in contract.signatures:
        header = ("", "name", "dtype", "shape", "tensor")
        caption = f"signature {signature.name} ({signature.method_name or 'no method name'})"
        rows = [("input", *_cells(spec)) for spec in signature.inputs]
        rows += [("output", *_cells(spec)) for spec in signature.outputs]
        tables.append(html_table(header, rows, caption))
        for spec in signature.inputs:
            if spec.example is not None and spec.example.features:
                cells = [(each.key, *_feature_cells(each)) for each in spec.example.features]
                tables.append(html_table(None, cells, _takes_text(spec)))
    if not contract.signatures:
        tables.append(f"<p>{_NO_SIGNATURES}</p>")
    return "\n".join(tables)


def size_text(size_bytes: int) -> str:
    """Write a size in the largest unit that fits: ``1.2 MiB``."""
    size, unit = float(size_bytes), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size_bytes:,} bytes" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def _kind(contract: Contract) -> str:
    return "package" if contract.package else "SavedModel"


def _facts(contract: Contract) -> list[tuple[str, str]]:
    others = [tags for tags in contract.tag_sets if tags != contract.tags]
    facts = [
        ("version", "" if contract.version is None else str(contract.version)),
        *(_package_facts(contract.package) if contract.package else ()),
        ("written by", contract.tensorflow_version and f"TensorFlow {contract.tensorflow_version}"),
        ("tags", _tags_text(contract.tags)),
        ("other tags", "; ".join(map(_tags_text, others))),
        ("graph", _graph_text(contract)),
        ("variables", size_text(contract.variables_bytes) if contract.variables_bytes else "none"),
        ("assets", ", ".join(contract.assets)),
        ("warmup", f"{contract.warmup_requests:,} requests" if contract.warmup_requests else ""),
        *(
            ("" if row else "caution", f"{op}: {why}")
            for row, (op, why) in enumerate(contract.careful_ops)
        ),
    ]
    return [(name, value) for name, value in facts if value]


def _package_facts(package: Manifest) -> Iterator[tuple[str, str]]:
    yield "made from", package.source
    if package.why_as_it_was is not None:
        yield "compiled", f"no, packaged unchanged: {package.why_as_it_was}"
    else:
        yield "compiled", f'signature "{package.signature}", by TensorFlow {package.tensorflow}'
        yield "verified", _verified_text(package)
        for name, value in package.constants:
            yield "compiled in", f"{name} = {value}"
    if package.weights:
        yield "mapped", _mapped_text(package)
    yield "digest", digest_text(package.digest)


def _mapped_text(package: Manifest) -> str:
    size = sum(file.size_bytes for file in package.files if file.path.startswith("weights/"))
    count = len(package.weights)
    tensors = "1 tensor" if count == 1 else f"{count} tensors"
    return f"{tensors}, {size_text(size)}, shared by all processes of a host"


def _verified_text(package: Manifest) -> str:
    """Describe how a compiled model was compared with the original."""
    verified = package.verified
    if verified is None:
        return f"no: {package.not_verified}"
    largest = max((difference for _, difference in verified.differences), default=0.0)
    result = f"differs by at most {largest:.1e}" if largest else "identical bits"
    return f"{verified.rows} rows, {verified.inputs}: {result} (tolerance {verified.tolerance:g})"


def _tags_text(tags: Sequence[str]) -> str:
    return ", ".join(tags) or "(no tag)"


def _graph_text(contract: Contract) -> str:
    return (
        f"{size_text(contract.graph_bytes)}, {contract.node_count:,} nodes, "
        f"{contract.function_count:,} functions"
    )


def _signatures(contract: Contract, name: str | None) -> Iterable[Signature]:
    return [signature for signature in contract.signatures if name in (None, signature.name)]


def _tensor_lines(signature: Signature) -> list[str]:
    rows: list[tuple[str, ...]] = []
    for role, specs in (("input", signature.inputs), ("output", signature.outputs)):
        rows += [(f"  {role}", *_cells(spec)) for spec in specs] or [(f"  {role}", "none")]
    return _aligned(rows)


def _example_lines(spec: TensorSpec) -> list[str]:
    """Say which features an input of serialized Examples has, if the graph names any."""
    if spec.example is None or not spec.example.features:
        return []
    rows = [(f"    {each.key}", *_feature_cells(each)) for each in spec.example.features]
    return [shown(f"  {_takes_text(spec)}"), *_aligned(rows)]


def _takes_text(spec: TensorSpec) -> str:
    is_sequence = spec.example is not None and spec.example.has_lists
    message = "tf.SequenceExample" if is_sequence else "tf.Example"
    return f"{spec.name} takes serialized {message}: feed with example(...)"


def _feature_cells(feature: ParsedFeature) -> tuple[str, str, str]:
    shape = shape_text(feature.dims) if feature.kind == "dense" else feature.kind
    steps = "list of " if feature.is_list else ""
    return f"{steps}{feature.dtype.name}", shape, "required" if feature.required else ""


def _cells(spec: TensorSpec) -> tuple[str, str, str, str]:
    kind = "" if spec.kind == "dense" else f"{spec.kind} "
    tensors = ", ".join(spec.tensors)
    if spec.argument:
        tensors += f" ({spec.argument})"
    return spec.name, kind + spec.dtype.name, shape_text(spec.shape), tensors


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    safe_rows = [[shown(cell) for cell in row] for row in rows]
    columns = zip_longest(*safe_rows, fillvalue="")
    widths = [max(map(len, column)) for column in columns]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in safe_rows]


def _signature_json(signature: Signature) -> dict[str, Any]:
    return {
        "method_name": signature.method_name,
        "inputs": {spec.name: _tensor_json(spec) for spec in signature.inputs},
        "outputs": {spec.name: _tensor_json(spec) for spec in signature.outputs},
    }


def _tensor_json(spec: TensorSpec) -> dict[str, Any]:
    tensor: dict[str, Any] = {
        "dtype": spec.dtype.name,
        "shape": None if spec.shape is None else list(spec.shape),
        "kind": spec.kind,
        "tensors": list(spec.tensors),
    }
    if spec.argument:
        tensor["argument"] = spec.argument
    if spec.example is not None:
        tensor["features"] = {each.key: _feature_json(each) for each in spec.example.features}
    return tensor


def _feature_json(feature: ParsedFeature) -> dict[str, Any]:
    return {
        "dtype": feature.dtype.name,
        "kind": feature.kind,
        "shape": list(feature.dims) if feature.kind == "dense" else None,
        "required": feature.required,
        "is_list": feature.is_list,
    }


def notebook_html(content: str) -> str:
    """Give HTML tables a style that fits a light and a dark notebook."""
    return f'<div class="tf2spark"><style>\n{_NOTEBOOK_STYLE}\n</style>\n{content}\n</div>'


def html_table(
    header: Sequence[str] | None, rows: Sequence[Sequence[str]], caption: str = ""
) -> str:
    """Write a table as HTML; everything in it is escaped.

    The last cell of a row that has fewer than others takes their place.
    """
    lines = ["<table>"]
    if caption:
        lines.append(f'<caption style="text-align: left">{html.escape(shown(caption))}</caption>')
    width = max(map(len, [*rows, header or ()]))
    if header:
        lines.append(_html_row(header, "th", width))
    lines += [_html_row(row, "td", width) for row in rows]
    return "\n".join([*lines, "</table>"])


def _html_row(cells: Sequence[str], tag: str, width: int) -> str:
    span = f' colspan="{width - len(cells) + 1}"' if len(cells) < width else ""
    *before, last = (html.escape(shown(cell)) for cell in cells)
    elements = "".join(f"<{tag}>{cell}</{tag}>" for cell in before)
    return f"<tr>{elements}<{tag}{span}>{last}</{tag}></tr>"
