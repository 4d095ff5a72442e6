"""Keeping from LLVM which numbers floats are.

LLVM takes `x * 1.0`, `x + -0.0` and `x - 0.0` for `x`, and `x * -1.0` for its negation, but
WebAssembly's arithmetic quiets a signalling NaN.  So no operand of arithmetic may be known to be
such a constant.  Floats are fenced where they come from something that LLVM may know: constants,
integers, zeros of locals, and, in units that store integers, memory.  Whatever is computed from
fenced floats is not known either.  Vectors have no type of their own for floats, so theirs are
fenced where they are used for one.
"""

from __future__ import annotations

from typing import Final

_SUFFIXES: Final = {
    "float": "f32",
    "double": "f64",
    "<4 x float>": "v4f32",
    "<2 x float>": "v2f32",
    "<2 x double>": "v2f64",
}


def fence(ty: str, value: str) -> str:
    """The same float or vector of floats, of which LLVM knows nothing: an instruction's text."""
    return f"call {ty} @llvm.arithmetic.fence.{_SUFFIXES[ty]}({ty} {value})"


def loaded(ty: str, value: str) -> str:
    """The same float or vector of floats, which was loaded from memory: an instruction's text."""
    return f"call {ty} @loaded.{_SUFFIXES[ty]}({ty} {value})"


def definitions(*, known: bool) -> str:
    """What `loaded` calls: a fence, if what is in memory may be known."""
    lines = []
    for ty, suffix in _SUFFIXES.items():
        body = f"%f = {fence(ty, '%v')}\n  ret {ty} %f" if known else f"ret {ty} %v"
        lines.append(
            f"define internal {ty} @loaded.{suffix}({ty} %v) alwaysinline {{\n  {body}\n}}"
        )
    return "\n".join(lines)
