"""Resource limits: who is asked before a memory or a table grows, and how many there may be."""

from __future__ import annotations

import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, final

from asyncwasm.errors import AsyncSupportError, ResourceLimitError

if TYPE_CHECKING:
    from .handles import Wait

DEFAULT_COUNT: Final = 10_000

Kind: TypeAlias = Literal["instance", "memory", "table"]

_log: Final = logging.getLogger("asyncwasm")


class ResourceLimiter(ABC):
    """Asked before every memory and table that is made or grows.  See `Store.limiter`.

    `instances`, `tables` and `memories` are how many of each a store may ever hold, 10 000 unless
    a subclass says otherwise; they are read once, when the limiter is installed.

    What a method raises takes the place of the operation: guest code traps with it, and the
    embedder gets it unchanged.
    """

    instances: int = DEFAULT_COUNT
    tables: int = DEFAULT_COUNT
    memories: int = DEFAULT_COUNT

    @abstractmethod
    def memory_growing(self, current: int, desired: int, maximum: int | None) -> bool:
        """Whether a memory may go from `current` to `desired` bytes.

        `current` is 0 for a memory that is being made.  `maximum` is the declared one in bytes,
        or what its index type allows, or None if that is past 2**64 - 1.  A request past
        `maximum` is asked about too, and fails even if it is allowed here.
        """

    def memory_grow_failed(self, error: Exception) -> None:
        """A growth that was allowed has failed; raise to make it an error of the guest."""
        _log.debug("memory growth failed: %s", error)

    @abstractmethod
    def table_growing(self, current: int, desired: int, maximum: int | None) -> bool:
        """Whether a table may go from `current` to `desired` elements."""

    def table_grow_failed(self, error: Exception) -> None:
        """A growth that was allowed has failed; raise to make it an error of the guest."""
        _log.debug("table growth failed: %s", error)


class AsyncResourceLimiter(ABC):
    """As `ResourceLimiter`, with methods that may be coroutine functions.

    See `Store.limiter_async`.  While one waits, the guest (or the `*_async` operation of the
    host) that asked is suspended.
    """

    instances: int = DEFAULT_COUNT
    tables: int = DEFAULT_COUNT
    memories: int = DEFAULT_COUNT

    @abstractmethod
    def memory_growing(
        self, current: int, desired: int, maximum: int | None
    ) -> Awaitable[bool] | bool:
        """See `ResourceLimiter.memory_growing`."""

    def memory_grow_failed(self, error: Exception) -> Awaitable[None] | None:
        """See `ResourceLimiter.memory_grow_failed`."""
        _log.debug("memory growth failed: %s", error)
        return None

    @abstractmethod
    def table_growing(
        self, current: int, desired: int, maximum: int | None
    ) -> Awaitable[bool] | bool:
        """See `ResourceLimiter.table_growing`."""

    def table_grow_failed(self, error: Exception) -> Awaitable[None] | None:
        """See `ResourceLimiter.table_grow_failed`."""
        _log.debug("table growth failed: %s", error)
        return None


@dataclass(kw_only=True)
class StoreLimits(ResourceLimiter):
    """The usual limiter: fixed limits.

    `memory_size` is the most bytes for each memory and `table_elements` the most elements for
    each table (None: no limit); the counts are per store.  With `trap_on_grow_failure` growing
    past a limit ends the guest with `ResourceLimitError` instead of giving it -1.
    """

    memory_size: int | None = None
    table_elements: int | None = None
    instances: int = DEFAULT_COUNT
    tables: int = DEFAULT_COUNT
    memories: int = DEFAULT_COUNT
    trap_on_grow_failure: bool = False

    def memory_growing(self, current: int, desired: int, maximum: int | None) -> bool:
        allowed = _within(desired, self.memory_size) and _within(desired, maximum)
        if not allowed and self.trap_on_grow_failure:
            raise ResourceLimitError(f"forcing trap when growing memory to {desired} bytes")
        return allowed

    def memory_grow_failed(self, error: Exception) -> None:
        if self.trap_on_grow_failure:
            raise ResourceLimitError("forcing a memory growth failure to be a trap") from error
        super().memory_grow_failed(error)

    def table_growing(self, current: int, desired: int, maximum: int | None) -> bool:
        allowed = _within(desired, self.table_elements) and _within(desired, maximum)
        if not allowed and self.trap_on_grow_failure:
            raise ResourceLimitError(f"forcing trap when growing table to {desired} elements")
        return allowed

    def table_grow_failed(self, error: Exception) -> None:
        if self.trap_on_grow_failure:
            raise ResourceLimitError("forcing a table growth failure to be a trap") from error
        super().table_grow_failed(error)


def _within(desired: int, limit: int | None) -> bool:
    return limit is None or desired <= limit


@final
class StoreResources:
    """One store's limiter and counts; for the runtime's own use.

    The methods that ask the limiter take a `wait`, for an answer that is awaitable.
    """

    __slots__ = ("_ceilings", "_counts", "is_async", "limiter")

    def __init__(self) -> None:
        self.limiter: ResourceLimiter | AsyncResourceLimiter | None = None
        self.is_async = False
        self._ceilings: dict[Kind, int] = dict.fromkeys(
            ("instance", "memory", "table"), DEFAULT_COUNT
        )
        self._counts: dict[Kind, int] = dict.fromkeys(self._ceilings, 0)

    def install(self, limiter: ResourceLimiter | AsyncResourceLimiter, *, is_async: bool) -> None:
        """Make `limiter` the store's only one, and read its counts."""
        self._ceilings = {
            "instance": limiter.instances,
            "memory": limiter.memories,
            "table": limiter.tables,
        }
        self.limiter = limiter
        self.is_async = is_async

    def check_sync(self) -> None:
        """Raise `AsyncSupportError` if the limiter is async."""
        if self.is_async:
            raise AsyncSupportError(
                "when using an async resource limiter `*_async` functions must be used instead"
            )

    def bump(self, kind: Kind, n: int = 1) -> None:
        """Count `n` more; `ResourceLimitError` past the limit.  Nothing ever counts down."""
        if n == 0:
            return
        wanted = self._counts[kind] + n
        if wanted > self._ceilings[kind]:
            raise ResourceLimitError(f"resource limit exceeded: {kind} count too high at {wanted}")
        self._counts[kind] = wanted

    def memory_growing(self, current: int, desired: int, maximum: int | None, wait: Wait) -> bool:
        """The limiter's answer, True without one.  Sizes in bytes."""
        if self.limiter is None:
            return True
        return bool(_answer(self.limiter.memory_growing(current, desired, maximum), wait))

    def memory_grow_failed(self, error: Exception, wait: Wait) -> None:
        """Tell the limiter."""
        if self.limiter is not None:
            _answer(self.limiter.memory_grow_failed(error), wait)

    def table_growing(self, current: int, desired: int, maximum: int | None, wait: Wait) -> bool:
        """The limiter's answer, True without one.  Sizes in elements."""
        if self.limiter is None:
            return True
        return bool(_answer(self.limiter.table_growing(current, desired, maximum), wait))

    def table_grow_failed(self, error: Exception, wait: Wait) -> None:
        """Tell the limiter."""
        if self.limiter is not None:
            _answer(self.limiter.table_grow_failed(error), wait)


def _answer(answer: Any, wait: Wait) -> Any:
    return wait(answer) if inspect.isawaitable(answer) else answer
