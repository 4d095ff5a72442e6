"""What compiled lifting and lowering asks of the component instance it works for."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeAlias

from asyncwasm.component.types import ValType
from asyncwasm.core.runtime.linear import LinearMemory
from asyncwasm.errors import TrapCode

from . import faults
from .layout import Options


class Context(Protocol):
    """A memory, its allocator and a table of handles, for the time of one call.

    `memory` is read anew after each `realloc`.  `fuel` is how many bytes may still be copied.
    What a handle is lifted to, and lowered from, is the context's business.
    """

    fuel: int

    @property
    def memory(self) -> LinearMemory: ...

    def realloc(self, old: int, old_size: int, alignment: int, new_size: int) -> int: ...

    def lift_own(self, resource: Hashable, handle: int) -> Any: ...

    def lift_borrow(self, resource: Hashable, handle: int) -> Any: ...

    def lower_own(self, resource: Hashable, value: Any) -> int: ...

    def lower_borrow(self, resource: Hashable, value: Any) -> int: ...

    def lift_stream(self, element: ValType | None, handle: int) -> Any: ...

    def lift_future(self, element: ValType | None, handle: int) -> Any: ...

    def lift_error_context(self, handle: int) -> Any: ...

    def lower_stream(self, element: ValType | None, value: Any) -> int: ...

    def lower_future(self, element: ValType | None, value: Any) -> int: ...

    def lower_error_context(self, value: Any) -> int: ...


Realloc: TypeAlias = Callable[[Context, int, int, int, int], int]


def checked_realloc(options: Options, code: TrapCode) -> Realloc:
    """A function that calls `realloc` and checks what it gives.

    Its arguments are the context and those of `realloc`.  Between components a pointer out of
    bounds is a trap with `code`.
    """
    adapter = options.adapter

    def realloc(cx: Context, old: int, old_size: int, alignment: int, new_size: int) -> int:
        pointer = cx.realloc(old, old_size, alignment, new_size)
        if pointer & (alignment - 1):
            faults.unaligned(adapter, "realloc return: result not aligned")
        if pointer + new_size > cx.memory.size_bytes:
            faults.outside(adapter, code, "realloc return: beyond end of memory")
        return pointer

    return realloc
