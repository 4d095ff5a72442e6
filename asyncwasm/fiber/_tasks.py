"""Tasks that belong to a block of code, at the price of the event loop's own.

A general task group gives every child a cancel scope and room for exceptions.  The children here
never raise, and are started by the thousand.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from contextvars import copy_context
from types import TracebackType
from typing import Any, Protocol, Self, final

from ._bridge import running
from ._call import discard

__all__ = ["Child", "Children", "Parent", "open_children"]


class Child(Protocol):
    """A task that awaits something.  `cancelled` says that it ended because of `cancel`."""

    cancelled: bool

    def cancel(self) -> None:
        """Cancel it at what it awaits."""


class Parent(Protocol):
    """Who started a child, and is told of its end."""

    def ended(self, child: Child, value: Any, error: BaseException | None) -> None:
        """It has ended by itself, or by `cancel`, which is then to be seen in the child.

        Called in its task.  Must not raise.
        """


class Children(Protocol):
    """An async context manager: leaving it cancels the children that are left and awaits them."""

    def start(self, awaitable: Awaitable[Any], parent: Parent, name: str) -> Child:
        """Await something in a task of its own; `parent` is told how it ends."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None: ...


def open_children() -> Children:
    """Children of the running task, on whichever library runs it."""
    trio, loop = running()
    return _AsyncioChildren(loop) if trio is None else _TrioChildren()


@final
class _TrioChild:
    __slots__ = ("_scope", "cancelled")

    def __init__(self, scope: Any) -> None:
        self._scope = scope
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
        self._scope.cancel()

    async def run(self, awaitable: Awaitable[Any], parent: Parent) -> None:
        value: Any = None
        failure: BaseException | None = None
        finished = False
        with self._scope:
            try:
                value = await awaitable
            except Exception as error:
                failure = error
            finished = True
        if finished:
            self.cancelled = False
        elif not self._scope.cancelled_caught:
            return
        parent.ended(self, value, failure)


@final
class _TrioChildren:
    def __init__(self) -> None:
        trio: Any = sys.modules["trio"]
        self._new_scope = trio.CancelScope
        self._manager = trio.open_nursery()
        self._nursery: Any = None

    async def __aenter__(self) -> Self:
        self._nursery = await self._manager.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        self._nursery.cancel_scope.cancel()
        suppress: bool | None
        try:
            suppress = await self._manager.__aexit__(kind, error, tb)
        except BaseExceptionGroup as errors:
            # The children raise nothing: it is the block's own exception.
            if len(errors.exceptions) == 1:
                raise errors.exceptions[0] from None
            raise
        return suppress

    def start(self, awaitable: Awaitable[Any], parent: Parent, name: str) -> _TrioChild:
        child = _TrioChild(self._new_scope())
        self._nursery.start_soon(child.run, awaitable, parent, name=name)
        return child


@final
class _AsyncioChild:
    __slots__ = ("_awaitable", "_parent", "_siblings", "cancelled", "task")

    def __init__(self, awaitable: Awaitable[Any], parent: Parent, siblings: set[Any]) -> None:
        # None once it has begun.
        self._awaitable: Awaitable[Any] | None = awaitable
        self._parent = parent
        self._siblings = siblings
        self.cancelled = False
        self.task: Any = None

    def cancel(self) -> None:
        self.cancelled = True
        self.task.cancel()

    async def run(self) -> None:
        awaitable, self._awaitable = self._awaitable, None
        assert awaitable is not None
        try:
            value = await awaitable
        except Exception as error:
            self.cancelled = False
            self._parent.ended(self, None, error)
        except BaseException:
            # The cancellation that `cancel` asked for is not the scope's.
            if not self.cancelled:
                raise
            self._parent.ended(self, None, None)
        else:
            self.cancelled = False
            self._parent.ended(self, value, None)

    def forget(self, task: Any) -> None:
        self._siblings.discard(task)
        if self._awaitable is not None:
            discard(self._awaitable)
            if self.cancelled:
                self._parent.ended(self, None, None)


@final
class _AsyncioChildren:
    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._tasks: set[Any] = set()
        self._leaving = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        wait = sys.modules["asyncio"].wait
        interrupted: BaseException | None = None
        self._leaving = True
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            try:
                await wait(self._tasks)
            except BaseException as cancelled:
                interrupted = cancelled
                for task in self._tasks:
                    task.cancel()
        if interrupted is not None:
            raise interrupted

    def start(self, awaitable: Awaitable[Any], parent: Parent, name: str) -> _AsyncioChild:
        child = _AsyncioChild(awaitable, parent, self._tasks)
        # The callback shares the task's context, which would be copied for it otherwise.
        context = copy_context()
        child.task = task = self._loop.create_task(child.run(), name=name, context=context)
        self._tasks.add(task)
        if self._leaving:
            task.cancel()
        task.add_done_callback(child.forget, context=context)
        return child
