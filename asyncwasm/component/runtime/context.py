"""Contexts of lifting and lowering: one instance's memory, allocator and handles, for one call.

See "Lifting and Lowering Context" in the Canonical ABI.  `GuestContext` is for calls between
components, where the value of a handle is the representation; in a `HostContext` it is what the
host gets and gives.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, final

from asyncwasm.component.abi import HandleError
from asyncwasm.component.resource import Resource, ResourceAny
from asyncwasm.errors import CanonicalAbiError, ThrownException, Trap, TrapCode

from ..abi import Context as AbiContext
from ..concurrency import transfer
from .handles import ResourceHandle, get_resource, take_own
from .host_table import HostEntry

if TYPE_CHECKING:
    from asyncwasm.component.compile.program import Options
    from asyncwasm.component.types import ValType
    from asyncwasm.core import Func, Memory, SharedMemory

    from ..concurrency.error_context import ErrorContext
    from ..concurrency.future import SharedFuture
    from ..concurrency.stream import SharedStream
    from .instance import ComponentInstance
    from .resources import ResourceImpl
    from .task import CallContext


class Context(AbiContext):
    """What both kinds have in common.

    `scope` is the call that borrows belong to: the one they are given to when lowering, the one
    they are lent to when lifting.  `inside` says that guest code runs, or has failed.
    """

    __slots__ = ("_realloc", "fuel", "inside", "instance", "memory", "resources", "scope")

    memory: Any

    def __init__(
        self, instance: ComponentInstance, options: Options, scope: CallContext | None
    ) -> None:
        data = instance.data
        self.instance = instance
        self.scope = scope
        self.fuel = data.store.hostcall_fuel
        self.inside = False
        self.resources: list[ResourceImpl] = data.resources
        memory: Memory | SharedMemory | None = None
        if options.memory is not None:
            memory = data.memories[options.memory]
        self.memory = memory
        self._realloc: Func | None = None
        if options.realloc is not None:
            self._realloc = data.funcs[options.realloc]

    def realloc(self, old: int, old_size: int, alignment: int, new_size: int) -> int:
        """Call the guest's allocator, which may not call anything outside of it."""
        instance = self.instance
        self.inside = True
        assert self._realloc is not None
        fn = self._realloc.fn
        before, instance.may_leave = instance.may_leave, False
        result: int
        try:
            if instance.stores:
                result = self._with_blank_storage(fn, old, old_size, alignment, new_size)
            else:
                result = fn(old, old_size, alignment, new_size)
        except ThrownException:
            raise Trap(TrapCode.UNCAUGHT_EXCEPTION) from None
        instance.may_leave = before
        self.inside = False
        return result

    def _with_blank_storage(self, fn: Any, *args: int) -> Any:
        # The allocator shall neither see nor change what the task keeps in its thread.
        thread = self.instance.state.current
        if thread is None:
            return fn(*args)
        before, thread.storage = thread.storage, [0, 0]
        result = fn(*args)
        thread.storage = before
        return result

    def lift_error_context(self, handle: int) -> ErrorContext:
        """The error context at a handle."""
        return transfer.lift_error_context(self, handle)

    def lower_error_context(self, value: Any) -> int:
        """Put an error context into the table."""
        return transfer.lower_error_context(self, value)


@final
class GuestContext(Context):
    """For values on their way from one component instance to another."""

    __slots__ = ()

    def __init__(
        self, instance: ComponentInstance, options: Options, scope: CallContext | None
    ) -> None:
        super().__init__(instance, options, scope)
        self.fuel = 1 << 62  # what guests copy between them is their own affair

    def lift_stream(self, element: ValType | None, handle: int) -> SharedStream:
        """Take the readable end of a stream out of the table."""
        return transfer.lift_stream(self, element, handle)

    def lift_future(self, element: ValType | None, handle: int) -> SharedFuture:
        """Take the readable end of a future out of the table."""
        return transfer.lift_future(self, element, handle)

    def lower_stream(self, element: ValType | None, value: SharedStream) -> int:
        """Put the readable end of a stream into the table."""
        return transfer.lower_stream(self, value)

    def lower_future(self, element: ValType | None, value: SharedFuture) -> int:
        """Put the readable end of a future into the table."""
        return transfer.lower_future(self, value)

    def lift_own(self, resource: Hashable, handle: int) -> int:
        """Take an owned handle out of the table; its representation."""
        return take_own(self.instance.handles, handle, self._impl(resource).type)

    def lift_borrow(self, resource: Hashable, handle: int) -> int:
        """Lend a handle to the call; its representation."""
        found = get_resource(self.instance.handles, handle, self._impl(resource).type)
        assert self.scope is not None
        self.scope.lend(found)
        return found.rep

    def lower_own(self, resource: Hashable, value: int) -> int:
        """An owned handle for a representation."""
        return self.instance.handles.add(ResourceHandle(self._impl(resource).type, value))

    def lower_borrow(self, resource: Hashable, value: int) -> int:
        """A handle for the time of the call; the representation, for whoever defines the type."""
        return lower_borrow(self, self._impl(resource), value)

    def _impl(self, resource: Hashable) -> ResourceImpl:
        assert isinstance(resource, int)
        return self.resources[resource]


@final
class HostContext(Context):
    """For values on their way between the host and a component instance.

    `given` is what lowering has taken from the host so far: the handle in the guest's table, and
    the resource with its entry in the host's.  `refusing` says that such a thing has failed.
    """

    __slots__ = ("given", "refusing")

    def __init__(
        self, instance: ComponentInstance, options: Options, scope: CallContext | None
    ) -> None:
        super().__init__(instance, options, scope)
        self.given: list[tuple[int, Resource[Any] | HostEntry | None, ResourceAny | None]] = []
        self.refusing = False

    def undo(self) -> None:
        """Take back what lowering has given, when the guest did not get to see it."""
        for handle, source, held in reversed(self.given):
            if handle:
                self.instance.handles.remove(handle)
            if held is not None:
                assert isinstance(source, HostEntry)
                held.put_back(source)
            elif isinstance(source, Resource):
                source.take_back()
        self.given.clear()

    def lift_own(self, resource: Hashable, handle: int) -> Resource[Any] | ResourceAny:
        """Take an owned handle out of the table and give it to the host."""
        impl = self._impl(resource)
        rep = take_own(self.instance.handles, handle, impl.type)
        if impl.type.is_host:
            return Resource.received(impl, rep, None)
        return ResourceAny.insert(self.instance.data.store, HostEntry(impl, rep, None))

    def lift_borrow(self, resource: Hashable, handle: int) -> Resource[Any] | ResourceAny:
        """Lend a handle to the host for the time of the call."""
        impl = self._impl(resource)
        found = get_resource(self.instance.handles, handle, impl.type)
        scope = self.scope
        assert scope is not None
        if found.scope is None:
            scope.lend(found)
        if impl.type.is_host:
            return Resource.received(impl, found.rep, scope)
        scope.borrows += 1
        return ResourceAny.insert(self.instance.data.store, HostEntry(impl, found.rep, scope))

    def lower_own(self, resource: Hashable, value: Any) -> int:
        """Give what the host owns to the guest."""
        impl = self._impl(resource)
        add = self.instance.handles.add
        self.refusing = True
        if isinstance(value, Resource):
            handle = add(ResourceHandle(impl.type, value.give(impl)))
            self.given.append((handle, value, None))
            self.refusing = False
            return handle
        if not isinstance(value, ResourceAny):
            raise HandleError(f"expected Resource, got {type(value).__name__}", value)
        entry = self._entry(value, impl)
        if entry.scope is not None:
            raise CanonicalAbiError("cannot lift own resource from a borrow")
        value.take()
        handle = add(ResourceHandle(impl.type, entry.rep))
        self.given.append((handle, entry, value))
        self.refusing = False
        return handle

    def lower_borrow(self, resource: Hashable, value: Any) -> int:
        """Lend what the host has to the guest for the time of the call."""
        impl = self._impl(resource)
        scope = self.scope
        assert scope is not None
        self.refusing = True
        if isinstance(value, Resource):
            rep = value.lend_to(scope, impl)
        elif isinstance(value, ResourceAny):
            entry = self._entry(value, impl)
            if entry.scope is None:
                scope.lend(entry)
            rep = entry.rep
        else:
            raise HandleError(f"expected Resource, got {type(value).__name__}", value)
        handle = lower_borrow(self, impl, rep)
        if impl.instance is not self.instance:
            self.given.append((handle, None, None))
        self.refusing = False
        return handle

    def _entry(self, value: ResourceAny, impl: ResourceImpl) -> HostEntry:
        store = self.instance.data.store
        entry = value.entry(store)
        if not impl.type.accepts(entry.impl.type):
            raise HandleError("mismatched resource types", value)
        return entry

    def lift_stream(self, element: ValType | None, handle: int) -> Any:
        """Take the readable end of a stream out of the table and give it to the host."""
        from ..concurrency.host_stream import take_stream

        return take_stream(self, transfer.lift_stream(self, element, handle))

    def lift_future(self, element: ValType | None, handle: int) -> Any:
        """Take the readable end of a future out of the table and give it to the host."""
        from ..concurrency.host_future import take_future

        return take_future(self, transfer.lift_future(self, element, handle))

    def lower_stream(self, element: ValType | None, value: Any) -> int:
        """Give the readable end of a stream to the guest."""
        from ..concurrency.host_stream import give_stream

        return transfer.lower_stream(self, give_stream(self, element, value))

    def lower_future(self, element: ValType | None, value: Any) -> int:
        """Give the readable end of a future to the guest."""
        from ..concurrency.host_future import give_future

        return transfer.lower_future(self, give_future(self, element, value))

    def _impl(self, resource: Hashable) -> ResourceImpl:
        assert isinstance(resource, int)
        return self.resources[resource]


def lower_borrow(cx: Context, impl: ResourceImpl, rep: int) -> int:
    """A borrowed handle in the instance of `cx`, for the call that is its scope."""
    instance = cx.instance
    if impl.instance is instance:
        return rep
    scope = cx.scope
    assert scope is not None
    scope.borrows += 1
    return instance.handles.add(ResourceHandle(impl.type, rep, scope))
