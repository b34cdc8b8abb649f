"""What the ops of a run mean: for its users, each with the reason, and for its threads."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tf2spark.saved_model.graph.graph_rows import ops_over_the_first_axis
from tf2spark.saved_model.graph.reachable_nodes import WalkedNode, user_run, walk
from tf2spark.saved_model.graph.upstream import node_name
from tf2spark.saved_model.protos import MetaGraph
from tf2spark.saved_model.safety.op_allow_list import package_of
from tf2spark.saved_model.safety.op_check import refused_ops

_WRITES_VARIABLES = (
    "Assign.*|Resource(Scatter|Apply|SparseApply|StridedSliceAssign|CountUpTo).*"
    "|Scatter(Nd)?(Add|Sub|Mul|Div|Min|Max|Update)|Apply.*"
)
_KEEPS_DATA = (
    "LookupTable(Insert|Import|Remove).*|Queue(Enqueue|Dequeue).*|.*Stage|.*Unstage"
    "|TFRA>.*(Insert|Import|Accum|Remove|Clear).*"
)
_KEEPS_STATE = re.compile(f"{_WRITES_VARIABLES}|{_KEEPS_DATA}")
_REASONS = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (
            "Random.*|Stateful(Random|Standard|Truncated|Uniform).*|TruncatedNormal|Multinomial"
            "|ParameterizedTruncatedNormal|NonDeterministicInts|RngReadAndSkip|RngSkip",
            "random: the same row can get different scores",
        ),
        (
            _WRITES_VARIABLES,
            "writes a variable while scoring: each worker has its own copy, and a row can affect "
            "the scores of later rows",
        ),
        (_KEEPS_DATA, "keeps data from one batch to the next"),
        ("(HashTable|AnonymousHashTable|MutableHashTable|MutableDenseHashTable).*", "lookup table"),
        ("Print|PrintV2", "prints to the worker's log"),
        ("Assert", "one row can make a whole batch fail"),
        ("XlaCallModule", "compiled again for each batch size; what it calls is not checked"),
        ("(Stateless)?(While|If|Case)|For|Enter|Switch", "control flow"),
    )
)


_MIXES_ROWS = "works along the first axis: rows may depend on each other (score finds out)"


def careful_ops(meta_graph: MetaGraph, fetches: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return (op, reason) for the noteworthy ops that fetching these tensors runs, sorted.

    Those that `op_check.check` refuses are among them, also where importing or loading the model
    runs them.

    Raises:
        ModelError: What loading runs isn't in the graph.
    """
    nodes = {node.name for node in meta_graph.graph_def.node}
    fetches = [name for name in fetches if node_name(name) in nodes]
    run = user_run(meta_graph, fetches, ())
    walked = list(walk(meta_graph, [run]))
    functions = {function.signature.name for function in meta_graph.graph_def.library.function}
    ops = {node.op for node, _ in walked} - functions
    reasons = {op: reason for op in ops if (reason := _reason(op)) is not None}
    for op, refusal in refused_ops(meta_graph, fetches).items():
        reasons[op] = _custom(op) or f"refused unless allowed: {refusal}"
    mixing = ops_over_the_first_axis(meta_graph.graph_def, walked)
    return tuple(sorted((dict.fromkeys(mixing, _MIXES_ROWS) | reasons).items()))


def keeps_state(walked: Iterable[WalkedNode]) -> bool:
    """Return whether a run of these nodes can change the results of later runs."""
    return any(_KEEPS_STATE.fullmatch(node.op) for node, _ in walked)


def _reason(op: str) -> str | None:
    return next((reason for pattern, reason in _REASONS if pattern.fullmatch(op)), None)


def _custom(op: str) -> str | None:
    package = package_of(op)
    if package is None:
        return None
    return (
        f"custom op of {package.name}: score needs "
        f'op_libraries=["{package.module}"] or --op-library {package.module}'
    )


_PRODUCTS = re.compile("BatchMatMul(V2|V3)?|Conv2D|Conv3D|DepthwiseConv2dNative|Einsum|MatMul")
# The other ops of models of numbers. Their kernels use Eigen's thread pool
# (tensorflow/core/kernels), or take no time worth dividing. Kernels of strings, parsers, decoders,
# segments, sorting and tables run in one thread each, and so do loops.
_DIVIDED_OR_CHEAP = re.compile(
    "Abs|Add|AddN|AddV2|All|Any|ArgMax|ArgMin|AvgPool|BiasAdd|BroadcastTo|Cast|Ceil|ClipByValue"
    "|Concat(V2)?|Const|Cos|DivNoNan|Elu|EnsureShape|Equal|Erf|Exp|ExpandDims|Expm1|Fill|Floor"
    "|FloorDiv|FloorMod|FusedBatchNormV3|Gather(V2)?|Greater|GreaterEqual|Identity|IdentityN|IsNan"
    "|LeakyRelu|Less|LessEqual|Log|Log1p|LogSoftmax|Logical(And|Not|Or)|Max|MaxPool|Maximum|Mean"
    "|Min|Minimum|Mul|Neg|NoOp|NotEqual|OneHot|OnesLike|Pack|Pad|PadV2|(Stateful)?PartitionedCall"
    "|Placeholder(WithDefault)?|Pow|Prod|Range|Rank|ReadVariableOp|RealDiv|Reciprocal|Relu|Relu6"
    "|Reshape|ResourceGather|Round|Rsqrt|Select(V2)?|Selu|Shape|Sigmoid|Sign|Sin|Size|Slice|Softmax"
    "|Softplus|Softsign|Split|SplitV|Sqrt|Square|SquaredDifference|Squeeze|StopGradient"
    "|StridedSlice|Sub|Sum|Tanh|Tile|Transpose|Unpack|VarHandleOp|VariableV2|ZerosLike"
)


def divides_ops(walked: Iterable[WalkedNode]) -> bool:
    """Return whether a run multiplies matrices, and TensorFlow divides its ops among threads.

    Two such ops at once only take each other's threads and cache: on 2 CPUs, a Transformer took 3 %
    less CPU time when its ops followed each other. Six branches of string ops took 1.6 times as
    long then, so every op has to be known.
    """
    ops = {node.op for node, context in walked if node.op not in context.functions}
    products = {op for op in ops if _PRODUCTS.fullmatch(op)}
    return bool(products) and all(_DIVIDED_OR_CHEAP.fullmatch(op) for op in ops - products)
