"""Cases for the elementwise ops of the rule table: how to call them, and on what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from attrs import frozen

from cases.graphs import (
    Draw,
    GraphInput,
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


def constant(*dims: int, seed: int = 3, low: float = 0.2, high: float = 0.9) -> Any:
    return np.random.default_rng(seed).uniform(low, high, dims).astype(np.float32)


@frozen
class ElementwiseCase:
    """An op that treats every value independently: how to call it, and what to feed.

    Attributes:
        op: The name of the op.
        call: Applies it to one value, or to two.
        draw: Draws the values that are fed.
        dtype: Of these values.
    """

    op: str
    call: Callable[..., Any]
    draw: Draw = normal
    dtype: Any = tf.float32

    def __str__(self) -> str:
        return f"{self.op}-{self.dtype.name}"

    def inputs(self) -> list[GraphInput]:
        kwargs = {"draw": self.draw, "dtype": self.dtype}
        mixed, interleaved = both("u2 i3", **kwargs), both("i1 u2 i2", **kwargs)
        return [user(5, **kwargs), item(5, **kwargs), mixed, interleaved]

    def forms(self, u: Any, i: Any, mixed: Any, interleaved: Any) -> dict[str, Any]:
        """Return a value in every form that values of its dtype can have."""
        forms = {"user": u, "item": i, "concat": mixed, "interleaved": interleaved}
        if self.dtype == tf.string:
            return forms
        if self.dtype == tf.bool:
            return forms | {"pair": tf.not_equal(u, i)}
        forms |= {"pair": tf.maximum(u, i), "product": u * i}
        if self.dtype.is_integer:
            return forms | {"sum": u + i, "concat of sums": tf.concat([u + i, mixed], 1)[:, 2:7]}
        return forms | {
            "sum": (u + i) / 2,
            "narrow": (u + i[:, :1]) / 2,
            "concat of sums": tf.concat([(u + i) / 2, mixed], 1)[:, 2:7],
        }


def unary(op: str) -> Callable[[Any], Any]:
    call = getattr(raw, op)
    name = next(iter(call.__signature__.parameters))
    return lambda x: call(**{name: x})


def binary(op: str) -> Callable[[Any, Any], Any]:
    call = getattr(raw, op)
    names = ("x1", "x2") if op == "NextAfter" else ("x", "y")
    return lambda x, y: call(**dict(zip(names, (x, y), strict=True)))


def small_integers(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.integers(-2, 3, shape).astype(np.float32)


def mostly_true(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.random(shape) < 0.9


def rarely_true(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.random(shape) < 0.1


def shaped(x: Any, *dims: int) -> Any:
    """Give a row's dimensions to Python's tensor only: the graph doesn't get them."""
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
    rows = tf.lookup.KeyValueTensorInitializer(["a", "Bb", ""], tf.constant([5, 7, 9], tf.int64))
    return shaped(tf.lookup.StaticHashTable(rows, -1).lookup(x), *x.shape[1:])


def _table_v1(x: Any) -> Any:
    table = raw.HashTable(key_dtype=tf.string, value_dtype=tf.int64)
    fill = raw.InitializeTable(
        table_handle=table, keys=["a", "Bb"], values=tf.constant([5, 7], tf.int64)
    )
    tf1.add_to_collection(tf1.GraphKeys.TABLE_INITIALIZERS, fill)
    default = tf.constant(-1, tf.int64)
    values = raw.LookupTableFind(table_handle=table, keys=x, default_value=default)
    return shaped(values, *x.shape[1:])


UNARY = [
    *(ElementwiseCase(op, unary(op)) for op in _NORMAL.split()),
    *(ElementwiseCase(op, unary(op), positive) for op in _POSITIVE.split()),
    *(ElementwiseCase(op, call, TEXTS, tf.string) for op, call in _TEXT_OPS.items()),
    *(
        ElementwiseCase(op, lambda x, op=op: unary(op)(tf.math.log(x // 1)), small_integers)
        for op in ("IsFinite", "IsInf", "IsNan")
    ),
    ElementwiseCase("OnesLike", lambda x: x + raw.OnesLike(x=x)),
    ElementwiseCase("ZerosLike", lambda x: tf.maximum(x, raw.ZerosLike(x=x))),
    ElementwiseCase("Acosh", lambda x: raw.Acosh(x=x + 1), positive),
    ElementwiseCase("LogicalNot", unary("LogicalNot"), booleans, tf.bool),
    ElementwiseCase("Cast", lambda x: tf.cast(x, tf.int32)),
    ElementwiseCase("Cast", lambda x: tf.cast(x, tf.float64), numbers(9), tf.int64),
    ElementwiseCase("Bucketize", lambda x: raw.Bucketize(input=x, boundaries=[-1.0, 0.0, 0.5])),
    ElementwiseCase("CheckNumerics", lambda x: raw.CheckNumerics(tensor=x, message="bad")),
    ElementwiseCase(
        "ClipByValue", lambda x: raw.ClipByValue(t=x, clip_value_min=-0.5, clip_value_max=0.5)
    ),
    ElementwiseCase("EnsureShape", lambda x: raw.EnsureShape(input=x, shape=[None, 5])),
    ElementwiseCase(
        "AsString",
        lambda x: raw.StringToNumber(string_tensor=raw.AsString(input=x)),
        numbers(50),
        tf.int64,
    ),
    ElementwiseCase(
        "StringToNumber",
        lambda x: raw.StringToNumber(string_tensor=x),
        words("1", "2.5", "-3"),
        tf.string,
    ),
    ElementwiseCase("LookupTableFindV2", _table_v2, TEXTS, tf.string),
    ElementwiseCase("LookupTableFind", _table_v1, TEXTS, tf.string),
]
# Ops whose results would be texts of pairs.
TEXT_RESULTS = {"AsString"}

_BINARY_NORMAL = "Add AddV2 Sub Mul Maximum Minimum MulNoNan SquaredDifference NextAfter Atan2"
_BINARY_POSITIVE = "Div RealDiv DivNoNan Pow Xdivy Xlogy Xlog1py FloorDiv FloorMod Mod TruncateMod"
_BINARY_FEW = "Equal NotEqual Greater GreaterEqual Less LessEqual"
_BINARY_COUNTS = """
BitwiseAnd BitwiseOr BitwiseXor LeftShift RightShift TruncateDiv TruncateMod Mod FloorMod FloorDiv
Div Add AddV2 Sub Mul Maximum Minimum SquaredDifference
"""
BINARY = [
    *(ElementwiseCase(op, binary(op)) for op in _BINARY_NORMAL.split()),
    *(ElementwiseCase(op, binary(op), positive) for op in _BINARY_POSITIVE.split()),
    *(ElementwiseCase(op, binary(op), small_integers) for op in _BINARY_FEW.split()),
    *(ElementwiseCase(op, binary(op), counts, tf.int32) for op in _BINARY_COUNTS.split()),
    ElementwiseCase("LogicalAnd", binary("LogicalAnd"), booleans, tf.bool),
    ElementwiseCase("LogicalOr", binary("LogicalOr"), booleans, tf.bool),
    ElementwiseCase("AddN", lambda x, y: raw.AddN(inputs=[x, y, x])),
]
