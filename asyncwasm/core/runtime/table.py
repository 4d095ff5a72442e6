"""`Table`: a growing list of references."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, final

from asyncwasm.core.types import IndexType, Limits, TableType
from asyncwasm.errors import ResourceLimitError, Trap, TrapCode

from .caller import caller_of
from .calls import operate_async, operate_sync
from .handles import (
    StoreLike,
    Wait,
    cannot_wait,
    check_async,
    check_delta,
    check_owner,
    check_sync,
    check_thread,
)
from .values import convert, from_raw

if TYPE_CHECKING:
    from .store import Store

# A table is an ordinary list: eight bytes an element, all of them in use at once.  A module may
# declare billions, so there has to be a bound, whatever the limiter says; this one is 80 MB.
MAX_ELEMENTS: Final = 10_000_000
_MAX_INDEX: Final = {IndexType.I32: (1 << 32) - 1, IndexType.I64: (1 << 64) - 1}
_MISMATCH: Final = "type mismatch: value does not match table element type"


@final
class Table:
    """A table of a store.

    For engines, `elements` holds the raw references; it grows in place and is never another
    list.  Follows Wasmtime's `Table`.
    """

    __slots__ = ("__weakref__", "elements", "store", "type")

    def __init__(self, store: Store[Any], type: TableType, init: Any) -> None:
        """For the runtime's own use, with a raw value and past all limits; see `new`."""
        self.store: Final = store
        self.type: Final = type
        self.elements: Final[list[Any]] = [init] * type.limits.minimum

    @staticmethod
    def new(store: StoreLike, ty: TableType, init: Any) -> Table:
        """A table of type `ty` with every element `init`.

        Asks the store's limiter.  Raises `ValueError` for a type that cannot be, `TypeError` or
        `WrongStoreError` if `init` is not of the element type, `ResourceLimitError` if a limit
        is exceeded, and `AsyncSupportError` with an async limiter; see `new_async`.
        """
        owner = store.store
        check_sync(owner, "new")
        return operate_sync(owner, caller_of(store), _new, (owner, ty, init, cannot_wait))

    @staticmethod
    async def new_async(store: StoreLike, ty: TableType, init: Any) -> Table:
        """As `new`; an async limiter may suspend.  Always checkpoints."""
        owner = store.store
        check_async(owner, "new")
        return await operate_async(owner, caller_of(store), _new, (owner, ty, init, owner.wait))

    def live_type(self) -> TableType:
        """The type with the current size as its minimum, as imports are matched."""
        limits = Limits(len(self.elements), self.type.limits.maximum)
        return replace(self.type, limits=limits)

    def ty(self, store: StoreLike) -> TableType:
        """The type, with the current size as the minimum."""
        check_owner(self.store, store)
        return self.live_type()

    def size(self, store: StoreLike) -> int:
        """The number of elements."""
        check_owner(self.store, store)
        return len(self.elements)

    def get(self, store: StoreLike, index: int) -> Any:
        """Element `index`; None if it is null, and also if `index` is out of bounds."""
        owner = check_owner(self.store, store)
        if not 0 <= index < len(self.elements):
            return None
        return from_raw(owner, self.type.element, self.elements[index])

    def set(self, store: StoreLike, index: int, value: Any) -> None:
        """Replace element `index`.

        Raises `TypeError` or `WrongStoreError` if `value` is not of the element type, `Trap` if
        `index` is out of bounds, and with `Config.release_gil` `WrongThreadError` while a call
        is in progress on another thread.
        """
        owner = check_owner(self.store, store)
        check_thread(owner)
        raw = convert(owner, self.type.element, value, _MISMATCH)
        self._check_range(index, 1)
        self.elements[index] = raw

    def grow(self, store: StoreLike, delta: int, init: Any) -> int:
        """Append `delta` times `init` and return the old size.

        Asks the store's limiter, unless `delta` is 0.  Raises `TypeError` or `WrongStoreError`
        if `init` is not of the element type, `ResourceLimitError` if the table cannot grow, what
        the limiter raises, and `AsyncSupportError` with an async limiter.
        """
        owner = check_owner(self.store, store)
        delta = check_delta(delta)
        raw = convert(owner, self.type.element, init, _MISMATCH)
        check_sync(owner, "grow")
        args = (delta, raw, cannot_wait)
        return operate_sync(owner, caller_of(store), self._grow_or_raise, args)

    async def grow_async(self, store: StoreLike, delta: int, init: Any) -> int:
        """As `grow`; an async limiter may suspend.  Always checkpoints."""
        owner = check_owner(self.store, store)
        delta = check_delta(delta)
        raw = convert(owner, self.type.element, init, _MISMATCH)
        check_async(owner, "grow")
        args = (delta, raw, owner.wait)
        return await operate_async(owner, caller_of(store), self._grow_or_raise, args)

    def fill(self, store: StoreLike, dst: int, value: Any, length: int) -> None:
        """Set `length` elements from `dst` to `value`.

        Raises `TypeError` or `WrongStoreError` if `value` is not of the element type, and
        `Trap`, having written nothing, if some are out of bounds.  See `set` for threads.
        """
        owner = check_owner(self.store, store)
        check_thread(owner)
        raw = convert(owner, self.type.element, value, _MISMATCH)
        self._check_range(dst, length)
        self.elements[dst : dst + length] = [raw] * length

    @staticmethod
    def copy(
        store: StoreLike, dst: Table, dst_index: int, src: Table, src_index: int, length: int
    ) -> None:
        """Copy `length` elements; the two ranges may overlap.

        Raises `TypeError` if the element types do not fit, and `Trap`, having written nothing,
        if some elements are out of bounds.  See `set` for threads.
        """
        check_thread(check_owner(dst.store, store))
        check_owner(src.store, store)
        if not src.type.element.matches(dst.type.element):
            raise TypeError(
                "type mismatch: source table's element type does not match destination "
                "table's element type"
            )
        src._check_range(src_index, length)
        dst._check_range(dst_index, length)
        dst.elements[dst_index : dst_index + length] = src.elements[src_index : src_index + length]

    def _grow_or_raise(self, delta: int, init: Any, wait: Wait) -> int:
        old = self._grow(delta, init, wait)
        if old < 0:
            raise ResourceLimitError(f"failed to grow table by `{delta}`")
        return old

    def grow_raw(self, delta: int, init: Any) -> int:
        """What `table.grow` does: the old size, or -1.

        May suspend, if the store's limiter does.  Raises what the limiter raises.
        """
        return self._grow(delta, init, self.store.wait)

    def _grow(self, delta: int, init: Any, wait: Wait) -> int:
        limits = self.store.limits
        maximum = _maximum(self.type)
        while True:
            old = len(self.elements)
            if delta == 0:
                return old
            wanted = old + delta
            if wanted >= 1 << 64:
                limits.table_grow_failed(
                    ResourceLimitError("overflow calculating new table size"), wait
                )
                return -1
            if not limits.table_growing(old, wanted, maximum, wait):
                return -1
            # The limiter may have suspended, and somebody else grown the table meanwhile: what
            # it answered was then about another size.
            if len(self.elements) == old:
                break
        if wanted > maximum:
            fault: Exception = ResourceLimitError("Table maximum size exceeded")
        elif wanted > MAX_ELEMENTS:
            fault = ResourceLimitError(f"a table holds at most {MAX_ELEMENTS} elements")
        else:
            try:
                self.elements.extend([init] * delta)
            except MemoryError:
                fault = ResourceLimitError(f"failed to allocate {delta} more elements")
            else:
                return old
        limits.table_grow_failed(fault, wait)
        return -1

    def _check_range(self, start: int, length: int) -> None:
        if start < 0 or length < 0 or start + length > len(self.elements):
            raise Trap(TrapCode.TABLE_OUT_OF_BOUNDS)

    def __repr__(self) -> str:
        return f"<Table {self.live_type()}>"


def _maximum(ty: TableType) -> int:
    """The declared maximum, or the index type's."""
    return _MAX_INDEX[ty.index_type] if ty.limits.maximum is None else ty.limits.maximum


def _new(store: Store[Any], ty: TableType, init: Any, wait: Wait) -> Table:
    limits = ty.limits
    if limits.maximum is not None and limits.maximum < limits.minimum:
        raise ValueError("maximum table size cannot be smaller than the minimum table size")
    if not 0 <= limits.minimum <= _maximum(ty) <= _MAX_INDEX[ty.index_type]:
        raise ValueError("table size is too large for this table type's index type")
    raw = convert(store, ty.element, init, _MISMATCH)
    store.limits.bump("table")
    return create_table(store, ty, raw, wait)


def create_table(store: Store[Any], ty: TableType, init: Any, wait: Wait) -> Table:
    """A table that a module defines: asks the limiter, but is not counted here.

    `init` is raw.  Raises `ResourceLimitError` and what the limiter raises.  May suspend as
    `wait` does.
    """
    minimum = ty.limits.minimum
    granted = store.limits.table_growing(0, minimum, _maximum(ty), wait)
    if not granted or minimum > MAX_ELEMENTS:
        raise ResourceLimitError(f"table minimum size of {minimum} elements exceeds table limits")
    try:
        return Table(store, ty, init)
    except MemoryError:
        raise ResourceLimitError(f"failed to allocate a table of {minimum} elements") from None
