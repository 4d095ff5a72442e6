"""What machine code leaves to Python: operations on references, by the numbers of `abi.Helper`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from asyncwasm.errors import ThrownException, Trap, TrapCode

if TYPE_CHECKING:
    from asyncwasm.core.runtime.gc import ExnRef
    from asyncwasm.core.runtime.instance import Instance


def operations(here: Callable[[], Instance]) -> list[Callable[..., Any]]:
    """The helpers from `TABLE_GROW` to `ELEM_DROP`, for the instance that `here` gives."""

    def table_grow(table: int, count: int, value: Any) -> int:
        return here().tables[table].grow_raw(count, value) & 0xFFFFFFFFFFFFFFFF

    def table_fill(table: int, start: int, value: Any, count: int) -> None:
        elements = here().tables[table].elements
        if start + count > len(elements):
            raise Trap(TrapCode.TABLE_OUT_OF_BOUNDS)
        elements[start : start + count] = [value] * count

    def table_copy(target: int, source: int, to: int, start: int, count: int) -> None:
        tables = here().tables
        _copy(tables[target].elements, tables[source].elements, to, start, count)

    def table_init(segment: int, table: int, to: int, start: int, count: int) -> None:
        instance = here()
        _copy(instance.tables[table].elements, instance.elems[segment], to, start, count)

    def elem_drop(segment: int) -> None:
        here().elems[segment] = []

    return [table_grow, table_fill, table_copy, table_init, elem_drop]


def raise_thrown(exn: ExnRef) -> NoReturn:
    """Raise an exception that leaves native code."""
    raise ThrownException(exn)


def _copy(target: list[Any], source: list[Any], to: int, start: int, count: int) -> None:
    if start + count > len(source) or to + count > len(target):
        raise Trap(TrapCode.TABLE_OUT_OF_BOUNDS)
    target[to : to + count] = source[start : start + count]
