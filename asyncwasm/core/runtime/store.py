"""`Store`: user data, limits, fuel, deadlines and hooks, and who may run in it."""

from __future__ import annotations

import gc
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    Protocol,
    TypeAlias,
    TypeVar,
    final,
)

from asyncwasm.errors import (
    AsyncSupportError,
    StoreBusyError,
    ThrownException,
    Trap,
    TrapCode,
    UsageError,
    WrongStoreError,
    WrongThreadError,
)
from asyncwasm.fiber import await_held, checkpoint, current_task, current_task_id, new_event

from .budget import BUDGET
from .handles import close_unawaited
from .hooks import CallHook, Hook
from .limits import StoreResources
from .metering import COULD_NOT_WAIT, Metering
from .ticker import TICKER
from .words import BARS, DEPTH, MAY_SUSPEND, THREAD, Bar

if TYPE_CHECKING:
    from .caller import Caller
    from .engine import Engine
    from .gc import ExnRef
    from .limits import AsyncResourceLimiter, ResourceLimiter

T = TypeVar("T")
R = TypeVar("R")


NEEDS_ASYNC: Final = "store configuration requires that `*_async` functions are used instead"
# Calls from the host nested in one store (host -> guest -> host -> guest ...).  Every level takes
# about a kilobyte of the thread's C stack, of which a small thread has 512 of them.
MAX_NESTED_CALLS: Final = 200
# In place of a call's depth, who needs the budget that `lend_stack` takes.
_LENT: Final = -1
_BUSY: Final = "store is busy with a call of another task"


class Concurrency(Protocol):
    """What runs calls concurrently, for stores: the Component Model is, where it is imported."""

    async def run(self, store: Store[Any], fn: Callable[[Any], Awaitable[R]]) -> R:
        """`Store.run_concurrent`."""
        ...

    def tasks(self, store: Store[Any]) -> list[Any]:
        """`Store.tasks`."""
        ...

    def close(self, store: Store[Any]) -> None:
        """Unwind what is suspended: the store is being closed."""
        ...


@final
class Store(Metering, Generic[T]):
    """Everything that instances share: their objects, the limits on them, and `data`.

    A store belongs to the thread that first enters it.  One call at a time runs in it; calls
    nested in that call's host functions are part of it.  A second task that enters meanwhile
    gets `StoreBusyError`, or waits its turn in order with `concurrent_calls="queue"`.
    Reading and writing memories, globals, fuel and deadlines is allowed at any time.

    After a trap, a host function's exception or a cancellation the store stays usable, with
    whatever the guest had done until then.

    Follows Wasmtime's `Store`.
    """

    concurrency: ClassVar[Concurrency | None] = None

    def __init__(
        self,
        engine: Engine,
        data: T = None,  # type: ignore[assignment]  # a store without data has T = None
        *,
        concurrent_calls: Literal["error", "queue"] = "error",
    ) -> None:
        if concurrent_calls not in ("error", "queue"):
            raise ValueError("concurrent_calls must be 'error' or 'queue'")
        super().__init__(engine)
        self.data = data
        self.limits: Final = StoreResources()
        # What other layers keep with the store, each under a key of its own.
        self.attached: Final[dict[object, Any]] = {}
        # Whether guest code has ever ended with an error here.
        self.failed = False
        self._hook: Hook | None = None
        self._requires_async = False
        self._pending: ExnRef | None = None
        self._closed = False
        # Who waits: while the innermost call is suspended in a host function, that function's task
        # and caller.
        self._waiting: _Wait | None = None
        self._lent = False
        self._queueing: Final = concurrent_calls == "queue"
        self._queue: Final[deque[Any]] = deque()
        self._turn: Any = None
        config = engine.config
        if config.async_support is not None:
            self.bar(Bar.SYNC if config.async_support else Bar.ASYNC)
        if self._queueing:
            self.bar(Bar.QUEUE)
        if config.consume_fuel or config.epoch_interruption:
            self.bar(Bar.METERED)

    def bar(self, reason: int) -> None:
        """Let calls take the long way from now on; for the runtime's own use."""
        self.words[BARS] |= reason

    @property
    def _depth(self) -> int:
        return self.words[DEPTH]

    @property
    def _may_suspend(self) -> bool:
        return self.words[MAY_SUSPEND] != 0

    @property
    def store(self) -> Store[T]:
        """The store itself: a `Caller` has the same property, so both work as `store`."""
        return self

    def __repr__(self) -> str:
        return f"<Store {id(self):#x}>"

    def __reduce__(self) -> tuple[object, ...]:
        # Nor can anything that belongs to it.
        raise TypeError("a store cannot be pickled or copied")

    # Sync or async -------------------------------------------------------------------------

    @property
    def requires_async(self) -> bool:
        """Whether sync entry points are refused; once true it stays so."""
        return self._requires_async

    def require_async(self) -> None:
        """Note that something async was attached to the store; for the runtime's own use."""
        if self.engine.config.async_support is False:
            raise AsyncSupportError(
                "cannot use async features without enabling async support in the config"
            )
        self._requires_async = True
        self.bar(Bar.SYNC)

    def check_sync(self, classic: str) -> None:
        """Raise `AsyncSupportError` unless sync entry points may be used.

        `classic` is the message for engines that are async by configuration.
        """
        if self.engine.config.async_support:
            raise AsyncSupportError(classic)
        if self._requires_async:
            raise AsyncSupportError(NEEDS_ASYNC)

    def check_async(self, classic: str) -> None:
        """Raise `AsyncSupportError`, saying `classic`, if the engine is sync by configuration."""
        if self.engine.config.async_support is False:
            raise AsyncSupportError(classic)

    # Entering ------------------------------------------------------------------------------

    def _check_entry(self, caller: Caller[Any] | None) -> bool:
        """Whether the current task may enter now.  Raises if this can never be."""
        if self._closed:
            raise UsageError("store is closed")
        words = self.words
        thread = threading.get_ident()
        if words[THREAD] != thread:
            if words[THREAD]:
                raise WrongThreadError(
                    "store belongs to the thread that first entered it; see `Store.release_thread`"
                )
            self.engine.executor.bind_thread(self)
            words[THREAD] = thread
        if words[DEPTH] == 0:
            return self._turn is None and not self._queue
        waiting = self._waiting
        if waiting is None:
            # The call in progress is not suspended, so this is its own host function.
            return True
        return _admits(waiting, caller)

    def enter_nowait(self, caller: Caller[Any] | None) -> None:
        """Raise `StoreBusyError` unless the current task may enter now."""
        if not self._check_entry(caller):
            raise StoreBusyError(_BUSY)

    async def take_turn(self, caller: Caller[Any] | None) -> object | None:
        """Wait until the current task may enter, if the store queues; else `enter_nowait`.

        Returns what `enter_at_turn` or `give_up_turn` must be given later.
        """
        admitted = self._check_entry(caller)
        if not self._queueing:
            if not admitted:
                raise StoreBusyError(_BUSY)
            return None
        if admitted:
            if self._depth:
                return None
            self._turn = object()
            taken: object = self._turn
            return taken
        event = new_event()
        self._queue.append(event)
        try:
            await event.wait()
        except BaseException:
            if self._turn is not event:
                self._queue.remove(event)
            self.give_up_turn(event)
            raise
        turn: object = event
        return turn

    def enter_at_turn(self, turn: object | None, caller: Caller[Any] | None) -> None:
        """Use a turn; without one, `enter_nowait`."""
        if turn is None:
            # Others ran since the turn was asked for: look again.
            self.enter_nowait(caller)
        else:
            assert self._turn is turn
            self._turn = None

    def give_up_turn(self, turn: object | None) -> None:
        """Pass a turn on, unless it was used."""
        if turn is not None and self._turn is turn:
            self._turn = None
            self._next_turn()

    def _next_turn(self) -> None:
        # The turn is handed over, not left to whoever comes first: calls run in order.
        if self._queue and self._depth == 0 and self._turn is None:
            self._turn = self._queue.popleft()
            self._turn.set()

    def begin(self, may_suspend: bool) -> None:
        """Start a call.  Traps if calls are nested too deeply.

        Whatever happens, `end` follows, with `_depth` and `_may_suspend` as they were before:
        a signal handler may raise in the middle of this.
        """
        words = self.words
        depth = words[DEPTH]
        if depth >= MAX_NESTED_CALLS:
            raise Trap(TrapCode.STACK_OVERFLOW)
        words[MAY_SUSPEND] = may_suspend
        words[DEPTH] = depth + 1
        config = self.engine.config
        if depth == 0:
            self._waiting = None
        if depth == 0:
            self.interrupt[0] = 0
            self.engine.call_started(self)
        if config.checks_interrupts:
            if config.epoch_interruption:
                self._flag_epoch()
            interval = config.preemption_interval
            if may_suspend and interval is not None and words[BARS] & Bar.PORTABLE:
                TICKER.watch(id(self), self.interrupt, interval)

    def end(self, depth: int, may_suspend: bool) -> None:
        """End a call; the arguments are the state before it.  Doing so again changes nothing."""
        words = self.words
        # A call that outlived the one it was nested in must not come back to life here.
        if words[DEPTH] > depth:
            words[DEPTH] = depth
            words[MAY_SUSPEND] = may_suspend
        if words[DEPTH] == 0:
            words[MAY_SUSPEND] = False
            self._waiting = None
            if self._lent:
                BUDGET.release((id(self), _LENT))
                self._lent = False
            self.engine.call_ended(self)
            TICKER.unwatch(id(self))
            if self._queue:
                self._next_turn()

    def lend_stack(self) -> None:
        """Guest code will run on Python's stack from now on; for engines' use."""
        if self.words[BARS] & Bar.PORTABLE:
            return
        self.bar(Bar.PORTABLE)
        if self.words[DEPTH]:
            # The outermost call did not do this when it began.
            config = self.engine.config
            self._lent = True
            BUDGET.acquire((id(self), _LENT), config.max_wasm_frames)
            if self.words[MAY_SUSPEND] and config.preemption_interval is not None:
                TICKER.watch(id(self), self.interrupt, config.preemption_interval)

    def end_direct(self) -> None:
        """What is left to do after a call that native code has entered and left by itself.

        Doing so again changes nothing.
        """
        self.end(0, False)

    def release_thread(self) -> None:
        """Let another thread use the store from now on.

        Raises `StoreBusyError` while a call is in progress.
        """
        if self._depth:
            raise StoreBusyError("store has a call in progress")
        self.words[THREAD] = 0

    def close(self) -> None:
        """Drop everything that the store holds.  Using it later raises `UsageError`.

        Raises `StoreBusyError` while a call is in progress.
        """
        if self._depth:
            raise StoreBusyError("store has a call in progress")
        if self.concurrency is not None:
            self.concurrency.close(self)
        self._closed = True
        self.bar(Bar.CLOSED)
        self.data = None  # type: ignore[assignment]
        self.attached.clear()
        self._hook = self._epoch_callback = self._pending = None

    # Concurrent calls ------------------------------------------------------------------------

    async def run_concurrent(self, fn: Callable[[Any], Awaitable[R]]) -> R:
        """Await `fn(accessor)` in a scope in which components' functions run concurrently.

        The `asyncwasm.component.Accessor` is what calls them, and what starts further tasks of
        the scope.  When `fn` has returned, or anything in the scope has failed, all tasks of the
        host in it are cancelled; what guests have begun goes on in the next scope.  Raises what
        `fn`, a task or a guest raises: an exception group where several fail.  Follows Wasmtime's
        method of this name.
        """
        if self.concurrency is None:
            raise UsageError("`asyncwasm.component` has to be imported for `run_concurrent`")
        return await self.concurrency.run(self, fn)

    def tasks(self) -> list[Any]:
        """The calls of components' functions that have not ended, for diagnosis.

        Each is an `asyncwasm.component.TaskInfo`.
        """
        return [] if self.concurrency is None else self.concurrency.tasks(self)

    # Waiting -------------------------------------------------------------------------------

    def wait(self, awaitable: Awaitable[Any], caller: Caller[Any] | None = None) -> Any:
        """Suspend the call in progress until `awaitable` is done, and return its result.

        Meanwhile the current task, or whoever holds `caller`, may nest calls.  For host
        functions, hooks and callbacks.
        """
        held = [awaitable]
        del awaitable
        return self.wait_held(held, caller)

    def _yield(self) -> None:
        """Give the event loop one turn.  The store is busy for everybody meanwhile."""
        self.wait_held([checkpoint()], nested=False)

    def wait_held(
        self, held: list[Any], caller: Caller[Any] | None = None, *, nested: bool = True
    ) -> Any:
        """`wait` for the one item of a list, which is taken out of it; see `await_held`.

        Without `nested`, nobody may nest calls.
        """
        words = self.words
        if not words[MAY_SUSPEND]:
            close_unawaited(held.pop())
            raise AsyncSupportError(COULD_NOT_WAIT)
        waiting = (current_task_id() if nested else None, caller)
        outer, depth = self._waiting, words[DEPTH]
        self._waiting = waiting
        try:
            result = await_held(held)
        finally:
            # Not so when a call that is nested in this one has outlived its task, or this one
            # has: then the books are another's.
            now = words[DEPTH]
            if now > depth or self._waiting is waiting:
                self._waiting = outer
        if now != depth:
            raise UsageError("a host function returned while a call nested in it was in progress")
        return result

    def _host_bracket(self) -> _Bracket:
        return _Bracket(self)

    # Limits, hooks, collection ---------------------------------------------------------------

    def limiter(self, limiter: ResourceLimiter) -> None:
        """Ask `limiter` about every memory and table that is made or grows from now on.

        Its counts of instances, tables and memories are read once, now.  Replaces any other
        limiter.
        """
        self.limits.install(limiter, is_async=False)

    def limiter_async(self, limiter: AsyncResourceLimiter | ResourceLimiter) -> None:
        """As `limiter`, with methods that may be coroutine functions.

        Makes the store require async.
        """
        self.require_async()
        self.limits.install(limiter, is_async=True)

    def call_hook(self, hook: Hook | None) -> None:
        """Call `hook(store, kind)` at every transition between host and guest.

        What it raises takes the place of the transition.  None removes the hook.
        """
        self._set_hook(hook)

    def _set_hook(self, hook: Hook | None) -> None:
        # In this order, because a signal handler may raise in here.
        self.bar(Bar.HOOK)
        self._hook = hook
        if hook is None:
            self.words[BARS] &= ~Bar.HOOK

    def call_hook_async(self, hook: Hook) -> None:
        """As `call_hook`, with a hook that may be a coroutine function.

        Makes the store require async.
        """
        self.require_async()
        self._set_hook(hook)

    def fire(self, kind: CallHook) -> None:
        """Run the call hook, if there is one; it is removed while it runs.  May suspend."""
        hook = self._hook
        if hook is None:
            return
        self._hook = None
        try:
            result = hook(self, kind)
            if result is not None:
                if not self._may_suspend:
                    close_unawaited(result)
                    raise AsyncSupportError("couldn't grab async_cx for call hook")
                self.wait(result)
        finally:
            if self._hook is None:
                self._set_hook(hook)

    def gc(self) -> None:
        """Collect unreachable guest objects now.

        Raises `AsyncSupportError` with an async limiter; see `gc_async`.
        """
        self.limits.check_sync()
        gc.collect()

    async def gc_async(self) -> None:
        """Collect unreachable guest objects now."""
        await checkpoint()
        gc.collect()

    # Exceptions ------------------------------------------------------------------------------

    def throw(self, exn: ExnRef) -> ThrownException:
        """Make `exn` pending and return the error to raise: `raise store.throw(exn)`.

        Raised from a host function it is a WebAssembly exception that the guest can catch.
        """
        if exn.tag.store is not self:
            raise WrongStoreError("object used with wrong store")
        self._pending = exn
        return ThrownException(exn)

    def take_pending_exception(self) -> ExnRef | None:
        """The exception that last left guest code uncaught, given once; None without one."""
        taken, self._pending = self._pending, None
        return taken

    def has_pending_exception(self) -> bool:
        """Whether `take_pending_exception` would give one."""
        return self._pending is not None


# Who may nest calls in a suspended call: the task that waits, by its id (the suspended call must
# not keep it alive), or the holder of its `Caller`.
_Wait: TypeAlias = "tuple[int | None, Caller[Any] | None]"


def _admits(waiting: _Wait, caller: Caller[Any] | None) -> bool:
    task, of_call = waiting
    if caller is not None and caller is of_call:
        return True
    return task is not None and task == id(current_task())


class _Bracket:
    """The call hook's events around a suspension that is not a host function's."""

    __slots__ = ("store",)

    def __init__(self, store: Store[Any]) -> None:
        self.store = store

    def __enter__(self) -> None:
        if self.store._hook is not None:
            self.store.fire(CallHook.CALLING_HOST)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self.store._hook is not None:
            self.store.fire(CallHook.RETURNING_FROM_HOST)
