"""What `test_many.py` runs, in processes of their own: a hundred programs on one event loop."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel

from asyncwasm import Config, Engine, Module, wasi
from tests import child
from tests.wasi.programs import CAT

COUNT = 100
ROUNDS = 20
BEAT = 0.005
# Seconds that a beat may come late.
LATE = 0.02
ATTEMPTS = 5
# Bytes that a waiting program may take, of which its memory is 65536 and what it is given to read
# and has written next to nothing.
MOST = 300_000
# What one that has ended may have left behind.
LEFT = 5_000


async def loaded(strategy: str) -> Module:
    """The program, compiled: its first run is where that is done, on the loop, in one go."""
    module = Module(Engine(Config(strategy=strategy)), CAT)  # type: ignore[arg-type]
    assert (await wasi.run(module, stdin=b"warm", capture=True)).stdout == b"warm"
    return module


async def crowd(module: Module, pause: Callable[[], Awaitable[object]]) -> None:
    """Run programs that all read, piece by piece, what one task feeds them."""
    streams = [anyio.create_memory_object_stream[bytes](1) for _ in range(COUNT)]

    async def program(index: int) -> None:
        result = await wasi.run(module, stdin=streams[index][1], capture=True)
        expected = b"".join(b"%d:%d " % (index, turn) for turn in range(ROUNDS))
        assert (result.exit_code, result.stdout) == (0, expected)

    async with anyio.create_task_group() as group:
        for index in range(COUNT):
            group.start_soon(program, index)
        for turn in range(ROUNDS):
            for index, (sender, _) in enumerate(streams):
                await sender.send(b"%d:%d " % (index, turn))
            await pause()
        for sender, _ in streams:
            sender.close()
    for _, receiver in streams:
        receiver.close()


def delayed() -> float:
    """For how many seconds this thread could have run, but others were on the processors."""
    try:
        text = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text()
    except OSError:
        return 0.0  # then that is among what is measured
    return int(text.split()[1]) / 1e9


async def heartbeat(late: list[float]) -> None:
    """Note how late each beat comes, but for what other processes are to blame for."""
    while True:
        due, before = time.monotonic() + BEAT, delayed()
        await anyio.sleep(BEAT)
        late.append(time.monotonic() - due - (delayed() - before))


async def latest(body: Callable[[], Awaitable[object]]) -> float:
    """By how much the latest beat is late while `body` runs."""
    late: list[float] = []
    async with anyio.create_task_group() as group:
        group.start_soon(heartbeat, late)
        await body()
        group.cancel_scope.cancel()
    return max(late)


def beats(loop: str, strategy: str) -> None:
    async def main() -> None:
        module = await loaded(strategy)
        # A full collection takes as long as all the objects of the process take: mostly those
        # that importing made.  Programs that mind do the same.
        gc.collect()
        gc.freeze()
        gc.enable()
        threads = threading.active_count()
        seen = []
        for _ in range(ATTEMPTS):
            # What a loop without anything to do is late by, the machine is to blame for.
            bare = await latest(lambda: anyio.sleep(0.3))
            busy = await latest(lambda: crowd(module, lambda: anyio.sleep(BEAT)))
            assert threading.active_count() <= threads + 10
            if busy < LATE + bare:
                return
            seen.append(f"{busy:.4f} s late, {bare:.4f} s without anything to do")
        raise AssertionError("; ".join(seen))

    anyio.run(main, backend=loop)


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory(loop: str, strategy: str) -> None:
    async def main() -> None:
        module = await loaded(strategy)
        most = 0

        async def pause() -> None:
            nonlocal most
            await anyio.lowlevel.checkpoint()
            most = max(most, resident())

        # In cycles is what a program leaves behind: when that is collected is not the point here.
        start = resident()
        for turn in range(5):
            await crowd(module, pause)
            gc.collect()
            if not turn:
                first = most - start
                assert first < COUNT * MOST, f"{first // COUNT} bytes for each program"
        # No more for the fifth hundred than for the first.
        growth = most - start - first
        assert growth < 4 * COUNT * LEFT, f"{growth} bytes more after {4 * COUNT} programs more"

    anyio.run(main, backend=loop)


if __name__ == "__main__":
    child.main(beats=beats, memory=memory)
