"""What a model keeps between runs: compiling keeps variables and lookup tables, and nothing else.

Variables become constants, and the init op of a package fills the tables that don't change after
that. Whatever else the restore op or the init op of the original fills would be empty in a package,
so such a model isn't compiled.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from tensorflow.python.framework import op_def_registry

from tf2spark.compile.original import NotCompilable
from tf2spark.saved_model.graph.function_library import called_functions
from tf2spark.saved_model.graph.loader_runs import loader_runs
from tf2spark.saved_model.graph.reachable_nodes import user_run, walk
from tf2spark.saved_model.graph.upstream import upstream
from tf2spark.saved_model.protos import GraphMessage, MetaGraph, NodeMessage

_TABLE_FILLING_OPS = ("InitializeTable", "LookupTableImport", "LookupTableInsert")
_MUTABLE_TABLES = re.compile("(Anonymous)?Mutable(Dense)?HashTable.*")
# Ops with state that compiling keeps, or that ends with the run.
_KEPT = re.compile(
    # variables: their values are read after the init op has run
    "VarHandleOp|Variable(V2)?|ReadVariableOp|VarIsInitializedOp|IsVariableInitialized"
    "|VariableShape|DisableCopyOnRead|Assign.*|CountUpTo|Scatter.*"
    "|Resource(Gather|Scatter|Apply|SparseApply|StridedSliceAssign|CountUpTo).*"
    # tables, and the data sets that fill them
    "|(Anonymous)?(Mutable)?(Dense)?HashTable.*|InitializeTable.*"
    "|LookupTable(Import|Insert|Find|Size|Export).*|.*Dataset(V[0-9]+)?"
    "|Restore(V2|Slice)?|StatefulPartitionedCall|PartitionedCall|If|While|Case|For"
    # random initial values
    "|Random.*|Stateful(Random|Standard|Truncated|Uniform).*|StatelessRandomGetAlg"
    "|TruncatedNormal|ParameterizedTruncatedNormal|Multinomial|NonDeterministicInts|Rng.*"
    "|TensorArray.*|Stack.*|TemporaryVariable|DestroyTemporaryVariable|Empty|DeepCopy|GuaranteeConst"
    "|Assert|Print(V2)?|CheckNumerics.*|Timestamp"
)


def refuse_other_state(
    meta_graph: MetaGraph, fetches: Iterable[str], feeds: Iterable[str], custom_ops: Collection[str]
) -> None:
    """Refuse a model whose outputs may depend on more state than variables and static tables.

    Args:
        meta_graph: The original.
        fetches: The tensors that the package fetches.
        feeds: The tensors that it feeds.
        custom_ops: The ops of op libraries, whose state is never known.

    Raises:
        NotCompilable: They may.
    """
    for run in loader_runs(meta_graph):
        (_, label), *_ = run.fetches
        for node, _ in walk(meta_graph, [run]):
            if node.op in custom_ops:
                raise NotCompilable(f'its {label} runs a custom op ({node.op} "{node.name}")')
            if _has_unknown_state(node):
                raise NotCompilable(
                    f'its {label} runs {node.op} "{node.name}", and of what that fills only '
                    "variables and lookup tables can be compiled"
                )
    for node, _ in walk(meta_graph, [user_run(meta_graph, fetches, feeds)]):
        if _MUTABLE_TABLES.fullmatch(node.op):
            raise NotCompilable(
                f'the contents of its mutable table "{node.name}" ({node.op}) are in the '
                "checkpoint, outside of variables"
            )


def _has_unknown_state(node: NodeMessage) -> bool:
    if _KEPT.fullmatch(node.op):
        return False
    definition = op_def_registry.get(node.op)
    if definition is None:  # a function that is called by its name
        return False
    # Ops of TensorFlow 1 that change state take it by reference.
    return definition.is_stateful or any(argument.is_ref for argument in definition.input_arg)


def table_filling_ops(graph: GraphMessage, inits: Collection[str]) -> list[str]:
    """Return the nodes upstream of the init ops that fill tables.

    The others assign variables, which are constants in the compiled model.

    Raises:
        NotCompilable: A function that can't be inlined may fill tables, or the checkpoint does.
    """
    nodes = {node.name: node for node in graph.node}
    bodies = {function.signature.name: function.node_def for function in graph.library.function}
    filling: list[str] = []
    for name, node in upstream(nodes, inits).items():
        if node.op.startswith(_TABLE_FILLING_OPS):
            filling.append(name)
        elif node.op.endswith("PartitionedCall") or _fills_tables(node, bodies):
            raise NotCompilable(f'its init op calls a function that can\'t be inlined ("{name}")')
    for node in upstream(nodes, filling).values():
        if node.op.startswith("Restore"):
            raise NotCompilable(f'its init op fills a table from the checkpoint ("{node.name}")')
    return sorted(filling)


def _fills_tables(node: NodeMessage, bodies: dict[str, Iterable[NodeMessage]]) -> bool:
    """Return whether a node calls functions, directly or not, that fill tables."""
    pending, seen = list(called_functions(node)), set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        for inner in bodies.get(name, ()):
            if inner.op.startswith(_TABLE_FILLING_OPS):
                return True
            pending.extend(called_functions(inner))
            pending.append(inner.op)  # a function can be called as an op
    return False
