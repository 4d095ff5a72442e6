"""A plugin that asks its host for data: strings in guest memory, an async host function, a timeout.

The guest exports `greet(id) -> length` and its memory; the text is at address 1024.  It imports
`directory.lookup(id, address, capacity) -> length`, which the host serves from a slow "database".

Prints:

    hello, Ada
    hello, Grace
    the plugin took too long for 3
    the plugin failed for 4: no user 4
"""

import sys

import anyio

from asyncwasm import Caller, Engine, Linker, Memory, Module, Store

# --8<-- [start:guest]
GUEST = """
(module
  (import "directory" "lookup" (func $lookup (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "hello, ")
  (func (export "greet") (param $id i32) (result i32)
    (i32.add
      (call $lookup (local.get $id) (i32.const 1031) (i32.const 64))
      (i32.const 7))))
"""
# --8<-- [end:guest]

USERS = {1: "Ada", 2: "Grace", 3: "Kurt"}


# --8<-- [start:host]
async def lookup(caller: Caller, id: int, address: int, capacity: int) -> int:
    """Write the user's name to the guest's memory and return its length."""
    await anyio.sleep(30 if id == 3 else 0.01)
    if id not in USERS:
        raise LookupError(f"no user {id}")
    name = USERS[id].encode()[:capacity]
    memory = caller.get_export("memory")
    assert isinstance(memory, Memory)
    memory.write(caller, address, name)
    return len(name)


async def greet(engine: Engine, linker: Linker, module: Module, id: int) -> str:
    """One request: a store of its own, so that nothing carries over to the next."""
    store = Store(engine)
    instance = await linker.instantiate_async(store, module)
    function = instance.get_func(store, "greet")
    memory = instance.get_memory(store, "memory")
    with anyio.fail_after(0.5):
        length = await function.call_async(store, id)
    return memory.read(store, 1024, length).decode()


# --8<-- [end:host]


async def main() -> None:
    engine = Engine()
    module = Module(engine, GUEST)
    linker = Linker(engine)
    linker.func_wrap_async("directory", "lookup", lookup)
    for id in (1, 2, 3, 4):
        try:
            print(await greet(engine, linker, module, id))
        except TimeoutError:
            print(f"the plugin took too long for {id}")
        except LookupError as error:
            print(f"the plugin failed for {id}: {error}")


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "trio")
