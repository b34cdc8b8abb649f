"""A case for every op of the rule table: how it is called, and on what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from attrs import frozen

from cases.graphs import (
    Draw,
    Fed,
    booleans,
    both,
    item,
    normal,
    numbers,
    positive,
    user,
    words,
)

raw = tf.raw_ops
tf1 = tf.compat.v1
Forms = Mapping[str, Any]


def constant(*dims: int, seed: int = 3, low: float = 0.2, high: float = 0.9) -> Any:
    return np.random.default_rng(seed).uniform(low, high, dims).astype(np.float32)


# Ops that treat every value apart.


@frozen
class Apart:
    """An op that treats every value apart: how it is called, and what it is fed."""

    op: str
    call: Callable[..., Any]
    draw: Draw = normal
    dtype: Any = tf.float32

    def inputs(self) -> list[Fed]:
        kept = {"draw": self.draw, "dtype": self.dtype}
        return [user(5, **kept), item(5, **kept), both("u2 i3", **kept), both("i1 u2 i2", **kept)]

    def forms(self, u: Any, i: Any, mixed: Any, other: Any) -> dict[str, Any]:
        """Return a value in every form that values of its dtype can have."""
        found = {"user": u, "item": i, "concat": mixed, "interleaved": other}
        if self.dtype == tf.string:
            return found
        if self.dtype == tf.bool:
            return found | {"pair": tf.not_equal(u, i)}
        found |= {"pair": tf.maximum(u, i), "product": u * i}
        if self.dtype.is_integer:
            return found | {"sum": u + i, "concat of sums": tf.concat([u + i, mixed], 1)[:, 2:7]}
        return found | {
            "sum": (u + i) / 2,
            "narrow": (u + i[:, :1]) / 2,
            "concat of sums": tf.concat([(u + i) / 2, mixed], 1)[:, 2:7],
        }


def same(op: str) -> Callable[[Any], Any]:
    call = getattr(raw, op)
    name = next(iter(call.__signature__.parameters))
    return lambda x: call(**{name: x})


def two(op: str) -> Callable[[Any, Any], Any]:
    call = getattr(raw, op)
    names = ("x1", "x2") if op == "NextAfter" else ("x", "y")
    return lambda x, y: call(**dict(zip(names, (x, y), strict=True)))


def few(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.integers(-2, 3, shape).astype(np.float32)


def mostly(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.random(shape) < 0.9


def rarely(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.random(shape) < 0.1


def shaped(x: Any, *dims: int) -> Any:
    """Tell Python, not the graph, what a row is."""
    x.set_shape([None, *dims])
    return x


def counts(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.integers(1, 9, shape).astype(np.int32)


_NORMAL = """
Abs Asinh Atan Ceil Cos Cosh Elu Erf Erfc Exp Expm1 Floor LeakyRelu Neg
Relu Relu6 Rint Round Selu Sigmoid Sign Sin Sinh Softplus Softsign Square Tan Tanh
Identity Snapshot StopGradient PreventGradient
"""
_POSITIVE = "Acos Asin Atanh Digamma Erfinv Inv Lgamma Log Log1p Ndtri Reciprocal Rsqrt Sqrt"
TEXTS = words("a", "Bb", " c ", "a b", "", "Zoë")
_TEXT_OPS: dict[str, Callable[[Any], Any]] = {
    "DecodeBase64": lambda x: tf.strings.length(raw.DecodeBase64(input=tf.io.encode_base64(x))),
    "EncodeBase64": lambda x: tf.strings.to_hash_bucket_fast(raw.EncodeBase64(input=x), 999),
    "RegexFullMatch": lambda x: raw.RegexFullMatch(input=x, pattern="[aB].*"),
    "RegexReplace": lambda x: tf.strings.length(
        raw.RegexReplace(input=x, pattern="[ab]", rewrite="xy")
    ),
    "StaticRegexFullMatch": lambda x: raw.StaticRegexFullMatch(input=x, pattern="[aB].*"),
    "StaticRegexReplace": lambda x: tf.strings.length(
        raw.StaticRegexReplace(input=x, pattern="[ab]", rewrite="xy")
    ),
    "StringLength": lambda x: raw.StringLength(input=x, unit="UTF8_CHAR"),
    "StringLower": lambda x: raw.StringToHashBucketFast(
        input=raw.StringLower(input=x), num_buckets=999
    ),
    "StringStrip": lambda x: tf.strings.length(raw.StringStrip(input=x)),
    "StringToHashBucket": lambda x: raw.StringToHashBucket(string_tensor=x, num_buckets=99),
    "StringToHashBucketFast": lambda x: raw.StringToHashBucketFast(input=x, num_buckets=99),
    "StringToHashBucketStrong": lambda x: raw.StringToHashBucketStrong(
        input=x, num_buckets=99, key=[1, 2]
    ),
    "StringUpper": lambda x: raw.StringToHashBucketFast(
        input=raw.StringUpper(input=x), num_buckets=999
    ),
    "StringJoin": lambda x: tf.strings.to_hash_bucket_fast(
        raw.StringJoin(inputs=[x, tf.constant("!"), x], separator="-"), 999
    ),
}


def _table_v2(x: Any) -> Any:
    start = tf.lookup.KeyValueTensorInitializer(["a", "Bb", ""], tf.constant([5, 7, 9], tf.int64))
    return shaped(tf.lookup.StaticHashTable(start, -1).lookup(x), *x.shape[1:])


def _table_v1(x: Any) -> Any:
    table = raw.HashTable(key_dtype=tf.string, value_dtype=tf.int64)
    made = raw.InitializeTable(
        table_handle=table, keys=["a", "Bb"], values=tf.constant([5, 7], tf.int64)
    )
    tf1.add_to_collection(tf1.GraphKeys.TABLE_INITIALIZERS, made)
    default = tf.constant(-1, tf.int64)
    found = raw.LookupTableFind(table_handle=table, keys=x, default_value=default)
    return shaped(found, *x.shape[1:])


ONE = [
    *(Apart(op, same(op)) for op in _NORMAL.split()),
    *(Apart(op, same(op), positive) for op in _POSITIVE.split()),
    *(Apart(op, call, TEXTS, tf.string) for op, call in _TEXT_OPS.items()),
    *(
        Apart(op, lambda x, op=op: same(op)(tf.math.log(x // 1)), few)  # type: ignore[misc]
        for op in ("IsFinite", "IsInf", "IsNan")
    ),
    Apart("OnesLike", lambda x: x + raw.OnesLike(x=x)),
    Apart("ZerosLike", lambda x: tf.maximum(x, raw.ZerosLike(x=x))),
    Apart("Acosh", lambda x: raw.Acosh(x=x + 1), positive),
    Apart("LogicalNot", same("LogicalNot"), booleans, tf.bool),
    Apart("Cast", lambda x: tf.cast(x, tf.int32)),
    Apart("Cast", lambda x: tf.cast(x, tf.float64), numbers(9), tf.int64),
    Apart("Bucketize", lambda x: raw.Bucketize(input=x, boundaries=[-1.0, 0.0, 0.5])),
    Apart("CheckNumerics", lambda x: raw.CheckNumerics(tensor=x, message="bad")),
    Apart("ClipByValue", lambda x: raw.ClipByValue(t=x, clip_value_min=-0.5, clip_value_max=0.5)),
    Apart("EnsureShape", lambda x: raw.EnsureShape(input=x, shape=[None, 5])),
    Apart(
        "AsString",
        lambda x: raw.StringToNumber(string_tensor=raw.AsString(input=x)),
        numbers(50),
        tf.int64,
    ),
    Apart(
        "StringToNumber",
        lambda x: raw.StringToNumber(string_tensor=x),
        words("1", "2.5", "-3"),
        tf.string,
    ),
    Apart("LookupTableFindV2", _table_v2, TEXTS, tf.string),
    Apart("LookupTableFind", _table_v1, TEXTS, tf.string),
]
# Texts that would be computed for the pairs.
TEXT_RESULTS = {"AsString"}

_TWO_NORMAL = "Add AddV2 Sub Mul Maximum Minimum MulNoNan SquaredDifference NextAfter Atan2"
_TWO_POSITIVE = "Div RealDiv DivNoNan Pow Xdivy Xlogy Xlog1py FloorDiv FloorMod Mod TruncateMod"
_TWO_FEW = "Equal NotEqual Greater GreaterEqual Less LessEqual"
_TWO_COUNTS = """
BitwiseAnd BitwiseOr BitwiseXor LeftShift RightShift TruncateDiv TruncateMod Mod FloorMod FloorDiv
Div Add AddV2 Sub Mul Maximum Minimum SquaredDifference
"""
TWO = [
    *(Apart(op, two(op)) for op in _TWO_NORMAL.split()),
    *(Apart(op, two(op), positive) for op in _TWO_POSITIVE.split()),
    *(Apart(op, two(op), few) for op in _TWO_FEW.split()),
    *(Apart(op, two(op), counts, tf.int32) for op in _TWO_COUNTS.split()),
    Apart("LogicalAnd", two("LogicalAnd"), booleans, tf.bool),
    Apart("LogicalOr", two("LogicalOr"), booleans, tf.bool),
    Apart("AddN", lambda x, y: raw.AddN(inputs=[x, y, x])),
]
