"""QuickJS (C): a JavaScript engine, and a WASI reactor.

`host_call` is a coroutine function here: JavaScript calls it and gets its result, without knowing
that its whole engine was suspended meanwhile.
"""

from __future__ import annotations

import struct

import anyio
import pytest

from asyncwasm import Store
from asyncwasm.wasi import FakeWallClock, SeededRandom, WasiCtx, p1
from tests.guests.guest import Guest, linker_with_stubs

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class JavaScriptError(Exception):
    pass


class QuickJs:
    def __init__(self) -> None:
        self.guest: Guest
        self.functions = {}
        self.interrupts_left = None

    @classmethod
    async def load(cls, engine, module, ctx: WasiCtx | None = None) -> QuickJs:
        """Start the engine, with a WASI context or with stubs for what it asks of one."""
        self = cls()

        async def host_call(name: int, size: int, this: int, count: int, values: int) -> int:
            guest = self.guest
            function = self.functions[guest.read(name, size).decode()]
            arguments = struct.unpack(f"<{count}I", guest.read(values, 4 * count))
            numbers = [await guest.call_async("qjs_get_float64", value) for value in arguments]
            return await guest.call_async("qjs_new_number", float(await function(*numbers)))

        def host_interrupt() -> int:
            if self.interrupts_left is None:
                return 0
            self.interrupts_left -= 1
            return int(self.interrupts_left < 0)

        linker = linker_with_stubs(engine, module, [])
        linker.func_wrap_async("env", "host_call", host_call)
        linker.func_wrap("env", "host_interrupt", host_interrupt)
        if ctx is not None:
            p1.add_to_linker_async(linker)
        store = Store(engine, ctx)
        self.guest = Guest(store, await linker.instantiate_async(store, module))
        await self.guest.call_async("_initialize")
        assert await self.guest.call_async("qjs_init") == 0
        await self.guest.call_async("qjs_set_max_stack_size", 64 * 1024)
        return self

    async def string(self, text: str) -> tuple[int, int]:
        data = text.encode() + b"\0"
        address = await self.guest.call_async("malloc", len(data))
        self.guest.write(address, data)
        return address, len(data) - 1

    async def text_of(self, value: int) -> str:
        return self.guest.read_cstring(await self.guest.call_async("qjs_get_string", value))

    async def define(self, name: str, function) -> None:
        """Make an async Python function a global JavaScript function."""
        self.functions[name] = function
        address, size = await self.string(name)
        value = await self.guest.call_async("qjs_new_host_function", address, size, 0)
        scope = await self.guest.call_async("qjs_get_global")
        await self.guest.call_async("qjs_set_prop_string", scope, address, value)

    async def eval(self, code: str) -> str:
        address, size = await self.string(code)
        file, _ = await self.string("<test>")
        value = await self.guest.call_async("qjs_eval", address, size, file, 0)
        if await self.guest.call_async("qjs_is_exception", value):
            error = await self.guest.call_async("qjs_get_exception")
            raise JavaScriptError(await self.text_of(error))
        return await self.text_of(value)


async def test_javascript(engine, guest_module):
    """One test: starting the engine is most of the work on the portable engine."""
    js = await QuickJs.load(engine, guest_module("quickjs-wasi"))

    assert await js.eval("JSON.stringify([1,2,3].map(x => x * x))") == "[1,4,9]"
    assert await js.eval("2n ** 200n") == str(2**200)
    assert await js.eval("[...'añb'].reverse().join('')") == "bña"
    with pytest.raises(JavaScriptError, match="Error: no"):
        await js.eval("throw new Error('no')")
    with pytest.raises(JavaScriptError, match="Maximum call stack size exceeded"):
        await js.eval("(function f() { return f() })()")

    async def twice(x: float) -> float:
        await anyio.sleep(0.01)
        return 2 * x

    await js.define("twice", twice)
    assert await js.eval("twice(21) + 1") == "43"
    assert await js.eval("[1, 2, 3].map(x => twice(x)).join()") == "2,4,6"

    async def broken(x: float) -> float:
        raise LookupError("not for JavaScript to catch")

    await js.define("broken", broken)
    with pytest.raises(LookupError, match="not for JavaScript"):
        await js.eval("try { broken(1) } catch (e) { 'caught' }")

    # The host's own interrupt handler, and then a deadline that the guest knows nothing about.
    await js.guest.call_async("qjs_set_interrupt_handler", 1)
    js.interrupts_left = 1
    with pytest.raises(JavaScriptError, match="interrupted"):
        await js.eval("for (;;) {}")
    js.interrupts_left = None
    with anyio.move_on_after(0.2) as scope:
        await js.eval("for (;;) {}")
    assert scope.cancelled_caught


async def test_wasi(engine, guest_module):
    """What the engine knows of the world is what its context says."""

    async def load() -> QuickJs:
        ctx = WasiCtx(wall_clock=FakeWallClock(86_400 * 10**9), random=SeededRandom(1))
        return await QuickJs.load(engine, guest_module("quickjs-wasi"), ctx)

    js = await load()
    assert await js.eval("new Date().toISOString()") == "1970-01-02T00:00:00.000Z"
    number = await js.eval("Math.random()")
    assert number == await (await load()).eval("Math.random()")
