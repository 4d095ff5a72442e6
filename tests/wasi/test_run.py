"""`wasi.run`: programs from start to end."""

from __future__ import annotations

import anyio
import pytest

from asyncwasm import Engine, Module, ResourceLimitError, Trap, TrapCode, wasi
from asyncwasm.wasi import SANDBOX, BytesOutput, RunLimits
from tests.wasi.programs import CAT, ECHO, HELLO, IMPORTS, SPIN, TRAP

pytestmark = pytest.mark.anyio


async def test_a_program_runs():
    result = await wasi.run(HELLO.encode(), capture=True)
    assert result == wasi.RunResult(3, b"hello\n", b"warning\n")


async def test_by_path_and_by_module(tmp_path):
    path = tmp_path / "echo.wat"
    path.write_text(ECHO)
    result = await wasi.run(path, args=["a", "b c"], capture=True)
    assert result.stdout == b"echo.wat\0a\0b c\0"
    result = await wasi.run(str(path), argv0="me", capture=True)
    assert result.stdout == b"me\0"
    module = Module(Engine(), HELLO)
    for _ in range(2):
        assert (await wasi.run(module, capture=True)).stdout == b"hello\n"


async def test_output_goes_only_where_it_is_wanted():
    assert await wasi.run(HELLO.encode()) == wasi.RunResult(3, b"", b"")
    own = BytesOutput()
    result = await wasi.run(HELLO.encode(), stdout=own, capture=True)
    assert (result.stdout, result.stderr, own.getvalue()) == (b"", b"warning\n", b"hello\n")


async def test_input():
    assert (await wasi.run(CAT.encode(), stdin=b"0123456789ab", capture=True)).stdout == (
        b"0123456789ab"
    )
    assert (await wasi.run(CAT.encode(), capture=True)).stdout == b""


async def test_captured_output_is_bounded():
    data = bytes(range(256)) * 4
    result = await wasi.run(CAT.encode(), stdin=data, capture=True, max_output=100)
    assert result.truncated
    assert result.stdout == data[-100:]


async def test_a_trap_is_raised():
    with pytest.raises(Trap) as caught:
        await wasi.run(TRAP.encode())
    assert caught.value.code is TrapCode.UNREACHABLE
    assert caught.value.frames


async def test_time_is_limited():
    with pytest.raises(TimeoutError):
        await wasi.run(SPIN.encode(), timeout=0.05)
    with anyio.move_on_after(0.05) as scope:
        await wasi.run(SPIN.encode())
    assert scope.cancelled_caught


async def test_fuel_is_limited():
    with pytest.raises(Trap) as caught:
        await wasi.run(SPIN.encode(), fuel=10_000)
    assert caught.value.code is TrapCode.OUT_OF_FUEL


async def test_memory_is_limited():
    with pytest.raises(ResourceLimitError):
        await wasi.run(HELLO.encode(), max_memory=65535)


async def test_the_sandbox_limits_everything():
    assert (await wasi.run(HELLO.encode(), limits=SANDBOX, capture=True)).stdout == b"hello\n"
    with pytest.raises(ResourceLimitError):
        await wasi.run(b"(module (memory 5000))", limits=SANDBOX)
    with pytest.raises(ResourceLimitError):
        await wasi.run(b"(module (memory 1) (memory 1))", limits=SANDBOX)
    with pytest.raises(ResourceLimitError):
        await wasi.run(b"(module (table 1000001 funcref))", limits=SANDBOX)
    with pytest.raises(TimeoutError):
        await wasi.run(SPIN.encode(), limits=SANDBOX, timeout=0.05)


async def test_the_size_of_a_program_is_limited(tmp_path):
    path = tmp_path / "big.wasm"
    path.write_bytes(bytes(100))
    for program in (path, bytes(100)):
        with pytest.raises(ResourceLimitError, match="limit of 99 bytes"):
            await wasi.run(program, limits=RunLimits(max_module_size=99))


async def test_the_size_of_functions_is_limited():
    program = f"(module (func {'(nop)' * 200_000}))".encode()
    await wasi.run(program)
    with pytest.raises(ResourceLimitError, match="a function of 200002 bytes"):
        await wasi.run(program, limits=SANDBOX)


async def test_a_reactor_is_initialized():
    """A module without `_start` is initialized, and has nothing else to do."""
    reactor = f"""(module {IMPORTS}
      (data (i32.const 16) "up")
      (func (export "_initialize") (call $write (i32.const 1) (i32.const 16) (i32.const 2))))"""
    assert (await wasi.run(reactor.encode(), capture=True)).stdout == b"up"


async def test_what_a_callable_raises_comes_out():
    class Broken(Exception):
        pass

    def broken(limit):
        raise Broken

    with pytest.raises(Broken):
        await wasi.run(CAT.encode(), stdin=broken)


async def test_it_checkpoints():
    with anyio.CancelScope() as scope:
        scope.cancel()
        await wasi.run(HELLO.encode())
    assert scope.cancelled_caught
