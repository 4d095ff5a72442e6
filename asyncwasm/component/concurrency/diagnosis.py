"""What is going on in a store: its live tasks, and what they wait for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from asyncwasm.core.runtime.calls import live_frames
from asyncwasm.errors import Frame

from ..runtime.state import state_of
from .run import run_concurrent
from .task import Task
from .thread import Thread

if TYPE_CHECKING:
    from asyncwasm.core import Store

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ThreadInfo:
    """A thread of a guest's task.

    `doing` says what it waits for.  `frames` is its WebAssembly stack, innermost first; functions
    that were compiled to machine code are not on it.
    """

    doing: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A call of a component's function that has not ended.

    `name` is the function's, `state` how far the call is: `"starting"`, `"started"`, `"started, to
    be cancelled"`, `"being cancelled"`, or `"returned"` if it goes on after its result.
    """

    name: str
    state: str
    threads: tuple[ThreadInfo, ...]

    def __str__(self) -> str:
        lines = [f"{self.name or 'a call'}: {self.state}"]
        for thread in self.threads:
            lines.append(f"  {thread.doing}")
            lines += [f"    {frame}" for frame in thread.frames]
        return "\n".join(lines)


def tasks_of(store: Store[Any]) -> list[TaskInfo]:
    """`Store.tasks`."""
    by_task: dict[Task, list[Thread]] = {}
    for thread in state_of(store).scheduler.threads:
        by_task.setdefault(thread.task, []).append(thread)
    return [
        TaskInfo(
            task.name,
            task.state.value,
            tuple(ThreadInfo(t.describe(), _frames(store, t)) for t in threads),
        )
        for task, threads in by_task.items()
    ]


def _frames(store: Store[Any], thread: Thread) -> tuple[Frame, ...]:
    fiber = thread.fiber
    return () if fiber is None else live_frames(store, fiber.frame)


class StoreConcurrency:
    """What stores ask of the Component Model; see `core.runtime.store.Concurrency`."""

    async def run(self, store: Store[Any], fn: Callable[[Any], Awaitable[R]]) -> R:
        return await run_concurrent(store, fn)

    def tasks(self, store: Store[Any]) -> list[TaskInfo]:
        return tasks_of(store)

    def close(self, store: Store[Any]) -> None:
        if not store.attached:
            return
        failures = state_of(store).scheduler.close()
        if failures:
            raise BaseExceptionGroup("closing a store", failures)
