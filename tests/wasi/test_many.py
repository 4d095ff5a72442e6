"""Many programs at once, and what is left when they end early."""

from __future__ import annotations

import contextlib
import os
import time

import anyio
import pytest

from asyncwasm import Trap, wasi
from asyncwasm.wasi import BytesOutput, MemoryFilesystem, Permission
from asyncwasm.wasi.host.threads import busy_threads
from tests import child
from tests.wasi.programs import CAT, IMPORTS, SPIN

pytestmark = pytest.mark.anyio


def open_paths() -> set[str]:
    """What this process has open."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
    return found


@pytest.fixture(params=["interpreter", "native"])
def strategy(request):
    if request.param == "native":
        pytest.importorskip("llvmlite")
    return request.param


@pytest.mark.slow
def test_a_hundred_programs_read_slowly(anyio_backend, strategy):
    """All are fed by one task, and the loop's heartbeat is never late."""
    child.run("tests.wasi.crowd", "beats", anyio_backend, strategy)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_memory_for_a_hundred_programs_is_bounded(anyio_backend, strategy):
    child.run("tests.wasi.crowd", "memory", anyio_backend, strategy)


# Opens a file and then traps, waits for input, or runs for ever.
HOLD = f"""(module {IMPORTS}
  (data (i32.const 16) "file")
  (func (export "_start")
    (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 12)) (then (unreachable)))
    (call $write (i32.const 1) (i32.const 16) (i32.const 4))
    END))
"""
WAIT = "(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
@pytest.mark.parametrize(
    "end", ["(unreachable)", WAIT, "(loop $l (br $l))"], ids=["trap", "wait", "run"]
)
async def test_nothing_stays_open(end, tmp_path):
    (tmp_path / "file").write_text("x")
    receiver, sender = os.pipe()
    program = HOLD.replace("END", end).encode()
    await anyio.to_thread.run_sync(int)  # there is a worker now
    opened = anyio.Event()
    with os.fdopen(receiver, "rb") as stdin, os.fdopen(sender, "wb"):
        files = {str(tmp_path), str(tmp_path / "file")}

        async def run() -> None:
            await wasi.run(
                program, dirs={"/": tmp_path}, stdin=stdin, stdout=lambda data: opened.set()
            )

        if end == "(unreachable)":
            with pytest.raises(Trap):
                await run()
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(run)
                await opened.wait()
                assert files <= open_paths()
                started = time.monotonic()
                group.cancel_scope.cancel()
            assert time.monotonic() - started < 1
        # Event loops keep descriptors of their own.
        assert not {path for path in open_paths() if path.startswith(str(tmp_path))}


# Opens and closes a file all the time.
REOPEN = f"""(module {IMPORTS}
  (data (i32.const 16) "file")
  (func (export "_start")
    (loop $again
      (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4)
        (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 12)))
      (drop (call $fd_close (i32.load (i32.const 12))))
      (br $again))))"""


@pytest.mark.parametrize("delay", [0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02])
async def test_cancelling_anywhere_closes_everything(delay):
    files = MemoryFilesystem({"file": b"x"})
    with files.root() as root:
        with anyio.move_on_after(0.1 + delay) as scope:
            await wasi.run(REOPEN.encode(), dirs={"/": root})
        assert scope.cancelled_caught
        assert files.open_count == 1


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
async def test_no_thread_stays_busy(tmp_path):
    """Threads are what works on files: once a program is cancelled, all of them are idle."""
    (tmp_path / "file").write_text("x")

    async def run() -> None:
        await wasi.run(REOPEN.encode(), dirs={"/": tmp_path})

    for turn in range(5):
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(run)
            await anyio.sleep(0.1 + 0.003 * turn)
            group.cancel_scope.cancel()
        assert busy_threads() == 0
        assert not {path for path in open_paths() if path.startswith(str(tmp_path))}


async def test_a_native_cancellation_closes_everything(anyio_backend):
    if anyio_backend != "asyncio":
        pytest.skip("asyncio's own cancellation")
    import asyncio

    files = MemoryFilesystem({"file": b"x"})
    program = HOLD.replace("END", "(loop $l (br $l))").encode()
    opened = asyncio.Event()
    with files.root() as root:
        task = asyncio.create_task(
            wasi.run(program, dirs={"/": root}, stdout=lambda data: opened.set())
        )
        await opened.wait()
        assert files.open_count == 2
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert files.open_count == 1


async def test_a_program_in_an_endless_loop_stops_nobody():
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await anyio.sleep(0.01)
            ticks += 1

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        with anyio.move_on_after(0.5):
            await wasi.run(SPIN.encode())
        group.cancel_scope.cancel()
    assert ticks > 5


async def test_a_slow_reader_makes_the_program_wait():
    sender, receiver = anyio.create_memory_object_stream[bytes](0)
    data = bytes(range(100))
    found = []

    async def run() -> None:
        async with sender:
            await wasi.run(CAT.encode(), stdin=data, stdout=sender, stderr=BytesOutput())

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        async with receiver:
            async for piece in receiver:
                found.append(piece)
                await anyio.sleep(0.001)
    assert b"".join(found) == data
    assert max(map(len, found)) == 5


async def test_a_directory_can_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    program = HOLD.replace("END", "").replace("i64.const 2", "i64.const 64").encode()
    assert (await wasi.run(program, dirs={"/": (tmp_path, Permission.READ_WRITE)})).exit_code == 0
    with pytest.raises(Trap):
        await wasi.run(program, dirs={"/": tmp_path})
