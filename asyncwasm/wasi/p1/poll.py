"""`poll_oneoff`: waiting for time to pass, or for a descriptor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..host.driver import Waiting
from ..host.filesystem import File, FilesystemError
from ..host.sockets import Socket
from ..host.stdio import InputStream, OutputStream
from .call import Call, Function
from .errno import Errno, GuestError, errno_of
from .types import EVENT, U32, Clockid, Eventtype, Rights, Subclockflags, flags

MAX_SUBSCRIPTIONS: Final = 4096
_FD_OFFSET: Final = 16


@dataclass(frozen=True, slots=True)
class _Event:
    userdata: int
    type: int
    error: Errno = Errno.SUCCESS
    nbytes: int = 0


@dataclass(frozen=True, slots=True)
class _Alarm:
    """A moment of the monotonic clock, at which an event is due."""

    deadline: int
    event: _Event


async def poll_oneoff(call: Call, subs: int, out: int, count: int, nevents: int) -> None:
    """Wait until at least one of `count` subscriptions has come about.

    Write an `event` for each that has, and their number.  A clock's event is due at a time, or
    after one; a file is always ready, a stream or a socket when it can be read or written
    without waiting.  A subscription that makes no sense comes about at once, with an error.
    `INVAL` without subscriptions or with too many.
    """
    memory, layout = call.memory, call.abi.subscription
    memory.check(subs, count * layout.size, 8)
    memory.check(out, count * EVENT.size, 8)
    memory.check(nevents, 4, 4)
    if not 0 < count <= MAX_SUBSCRIPTIONS:
        raise GuestError(Errno.INVAL)
    happened: list[_Event] = []
    alarms: list[_Alarm] = []
    waiting: list[tuple[Waiting, _Event]] = []
    for at in range(subs, subs + count * layout.size, layout.size):
        userdata, kind, clock, timeout, _, how = memory.unpack(layout, at)
        event = _Event(userdata, kind)
        try:
            if kind == Eventtype.CLOCK:
                alarms.append(_Alarm(_deadline(call, clock, timeout, how), event))
                continue
            if kind not in (Eventtype.FD_READ, Eventtype.FD_WRITE):
                raise GuestError(Errno.INVAL)
            (fd,) = memory.unpack(U32, at + _FD_OFFSET)
            found = await _descriptor(call, fd, event)
            if isinstance(found, Waiting):
                waiting.append((found, event))
            else:
                happened.append(found)
        except (GuestError, FilesystemError, OSError) as error:
            happened.append(_Event(userdata, kind, errno_of(error)))
    happened += await _wait(call, waiting, alarms, at_once=bool(happened))
    for index, event in enumerate(happened):
        values = (event.userdata, event.error, event.type, event.nbytes, 0)
        memory.pack(EVENT, out + index * EVENT.size, *values)
    memory.write_u32(nevents, len(happened))


async def _wait(
    call: Call, waiting: list[tuple[Waiting, _Event]], alarms: list[_Alarm], *, at_once: bool
) -> list[_Event]:
    clock = call.ctx.monotonic_clock
    deadline = clock.now() if at_once else min((a.deadline for a in alarms), default=None)
    if deadline is not None and not waiting and (at_once or deadline <= clock.now()):
        await call.driver.give_way()
        ready: list[bool] = []
    else:
        # A stream that is asked for twice is waited for once.
        sources = list(dict.fromkeys(source for source, _ in waiting))
        done = await call.driver.poll(sources, clock, deadline)
        by_source = dict(zip(sources, done, strict=False))
        ready = [by_source.get(source, False) for source, _ in waiting]
    happened = [
        _Event(event.userdata, event.type, nbytes=_available(source))
        for (source, event), is_ready in zip(waiting, ready, strict=False)
        if is_ready
    ]
    # A sleep that ended early on its own clock ended all the same.
    now = clock.now() if happened or at_once else max(clock.now(), deadline or 0)
    return happened + [alarm.event for alarm in alarms if alarm.deadline <= now]


def _deadline(call: Call, clock_id: int, timeout: int, how: int) -> int:
    """When a clock's event is due, on the monotonic clock."""
    absolute = Subclockflags.ABSTIME in flags(Subclockflags, how)
    monotonic = call.ctx.monotonic_clock
    match clock_id:
        case Clockid.REALTIME:
            now = call.ctx.wall_clock.now()
        case Clockid.MONOTONIC:
            now = monotonic.now()
        case _:
            raise GuestError(Errno.INVAL)
    left = timeout - now if absolute else timeout
    return monotonic.now() + max(0, left)


async def _descriptor(call: Call, fd: int, event: _Event) -> _Event | Waiting:
    """What to wait for, or the event that has come about already."""
    write = event.type == Eventtype.FD_WRITE
    needed = Rights.FD_WRITE if write else Rights.FD_READ
    found = call.table.get(fd, Rights.POLL_FD_READWRITE | needed).resource
    match found:
        case InputStream() if not write:
            return Waiting(found)
        case OutputStream() if write:
            return event
        case Socket():
            return Waiting(found, write)
        case File():
            left = 1
            if not write:
                size = (await call.driver.work(found.stat)).size
                left = max(0, size - found.tell())
            return _Event(event.userdata, event.type, nbytes=left)
    raise GuestError(Errno.BADF)


def _available(source: Waiting) -> int:
    """How much can be read, as far as that is known: at least 1 unless at the end."""
    if isinstance(source.source, InputStream):
        known = source.source.available
        return 1 if known is None else known
    return 1


FUNCTIONS: Final = {"poll_oneoff": Function(poll_oneoff, "iiii")}
