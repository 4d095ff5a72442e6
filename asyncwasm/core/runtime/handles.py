"""Whose object it is: the checks shared by everything that belongs to a store.

Objects that a store owns hold that store, and every public method takes a store (or a
`Caller`, which has a `store` too) first, as in Wasmtime; that both are the same is checked here.
"""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Coroutine
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from asyncwasm.errors import AsyncSupportError, WrongStoreError, WrongThreadError

from .words import DEPTH, THREAD

if TYPE_CHECKING:
    from .store import Store

# How an operation that has to wait does so: `Store.wait`, or `cannot_wait`.
Wait: TypeAlias = Callable[[Awaitable[Any]], Any]


class StoreLike(Protocol):
    """A `Store`, or a `Caller` in its place."""

    @property
    def store(self) -> Store[Any]:
        """The store that is meant."""
        ...


def check_owner(owner: Store[Any], context: StoreLike) -> Store[Any]:
    """The store meant by `context`; `WrongStoreError` unless it is `owner`."""
    if context.store is not owner:
        raise WrongStoreError("object used with the wrong store")
    return owner


def check_thread(store: Store[Any]) -> None:
    """Raise `WrongThreadError` if a guest may be using what belongs to the store right now.

    With `Config.release_gil` it may, on another thread.
    """
    words = store.words
    if words[DEPTH] and store.engine.config.release_gil and words[THREAD] != get_ident():
        raise WrongThreadError("store has a call in progress on another thread")


def check_sync(store: Store[Any], name: str) -> None:
    """Raise `AsyncSupportError` unless the sync operation `name` may be used in `store`.

    It may with a sync limiter, whatever else in the store is async.
    """
    if store.engine.is_async:
        raise AsyncSupportError(
            f"must use `{name}_async` when async support is enabled on the config"
        )
    store.limits.check_sync()


def check_async(store: Store[Any], name: str) -> None:
    """Raise `AsyncSupportError` if the engine is sync by configuration."""
    store.check_async(f"cannot use `{name}_async` without enabling async support in the config")


def close_unawaited(awaitable: object) -> None:
    """Close a coroutine that will never run, so that nobody is warned of it."""
    if isinstance(awaitable, Coroutine):
        awaitable.close()


def cannot_wait(awaitable: Awaitable[Any]) -> Any:
    """The `Wait` of sync operations: closes a coroutine and raises `AsyncSupportError`."""
    close_unawaited(awaitable)
    raise AsyncSupportError(
        "when using an async resource limiter `*_async` functions must be used instead"
    )


def check_delta(delta: int) -> int:
    """`delta` as an `int`; `TypeError` or `OverflowError` unless it is one of 64 bits."""
    delta = operator.index(delta)
    if not 0 <= delta < 1 << 64:
        raise OverflowError("a size to grow by must be in 0 … 2**64 - 1")
    return delta


def in_context(context: str, error: Exception) -> Exception:
    """`error` with the failed action in front of its message, for errors of one's own making."""
    return type(error)(f"{context}: {error}")
