"""Whatever a guest passes, it gets an error number or traps: nothing of Python's comes out."""

from __future__ import annotations

import random

import pytest

from asyncwasm import Linker, Store
from asyncwasm.errors import ExitTrap, ResourceLimitError, Trap, TrapCode
from asyncwasm.wasi import (
    BytesOutput,
    FakeMonotonicClock,
    FakeSocket,
    MemoryFilesystem,
    SeededRandom,
    WasiCtx,
    p1,
)
from asyncwasm.wasi.p1.errno import Errno
from asyncwasm.wasi.p1.linking import ABIS, FUNCTIONS
from tests.wasi.p1.guest import module

SIZE = 2 * 65536
NUMBERS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 24, 48, 64, 100, 256, 1000, 4096, SIZE - 8, SIZE - 1]
NUMBERS += [SIZE, SIZE + 1, 2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1]
WIDE = [*NUMBERS, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1]


@pytest.mark.slow
@pytest.mark.parametrize("abi", ABIS)
@pytest.mark.parametrize("seed", range(4))
def test_random_calls(abi, seed):
    source = random.Random(seed)
    code = module(abi)
    linker = Linker(code.engine)
    p1.add_to_linker_sync(linker)
    files = MemoryFilesystem({"a": b"0123", "d": {"b": b"x"}, "file": b"text"}, max_bytes=1 << 20)
    outcomes = set()
    with files.root() as root:
        ctx = WasiCtx(
            args=["a", "b"],
            env={"A": "1"},
            preopens={"/": root},
            stdin=bytes(100),
            stdout=BytesOutput(),
            sockets=[FakeSocket([b"abc"], connections=[FakeSocket()])],
            monotonic_clock=FakeMonotonicClock(),
            random=SeededRandom(seed),
        )
        with ctx:
            store = Store(code.engine, ctx)
            instance = linker.instantiate(store, code)
            memory = instance.get_memory(store, "memory").data(store)
            names = sorted(set(FUNCTIONS) & {e.name for e in code.exports})
            for turn in range(4000):
                if turn % 50 == 0:
                    # Text, small numbers and noise, as names, iovecs and subscriptions.
                    memory[:4096] = bytes(
                        source.choice(b"abd/.\0\0\0\x01\x02\x10") for _ in range(4096)
                    )
                    memory[4096:8192] = source.randbytes(4096)
                name = source.choice(names)
                args = [
                    source.choice(NUMBERS if kind == "i" else WIDE)
                    for kind in FUNCTIONS[name].params
                ]
                try:
                    error = instance.get_func(store, name).call(store, *args)
                    outcomes.add(Errno(error))
                except Trap as trap:
                    outcomes.add(trap.code)
                except ExitTrap:
                    assert name == "proc_exit"
                except ResourceLimitError:
                    assert name == "random_get"
        assert {Errno.SUCCESS, Errno.BADF, Errno.INVAL} <= outcomes
        traps = {outcome for outcome in outcomes if isinstance(outcome, TrapCode)}
        assert traps == {TrapCode.MEMORY_OUT_OF_BOUNDS, TrapCode.HEAP_MISALIGNED}
        assert files.open_count == 1
