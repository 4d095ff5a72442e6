"""Time for native code: a counter that goes on while guest code holds the GIL.

Native code never gives the GIL up by itself, so no Python thread could interrupt it.  A daemon
thread runs a native loop instead, outside of the GIL, which adds one to a process-wide counter
every few milliseconds.  Guest code compares the counter with the one its store has seen, and
calls Python when they differ: there other threads and signal handlers run, and they may raise
the store's flag, which asks for `Store.poll`.  The end of an async call's slice does so, too.
"""

from __future__ import annotations

import _thread
import ctypes
import math
import os
import threading
import time
from array import array
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core.runtime.words import MAY_SUSPEND, SEEN, SLICE

from . import externals
from .compiler import compile_unit
from .passing import AREA_ARGUMENTS
from .thrown import EXCEPTION_WORDS

if TYPE_CHECKING:
    from asyncwasm.core.runtime.store import Store

# As long as CPython lets a thread keep the GIL that others wait for.
TICK_MICROSECONDS: Final = 5000
# After so many ticks without a call in progress the loop waits to be woken.
_IDLE_TICKS: Final = 100

_COUNTER: Final = 0
_BUSY: Final = 1
_IDLE: Final = 2
_ALIVE: Final = 3
_DIRECT: Final = 4


def _immortal(item: Any) -> Any:
    # The thread is in native code for ever, also while the interpreter is finalized.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(item))
    return item


# What the loop works on: the counter, the number of calls in progress, whether it waits, whether
# it has begun, and the number of calls that native code has counted by itself.
_WORDS: Final[array[int]] = _immortal(array("Q", [1, 0, 0, 0, 0]))


def _word(index: int, name: str) -> str:
    address = _WORDS.buffer_info()[0] + 8 * index
    return externals.declare_data(f"asyncwasm.{name}", "i64", address)


# As operands of IR.
COUNTER: Final = _word(_COUNTER, "counter")
IDLE: Final = _word(_IDLE, "idle")
DIRECT: Final = _word(_DIRECT, "direct")
_BUSY_WORD: Final = _word(_BUSY, "busy")
_ALIVE_WORD: Final = _word(_ALIVE, "alive")
_RUNNING: Final[set[int]] = set()


_NO_ARGUMENTS: Final = bytes(16 * AREA_ARGUMENTS)
_NO_EXCEPTION: Final = bytes(8 * EXCEPTION_WORDS)


class Flag:
    """A store's interrupt flag.

    Behaves as a list of one item.  Raised, it makes native code call `tick` at its next check;
    so does the counter.
    """

    __slots__ = ("address", "arguments", "exception", "kept", "parked", "raised", "ticks", "words")

    def __init__(self, words: array[int], interval: float | None) -> None:
        self.words: Final = words
        # How many ticks a slice of an async call has; 0 for no end.
        self.ticks: Final = math.ceil((interval or 0) * 1e6 / TICK_MICROSECONDS)
        self.address: Final = self.words.buffer_info()[0]
        self.raised = 0
        # What native code may be running in or pointing to lives as long as the store.
        self.kept: Final[list[object]] = []
        # Tail calls that Python is to make next, as the portable engine has them.
        # Two words for each argument.
        self.arguments: Final = array("Q", _NO_ARGUMENTS)
        self.exception: Final = array("Q", _NO_EXCEPTION)
        self.parked: Final[list[list[Any]]] = []

    def __getitem__(self, index: int) -> int:
        return self.raised

    def __setitem__(self, index: int, value: int) -> None:
        self.raised = value
        if value:
            # Zero is never counted, so it always differs.
            self.words[SEEN] = 0


def now() -> int:
    """The count."""
    return _WORDS[_COUNTER]


def tick(store: Store[Any]) -> None:
    """What native code calls at a check: lets others run, then polls if the flag is raised.

    Before that it asks for more fuel, if that is used up.  May suspend.  Raises what signal
    handlers, `Store.out_of_fuel` and `Store.poll` raise.
    """
    if store.fuel[0] <= 0 and store.engine.config.consume_fuel:
        store.out_of_fuel()
    flag: Flag = store.interrupt
    words = flag.words
    now = words[SEEN] = _WORDS[_COUNTER]
    # Raised between these two lines, it is seen here; after them, by the next check.
    over = words[MAY_SUSPEND] and flag.ticks and now - words[SLICE] >= flag.ticks
    if flag.raised or over:
        store.poll()
        words[SLICE] = _WORDS[_COUNTER]


def _c_function(name: str, returns: str, params: str) -> str:
    address = ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value or 0
    return externals.declare(name, f"declare {returns} @{name}({params})", address)


def _loop() -> str:
    usleep, read = _c_function("usleep", "i32", "i32"), _c_function("read", "i64", "i32, ptr, i64")
    return f"""
define void @loop(i32 %pipe) {{
entry:
  %byte = alloca i8
  store atomic i64 1, ptr {_ALIVE_WORD} seq_cst, align 8
  br label %again
again:
  %quiet = phi i64 [ 0, %entry ], [ %next, %again ], [ 0, %wait ], [ 0, %stay ]
  %slept = call i32 {usleep}(i32 {TICK_MICROSECONDS})
  %old = atomicrmw add ptr {COUNTER}, i64 1 monotonic
  %counted = load atomic i64, ptr {_BUSY_WORD} seq_cst, align 8
  %direct = load atomic i64, ptr {DIRECT} seq_cst, align 8
  %calls = or i64 %counted, %direct
  %none = icmp eq i64 %calls, 0
  %more = add i64 %quiet, 1
  %next = select i1 %none, i64 %more, i64 0
  %tired = icmp uge i64 %next, {_IDLE_TICKS}
  br i1 %tired, label %lie, label %again
lie:
  ; A call that starts now sees that it has to wake us; one that has just started is seen below,
  ; for by then its thread has made what it wrote visible.
  store atomic i64 1, ptr {IDLE} seq_cst, align 8
  %rested = call i32 {usleep}(i32 {TICK_MICROSECONDS})
  %late.counted = load atomic i64, ptr {_BUSY_WORD} seq_cst, align 8
  %late.direct = load atomic i64, ptr {DIRECT} seq_cst, align 8
  %late = or i64 %late.counted, %late.direct
  %quiet.still = icmp eq i64 %late, 0
  br i1 %quiet.still, label %wait, label %stay
wait:
  %got = call i64 {read}(i32 %pipe, ptr %byte, i64 1)
  store atomic i64 0, ptr {IDLE} seq_cst, align 8
  br label %again
stay:
  store atomic i64 0, ptr {IDLE} seq_cst, align 8
  br label %again
}}"""


_lock = threading.Lock()
_enabled = False
_wake: int | None = None


def enable() -> None:
    """There is native code from now on, and calls in progress may reach it."""
    global _enabled
    if not _enabled:
        _start()
        _enabled = True


def _start() -> None:
    """Start the thread, and wait until it needs the GIL no more: the guest may not let it go."""
    global _wake
    with _lock:
        if not _WORDS[_ALIVE]:
            unit = _immortal(compile_unit(_loop(), speed=0))
            (address,) = unit.addresses(["loop"])
            # A `CFUNCTYPE` function runs without the GIL.
            loop = ctypes.CFUNCTYPE(None, ctypes.c_int)(address)
            asleep, _wake = os.pipe()
            # `threading.Thread` waits for its start in Python: what a signal handler raises in
            # there can come out as a RuntimeError.
            _thread.start_new_thread(loop, (asleep,))
            while not _WORDS[_ALIVE]:
                time.sleep(0.0001)


def call_started(store: Store[Any]) -> None:
    """Count time from now on, at least until `call_ended(store)`."""
    _RUNNING.add(id(store))
    _WORDS[_BUSY] = len(_RUNNING)
    store.words[SLICE] = _WORDS[_COUNTER]
    if _WORDS[_IDLE]:
        assert _wake is not None
        os.write(_wake, b"!")


def call_ended(store: Store[Any]) -> None:
    """No call of `store` is in progress any more.  Doing so again changes nothing."""
    _RUNNING.discard(id(store))
    _WORDS[_BUSY] = len(_RUNNING)


def _renew() -> None:
    # Threads do not survive a fork.  The pipe is the parent's, and stays open for it.
    global _lock
    _lock = threading.Lock()
    _WORDS[_IDLE] = _WORDS[_ALIVE] = 0
    if _enabled:
        _start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
