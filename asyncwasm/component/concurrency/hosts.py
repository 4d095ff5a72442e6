"""Host functions that run concurrently with guests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from asyncwasm.errors import ComponentError, UsageError

from ..types import FuncType, Result
from ..values import Err, Ok
from .task import CANCELLED

if TYPE_CHECKING:
    from ..runtime.host import HostFunc
    from ..runtime.instance import InstanceData
    from .loop import Loop


def begin(
    data: InstanceData,
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

    loop: Loop | None = data.state.loop
    if loop is None:
        raise UsageError(
            f"host function `{host.name}` is concurrent: it can only be called from within "
            "`call_async`, `call_concurrent` or `run_concurrent`"
        )
    args: list[Any] = list(values)
    if host.takes_caller:
        first: list[Any] = [Accessor(data.store, loop)]
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


def _nothing() -> None: ...
