"""The raw memory that native code works on: contexts, cells of memories and globals, entries."""

from __future__ import annotations

import ctypes
import struct
import weakref
from array import array
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, cast

from asyncwasm.core.isa.numeric import f32_from_bits, f32_to_bits
from asyncwasm.core.runtime import atomics
from asyncwasm.core.runtime.exnref import ExnRef
from asyncwasm.core.runtime.func import Func
from asyncwasm.core.runtime.global_ import Global
from asyncwasm.core.runtime.words import SEEN
from asyncwasm.core.types import NumType
from asyncwasm.errors import Trap, TrapCode

from .abi import LOOP_SHIFT, Word, context_words
from .exits import TRAPS
from .gates import data_address
from .indirect import words
from .operations import aggregate_operations, operations, raise_thrown
from .support import slot_offset
from .ticker import tick

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncwasm.core.runtime.instance import Instance


def address_of(words: array[int]) -> int:
    """Where an array keeps its items; it must not be resized."""
    return words.buffer_info()[0]


_VALUE: Final = Global.__dict__["value"]
_DOUBLE: Final = struct.Struct("<d")


class CellGlobal(Global):  # type: ignore[misc]  # final for users
    """A global of a numeric type whose value lives in raw memory, for both engines to see.

    An ordinary `Global` becomes one when native code first needs it; its slot then holds the
    cell, two 64-bit words.
    """

    __slots__ = ()

    @property
    def value(self) -> Any:
        low, high = _VALUE.__get__(self)
        match self.type.content:
            case NumType.F32:
                return f32_from_bits(low)
            case NumType.F64:
                return _DOUBLE.unpack(low.to_bytes(8, "little"))[0]
            case NumType.V128:
                return low.to_bytes(8, "little") + high.to_bytes(8, "little")
            case _:
                return low

    @value.setter
    def value(self, raw: Any) -> None:
        cell = _VALUE.__get__(self)
        match self.type.content:
            case NumType.F32:
                cell[0] = f32_to_bits(raw)
            case NumType.F64:
                cell[0] = int.from_bytes(_DOUBLE.pack(raw), "little")
            case NumType.V128:
                cell[0] = int.from_bytes(raw[:8], "little")
                cell[1] = int.from_bytes(raw[8:], "little")
            case _:
                cell[0] = raw


def cell_of(item: Global) -> int:
    """The address of a numeric global's cell; the global becomes a `CellGlobal`."""
    if not isinstance(item, CellGlobal):
        raw = item.value
        _VALUE.__set__(item, array("Q", [0, 0]))
        item.__class__ = CellGlobal
        if raw is not None:
            item.value = raw
    return address_of(_VALUE.__get__(item))


def _call_host(*args: Any) -> Any:
    return host(*args)  # type: ignore[name-defined]  # noqa: F821 - a global of the copies


class _StandIn:
    """Calls a host function from a Python frame that says which instance it is called by.

    Native frames are none of Python's, and a `Caller` finds its instance in the frame below.
    """

    __slots__ = ("fn",)

    def __init__(self, func: Func, instance: Instance | None) -> None:
        namespace = {"__wasm_instance__": instance, "host": func.fn}
        self.fn: Final = FunctionType(_call_host.__code__, namespace)


class InstanceState:
    """An instance's context, and everything that it points to.

    Belongs to the instance and refers to it weakly.
    """

    def __init__(
        self,
        instance: Instance,
        number: int,
        slot_of: Callable[[Func], bytes | None],
        sampled: Callable[[Instance, int, int], None],
        settled: Callable[[Instance, int], None],
    ) -> None:
        self.instance: Final = weakref.ref(instance)
        self._slot_of = slot_of
        self._sampled = sampled
        self._settled = settled
        store = instance.store
        self.filename: Final = ctypes.create_string_buffer(f"<wasm {number}>".encode())
        self.types: Final = array("Q", [id(t) for t in instance.info.types])
        self.tags: Final = array("Q", [id(t) for t in instance.tags])
        # What the instance knows of calls of tables' elements.
        self._calls: Final = [array("Q", bytes(8 * words(t))) for t in instance.info.tables]
        self._stand_ins: Final[dict[Func, _StandIn]] = {}
        self.callables: Final = array(
            "Q", [0 if f is None else id(self._callee(f)) for f in instance.funcs]
        )
        imported = cast("list[Func]", instance.funcs[: instance.info.imported_funcs])
        # Kept by the functions.
        slots = [slot_of(func) for func in imported]
        self.imports: Final = array("Q", [0 if s is None else data_address(s) for s in slots])
        self.funcs: Final = array("Q", [0 if f is None else id(f) for f in instance.funcs])
        self._helpers: Final = [
            self._raise,
            self._tick,
            self._memory_grow,
            self._memory_init,
            self._data_drop,
            self._indirect,
            self._make_func,
            self._atomic_wait,
            self._atomic_notify,
            *operations(self._here),
            self._callee_of,
            self._sample,
            self._park_call,
            self._park_indirect,
            self._park_ref,
            store.interrupt.parked.pop,
            self._finish,
            self._throw,
            raise_thrown,
            *aggregate_operations(self._here),
            self._settle,
        ]
        self._helper_pointers: Final = array("Q", [id(h) for h in self._helpers])
        context = [0] * len(Word)
        context[Word.STACK_LIMIT] = store.interrupt.address
        context[Word.INTERRUPT] = store.interrupt.address + 8 * SEEN
        context[Word.FILENAME] = ctypes.addressof(self.filename)
        context[Word.CALLABLES] = address_of(self.callables)
        context[Word.HELPERS] = address_of(self._helper_pointers)
        context[Word.FUNCS] = address_of(self.funcs)
        context[Word.ARGUMENTS] = address_of(store.interrupt.arguments)
        context[Word.EXCEPTION] = address_of(store.interrupt.exception)
        context[Word.TYPES] = address_of(self.types)
        context[Word.TAGS] = address_of(self.tags)
        context[Word.IMPORTS] = address_of(self.imports)
        context[Word.FUEL] = address_of(store.fuel)
        # These are the instance's own and stay; pointers to them are enough.
        context += [memory.cell_address() for memory in instance.memories]
        context += [id(table.elements) for table in instance.tables]
        context += map(address_of, self._calls)
        context += [
            cell_of(item)
            if isinstance(item.type.content, NumType)
            else id(item) + slot_offset(Global, "value")
            for item in instance.globals
        ]
        assert len(context) == context_words(instance.info)
        self.context: Final = array("Q", context)
        self.address: Final = address_of(self.context)

    def _callee(self, func: Func) -> Func | _StandIn:
        """What native code asks for its `fn` in order to call `func` by way of Python."""
        if not getattr(func.fn, "takes_caller", False):
            return func
        found = self._stand_ins.get(func)
        if found is None:
            found = self._stand_ins[func] = _StandIn(func, self.instance())
        return found

    def _here(self) -> Instance:
        found = self.instance()
        assert found is not None
        return found

    def _tick(self) -> None:
        tick(self._here().store)

    def _sample(self, place: int) -> None:
        here = self._here()
        self._sampled(here, place & (1 << LOOP_SHIFT) - 1, place >> LOOP_SHIFT)
        tick(here.store)

    def _settle(self, index: int) -> None:
        self._settled(self._here(), index)

    def _raise(self, trap: int) -> None:
        raise Trap(*TRAPS[trap])

    def _make_func(self, index: int) -> None:
        func = self._here().func(index)
        # Linking the function fills in the other pointer; later on it is ours to do.
        self.callables[index] = id(self._callee(func))
        self.funcs[index] = id(func)

    def _memory_grow(self, memory: int, pages: int) -> int:
        return self._here().memories[memory].grow_raw(pages) & 0xFFFFFFFFFFFFFFFF

    def _memory_init(self, segment: int, memory: int, to: int, start: int, size: int) -> None:
        instance = self._here()
        data = instance.datas[segment]
        target = instance.memories[memory]
        if start + size > len(data) or to + size > target.size_bytes:
            raise Trap(TrapCode.MEMORY_OUT_OF_BOUNDS)
        target.view[to : to + size] = data[start : start + size]

    def _data_drop(self, segment: int) -> None:
        self._here().datas[segment] = b""

    def _atomic_wait(
        self, memory: int, address: int, width: int, expected: int, timeout: int
    ) -> int:
        here = self._here()
        place = here.memories[memory], address, width
        return atomics.wait_raw(here.store, *place, expected, timeout)

    def _atomic_notify(self, memory: int, address: int, count: int) -> int:
        return atomics.notify(self._here().memories[memory], address, count)

    def _element(self, table: int, index: int, type_id: int) -> Func:
        elements = self._here().tables[table].elements
        if index >= len(elements):
            raise Trap(TrapCode.TABLE_OUT_OF_BOUNDS, "undefined element")
        func: Func | None = elements[index]
        if func is None:
            raise Trap(TrapCode.INDIRECT_CALL_TO_NULL, f"uninitialized element {index}")
        if not any(id(ty) == type_id for ty in func.type.supers):
            raise Trap(TrapCode.BAD_SIGNATURE)
        if func.instance is None:
            self._slot_of(func)  # for the next time
        return func

    def _indirect(self, table: int, index: int, type_id: int) -> int:
        return id(self._callee(self._element(table, index, type_id)))

    def _callee_of(self, func: Func) -> int:
        return id(self._callee(func))

    def _park_ref(self, func: Func, *args: Any) -> None:
        callee = self._callee(func)
        raw = callee.raw if isinstance(callee, Func) else callee.fn
        self._here().store.interrupt.parked.append([raw, args])

    def _park_call(self, index: int, *args: Any) -> None:
        self._park_ref(self._here().func(index), *args)

    def _park_indirect(self, table: int, index: int, type_id: int, *args: Any) -> None:
        self._park_ref(self._element(table, index, type_id), *args)

    def _throw(self, tag: int, *values: Any) -> ExnRef:
        return ExnRef(self._here().tags[tag], values)

    def _finish(self) -> Any:
        current = self._here().store.interrupt.parked.pop()
        while type(current) is list:
            current = current[0](*current[1])
        return current
