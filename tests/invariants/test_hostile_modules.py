"""Modules made to do harm: an error of ours, or they run; never anything else, and never for long.

Decoding, validating and translating are not interruptible.  What they take is in proportion to a
module's size, and `docs/explanation/limits.md` has the figures.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable

import anyio
import pytest

from asyncwasm import Engine, Instance, Module, Store, WasmError
from tests.invariants.books import assert_idle

HEADER = b"\0asm\1\0\0\0"
NO_TYPE = b"\x60\0\0"
# Seconds for something that takes a tenth of it on an idle machine.
LONG = 12.0


def leb(number: int) -> bytes:
    out = bytearray()
    while True:
        low = number & 127
        number >>= 7
        if not number:
            out.append(low)
            return bytes(out)
        out.append(low | 128)


def sleb(number: int) -> bytes:
    out = bytearray()
    while True:
        low = number & 127
        number >>= 7
        if number == 0 and not low & 64:
            out.append(low)
            return bytes(out)
        out.append(low | 128)


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + leb(len(content)) + content


def vector(items: Iterable[bytes]) -> bytes:
    found = list(items)
    return leb(len(found)) + b"".join(found)


def function(
    code: bytes, *, types: Iterable[bytes] = (NO_TYPE,), local: bytes = b"\0", extra: bytes = b""
) -> bytes:
    """A module with one function, exported as `f`."""
    body = local + code + b"\x0b"
    return (
        HEADER
        + section(1, vector(types))
        + section(3, b"\1\0")
        + extra
        + section(7, b"\1\1f\0\0")
        + section(10, vector([leb(len(body)) + body]))
    )


def structs(count: int, base: int = 0) -> bytes:
    """Each with two references to the one before it."""
    return b"".join(
        b"\x5f\0" if i == 0 else b"\x5f\2" + (b"\x63" + sleb(base + i - 1) + b"\0") * 2
        for i in range(count)
    )


GET, DROP, ZERO, END = b"\x20\0", b"\x1a", b"\x41\0", b"\x0b"
TAKES_I32 = (b"\x60\1\x7f\0",)
ARRAY = b"\x5e\x7f\1"
MODULES: dict[str, bytes] = {
    "nested blocks": function(b"\2\x40" * 20_000 + END * 20_000),
    "nested loops": function(b"\3\x40" * 20_000 + END * 20_000),
    "nested ifs": function(b"\x41\1\4\x40" * 10_000 + END * 10_000),
    "nested try_tables": function(b"\x1f\x40\0" * 4_000 + END * 4_000),
    "too many nested blocks": function(b"\2\x40" * 100_000 + END * 100_000),
    "one target": function(b"\2\x40" + ZERO + b"\x0e" + leb(200_000) + b"\0" * 200_001 + END),
    "two targets": function(
        b"\2\x40" * 2 + ZERO + b"\x0e" + leb(100_000) + b"\0\1" * 50_000 + b"\0" + END * 2
    ),
    "many targets": function(
        b"\2\x40" * 1000
        + ZERO
        + b"\x0e"
        + leb(1000)
        + b"".join(leb(i) for i in range(1000))
        + b"\0"
        + END * 1000
    ),
    "many locals": function(
        b"".join(b"\x20" + leb(i) + DROP for i in range(20_000)),
        local=b"\1" + leb(50_000) + b"\x7f",
    ),
    "more locals than there may be": function(b"", local=b"\1" + leb((1 << 32) - 1) + b"\x7f"),
    "many operands": function(b"\x41\1" * 50_000 + DROP * 50_000),
    "a deep expression": function(GET * 20_000 + b"\x6a" * 19_999 + DROP, types=TAKES_I32),
    "a long expression": function(GET + (GET + b"\x6a") * 20_000 + DROP, types=TAKES_I32),
    "a chain of operations": function(GET + b"\x45" * 50_000 + DROP, types=TAKES_I32),
    "unreachable operations": function(b"\0" + b"\x6a" * 50_000 + DROP),
    "many calls": function(b"\x10\0" * 20_000),
    "many arms": function((ZERO + b"\4\x40\5" + END) * 10_000),
    "branches with many operands": function(
        (b"\2\1" + ZERO * 1000 + b"\x0c\0" + END + DROP * 1000) * 20,
        types=(NO_TYPE, b"\x60\0" + vector([b"\x7f"] * 1000)),
    ),
    "a memory of 4 GiB": HEADER + section(5, b"\1\0" + leb(65536)),
    "200 memories of 4 GiB": HEADER + section(5, vector([b"\0" + leb(65536)] * 200)),
    "a memory of 2**63 bytes": HEADER + section(5, b"\1\4" + leb(1 << 47)),
    "a table of 2**32 - 1": HEADER + section(4, b"\1\x70\0" + leb((1 << 32) - 1)),
    "a table of 2**64 - 1": HEADER + section(4, b"\1\x70\4" + leb((1 << 64) - 1)),
    "an array of 2**32 - 1": function(ZERO + b"\x41\x7f\xfb\6\1" + DROP, types=(NO_TYPE, ARRAY)),
    "a constant array of 2**32 - 1": HEADER
    + section(1, vector([ARRAY]))
    + section(6, b"\1\x64\0\0" + ZERO + b"\x41\x7f\xfb\6\0" + END),
    "growing a table by 2**32 - 1": function(
        b"\xd0\x70\x41\x7f\xfc\x0f\0" + DROP, extra=section(4, b"\1\x70\0\0")
    ),
    "growing a memory by 4 GiB": function(
        b"\x41\x80\x80\4\x40\0" + DROP, extra=section(5, b"\1\0\0")
    ),
    "exponential types": HEADER + section(1, leb(2000) + structs(2000)),
    "equal exponential types": HEADER + section(1, leb(2000) + structs(1000) + structs(1000, 1000)),
    "a long chain of subtypes": HEADER
    + section(
        1,
        leb(10_000)
        + b"\x50\0\x5f\0"
        + b"".join(b"\x50\1" + leb(i) + b"\x5f\0" for i in range(9_999)),
    ),
    "a large recursion group": HEADER
    + section(1, b"\1\x4e" + leb(10_000) + b"\x5f\1\x63\0\0" * 10_000),
    "many types": HEADER + section(1, leb(50_000) + NO_TYPE * 50_000),
    "many functions": HEADER
    + section(1, vector([NO_TYPE]))
    + section(3, leb(50_000) + b"\0" * 50_000)
    + section(10, leb(50_000) + b"\2\0\x0b" * 50_000),
    "a chain of globals": HEADER
    + section(
        6,
        leb(10_000)
        + b"\x7f\0\x41\0\x0b"
        + b"".join(b"\x7f\0\x23" + leb(i) + END for i in range(9_999)),
    ),
    "a deep constant": HEADER + section(6, b"\1\x7f\0" + ZERO * 20_000 + b"\x6a" * 19_999 + END),
    "a name section that lies": HEADER
    + section(0, b"\4name\1" + leb(10) + leb((1 << 32) - 1) + b"\0" * 5),
    "a start function that never ends": HEADER
    + section(1, vector([NO_TYPE]))
    + section(3, b"\1\0")
    + section(8, b"\0")
    + section(10, b"\1\7\0\3\x40\x0c\0\x0b\x0b"),
    "recursion without end": function(b"\x10\0"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_errors_are_ours_and_come_soon(name):
    store: Store[None] = Store(Engine())

    async def main() -> None:
        module = Module(store.engine, MODULES[name])
        instance = await Instance.new_async(store, module)
        func = instance.get_func(store, "f")
        if func is not None:
            await func.call_async(store, *[0] * len(func.ty(store).params))

    async def limited() -> None:
        with anyio.move_on_after(0.5):
            await main()

    begin = time.perf_counter()
    message = ""
    try:
        anyio.run(limited, backend="trio")
    except WasmError as error:
        message = str(error)
    assert len(message) < 2000
    assert time.perf_counter() - begin < LONG
    assert_idle(store)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nested blocks", "a deep expression", "two targets"])
def test_cost_is_in_proportion_to_size(name):
    """Twice the module takes about twice the time."""

    def cost(count: int) -> float:
        code = {
            "nested blocks": b"\2\x40" * count + END * count,
            "a deep expression": ZERO * count + b"\x6a" * (count - 1) + DROP,
            "two targets": b"\2\x40" * 2
            + ZERO
            + b"\x0e"
            + leb(count)
            + b"\0\1" * (count // 2)
            + b"\0"
            + END * 2,
        }[name]
        begin = time.process_time()
        store: Store[None] = Store(Engine())
        instance = Instance.new(store, Module(store.engine, function(code)))
        instance.get_func(store, "f").call(store)
        return time.process_time() - begin

    small = min(cost(4_000) for _ in range(2))
    large = cost(16_000)
    assert large < 12 * small + 0.2


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        # Each would take all the memory there is.
        "(module (type $a (array (mut i64))) (type $l (struct (field (ref $a) (ref null $l))))"
        ' (func (export "f") (local (ref null $l)) (loop (local.set 0 (struct.new $l'
        " (array.new_default $a (i32.const 60000000)) (local.get 0))) (br 0))))",
        f"(module {'(table 10000000 funcref) ' * 60})",
        "(module (table $t 0 funcref) (table $u 0 funcref) (table $v 0 funcref)"
        ' (func (export "f")'
        + "".join(
            f" (if (i32.eq (i32.const -1) (table.grow ${t} (ref.null func) (i32.const 9000000)))"
            " (then unreachable))"
            for t in "tuv"
        )
        + "))",
        f"(module {'(memory 65536) ' * 30})",
    ],
    ids=["arrays", "tables", "growing tables", "memories"],
)
def test_memory_that_runs_out(text):
    program = textwrap.dedent(
        f"""
        import resource
        from asyncwasm import *
        store = Store(Engine())
        module = Module(store.engine, {text!r})
        used = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20),) * 2)
        try:
            instance = Instance.new(store, module)
            func = instance.get_func(store, "f")
            if func is not None:
                func.call(store)
        except (Trap, ResourceLimitError) as error:
            print(type(error).__name__)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout in ("Trap\n", "ResourceLimitError\n")
