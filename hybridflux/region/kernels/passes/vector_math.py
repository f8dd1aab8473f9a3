"""What vectors of an element are made of, in the text of LLVM: arithmetic, comparisons and functions of 16 numbers of float32 at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from hybridflux.region.kernels.activations import BITS, DENOMINATOR, LARGEST, NUMERATOR, ONE, POWER, SHIFT

LANES = 16
"""Numbers that are evaluated at once: a vector of 512 bits, which LLVM halves or quarters for other processors."""
LOG2_E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 0.693359375, -2.12194440e-4
"""The last two add up to log 2; products of the first of them with a power of 2 are exact."""
LOGARITHM = (3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1, -1.2420140846e-1, 1.1676998740e-1,
             -1.1514610310e-1, 7.0376836292e-2)  # fmt: skip
"""Polynomial of `logf` of the Cephes library (Moshier 1992), right to 1e-7 from sqrt(0.5) to sqrt(2)."""

LEAST_NORMAL = float(np.finfo(np.float32).tiny)
"""What is less has the logarithm of 0."""
FLOAT, TRUTH, INTEGER = f"<{LANES} x float>", f"<{LANES} x i1>", f"<{LANES} x i32>"
COMPARISONS = {"gt": "ogt", "lt": "olt", "ge": "oge", "le": "ole", "eq": "oeq", "ne": "une"}


def number_of(value: float) -> str:
    """A float32 in LLVM's words."""
    return "0x" + np.float64(np.float32(value)).tobytes()[::-1].hex().upper()


def splat(value: float) -> str:
    """A vector of a number."""
    return "<" + ", ".join([f"float {number_of(value)}"] * LANES) + ">"


def splat_of_integer(value: int) -> str:
    """A vector of an int32."""
    return "<" + ", ".join([f"i32 {value}"] * LANES) + ">"


class Writer(ABC):
    """Writes lines, each of which has a result."""

    @abstractmethod
    def put(self, words: str) -> str:
        """Write a line, and give the name of its result."""

    def two(self, operation: str, one: str, other: str) -> str:
        """Of `fadd`, `fsub`, `fmul`, `fdiv`; a product and a sum may be one instruction."""
        return self.put(f"{operation} contract {FLOAT} {one}, {other}")

    def call(self, what: str, one: str) -> str:
        """An intrinsic of one vector."""
        return self.put(f"call {FLOAT} @llvm.{what}.v{LANES}f32({FLOAT} {one})")

    def compare(self, how: str, one: str, other: str) -> str:
        """Where a comparison is true."""
        return self.put(f"fcmp {how} {FLOAT} {one}, {other}")

    def choose(self, which: str, one: str, other: str) -> str:
        """The one where something is true, else the other."""
        return self.put(f"select {TRUTH} {which}, {FLOAT} {one}, {FLOAT} {other}")

    def within(self, one: str, least: float, most: float) -> str:
        """Cut off; no number stays none."""
        low = self.choose(self.compare("olt", one, splat(least)), splat(least), one)
        return self.choose(self.compare("ogt", low, splat(most)), splat(most), low)

    def polynomial(self, coefficients: Sequence[float], one: str) -> str:
        """With the constant first."""
        *lower, last = coefficients
        total = splat(last)
        for each in reversed(lower):
            total = self.two("fadd", self.two("fmul", total, one), splat(each))
        return total


def _exp(text: Writer, x: str) -> str:
    """Right to 2e-7 of it and |x| times 6e-8; from 2.4e38 on infinite, which float32 has from 3.4e38 on."""
    power = text.within(text.two("fmul", x, splat(LOG2_E)), -127.0, 128.0)  # 0 and infinite at the ends, by the bits of the scale
    shifted = text.two("fadd", power, splat(float(SHIFT)))
    value = text.polynomial(POWER, text.two("fsub", power, text.two("fsub", shifted, splat(float(SHIFT)))))
    last = text.put(f"shl {INTEGER} {text.put(f'bitcast {FLOAT} {shifted} to {INTEGER}')}, {splat_of_integer(int(BITS))}")
    scale = text.put(f"add {INTEGER} {last}, {splat_of_integer(int(ONE))}")
    return text.two("fmul", value, text.put(f"bitcast {INTEGER} {scale} to {FLOAT}"))


def _log(text: Writer, x: str) -> str:
    bits = text.put(f"bitcast {FLOAT} {x} to {INTEGER}")
    shifted = text.put(f"sub {INTEGER} {bits}, {splat_of_integer(0x3F3504F3)}")  # of sqrt(0.5): the fraction is from there to sqrt(2)
    power = text.put(f"ashr {INTEGER} {shifted}, {splat_of_integer(int(BITS))}")
    whole = text.put(f"sitofp {INTEGER} {power} to {FLOAT}")
    fraction = text.put(f"sub {INTEGER} {bits}, {text.put(f'shl {INTEGER} {power}, {splat_of_integer(int(BITS))}')}")
    rest = text.two("fsub", text.put(f"bitcast {INTEGER} {fraction} to {FLOAT}"), splat(1.0))
    square = text.two("fmul", rest, rest)
    more = text.two("fmul", text.two("fmul", text.polynomial(LOGARITHM, rest), rest), square)
    more = text.two("fadd", more, text.two("fmul", whole, splat(LN2_LOW)))
    more = text.two("fsub", more, text.two("fmul", square, splat(0.5)))
    value = text.two("fadd", text.two("fadd", rest, more), text.two("fmul", whole, splat(LN2_HIGH)))
    value = text.choose(text.compare("oge", x, splat(LEAST_NORMAL)), value, splat(float("-inf")))
    value = text.choose(text.compare("oge", x, splat(0.0)), value, splat(float("nan")))
    return text.choose(text.compare("oeq", x, splat(float("inf"))), x, value)


def _tanh(text: Writer, x: str) -> str:
    x = text.within(x, -LARGEST, LARGEST)
    square = text.two("fmul", x, x)
    return text.two("fdiv", text.two("fmul", x, text.polynomial(NUMERATOR, square)), text.polynomial(DENOMINATOR, square))


def _extreme(how: str) -> Callable[[Writer, str, str], str]:
    """`max` and `min`: no number where one is none."""

    def of(text: Writer, one: str, other: str) -> str:
        if one.startswith("<"):
            one, other = other, one
        if other.startswith("<"):  # a constant
            return text.choose(text.compare(how, other, one), other, one)
        found = text.choose(text.compare(how, one, other), one, other)
        return text.choose(text.compare("uno", one, one), one, found)

    return of


def _negative(text: Writer, x: str) -> str:
    return text.put(f"fneg {FLOAT} {x}")


def _logic(operation: str) -> Callable[[Writer, str, str], str]:
    return lambda text, one, other: text.put(f"{operation} {TRUTH} {one}, {other}")


def _arithmetic(operation: str) -> Callable[[Writer, str, str], str]:
    return lambda text, one, other: text.two(operation, one, other)


def _comparison(how: str) -> Callable[[Writer, str, str], str]:
    return lambda text, one, other: text.compare(how, one, other)


OPERATIONS: dict[str, Callable[..., str]] = {
    **{name: _arithmetic("f" + name) for name in ("add", "sub", "mul", "div")},
    **{name: _comparison(how) for name, how in COMPARISONS.items()},
    "max": _extreme("ogt"),
    "min": _extreme("olt"),
    "neg": _negative,
    "abs": lambda text, x: text.call("fabs", x),
    "sqrt": lambda text, x: text.call("sqrt", x),
    "square": lambda text, x: text.two("fmul", x, x),
    "exp": _exp,
    "log": _log,
    "tanh": _tanh,
    "logistic": lambda text, x: text.two("fdiv", splat(1.0), text.two("fadd", splat(1.0), _exp(text, _negative(text, x)))),
    "and": _logic("and"),
    "or": _logic("or"),
    "not": lambda text, one: text.put(f"xor {TRUTH} {one}, <{', '.join(['i1 true'] * LANES)}>"),
    "select_n": lambda text, which, no, yes: text.choose(which, yes, no),
    "rint": lambda text, x: text.call("rint", x),
    "bits": lambda text, x: text.put(f"bitcast {FLOAT} {x} to {INTEGER}"),
    "of_bits": lambda text, x: text.put(f"bitcast {INTEGER} {x} to {FLOAT}"),
    "integer_add": lambda text, one, other: text.put(f"add {INTEGER} {one}, {other}"),
    "integer_shift_left": lambda text, one, other: text.put(f"shl {INTEGER} {one}, {other}"),
    "number": lambda text, which: text.choose(which, splat(1.0), splat(0.0)),
}
"""The primitives of JAX with these names; `number` is 1 where something is true, `bits` the int32 of the same bits."""
INTEGERS = ("integer", "bits", "integer_add", "integer_shift_left")
TRUTHS = (*COMPARISONS, "and", "or", "not")
"""What is int32, and what is true or false; all else is float32."""
INTRINSICS = [f"declare float @llvm.vector.reduce.fadd.v{LANES}f32(float, {FLOAT})"]
INTRINSICS += [f"declare {FLOAT} @llvm.{name}.v{LANES}f32({FLOAT})" for name in ("fabs", "sqrt", "rint")]
