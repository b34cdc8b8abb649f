"""What a rewrite of a graph did, and why it left other nodes as they are."""

from __future__ import annotations

from attrs import frozen

from tf2spark.saved_model.protos import AttrMessage, NodeMessage


@frozen
class Refusal:
    """Why a node is left as it is.

    Attributes:
        node: Its name.
        reason: Why, for a person.
    """

    node: str
    reason: str


@frozen
class Rewriting:
    """What a rewrite did.

    Attributes:
        rewritten: The names of the nodes that it changed.
        refused: Those that it could have changed, but for a reason.
    """

    rewritten: tuple[str, ...]
    refused: tuple[Refusal, ...]


def attribute(node: NodeMessage, key: str) -> AttrMessage | None:
    """Return an attribute of a node; None if it is missing, which `attr[key]` would add."""
    return node.attr.get(key)


def channels_last(node: NodeMessage) -> bool:
    """Return whether the channels of a node's images are their last dimension, the default."""
    value = attribute(node, "data_format")
    return value is None or value.s == b"NHWC"
