"""Lanes of a v128, and functions on them written from templates.

A v128 is 16 `bytes`, lanes little endian.  Lane types are the letters of `struct`: `b h i q` for
signed integers, `B H I Q` for unsigned ones, `f d` for floats.  Unrolled source runs about twice
as fast as a comprehension over lanes, and compiles in some 50 µs per function.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

SIZES: Final = {code: struct.calcsize("<" + code) for code in "bBhHiIqQfd"}
UNPACK: Final = {code: struct.Struct(f"<{16 // n}{code}").unpack for code, n in SIZES.items()}
PACK: Final = {code: struct.Struct(f"<{16 // n}{code}").pack for code, n in SIZES.items()}

# Four f32 lanes on their way into a v128.  Unlike `struct`, storing in an array rounds what is
# too large to an infinity.  As with the cells of `numeric`, threads cannot mix up their lanes
# as long as everything that calls a function has been computed before the first store.
_singles = array("f", [0.0] * 4)


def pack_f32x4(a: float, b: float, c: float, d: float) -> bytes:
    """A v128 of four doubles rounded to singles; NaNs become quiet."""
    _singles[0] = a
    _singles[1] = b
    _singles[2] = c
    _singles[3] = d
    return _singles.tobytes()


def lanes_of(code: str) -> int:
    """How many lanes of this type a v128 has."""
    return 16 // SIZES[code]


class Templates:
    """Collects functions as source text, then compiles them together."""

    def __init__(self) -> None:
        self._source: list[str] = []
        self._names: list[str] = []
        self._globals: dict[str, Any] = {
            **{f"unpack_{code}": function for code, function in UNPACK.items()},
            **{f"pack_{code}": function for code, function in PACK.items()},
            "pack_f": pack_f32x4,
        }

    def add(
        self,
        name: str,
        operands: str,
        result: str,
        lanes: str | Sequence[str],
        *,
        scalar: str = "",
    ) -> None:
        """Define the row `name`.

        `operands` has the lane type of each v128 operand; the lanes of the first are `a0`, `a1`,
        …, of the second `b0`, … .  `lanes` has an expression for each lane of the result, or is
        one expression for all, with `{a}`, `{b}`, `{c}` for the lanes in that place.  The
        result's lanes have the type `result`; where that is empty, the one expression is the
        result.  `scalar` is an expression for `n` from a last, scalar operand `n`.
        """
        params = list("xyz"[: len(operands)]) + (["n"] if scalar else [])
        body = [f"def {name.replace('.', '_')}({', '.join(params)}):"]
        for param, letter, code in zip("xyz", "abc", operands, strict=False):
            targets = ", ".join(f"{letter}{i}" for i in range(lanes_of(code)))
            body.append(f"    {targets} = unpack_{code}({param})")
        if scalar:
            body.append(f"    n = {scalar}")
        if not result:
            body.append(f"    return {lanes}")
        else:
            if isinstance(lanes, str):
                lanes = [
                    lanes.format(a=f"a{i}", b=f"b{i}", c=f"c{i}") for i in range(lanes_of(result))
                ]
            assert len(lanes) == lanes_of(result), name
            body.append(f"    return pack_{result}({', '.join(lanes)})")
        self._source.append("\n".join(body))
        self._names.append(name)

    def compile(self, **helpers: object) -> Mapping[str, Callable[..., Any]]:
        """The functions by row name; `helpers` are what their expressions call."""
        namespace = self._globals | helpers | {"__name__": __name__}
        exec(compile("\n".join(self._source), "<v128 templates>", "exec"), namespace)
        return {name: namespace[name.replace(".", "_")] for name in self._names}
