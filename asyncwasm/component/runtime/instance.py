"""The state of an instance: `InstanceData` as a whole, `ComponentInstance` for each part of it.

Nested components share the lists of `InstanceData`, by the indices of the program; handles,
`may_leave` and backpressure are each component instance's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast, final

from asyncwasm.component.compile.program import CoreDef, CoreExport, LiftedFunction
from asyncwasm.core import Global, GlobalType, NumType
from asyncwasm.errors import Trap, TrapCode

from ..concurrency.task import sync_thread
from ..concurrency.waitable import Source
from .handles import HandleTable
from .state import state_of
from .task import Task, Thread

if TYPE_CHECKING:
    from asyncwasm.component.compile.program import Program
    from asyncwasm.component.component import Component
    from asyncwasm.core import Extern, Func, Instance, Memory, SharedMemory, Store, Table

    from .resources import ResourceImpl


class ComponentInstance:
    """One component instance.  See "Component Instances" in the Canonical ABI.

    `plain` and `stores` are the program's; `idle` is a thread to be used again where nothing can
    tell it from a new one.  What concerns
    concurrent calls is None or 0 until there are any.
    """

    __slots__ = (
        "__weakref__",
        "backpressure",
        "data",
        "exclusive",
        "flag",
        "gate",
        "handles",
        "idle",
        "may_leave",
        "parent",
        "plain",
        "state",
        "stores",
        "threads",
        "waiting_to_enter",
    )

    def __init__(self, data: InstanceData, number: int) -> None:
        program = data.program
        parent = program.parents[number]
        self.data = data
        self.plain = program.plain[number]
        self.stores = program.stores[number]
        self.state = data.state
        self.parent = None if parent is None else data.instances[parent]
        self.handles = HandleTable()
        self.threads = HandleTable()
        self.may_leave = True
        self.backpressure = 0
        self.exclusive: Thread | None = None
        self.waiting_to_enter = 0
        self.gate = Source()
        self.idle: Thread | None = None
        self.flag: Global | None = None

    def leave_flag(self) -> Global:
        """`may_leave` as a global, 0 or 1, for guest code that reads and writes it."""
        if self.flag is None:
            value = int(self.may_leave)
            self.flag = Global(self.data.store, GlobalType(NumType.I32, mutable=True), value)
            self.__class__ = _Flagged
        return self.flag

    def enter(self) -> Thread:
        """Start a synchronous call made by the current thread, and make its thread current."""
        state = self.state
        thread = self.idle
        if thread is None:
            thread = Thread(Task(self, state.current)) if self.plain else sync_thread(self)
        else:
            self.idle = None
            thread.task.caller = state.current
        state.current = thread
        return thread

    def leave(self, thread: Thread) -> None:
        """End a synchronous call that was successful: the caller's thread is current again."""
        self.state.current = thread.task.caller
        if self.plain:
            if not self.stores:
                self.idle = thread
        else:
            self.threads.remove(thread.index)

    def check_leave(self) -> None:
        """Trap if the guest may not call anything now."""
        if not self.may_leave:
            raise Trap(TrapCode.CANNOT_LEAVE_COMPONENT)


class _Flagged(ComponentInstance):
    """A component instance whose `may_leave` lies in a global."""

    __slots__ = ()

    @property
    def may_leave(self) -> bool:
        assert self.flag is not None
        return bool(self.flag.value)

    @may_leave.setter
    def may_leave(self, value: bool) -> None:
        assert self.flag is not None
        self.flag.value = int(value)


@final
class InstanceData:
    """All of an instance of a component: what its program's indices mean in a store."""

    __slots__ = (
        "__weakref__",
        "component",
        "core_instances",
        "funcs",
        "imports",
        "instances",
        "memories",
        "plain",
        "program",
        "resources",
        "runners",
        "state",
        "store",
        "tables",
        "trampolines",
    )

    def __init__(self, store: Store[Any], component: Component, imports: Sequence[Any]) -> None:
        self.store = store
        self.state = state_of(store)
        self.component = component
        program: Program = component.program
        self.program = program
        # Whether all component instances are `plain`, and nothing else is going on.
        self.plain = not program.has_async
        self.imports = imports
        self.core_instances: list[Instance] = []
        # Initialisers fill these before anything reads them.
        self.memories: list[Memory | SharedMemory] = [None] * program.memories  # type: ignore[list-item]
        self.tables: list[Table] = [None] * program.tables  # type: ignore[list-item]
        self.funcs: list[Func] = [None] * program.funcs  # type: ignore[list-item]
        self.resources: list[ResourceImpl] = [None] * program.resources  # type: ignore[list-item]
        self.trampolines: list[Func | None] = [None] * len(program.trampolines)
        self.runners: dict[LiftedFunction, Any] = {}
        self.instances: list[ComponentInstance] = []
        for number in range(len(program.parents)):
            self.instances.append(ComponentInstance(self, number))

    def item(self, core: CoreDef) -> Extern:
        """A core item that exists by now."""
        if isinstance(core, CoreExport):
            instance = self.core_instances[core.instance]
            found = instance.get_export(self.store, core.name)
            assert found is not None
            return found
        return self.trampoline(core.index)

    def func(self, core: CoreDef) -> Func:
        """A core function that exists by now."""
        return cast("Func", self.item(core))  # validation has seen that it is one

    def trampoline(self, index: int) -> Func:
        """The core function of a trampoline, made when first asked for."""
        found = self.trampolines[index]
        if found is None:
            from .trampolines import make

            found = self.trampolines[index] = make(self, self.program.trampolines[index])
        return found
