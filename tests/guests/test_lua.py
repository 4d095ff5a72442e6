"""Lua (C, emscripten): errors that unwind guest frames through host frames.

Emscripten's `setjmp` and `longjmp` need two host functions: `invoke_vii` calls a guest function
through the table and catches the host exception that `_emscripten_throw_longjmp` raises below it.
"""

from __future__ import annotations

import pytest

from asyncwasm import Func, Memory, Store
from tests.guests.guest import Guest, linker_with_stubs

pytestmark = pytest.mark.slow


class LongJump(Exception):
    pass


class Lua:
    def __init__(self, engine, module) -> None:
        self.jumps = 0
        self.written = b""

        def invoke_vii(index: int, a: int, b: int) -> None:
            guest = self.guest
            stack = guest.call("stackSave")
            function = self.table.get(guest.store, index)
            assert isinstance(function, Func)
            try:
                function.call(guest.store, a, b)
            except LongJump:
                self.jumps += 1
                guest.call("stackRestore", stack)
                guest.call("setThrew", 1, 0)

        def throw_longjmp() -> None:
            raise LongJump

        def fd_write(fd: int, vectors: int, count: int, written_at: int) -> int:
            guest = self.guest
            size = 0
            for at in range(vectors, vectors + 8 * count, 8):
                piece = guest.read(guest.read_u32(at), guest.read_u32(at + 4))
                self.written += piece
                size += len(piece)
            guest.write(written_at, size.to_bytes(4, "little"))
            return 0

        linker = linker_with_stubs(engine, module, [])
        linker.func_wrap("env", "invoke_vii", invoke_vii)
        linker.func_wrap("env", "_emscripten_throw_longjmp", throw_longjmp)
        linker.func_wrap("wasi_snapshot_preview1", "fd_write", fd_write)
        store = Store(engine)
        self.guest = Guest(store, linker.instantiate(store, module))
        table = self.guest.instance.get_table(store, "__indirect_function_table")
        assert table is not None
        self.table = table
        self.guest.call("__wasm_call_ctors")
        self.state = self.guest.call("luaL_newstate")
        self.guest.call("luaL_openlibs", self.state)

    def run(self, code: str) -> tuple[int, list[str]]:
        """The status (0 is success) and all results as strings."""
        guest, state = self.guest, self.state
        source, _ = guest.write_cstring(code)
        status = guest.call("luaL_loadstring", state, source)
        if not status:
            status = guest.call("lua_pcallk", state, 0, -1, 0, 0, 0)
        results = []
        for index in range(1, guest.call("lua_gettop", state) + 1):
            results.append(guest.read_cstring(guest.call("luaL_tolstring", state, index, 0)))
            guest.call("lua_settop", state, -2)
        guest.call("lua_settop", state, 0)
        return status, results


def test_lua(engine, guest_module):
    lua = Lua(engine, guest_module("wasmoon"))
    assert isinstance(lua.guest.memory, Memory)
    assert lua.run("return 1 + 2, 'x' .. 7") == (0, ["3", "x7"])
    assert lua.run("return pcall(error, 'boo')") == (0, ["false", "boo"])
    assert lua.jumps == 1
    status, (message,) = lua.run("local function f() error('deep') end f()")
    assert status == 2
    assert message.endswith(":1: deep")
    assert lua.run("syntax error")[0] == 3
    assert lua.run(
        "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end "
        "return fib(12)"
    ) == (0, ["144"])
    assert lua.run(
        "local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) "
        "return co(), co(), co()"
    ) == (0, ["1", "2", "3"])
    assert lua.run("print('hi') return #string.rep('ab', 1000)") == (0, ["2000"])
    assert lua.written == b"hi\n"
