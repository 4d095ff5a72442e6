"""Tasks that belong to a block of code, at the price of the event loop's own.

A general task group gives every child a cancel scope and room for exceptions.  The children here
never raise, and are started by the thousand.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Protocol, Self, final

from ._bridge import running
from ._call import discard

__all__ = ["Child", "Children", "open_children"]

Done = Callable[["Child", Any, BaseException | None], None]


class Child(Protocol):
    """A task that awaits something.  `cancelled` says that it ended because of `cancel`."""

    cancelled: bool

    def cancel(self) -> None:
        """Cancel it at what it awaits."""


class Children(Protocol):
    """An async context manager: leaving it cancels the children that are left and awaits them."""

    def start(self, awaitable: Awaitable[Any], done: Done, name: str) -> Child:
        """Await something in a task of its own.

        `done(child, value, error)` is called in that task when it has ended by itself, or by
        `cancel`, which is then to be seen in the child.  It must not raise.
        """

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

    async def run(self, awaitable: Awaitable[Any], done: Done) -> None:
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
        done(self, value, failure)


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

    def start(self, awaitable: Awaitable[Any], done: Done, name: str) -> _TrioChild:
        child = _TrioChild(self._new_scope())
        self._nursery.start_soon(child.run, awaitable, done, name=name)
        return child


@final
class _AsyncioChild:
    __slots__ = ("begun", "cancelled", "task")

    def __init__(self) -> None:
        self.cancelled = self.begun = False
        self.task: Any = None

    def cancel(self) -> None:
        self.cancelled = True
        self.task.cancel()

    async def run(self, awaitable: Awaitable[Any], done: Done) -> None:
        self.begun = True
        try:
            value = await awaitable
        except Exception as error:
            self.cancelled = False
            done(self, None, error)
        except BaseException:
            # The cancellation that `cancel` asked for is not the scope's.
            if not self.cancelled:
                raise
            done(self, None, None)
        else:
            self.cancelled = False
            done(self, value, None)


@final
class _AsyncioChildren:
    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._tasks: set[Any] = set()

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

    def start(self, awaitable: Awaitable[Any], done: Done, name: str) -> _AsyncioChild:
        child = _AsyncioChild()

        def ended(task: Any) -> None:
            self._tasks.discard(task)
            if not child.begun:
                discard(awaitable)
                if child.cancelled:
                    done(child, None, None)

        child.task = task = self._loop.create_task(child.run(awaitable, done), name=name)
        self._tasks.add(task)
        task.add_done_callback(ended)
        return child
