"""Ctrl-C wherever it strikes: no fiber stays behind, and the interrupt comes out."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Generator

import pytest
import trio

from asyncwasm.fiber import Fiber, await_, live_fibers, on_fiber, suspend
from tests.fiber.driving import drive, echo

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="needs a timer that raises signals"
)


class Value:
    """Awaitable without a coroutine: one interrupted on its way does not complain."""

    def __await__(self) -> Generator[None, None, int]:
        yield
        return 1


@pytest.fixture
def storm():
    """Raise KeyboardInterrupt a little later, somewhere."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    # pytest's watchdog thread has just been started, and takes signals until it blocks them; one
    # that it takes while the interpreter is about to look may go unnoticed.
    time.sleep(0.05)
    gc.disable()  # what is raised in the callbacks that test tools give it is lost
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    gc.enable()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


@pytest.mark.slow
def test_interrupts_anywhere_in_calls(storm):
    log: list[int] = []

    def body() -> None:
        # An interrupt between two statements must not look like a `finally` that never ran.
        entered = len(log)
        try:
            log.append(1)
            while True:
                await_(Value())
        finally:
            del log[entered:]

    interrupted = 0
    for turn in range(400):
        call = None
        try:
            storm(0.0001 + 0.000001 * turn)
            call = on_fiber(body)
            drive(call)
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            storm(0)
        if call is not None:
            call.close()
        assert live_fibers() == 0
    assert interrupted == 400
    assert not log


@pytest.mark.slow
def test_interrupts_between_calls(storm):
    """Calls so short that starting, ending and reuse are hit as well."""

    def body() -> int:
        return await_(Value())

    interrupted = 0
    for turn in range(400):
        call = on_fiber(body)
        try:
            storm(0.0001 + 0.000001 * turn)
            while True:
                drive(call)
                call = on_fiber(body)
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            storm(0)
        call.close()
        assert live_fibers() == 0
        assert drive(on_fiber(body)) == 1
    assert interrupted == 400


@pytest.mark.slow
def test_interrupts_anywhere_in_fibers(storm):
    def body() -> None:
        while True:
            suspend()

    for turn in range(400):
        fiber = Fiber(body)
        try:
            storm(0.0001 + 0.000001 * turn)
            while True:
                fiber.resume()
        except KeyboardInterrupt:
            pass
        finally:
            storm(0)
        fiber.close()
        assert fiber.done
        assert live_fibers() == 0


def interrupt_soon() -> threading.Timer:
    main = threading.main_thread().ident
    timer = threading.Timer(0.05, signal.pthread_kill, [main, signal.SIGINT])
    timer.start()
    return timer


def test_an_interrupt_on_asyncio_cancels_the_main_task():
    log = []

    def body() -> None:
        try:
            await_(asyncio.sleep(10))
        finally:
            log.append("unwound")

    timer = interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(on_fiber(body))
    timer.join()
    assert log == ["unwound"]


def test_an_interrupt_on_trio_reaches_the_main_task():
    log = []

    def body() -> None:
        try:
            await_(trio.sleep(10))  # noqa: ASYNC105
        finally:
            log.append("unwound")

    timer = interrupt_soon()
    with pytest.raises(BaseException) as info:
        trio.run(on_fiber, body)
    timer.join()
    assert isinstance(info.value, KeyboardInterrupt)
    assert log == ["unwound"]


def test_an_interrupt_of_sync_code_on_trio_waits_for_a_checkpoint():
    """Trio takes frames it does not know for its own and spares them."""
    log = []

    def body() -> None:
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            pass
        log.append("finished")
        await_(echo(1))
        log.append("not reached")

    timer = interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        trio.run(on_fiber, body)
    timer.join()
    assert log == ["finished"]
