"""Tests of a host function, as a user would write them; run by pytest, not as a program."""

import anyio
import pytest
import trio

from asyncwasm import Caller, Engine, Linker, Memory, Module, Store

USERS = {1: "Ada"}
GUEST = """
(module
  (import "directory" "lookup" (func $lookup (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "ask") (param i32) (result i32)
    (call $lookup (local.get 0) (i32.const 100))))
"""


async def lookup(caller: Caller, id: int, address: int) -> int:
    """The host function to be tested."""
    await anyio.sleep(1)
    name = USERS[id].encode()
    memory = caller.get_export("memory")
    assert isinstance(memory, Memory)
    memory.write(caller, address, name)
    return len(name)


async def ask(id: int) -> bytes:
    engine = Engine()
    linker = Linker(engine)
    linker.func_wrap_async("directory", "lookup", lookup)
    store = Store(engine)
    instance = await linker.instantiate_async(store, Module(engine, GUEST))
    size = await instance.get_func(store, "ask").call_async(store, id)
    return instance.get_memory(store, "memory").read(store, 100, size)


# --8<-- [start:trio]
@pytest.mark.trio
async def test_lookup_writes_the_name(autojump_clock):
    assert await ask(1) == b"Ada"


# --8<-- [end:trio]


# --8<-- [start:anyio]
@pytest.mark.anyio
async def test_an_unknown_user_is_the_hosts_error():
    with pytest.raises(KeyError) as raised:
        await ask(2)
    assert "wasm backtrace" in raised.value.__notes__[0]


# --8<-- [end:anyio]


# --8<-- [start:clock]
@pytest.mark.trio
async def test_a_slow_lookup_is_given_up(autojump_clock):
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(0.5):
            await ask(1)


# --8<-- [end:clock]
