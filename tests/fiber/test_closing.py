"""Suspended calls that are closed, collected or left behind unwind, and quietly."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import AsyncGenerator

import pytest

from asyncwasm.fiber import await_, in_fiber, live_fibers, on_fiber
from tests.fiber.driving import at_once, drive, pause


class Journal:
    """A job that says how it ended, and the coroutine it is suspended in."""

    def __init__(self) -> None:
        self.log: list[object] = []
        self.error: BaseException | None = None

    async def host(self) -> None:
        try:
            await pause()
        finally:
            self.log.append("inner")

    def __call__(self) -> None:
        try:
            await_(self.host())
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.log.append("outer")


@pytest.fixture
def journal():
    return Journal()


def test_closing_a_call_that_never_started(journal):
    call = on_fiber(journal)
    call.close()
    assert journal.log == []
    assert live_fibers() == 0


@pytest.mark.parametrize("how", ["close", "drop", "throw"])
def test_closing_a_suspended_call(journal, how):
    call = on_fiber(journal)
    call.send(None)
    assert live_fibers() == 1
    if how == "close":
        call.close()
    elif how == "drop":
        del call
    else:
        error = GeneratorExit()
        with pytest.raises(GeneratorExit) as info:
            call.throw(error)
        assert info.value is error
    assert journal.log == ["inner", "outer"]
    assert isinstance(journal.error, GeneratorExit)
    assert live_fibers() == 0


def test_closing_nested_calls():
    log = []

    async def host(depth: int) -> None:
        try:
            await (on_fiber(body, depth - 1) if depth else pause())
        finally:
            log.append(("host", depth))

    def body(depth: int) -> None:
        try:
            await_(host(depth))
        finally:
            log.append(("fiber", depth))

    call = on_fiber(body, 2)
    call.send(None)
    assert live_fibers() == 3
    call.close()
    assert log == [(side, depth) for depth in range(3) for side in ("host", "fiber")]


def test_collecting_a_call_in_a_cycle(journal):
    class Holder:
        """Refers to the call, whose host coroutine refers to it."""

    def suspend_a_call() -> None:
        async def host(holder: Holder) -> None:
            await journal.host()
            del holder

        def body(reference: weakref.ref[Holder]) -> None:
            try:
                await_(host(reference()))
            finally:
                journal.log.append("fiber")

        holder = Holder()
        holder.call = on_fiber(body, weakref.ref(holder))
        holder.call.send(None)

    suspend_a_call()
    gc.collect()
    assert journal.log == ["inner", "fiber"]


def test_awaiting_while_being_closed_fails_at_once():
    log = []

    def body() -> None:
        try:
            await_(pause())
        finally:
            assert not in_fiber()
            for _ in range(2):
                try:
                    await_(at_once("never awaited, and no warning"))
                except BaseException as error:
                    log.append(type(error))

    call = on_fiber(body)
    call.send(None)
    call.close()
    assert log == [GeneratorExit, GeneratorExit]


def test_a_call_that_swallows_its_closing():
    def body() -> str:
        try:
            await_(pause())
        except GeneratorExit:
            return "swallowed"
        raise AssertionError

    call = on_fiber(body)
    call.send(None)
    call.close()
    call = on_fiber(body)
    call.send(None)
    with pytest.raises(StopIteration) as stop:
        call.throw(GeneratorExit())
    assert stop.value.value == "swallowed"


def test_an_error_raised_while_closing_comes_out(unraisables):
    def body() -> None:
        try:
            await_(pause())
        finally:
            raise ValueError("closing")

    call = on_fiber(body)
    call.send(None)
    with pytest.raises(ValueError, match="closing"):
        call.close()
    assert live_fibers() == 0

    call = on_fiber(body)
    call.send(None)
    del call
    assert len(unraisables) == 1
    assert "closing" in unraisables.pop()


def test_a_host_coroutine_that_ignores_its_closing():
    """Python's own complaint reaches the fiber, then the caller."""
    log = []

    async def stubborn() -> None:
        try:
            await pause()
        except GeneratorExit:
            await pause()

    def body() -> None:
        try:
            await_(stubborn())
        except RuntimeError as error:
            log.append(str(error))
            raise

    call = on_fiber(body)
    call.send(None)
    with pytest.raises(RuntimeError, match="coroutine ignored GeneratorExit"):
        call.close()
    assert log == ["coroutine ignored GeneratorExit"]


def test_closing_an_async_generator(journal):
    async def generator() -> AsyncGenerator[int, None]:
        yield await on_fiber(lambda: 1)
        await on_fiber(journal)
        yield 2

    numbers = generator()
    assert drive(anext(numbers)) == 1
    step = anext(numbers)
    step.send(None)
    with pytest.raises(GeneratorExit):
        step.throw(GeneratorExit)
    assert journal.log == ["inner", "outer"]
    drive(numbers.aclose())


def test_a_reused_stack_is_not_closing_any_more(journal):
    call = on_fiber(journal)
    call.send(None)
    call.close()
    assert drive(on_fiber(lambda: await_(at_once(1)))) == 1


# Other threads


def run_in_thread(function) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


@pytest.mark.parametrize("how", ["close", "drop"])
def test_closing_from_another_thread(journal, how):
    """The host coroutine is closed there; the fiber waits for its own thread."""
    calls = [on_fiber(journal)]
    calls[0].send(None)

    def close() -> None:
        if how == "close":
            calls[0].close()
        calls.clear()
        gc.collect()

    run_in_thread(close)
    assert journal.log == ["inner"]
    assert live_fibers() == 0
    assert journal.log == ["inner", "outer"]
    assert isinstance(journal.error, GeneratorExit)


def test_any_call_unwinds_what_other_threads_closed(journal):
    call = on_fiber(journal)
    call.send(None)
    run_in_thread(call.close)
    drive(on_fiber(int))
    assert journal.log == ["inner", "outer"]


def test_an_error_raised_while_unwinding_for_another_thread(unraisables):
    def body() -> None:
        try:
            await_(pause())
        finally:
            raise ValueError("unwinding")

    call = on_fiber(body)
    call.send(None)
    run_in_thread(call.close)
    assert live_fibers() == 0
    assert "unwinding" in unraisables.pop()


def test_a_thread_that_ends_with_a_suspended_call(journal):
    calls = []

    def start() -> None:
        calls.append(on_fiber(journal))
        calls[0].send(None)

    run_in_thread(start)
    calls.clear()
    gc.collect()
    assert journal.log == ["inner"]  # nobody is left to run the rest
    assert live_fibers() == 0


# Event loops and the interpreter


def test_a_loop_closed_with_a_call_suspended(journal):
    async def host() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            journal.log.append("inner")

    def body() -> None:
        try:
            await_(host())
        finally:
            journal.log.append("outer")

    loop = asyncio.new_event_loop()
    complaints = []
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
    task = loop.create_task(on_fiber(body))
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()
    loop.close()
    assert live_fibers() == 1
    del task
    gc.collect()
    assert journal.log == ["inner", "outer"]
    assert complaints == ["Task was destroyed but it is pending!"]


JOBS = """
    import asyncio, sys, threading, types
    from asyncwasm.fiber import Fiber, await_, on_fiber, suspend

    @types.coroutine
    def pause():
        yield

    async def host():
        try:
            await pause()
        finally:
            print("host")

    def body():
        try:
            await_(host())
        finally:
            print("fiber")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "output"),
    [
        ("call = on_fiber(body); call.send(None)", None),
        ("call = on_fiber(await_, pause()); call.send(None)", ""),
        ("fiber = Fiber(suspend); fiber.resume()", ""),
        ("sys.modules['kept'] = fiber = Fiber(suspend); fiber.resume()", ""),
        ("call = on_fiber(body); call.send(None); raise SystemExit", None),
        (
            """
            loop = asyncio.new_event_loop()
            task = loop.create_task(on_fiber(body))
            loop.call_soon(loop.call_soon, loop.stop)
            loop.run_forever()
            task._log_destroy_pending = False
            """,
            None,
        ),
        (
            """
            def serve():
                calls.append(on_fiber(body))
                calls[0].send(None)
                started.set()
                threading.Event().wait()

            calls = []
            started = threading.Event()
            threading.Thread(target=serve, daemon=True).start()
            started.wait()
            """,
            None,
        ),
        (
            """
            async def main():
                task = asyncio.create_task(on_fiber(body))
                await asyncio.sleep(0.01)
                sys.exit()
            asyncio.run(main())
            """,
            "host\nfiber\n",
        ),
    ],
)
def test_the_interpreter_ends_with_a_call_suspended(ending, output):
    """No hang, no crash and not a word on stderr."""
    program = textwrap.dedent(JOBS) + textwrap.dedent(ending)
    result = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout == output or output is None


def test_closing_while_running():
    """Python refuses, and nothing is lost."""

    def body() -> str:
        with pytest.raises(ValueError, match="coroutine already executing"):
            call.close()
        return await_(at_once("went on"))

    call = on_fiber(body)
    assert drive(call) == "went on"
