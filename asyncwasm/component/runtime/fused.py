"""Calls between component instances by way of an adapter in WebAssembly.

Only where there is machine code: the portable engine is faster with values of Python's in between
than with an interpreted loop over their bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, final

from asyncwasm.component.compile.program import ImportModule
from asyncwasm.core import DefType, Feature, Func, FuncType, Module, NumType
from asyncwasm.core.runtime.instance import instantiate

from ..fused import Side, adapter, raise_fault
from .context import GuestContext
from .task import CallScope

if TYPE_CHECKING:
    from asyncwasm.component.compile.program import GuestCall, Options, Program
    from asyncwasm.core import Extern

    from .instance import InstanceData
    from .task import Thread

# What adapters are made of.
_FEATURES: Final = frozenset(
    (
        Feature.BULK_MEMORY,
        Feature.MULTI_MEMORY,
        Feature.MULTI_VALUE,
        Feature.MUTABLE_GLOBAL,
        Feature.SIGN_EXTENSION,
        Feature.SIMD,
    )
)
_NOTHING: Final = DefType.of(FuncType())
_TAKES_I32: Final = DefType.of(FuncType((NumType.I32,)))
_HANDLE: Final = DefType.of(FuncType((NumType.I32,), (NumType.I32,)))


def fused_call(data: InstanceData, trampoline: GuestCall) -> Func | None:
    """The function of another instance, through an adapter; None where there can be none."""
    engine = data.store.engine
    target = data.instances[trampoline.callee.options.instance]
    if (
        not engine.is_native
        or not target.plain
        or target.stores
        or not engine.config.features >= _FEATURES
    ):
        return None
    module = _module(data, trampoline)
    if module is None:
        return None
    # To whom the limits belong cannot know how many adapters there are.
    data.store.limits.bump("instance", -1)
    imports = _Imports(data, trampoline)
    args = [imports.find(i.name) for i in module.info.imports]
    instance = instantiate(data.store, module, args, False)
    return instance.get_func(data.store, "call")


def _may_throw(program: Program) -> bool:
    """Whether there may be exceptions, which must not pass from one component to another."""
    return any(module.info.tags for module in program.modules) or any(
        isinstance(item, ImportModule) for item in program.imports
    )


def _side(options: Options) -> Side:
    return Side(options.string_encoding, options.memory64)


def _module(data: InstanceData, trampoline: GuestCall) -> Module | None:
    """The adapter for a trampoline; trampolines of the same types share it."""
    inner = trampoline.callee.options
    made = adapter(
        trampoline.type,
        _side(trampoline.options),
        _side(inner),
        post_return=inner.post_return is not None,
        catches=_may_throw(data.program),
    )
    if made is None:
        return None
    adapters = data.program.adapters
    module = adapters.get(made.data)
    if module is None:
        module = adapters[made.data] = Module.from_binary(data.store.engine, made.data)
    return module


@final
class _Imports:
    """What the imports of one adapter are to be, by their names."""

    def __init__(self, data: InstanceData, trampoline: GuestCall) -> None:
        self._data = data
        self._trampoline = trampoline
        self._options = {"caller": trampoline.options, "callee": trampoline.callee.options}
        self._calls = _Calls(data, trampoline)

    def find(self, name: str) -> Extern:
        """The import of that name."""
        data = self._data
        if name == "callee":
            return data.func(self._trampoline.callee.core)
        if name == "post-return":
            index = self._options["callee"].post_return
            assert index is not None
            return data.funcs[index]
        if name == "trap":
            return self._host(_TAKES_I32, raise_fault, name)
        if name in ("enter", "returned", "leave"):
            return self._host(_NOTHING, getattr(self._calls, name), name)
        kind, _, rest = name.partition(".")
        if kind in self._options:
            return self._item(kind, rest)
        side, _, number = rest.partition(".")
        return self._host(_HANDLE, self._calls.transfer(kind, side, int(number)), name)

    def _item(self, side: str, what: str) -> Extern:
        """What the options of one side say, or its flag."""
        data, options = self._data, self._options[side]
        if what == "may-leave":
            return data.instances[options.instance].leave_flag()
        if what == "memory":
            assert options.memory is not None
            return data.memories[options.memory]
        assert options.realloc is not None
        return data.funcs[options.realloc]

    def _host(self, type: DefType, fn: Callable[..., Any], name: str) -> Func:
        return Func.make(self._data.store, type, fn, name=name)


@final
class _Calls:
    """The calls of one adapter that are in progress, of those that hand over handles.

    Each has a context for either side, the thread in the callee, and what is lent to it.
    """

    def __init__(self, data: InstanceData, trampoline: GuestCall) -> None:
        self._outer = trampoline.options
        self._inner = trampoline.callee.options
        self._caller = data.instances[self._outer.instance]
        self._target = data.instances[self._inner.instance]
        self._running: list[tuple[GuestContext, GuestContext, Thread, CallScope]] = []

    def enter(self) -> None:
        """Begin a call."""
        lent = CallScope()
        outside = GuestContext(self._caller, self._outer, lent)
        thread = self._target.enter()
        inside = GuestContext(self._target, self._inner, thread.task)
        self._running.append((outside, inside, thread, lent))

    def returned(self) -> None:
        """Check what was borrowed by the call that returned."""
        self._running[-1][2].task.check_borrows()

    def leave(self) -> None:
        """End a call."""
        _, _, thread, lent = self._running.pop()
        self._target.leave(thread)
        lent.release()

    def transfer(self, kind: str, side: str, resource: int) -> Callable[[int], int]:
        """The function that takes a handle of one side's to the other."""
        running = self._running
        outwards = side == "caller"

        def own(handle: int) -> int:
            outside, inside, _, _ = running[-1]
            source, target = (outside, inside) if outwards else (inside, outside)
            return target.lower_own(resource, source.lift_own(resource, handle))

        def borrow(handle: int) -> int:
            outside, inside, _, _ = running[-1]
            return inside.lower_borrow(resource, outside.lift_borrow(resource, handle))

        return own if kind == "own" else borrow
