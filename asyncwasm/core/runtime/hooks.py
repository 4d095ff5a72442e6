"""What call hooks are told, and what epoch deadline callbacks answer."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from .store import Store


class CallHook(enum.Enum):
    """A transition between host and guest."""

    CALLING_WASM = "calling wasm"
    RETURNING_FROM_WASM = "returning from wasm"
    CALLING_HOST = "calling host"
    RETURNING_FROM_HOST = "returning from host"

    @property
    def entering_host(self) -> bool:
        """Whether host code runs after this transition."""
        return self in (CallHook.RETURNING_FROM_WASM, CallHook.CALLING_HOST)

    @property
    def exiting_host(self) -> bool:
        """Whether guest code, or the embedder, goes on after this transition."""
        return not self.entering_host


Hook: TypeAlias = "Callable[[Store[Any], CallHook], Awaitable[None] | None]"


@dataclass(frozen=True, slots=True)
class UpdateDeadline:
    """What to do at an epoch deadline.  Made by the four static methods."""

    action: Literal["interrupt", "continue", "yield", "yield_custom"]
    delta: int = 0
    awaitable: Any = None

    @staticmethod
    def interrupt() -> UpdateDeadline:
        """Trap with `INTERRUPT`."""
        return UpdateDeadline("interrupt")

    @staticmethod
    def continue_(delta: int) -> UpdateDeadline:
        """Go on, with the deadline `delta` epochs ahead."""
        return UpdateDeadline("continue", delta)

    @staticmethod
    def yield_(delta: int) -> UpdateDeadline:
        """Give the event loop a turn, then go on with the deadline `delta` epochs ahead."""
        return UpdateDeadline("yield", delta)

    @staticmethod
    def yield_custom(delta: int, awaitable: Awaitable[object]) -> UpdateDeadline:
        """Await `awaitable`, then go on with the deadline `delta` epochs ahead."""
        return UpdateDeadline("yield_custom", delta, awaitable)
