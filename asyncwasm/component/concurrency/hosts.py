"""Host functions that run concurrently with guests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.errors import ComponentError, UsageError

from ..types import FuncType, Primitive, Result
from ..values import Err, Ok
from .subtask import Subtask, SubtaskState
from .task import CANCELLED
from .thread import Thread

if TYPE_CHECKING:
    from ..runtime.host import HostFunc
    from ..runtime.state import StoreState
    from .loop import Loop

_DESTRUCTOR: Final = FuncType((("rep", Primitive.U32),))


def begin(
    state: StoreState,
    host: HostFunc,
    ty: FuncType,
    values: list[Any],
    on_resolve: Callable[[Any], None],
) -> Callable[[], None]:
    """Call a host function with lifted arguments; return what cancels it.

    `on_resolve` is called, now or on the driver's fiber, with the result or with `CANCELLED`.  An
    exception of the host function ends the scope that drives the store.
    """
    from .run import Accessor

    loop: Loop | None = state.loop
    if loop is None:
        raise UsageError(
            f"host function `{host.name}` is concurrent: it can only be called from within "
            "`call_async`, `call_concurrent` or `run_concurrent`"
        )
    args: list[Any] = list(values)
    if host.takes_caller:
        first: list[Any] = [Accessor(state.store, loop)]
        args[:0] = [*first, ty] if host.dynamic else first
    fallible = isinstance(ty.result, Result)

    def finish(value: Any, error: BaseException | None) -> None:
        if task is not None and task.cancelled:
            on_resolve(CANCELLED)
            return
        if error is not None:
            if not (fallible and isinstance(error, ComponentError)):
                raise error
            value = Err(error.payload)
        elif fallible and not isinstance(value, (Ok, Err)):
            value = Ok(value)
        on_resolve(value)

    task = None
    try:
        found = host.fn(*args)
    except ComponentError as error:
        finish(None, error)
        return _nothing
    if not isinstance(found, Awaitable):
        finish(found, None)
        return _nothing
    task = loop.spawn(found, host.name, finish)
    return task.cancel


def destroy(state: StoreState, host: HostFunc, rep: int) -> bool:
    """Call a concurrent destructor, if the guest thread that drops can wait for it.

    Others may go on meanwhile.  False, with nothing done, if they could not.
    """
    thread = state.current
    if state.loop is None or not isinstance(thread, Thread) or thread.fiber is None:
        return False
    subtask = Subtask(host.name)

    def on_resolve(value: Any) -> None:
        subtask.resolve(SubtaskState.RETURNED)

    begin(state, host, _DESTRUCTOR, [rep], on_resolve)
    if not subtask.is_resolved():
        what = f"the destructor `{host.name}`"
        thread.wait_until(subtask.is_resolved, (subtask,), what=what)
    return True


def _nothing() -> None: ...
