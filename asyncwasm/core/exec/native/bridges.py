"""Calls by way of Python, in code that all units of the process share: one for a type of function.

Every call of a function in another unit may have to take this way, if only the first time, and
what converts arguments and results is larger than most functions.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

from asyncwasm.core.types import EXTERNREF, F32, F64, I32, I64, V128, FuncType, ValType

from . import externals
from .abi import CONVENTION
from .compiler import Unit, compile_unit
from .emit import ir_type
from .exits import result_type
from .glue import by_python, python_name
from .parts import Parts
from .prelude import prelude

# Modules may have as many types as they like, and these are never freed.
_MOST: Final = 256
_TYPES: Final[dict[str, ValType]] = {
    "i": I32,
    "l": I64,
    "f": F32,
    "d": F64,
    "v": V128,
    "r": EXTERNREF,
}
_units: Final[dict[str, Unit]] = {}
_lock: Final = threading.RLock()


def is_bridge(name: str) -> bool:
    """Whether a symbol is that of a bridge."""
    return name.startswith("python_")


def provide(types: Iterable[FuncType]) -> str:
    """Make the bridges for these types known; the definitions of those that are not shared."""
    own = {python_name(ty): ty for ty in types}
    return "\n".join(by_python(ty) for name, ty in own.items() if not _shared(name, ty))


def recall(name: str) -> None:
    """Make a bridge known that kept code uses.  Raises `KeyError` if it cannot be shared."""
    _, params, results = name.split("_")
    ty = FuncType(tuple(_TYPES[c] for c in params), tuple(_TYPES[c] for c in results))
    if not _shared(name, ty):
        raise KeyError(name)


def kept(names: Iterable[str]) -> dict[str, bytes]:
    """What those of the symbols that are bridges were made from; see `Unit.kept`."""
    return dict(unit.kept for name, unit in list(_units.items()) if name in names and unit.kept)


def _shared(name: str, ty: FuncType) -> bool:
    with _lock:
        if name in _units:
            return True
        if len(_units) >= _MOST:
            return False
        text = by_python(ty).replace("define internal ", "define dso_local ", 1)
        unit = compile_unit(f"{text}\n{Parts(prelude()).used_by(text)}", speed=0)
        (address,) = unit.addresses([name])
        params = "".join(f", {ir_type(param)}" for param in ty.params)
        head = f"declare {CONVENTION} {result_type(ty.results)} @{name}(ptr, i64{params})"
        externals.declare(name, head, address)
        _units[name] = unit
        return True
