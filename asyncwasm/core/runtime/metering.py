"""Fuel and epochs: what ends guest code that takes too long, or gives others a turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from asyncwasm.errors import AsyncSupportError, Trap, TrapCode, UsageError

from .handles import close_unawaited
from .hooks import UpdateDeadline
from .words import COUNT

if TYPE_CHECKING:
    from .engine import Engine
    from .store import Store

EpochCallback: TypeAlias = "Callable[[Store[Any]], UpdateDeadline | Awaitable[UpdateDeadline]]"

HOSTCALL_FUEL: Final = 128 << 20
# How many turns the event loop gets at once.  A task whose timer is due runs in the second turn on
# trio, and in the third on asyncio (the timer's callback, the future's, the task): with fewer it
# would wait for the guest's next pauses, an interval each.
PREEMPTION_TURNS: Final = 3
# Native code counts in 64 bits, and the count may go below zero.
_MAX_ACTIVE_FUEL: Final = 1 << 62
_FUEL_OFF: Final = "fuel is not configured in this store"
_EPOCHS_OFF: Final = "epoch interruption is not configured in this store"
COULD_NOT_WAIT: Final = (
    "A synchronously called wasm function invoked an async-defined libcall which failed to "
    "complete synchronously; the store may have been configured to do async things after the "
    "original synchronous entrypoint"
)


class Metering(ABC):
    """What a store has to do with fuel and epochs."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Final = engine
        self.words: Final = array("Q", bytes(8 * COUNT))
        # What generated code looks at: nonzero means "call `poll`".
        self.interrupt: Final = engine.executor.new_flag(self.words)
        # Fuel is split: the one item of `fuel` counts down as code runs, the rest waits in
        # `_fuel_reserve` and is moved over an interval at a time.
        self.fuel: Final = engine.executor.new_fuel()
        self._fuel_reserve = 0
        self._fuel_interval: int | None = None
        # How many bytes a guest may have the host copy in one call.
        self.hostcall_fuel = HOSTCALL_FUEL
        self._epoch_deadline = 0
        self._epoch_callback: EpochCallback | None = None
        self._epoch_yield: int | None = None

    @property
    @abstractmethod
    def _may_suspend(self) -> bool: ...

    @property
    @abstractmethod
    def store(self) -> Store[Any]:
        """The store itself."""

    @abstractmethod
    def require_async(self) -> None:
        """Note that something async was attached to the store."""

    @abstractmethod
    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Suspend the call in progress until `awaitable` is done, and return its result."""

    @abstractmethod
    def _yield(self) -> None:
        """Give the event loop one turn."""

    @abstractmethod
    def _host_bracket(self) -> AbstractContextManager[None]:
        """The call hook's events around a suspension."""

    # Interruption --------------------------------------------------------------------------

    def poll(self) -> None:
        """What guest code does when it finds the interrupt flag set: epochs, preemption.

        May suspend.  Raises what a deadline callback raises, `Trap(INTERRUPT)`, and the
        caller's cancellation.
        """
        self.interrupt[0] = 0
        config = self.engine.config
        with self._host_bracket():
            if config.epoch_interruption and self.engine.epoch >= self._epoch_deadline:
                self._deadline_reached()
            elif self._may_suspend and config.preemption_interval is not None:
                for _ in range(PREEMPTION_TURNS):
                    self._yield()
        self._begin_slice()

    def _begin_slice(self) -> None:
        # What the ticker asked for while others ran has been done.  A guest that gave its turn
        # back for that would get nowhere beside one that uses all of its own.
        self.interrupt[0] = 0
        self._flag_epoch()

    # Fuel ----------------------------------------------------------------------------------

    def set_fuel(self, amount: int) -> None:
        """Set the fuel that is left, in units of about one instruction (0 … 2**64 - 1).

        Allowed while a call is suspended.  Raises `UsageError` unless `consume_fuel` is on.
        """
        self._check_fuel()
        if not 0 <= amount < 1 << 64:
            raise OverflowError("fuel must be in 0 … 2**64 - 1")
        active = min(self._fuel_interval or _MAX_ACTIVE_FUEL, amount, _MAX_ACTIVE_FUEL)
        self.fuel[0] = active
        self._fuel_reserve = amount - active

    def get_fuel(self) -> int:
        """The fuel that is left.  Raises `UsageError` unless `consume_fuel` is on."""
        self._check_fuel()
        return max(0, self._fuel_reserve + int(self.fuel[0]))

    def fuel_async_yield_interval(self, interval: int | None) -> None:
        """Give the event loop a turn each time so much fuel was used; None stops that.

        Makes the store require async.  Raises `UsageError` unless `consume_fuel` is on, and
        `ValueError` for an interval of 0.
        """
        self._check_fuel()
        if interval is not None and interval <= 0:
            raise ValueError("fuel_async_yield_interval must not be 0")
        self.require_async()
        self._fuel_interval = interval
        self.set_fuel(self.get_fuel())

    def out_of_fuel(self) -> None:
        """What guest code does when the active fuel is used up.  May suspend."""
        if self._fuel_reserve <= 0:
            raise Trap(TrapCode.OUT_OF_FUEL)
        interval = self._fuel_interval
        amount = min(interval or _MAX_ACTIVE_FUEL, self._fuel_reserve, _MAX_ACTIVE_FUEL)
        self._fuel_reserve -= amount
        self.fuel[0] += amount
        if interval is not None:
            if not self._may_suspend:
                raise AsyncSupportError(COULD_NOT_WAIT)
            with self._host_bracket():
                self._yield()
            self._begin_slice()

    def set_hostcall_fuel(self, amount: int) -> None:
        """How many bytes one call of a component may have the host copy: 128 MiB at first.

        More ends the call with `ResourceLimitError`.  This is not the fuel of guest code.
        """
        if amount < 0:
            raise ValueError("hostcall fuel must not be negative")
        self.hostcall_fuel = amount

    def _check_fuel(self) -> None:
        if not self.engine.config.consume_fuel:
            raise UsageError(_FUEL_OFF)

    # Epochs --------------------------------------------------------------------------------

    def set_epoch_deadline(self, delta: int) -> None:
        """Let guest code run until `delta` more epochs have passed.

        A fresh store has deadline 0, which is always reached.  Raises `UsageError` unless
        `epoch_interruption` is on.
        """
        self._check_epochs()
        self._epoch_deadline = self.engine.epoch + delta

    def epoch_deadline_trap(self) -> None:
        """At the deadline, trap with `INTERRUPT`: the default."""
        self._check_epochs()
        self._epoch_callback = self._epoch_yield = None

    def epoch_deadline_callback(self, callback: EpochCallback) -> None:
        """At the deadline call `callback(store)`, which says how to go on.

        The callback may be a coroutine function, if guest code was entered by an async entry
        point.  What it raises ends the call.
        """
        self._check_epochs()
        self._epoch_callback = callback
        self._epoch_yield = None

    def epoch_deadline_async_yield_and_update(self, delta: int) -> None:
        """At the deadline give the event loop a turn, then set the deadline `delta` ahead.

        Makes the store require async.
        """
        self._check_epochs()
        self.require_async()
        self._epoch_callback = None
        self._epoch_yield = delta

    def _check_epochs(self) -> None:
        if not self.engine.config.epoch_interruption:
            raise UsageError(_EPOCHS_OFF)

    def _flag_epoch(self) -> None:
        if self.engine.config.epoch_interruption and self.engine.epoch >= self._epoch_deadline:
            self.interrupt[0] = 1

    def _deadline_reached(self) -> None:
        callback = self._epoch_callback
        if callback is not None:
            # The slot is empty while the callback runs: a deadline met in there traps.
            self._epoch_callback = None
            try:
                update = callback(self.store)
                if isinstance(update, Awaitable):
                    update = self.wait(update)
            finally:
                if self._epoch_callback is None:
                    self._epoch_callback = callback
            self._update_deadline(update)
        elif self._epoch_yield is not None:
            self._update_deadline(UpdateDeadline.yield_(self._epoch_yield))
        else:
            raise Trap(TrapCode.INTERRUPT)

    def _update_deadline(self, update: UpdateDeadline) -> None:
        match update:
            case UpdateDeadline(action="interrupt"):
                raise Trap(TrapCode.INTERRUPT)
            case UpdateDeadline(action="yield"):
                if not self._may_suspend:
                    raise AsyncSupportError(
                        "cannot use `UpdateDeadline::Yield` without using an async wasm entrypoint"
                    )
                self._yield()
            case UpdateDeadline(action="yield_custom", awaitable=awaitable):
                if not self._may_suspend:
                    close_unawaited(awaitable)
                    raise AsyncSupportError(
                        "cannot use `UpdateDeadline::YieldCustom` without using an async wasm "
                        "entrypoint"
                    )
                self.wait(awaitable)
            case UpdateDeadline(action="continue"):
                pass
            case _:
                raise TypeError(
                    f"an epoch deadline callback must return UpdateDeadline, not {update!r}"
                )
        self._epoch_deadline = self.engine.epoch + update.delta
