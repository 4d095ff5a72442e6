"""Clocks.  How much CPU time the host process used is not for guests: those clocks do not exist."""

from __future__ import annotations

from typing import Final

from ..host.clocks import MonotonicClock, WallClock
from .call import Call, Function
from .errno import Errno, GuestError
from .types import Clockid


def clock_res_get(call: Call, clock_id: int, resolution: int) -> None:
    """Write the step of a clock in nanoseconds, a u64.

    `INVAL` for a number that is no clock, `BADF` for the clocks of CPU time.
    """
    call.memory.write_u64(resolution, _clock(call, clock_id).resolution())


def clock_time_get(call: Call, clock_id: int, precision: int, time: int) -> None:
    """Write the time of a clock in nanoseconds, a u64; errors as `clock_res_get`.

    `precision`, the error in nanoseconds that the guest can bear, changes nothing.
    """
    call.memory.write_u64(time, _clock(call, clock_id).now())


def _clock(call: Call, clock_id: int) -> WallClock | MonotonicClock:
    match clock_id:
        case Clockid.REALTIME:
            return call.ctx.wall_clock
        case Clockid.MONOTONIC:
            return call.ctx.monotonic_clock
        case Clockid.PROCESS_CPUTIME_ID | Clockid.THREAD_CPUTIME_ID:
            raise GuestError(Errno.BADF)
    raise GuestError(Errno.INVAL)


FUNCTIONS: Final = {
    "clock_res_get": Function(clock_res_get, "ii"),
    "clock_time_get": Function(clock_time_get, "iIi"),
}
