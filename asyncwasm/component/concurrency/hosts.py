"""Host functions that run concurrently with guests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from asyncwasm.errors import ComponentError, UsageError

from ..types import FuncType, Primitive, Result
from ..values import Err, Ok
from .loop import HostTask
from .subtask import Subtask, SubtaskState
from .thread import Thread

if TYPE_CHECKING:
    from ..runtime.host import HostFunc
    from ..runtime.state import StoreState
    from .loop import Loop

_DESTRUCTOR: Final = FuncType((("rep", Primitive.U32),))

Lower: TypeAlias = Callable[[Any, Any], Any]
"""Gives a guest a result, with where to store it; its raw value."""


class HostCall(Subtask, HostTask):
    """A call of a host function by a guest: the subtask and the task in one.

    `lower` is called with the result, if there is any to give to a guest, and `pointer`.
    """

    __slots__ = ("_lower", "_pointer", "_type", "child", "error", "idle", "loop", "value")

    def __init__(self, name: str, ty: FuncType, lower: Lower | None, pointer: Any) -> None:
        super().__init__(name)
        self._type = ty
        self._lower = lower
        self._pointer = pointer
        self.child = None

    def begin(self, state: StoreState, host: HostFunc, values: list[Any]) -> None:
        """Call the function with lifted arguments.

        An exception of it ends the scope that drives the store.
        """
        from .run import Accessor

        self.state = SubtaskState.STARTED
        loop: Loop | None = state.loop
        if loop is None:
            raise UsageError(
                f"host function `{host.name}` is concurrent: it can only be called from within "
                "`call_async`, `call_concurrent` or `run_concurrent`"
            )
        if host.takes_caller:
            accessor: Any = Accessor(state.store, loop)
            values = [accessor, self._type, *values] if host.dynamic else [accessor, *values]
        try:
            found = host.fn(*values)
        except ComponentError as error:
            self.finish(None, error)
            return
        if isinstance(found, Awaitable):
            self.on_cancel = self.cancel
            self.start(loop, found, host.name)
        else:
            self.finish(found, None)

    def is_result(self, error: BaseException | None) -> bool:
        return isinstance(error, ComponentError) and isinstance(self._type.result, Result)

    def finish(self, value: Any, error: BaseException | None) -> None:
        cancelled = self.cancelled
        if not cancelled and isinstance(self._type.result, Result):
            if self.is_result(error):
                value, error = Err(cast("ComponentError", error).payload), None
            elif not isinstance(value, (Ok, Err)):
                value = Ok(value)
        if error is not None:
            raise error
        self.note_progress()
        self.check_borrows()
        if cancelled:
            self.resolve_cancelled()
        else:
            raw = None if self._lower is None else self._lower(value, self._pointer)
            self.resolve(SubtaskState.RETURNED, raw)


def destroy(state: StoreState, host: HostFunc, rep: int) -> bool:
    """Call a concurrent destructor, if the guest thread that drops can wait for it.

    Others may go on meanwhile.  False, with nothing done, if they could not.
    """
    thread = state.current
    if state.loop is None or not isinstance(thread, Thread) or thread.fiber is None:
        return False
    call = HostCall(host.name, _DESTRUCTOR, None, None)
    call.begin(state, host, [rep])
    if not call.is_resolved():
        thread.wait_until(call.is_resolved, (call,), what=f"the destructor `{host.name}`")
    return True
