"""What machine code leaves to Python: operations on references, by the numbers of `abi.Helper`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from asyncwasm.core.runtime import gc, gc_bulk
from asyncwasm.core.runtime.gc import ArrayRef
from asyncwasm.core.types import ArrayType, DefType, StorageType
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


def aggregate_operations(here: Callable[[], Instance]) -> list[Callable[..., Any]]:
    """The helpers from `ARRAY_NEW` to `STRUCT_CLASS`."""

    def element(ty: DefType) -> StorageType:
        comp = ty.comp
        assert isinstance(comp, ArrayType)
        return comp.field.storage

    def new(ty: int, value: Any, length: int) -> ArrayRef:
        return gc.new_array(here().info.types[ty], value, length)

    def new_data(ty: int, segment: int, start: int, count: int) -> ArrayRef:
        instance = here()
        defined = instance.info.types[ty]
        values = gc_bulk.data_elements(instance.datas[segment], element(defined), start, count)
        return ArrayRef(defined, values)

    def new_elem(ty: int, segment: int, start: int, count: int) -> ArrayRef:
        instance = here()
        values = gc_bulk.segment_elements(instance.elems[segment], start, count)
        return ArrayRef(instance.info.types[ty], values)

    def init_data(
        ty: int, segment: int, array: ArrayRef | None, to: int, start: int, count: int
    ) -> None:
        instance = here()
        storage = element(instance.info.types[ty])
        gc_bulk.array_init_data(array, to, start, count, instance.datas[segment], storage)

    def init_elem(
        ty: int, segment: int, array: ArrayRef | None, to: int, start: int, count: int
    ) -> None:
        gc_bulk.array_init_elem(array, to, start, count, here().elems[segment])

    def struct_class(ty: int) -> None:
        gc.struct_class(here().info.types[ty])

    makers = [_allocating(maker) for maker in (new, new_data, new_elem)]
    others: list[Callable[..., Any]] = [
        gc_bulk.array_fill,
        gc_bulk.array_copy,
        init_data,
        init_elem,
        struct_class,
    ]
    return [*makers, *others]


def _allocating(make: Callable[..., ArrayRef]) -> Callable[..., ArrayRef]:
    """`make`, which traps if there is no memory."""

    def maker(*args: Any) -> ArrayRef:
        try:
            return make(*args)
        except MemoryError:
            raise Trap(TrapCode.ALLOCATION_TOO_LARGE) from None

    return maker


def raise_thrown(exn: ExnRef) -> NoReturn:
    """Raise an exception that leaves native code."""
    raise ThrownException(exn)


def _copy(target: list[Any], source: list[Any], to: int, start: int, count: int) -> None:
    if start + count > len(source) or to + count > len(target):
        raise Trap(TrapCode.TABLE_OUT_OF_BOUNDS)
    target[to : to + count] = source[start : start + count]
