"""What the Component Model keeps with a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final
from weakref import WeakSet

from asyncwasm.errors import Trap, TrapCode

from ..concurrency.failures import together
from ..concurrency.scheduler import Scheduler

if TYPE_CHECKING:
    from asyncwasm.core import Store

    from ..concurrency.host_end import HostEnd
    from ..concurrency.loop import Loop
    from .host_table import HostTable
    from .instance import InstanceData
    from .task import Thread

_KEY: Final = "component"


@final
class StoreState:
    """The components' side of a store.

    `current` is the guest thread that runs, or whose host function does; None outside of
    components.  `host` has the resources that the host holds.  `scheduler` has the guest threads
    that wait, `loop` is what drives them, while something does.  `ends` are the ends of streams and
    futures that the host has not closed and whose other ends guests have.
    """

    __slots__ = ("current", "ends", "host", "loop", "recursive", "scheduler", "store")

    def __init__(self, store: Store[Any]) -> None:
        from .host_table import HostTable

        self.store = store
        self.current: Thread | None = None
        self.host: HostTable = HostTable()
        self.scheduler = Scheduler(getattr(store.engine.config, "scheduler_seed", None))
        self.loop: Loop | None = None
        self.ends: WeakSet[HostEnd] = WeakSet()
        # Without concurrency there is nothing that a recursive call could confuse.
        self.recursive = not getattr(store.engine.config, "wasm_component_model_async", True)

    def recover(self, current: Thread | None, error: BaseException) -> None:
        """After a call that ended with `error`: the thread that made it, `current`, runs again.

        Where guest code has failed, nothing in the store can be entered any more, and those that
        are suspended are unwound.  Raises if that fails too: `error` and what it raised.
        """
        self.current = current
        if self.store.failed:
            failures = self.scheduler.close()
            if failures:
                raise together(error, failures)

    def check_entry(self, data: InstanceData) -> None:
        """Trap unless the host may call a function of this instance now.

        It may not after guest code has failed in the store, nor from a host function that the
        instance called, directly or through others.
        """
        if self.store.failed:
            raise Trap(TrapCode.CANNOT_ENTER_COMPONENT)
        thread = self.current
        if thread is None or self.recursive:
            return
        while thread is not None:
            task = thread.task
            if task.instance.data is data:
                raise Trap(TrapCode.CANNOT_ENTER_COMPONENT)
            thread = task.caller


def state_of(store: Store[Any]) -> StoreState:
    """The components' side of a store, made when first asked for."""
    found = store.attached.get(_KEY)
    if found is None:
        found = store.attached[_KEY] = StoreState(store)
    assert isinstance(found, StoreState)
    return found
