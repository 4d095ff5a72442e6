"""Calls in progress: tasks, their threads, and what is lent for their time.

See "Tasks" and "Threads" in the Canonical ABI.  A synchronous call has one task with one thread,
which runs on whatever stack the caller is on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncwasm.errors import CanonicalAbiError

if TYPE_CHECKING:
    from asyncwasm.component.types import FuncType

    from .instance import ComponentInstance


class CallContext:
    """What a call has borrowed and lent.

    `lenders` are the handles that are lent to it, `borrows` counts the handles it was given that
    are to be dropped before it returns.  Those who inherit have the slots.
    """

    # For the type checker these would be all the slots that an instance has.
    if not TYPE_CHECKING:
        __slots__ = ()

    borrows: int
    lenders: list[Any] | None

    def __init__(self) -> None:
        self.borrows = 0
        self.lenders = None

    def lend(self, handle: Any) -> None:
        """Lend a handle to this call."""
        handle.lends += 1
        if self.lenders is None:
            self.lenders = []
        self.lenders.append(handle)

    def check_borrows(self) -> None:
        """Raise `CanonicalAbiError` if a borrow was not given back."""
        if self.borrows:
            raise CanonicalAbiError("borrow handles still remain at the end of the call")

    def release(self) -> None:
        """Give back what was lent."""
        if self.lenders is not None:
            for handle in self.lenders:
                handle.lends -= 1
            self.lenders = None


class CallScope(CallContext):
    """What a call has borrowed and lent, and no more."""

    __slots__ = ("borrows", "lenders")


class Task(CallScope):
    """A call of a function of a component instance.

    `caller` is the thread that made it; None for the host.
    """

    __slots__ = ("__weakref__", "caller", "instance", "is_async", "resolved", "type")

    def __init__(
        self, instance: ComponentInstance, caller: Thread | None, type: FuncType | None = None
    ) -> None:
        self.borrows = 0
        self.lenders = None
        self.instance = instance
        self.caller = caller
        self.type = type
        self.is_async = type is not None and type.is_async
        self.resolved = False

    @property
    def may_block(self) -> bool:
        """Whether it may wait for others: its type is `async`, or it has returned."""
        return self.is_async or self.resolved


class Thread:
    """A thread of a task.  `storage` is what `context.get` and `context.set` work on."""

    __slots__ = ("__weakref__", "index", "storage", "task")

    def __init__(self, task: Task) -> None:
        self.task = task
        self.storage = [0, 0]
        self.index = 0
