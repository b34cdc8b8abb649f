"""The inputs and outputs of a SavedModel as frozen values, read once on the driver."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from tf2spark.dtypes import DType, Shape
from tf2spark.package.manifest import Manifest
from tf2spark.saved_model.tf_example.features import ParsedExample

Kind = Literal["dense", "sparse", "ragged"]


@frozen
class TensorSpec:
    """One input or output of a signature.

    Attributes:
        name: Its key in the signature.
        dtype: Its dtype; for sparse and ragged tensors, that of the values.
        shape: The shape of the whole tensor, batch dimension first.
        tensors: The graph tensors that carry it, as ``node:0``. Dense: one. Sparse: indices
            (int64 [nnz, rank]), values, dense shape (int64 [rank]). Ragged: the flat values,
            then the row splits from the outermost to the innermost.
        kind: "dense", "sparse" or "ragged".
        parts: The signature keys of a composite tensor that TF2 flattened (``x``, ``x_1``,
            ``x_2``); empty otherwise.
        splits_dtype: The dtype of a ragged tensor's row splits.
        example: What the graph parses from it, if it takes serialized ``tf.Example`` messages.
        argument: What it is in a nested argument that TF2 flattened, as ``features["age"]``; empty
            where it is an argument itself.
    """

    name: str
    dtype: DType
    shape: Shape
    tensors: tuple[str, ...]
    kind: Kind = "dense"
    parts: tuple[str, ...] = ()
    splits_dtype: DType | None = None
    example: ParsedExample | None = None
    argument: str = ""

    @property
    def rank(self) -> int | None:
        return None if self.shape is None else len(self.shape)


@frozen
class Signature:
    """One signature: a named way to call the model."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    method_name: str


@frozen
class Contract:
    """What a SavedModel takes and returns, and what its user should know about it.

    Attributes:
        path: The folder that holds ``saved_model.pb``, or the package.
        version: The number of the version folder; None where the path names the model itself.
        tag_sets: The tags of every MetaGraph in the file.
        tags: The tags of the MetaGraph described here.
        signatures: Its signatures, sorted by name.
        tensorflow_version: The TensorFlow version that wrote it ("" where unknown).
        graph_bytes: Size of ``saved_model.pb``.
        variables_bytes: Size of the files under ``variables/``, and of a package's weights.
        node_count: Nodes of the graph, including function bodies.
        function_count: Functions in its library.
        careful_ops: Ops that need attention, each with the reason.
        assets: Paths of the asset files, relative to ``assets/``.
        warmup_requests: Requests in ``assets.extra/tf_serving_warmup_requests``, up to 1,000.
        package: The manifest of a package; None for a plain SavedModel.
    """

    path: str
    version: int | None
    tag_sets: tuple[tuple[str, ...], ...]
    tags: tuple[str, ...]
    signatures: tuple[Signature, ...]
    tensorflow_version: str = ""
    graph_bytes: int = 0
    variables_bytes: int = 0
    node_count: int = 0
    function_count: int = 0
    careful_ops: tuple[tuple[str, str], ...] = ()
    assets: tuple[str, ...] = ()
    warmup_requests: int = 0
    package: Manifest | None = None

    def __str__(self) -> str:
        from tf2spark.saved_model.contract_text import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from tf2spark.saved_model.contract_text import as_html, notebook_html

        return notebook_html(as_html(self))
