"""One adapter between two memories, with Python in place of the guests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asyncwasm.component.abi import Options
from asyncwasm.component.fused import Side, adapter, raise_fault
from asyncwasm.component.types import FuncType
from asyncwasm.core import (
    Engine,
    Func,
    Global,
    GlobalType,
    IndexType,
    Instance,
    Limits,
    Memory,
    MemoryType,
    Module,
    NumType,
    Store,
)


class Guest:
    """A memory with an allocator that keeps nothing where it was, as the ABI sees it."""

    def __init__(self, store: Store[Any], side: Side) -> None:
        index = IndexType.I64 if side.memory64 else IndexType.I32
        self.memory = Memory.new(store, MemoryType(Limits(1), index))
        self.may_leave = Global.new(store, GlobalType(NumType.I32, mutable=True), 1)
        self.fuel = 1 << 60
        self.calls: list[tuple[int, int, int, int]] = []
        self.top = 8
        self.options = Options(side.encoding, side.memory64)

    def realloc(self, old: int, old_size: int, alignment: int, new_size: int) -> int:
        self.calls.append((old, old_size, alignment, new_size))
        pointer = (self.top + alignment - 1) & -alignment
        self.top = pointer + new_size
        kept = min(old_size, new_size)
        view = self.memory.view
        view[pointer : pointer + kept] = bytes(view[old : old + kept])
        return pointer

    def guest_realloc(self, *args: int) -> int:
        """`realloc` as the adapter calls it."""
        assert self.may_leave.value == 0
        return self.realloc(*args)

    def lift_own(self, resource: Any, handle: int) -> int:
        return handle

    lift_borrow = lower_own = lower_borrow = lift_own


class Call:
    """An adapter for functions of type `ty`.

    `caller` and `callee` are the guests; `run` calls through the adapter, and the callee is
    whatever function `body` is at the time.  `events` are the calls that are about handles.
    """

    def __init__(
        self, engine: Engine, ty: FuncType, caller: Side, callee: Side, *, post_return: bool = False
    ) -> None:
        made = adapter(ty, caller, callee, post_return=post_return)
        assert made is not None
        self.store: Store[Any] = Store(engine)
        self.caller, self.callee = Guest(self.store, caller), Guest(self.store, callee)
        self.body: Callable[..., Any] = lambda *flat: None
        self.events: list[tuple[Any, ...]] = []
        module = Module.from_binary(engine, made.data)
        imports = [self._import(i.name, i.type) for i in module.imports]
        instance = Instance.new(self.store, module, imports)
        found = instance.get_func(self.store, "call")
        assert found is not None
        self.run = found.fn

    def _import(self, name: str, extern: Any) -> Any:
        side, _, what = name.partition(".")
        guest = {"caller": self.caller, "callee": self.callee}.get(side)
        fn: Callable[..., Any]
        if name == "callee":
            fn = self._callee
        elif name == "trap":
            fn = raise_fault
        elif guest is None or not what:
            fn = self._event(name)
        elif what == "memory":
            return guest.memory
        elif what == "may-leave":
            return guest.may_leave
        else:
            fn = guest.guest_realloc
        return Func.make(self.store, extern.type, fn, name=name)

    def _callee(self, *flat: Any) -> Any:
        assert (self.caller.may_leave.value, self.callee.may_leave.value) == (1, 1)
        return self.body(*flat)

    def _event(self, name: str) -> Callable[..., Any]:
        def event(*args: int) -> int | None:
            self.events.append((name, *args))
            if name == "post-return":
                assert self.callee.may_leave.value == 0
            return args[0] + 1000 if name.startswith(("own", "borrow")) else None

        return event
