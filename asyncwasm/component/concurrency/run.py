"""Calling guests concurrently: `run_concurrent` and what can be done in its scope."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar, TypeVarTuple, cast, final

from asyncwasm.core.runtime.calls import at_turn, enter, run_sync
from asyncwasm.errors import Trap, TrapCode, UsageError
from asyncwasm.fiber import current_task, new_event, open_children

from ..runtime.state import state_of
from .failures import together
from .lift import Lifted
from .loop import Loop, SpawnedTask
from .task import Task

if TYPE_CHECKING:
    from asyncwasm.core import Caller, Store

    from ..runtime.state import StoreState

R = TypeVar("R")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

RECURSIVE = "Recursive `run_concurrent` calls not supported"


@final
class Accessor(Generic[T]):
    """What runs in the scope of `Store.run_concurrent` reaches the store through this.

    Concurrent host functions get one as their first argument if they ask for it.  It is of no use
    when the scope has ended.  Follows Wasmtime's `Accessor`.
    """

    __slots__ = ("_loop", "_store")

    def __init__(self, store: Store[T], loop: Loop) -> None:
        self._store = store
        self._loop = loop

    @property
    def store(self) -> Store[T]:
        """The store.  Guests run in it whenever the caller awaits something."""
        return self._store

    @property
    def data(self) -> T:
        """What was given to the store as its data."""
        return self._store.data

    def spawn(self, fn: Callable[[*Ts], Awaitable[R]], *args: *Ts) -> JoinHandle[R]:
        """Run `fn(*args)` as a task of the scope.  Does not suspend.

        An exception that it raises ends the scope.
        """
        handle: JoinHandle[R] = JoinHandle()
        name = getattr(fn, "__qualname__", repr(fn))
        handle._task = self.loop.spawn(fn(*args), name, handle._finish)
        return handle

    @property
    def loop(self) -> Loop:
        """For the runtime's own use.  Raises `UsageError` when the scope has ended."""
        if self._loop.closed:
            raise UsageError("the scope of this accessor has ended")
        return self._loop


@final
class JoinHandle(Generic[R]):
    """A task made by `Accessor.spawn`; `await` it for its result."""

    __slots__ = ("_event", "_finished", "_task", "_value", "aborted")

    def __init__(self) -> None:
        self._task: SpawnedTask | None = None
        self._event = new_event()
        self._value: Any = None
        self._finished = False
        self.aborted = False

    def abort(self) -> None:
        """Cancel it.  Whoever awaits it then gets None."""
        if self._task is not None:
            self._task.cancel()

    def _finish(self, value: Any, error: BaseException | None) -> None:
        assert self._task is not None
        self.aborted = self._task.cancelled
        self._value = value
        self._finished = True
        self._event.set()
        if error is not None:
            raise error

    async def join(self) -> R:
        """Wait until it has ended and return its result; None if it was aborted.

        When the scope ends before it does, that aborts it.
        """
        assert self._task is not None
        loop = self._task.loop
        if not loop.closed:
            loop.waiting.add(self._event)
            try:
                await self._event.wait()
            finally:
                loop.waiting.discard(self._event)
        self.aborted = self.aborted or not self._finished
        return cast("R", self._value)

    def __await__(self) -> Any:
        return self.join().__await__()


@asynccontextmanager
async def _scope(store: Store[Any]) -> AsyncIterator[Loop]:
    # Opens the one loop of a store.
    state = state_of(store)
    loop: Loop | None = None
    try:
        async with open_children() as children:
            state.loop = loop = Loop(state, children)
            try:
                yield loop
            finally:
                # Its tasks are cancelled next; nothing drives it any more.
                state.loop = None
    except BaseException as error:
        late = [] if loop is None else loop.ended()
        if late:
            raise together(error, late) from None
        raise
    late = loop.ended()
    if late:
        raise together(late[0], late[1:])


async def run_concurrent(store: Store[T], fn: Callable[[Accessor[T]], Awaitable[R]]) -> R:
    """`Store.run_concurrent`."""
    state = state_of(store)
    if state.loop is not None:
        raise UsageError(RECURSIVE)
    async with _scope(store) as loop:
        accessor = Accessor(store, loop)
        results: list[R] = []

        def finish(value: Any, error: BaseException | None) -> None:
            if error is not None:
                raise error
            results.append(value)

        loop.spawn(fn(accessor), getattr(fn, "__qualname__", "run_concurrent"), finish)
        await _enter(loop, None, lambda: loop.drive(lambda: bool(results)))
        return results[0]


async def drive_for(
    state: StoreState, start: Callable[[], None], until: Callable[[], bool], *, idle: bool
) -> None:
    """Call `start` and drive the store until `until()`.

    Called where there is no scope, or by the task that drives one.  Where `idle`, something from
    outside of the scope may still happen when guests can do nothing more.
    """

    def run() -> None:
        assert loop is not None
        start()
        loop.outsiders += idle
        try:
            # Who waits for a stream has no guest on its stack that a cancellation could concern.
            loop.drive(until, gently=True)
        finally:
            loop.outsiders -= idle

    loop = state.loop
    if loop is not None:
        await _enter(loop, None, run)
        _raise_interrupt(loop)
        return
    async with _scope(state.store) as loop:
        await _enter(loop, None, run)
        _raise_interrupt(loop)


def _raise_interrupt(loop: Loop) -> None:
    error, loop.interrupted = loop.interrupted, None
    if error is not None:
        try:
            raise error
        finally:
            del error


async def _enter(loop: Loop, caller: Caller[Any] | None, run: Callable[[], R]) -> R:
    state = loop.state
    current = state.current
    try:
        return await at_turn(state.store, caller, enter, run, ())
    except BaseException as error:
        state.recover(current, error)
        raise


class _Call:
    # One call by the host: what became of it.
    __slots__ = ("event", "resolved", "result", "task")

    def __init__(self) -> None:
        self.resolved = False
        self.result: Any = None
        self.task: Task | None = None
        self.event: Any = None

    def resolve(self, result: Any) -> None:
        self.result = result
        self.resolved = True
        if self.event is not None:
            self.event.set()

    def start(self, lifted: Lifted, args: tuple[Any, ...]) -> None:
        state = lifted.instance.state
        state.check_entry(lifted.data)
        self.task = lifted.start(lambda: args, self.resolve, state.current)

    def ended(self) -> bool:
        return self.task is None or self.task.done


async def call_async(lifted: Lifted, caller: Caller[Any] | None, args: tuple[Any, ...]) -> Any:
    """Call a function of a component that has concurrency; its result as the guest gave it.

    Drives the store until the call has returned and its task has ended, or nothing more can
    happen for the moment.  Within another scope of the store that is open, that one goes on being
    driven meanwhile.
    """
    store = lifted.data.store
    loop = lifted.instance.state.loop
    call = _Call()

    def run() -> None:
        assert loop is not None
        call.start(lifted, args)
        loop.drive(lambda: call.resolved)
        if outermost:
            quiet = loop.is_quiet
            loop.drive(lambda: call.ended() or quiet())

    outermost = loop is None
    if loop is None:
        async with _scope(store) as loop:
            await _enter(loop, caller, run)
            if loop.tasks:
                # It would be cut off where it is.
                names = ", ".join(task.name for task in loop.tasks)
                raise UsageError(
                    f"{names} given to a guest is still needed when the call has returned: call "
                    "the function from within `run_concurrent`"
                )
    elif current_task() is loop.driver:
        await _enter(loop, caller, run)
    else:
        raise UsageError(f"{RECURSIVE}: use `call_concurrent` with an accessor here")
    return call.result


def call_sync(lifted: Lifted, caller: Caller[Any] | None, args: tuple[Any, ...]) -> Any:
    """Call a function of a synchronous type from a sync entry point.  Never suspends."""
    state = lifted.instance.state
    call = _Call()
    current = state.current
    try:
        run_sync(state.store, caller, call.start, (lifted, args))
    except BaseException as error:
        state.recover(current, error)
        raise
    if not call.resolved:
        raise Trap(TrapCode.CANNOT_BLOCK_SYNC_TASK)
    return call.result


async def call_concurrent(lifted: Lifted, accessor: Accessor[Any], args: tuple[Any, ...]) -> Any:
    """Call a function in the scope of an accessor, while other calls are in progress.

    Returns the result as the guest gave it, when it has; its task may still have things to do.
    Cancelling this does not cancel the guest.
    """
    loop = accessor.loop
    if loop.state is not lifted.instance.state:
        raise UsageError("the accessor belongs to another store")
    call = _Call()
    call.event = event = new_event()

    def start() -> None:
        # Not in the name of whatever guest thread happens to be running.
        state = loop.state
        current, state.current = state.current, None
        call.start(lifted, args)
        state.current = current

    loop.post(start)
    loop.waiting.add(event)
    try:
        await event.wait()
    finally:
        loop.waiting.discard(event)
    if not call.resolved:
        raise UsageError("the scope of the call has ended before it returned")
    return call.result
