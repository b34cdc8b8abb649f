"""The features of a ``tf.Example`` as a graph's parsing ops describe them."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from tf2spark.dtypes import Dims, DType

FeatureKind = Literal["dense", "sparse", "ragged"]


@frozen
class ParsedFeature:
    """One feature that a graph parses.

    Attributes:
        key: Its key in the Example.
        dtype: float32, int64 or string: the lists of ``tf.train.Feature``.
        kind: "dense" (``FixedLenFeature``), "sparse" (``VarLenFeature``) or "ragged".
        dims: The dimensions of a dense feature, without the batch (and without the steps). A first
            one of None is of any length (``FixedLenSequenceFeature``).
        required: Parsing fails for an Example without it: it is dense and has no default.
        is_list: It is a feature list of a ``tf.SequenceExample``: one feature for each step.
    """

    key: str
    dtype: DType
    kind: FeatureKind
    dims: Dims = ()
    required: bool = False
    is_list: bool = False


@frozen
class ParsedExample:
    """What a graph parses from one string input.

    Attributes:
        features: The features, sorted by key.
        complete: Nothing else reads the strings, so there are no other features.
    """

    features: tuple[ParsedFeature, ...]
    complete: bool

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all features."""
        return tuple(feature.key for feature in self.features)

    @property
    def has_lists(self) -> bool:
        """Whether it is a ``tf.SequenceExample``."""
        return any(feature.is_list for feature in self.features)

    def feature(self, key: str) -> ParsedFeature | None:
        """Return the feature of that key, if there is one."""
        return next((feature for feature in self.features if feature.key == key), None)
