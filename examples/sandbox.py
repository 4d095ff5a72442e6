"""Untrusted code under limits: memory, fuel, time, and what each looks like when it is reached.

Prints:

    memory: grow returned -1
    fuel: all fuel consumed by WebAssembly
    stack: call stack exhausted
    time: stopped by the deadline
    and the host is fine
"""

import sys

import anyio

from asyncwasm import Config, Engine, Instance, Module, Store, StoreLimits, Trap

GUEST = """
(module
  (memory 1)
  (func (export "hoard") (result i32) (memory.grow (i32.const 1000)))
  (func (export "spin") (loop (br 0)))
  (func $dig (export "dig") (call $dig)))
"""


# --8<-- [start:sandbox]
def new_sandbox(engine: Engine) -> Store:
    """A store in which nothing can grow without bound."""
    store = Store(engine)
    store.limiter(StoreLimits(memory_size=1 << 20, table_elements=10_000, instances=4))
    store.set_fuel(1_000_000)
    return store


# --8<-- [end:sandbox]


async def main() -> None:
    engine = Engine(Config(consume_fuel=True))
    module = Module(engine, GUEST)

    store = new_sandbox(engine)
    instance = await Instance.new_async(store, module)
    print("memory: grow returned", await instance.get_func(store, "hoard").call_async(store))
    for kind, name in (("fuel", "spin"), ("stack", "dig")):
        try:
            await instance.get_func(store, name).call_async(store)
        except Trap as trap:
            print(f"{kind}: {trap.code.value}")
        store.set_fuel(1_000_000)

    store.set_fuel(1 << 60)  # enough for centuries: now only the clock stops it
    with anyio.move_on_after(0.2):
        await instance.get_func(store, "spin").call_async(store)
    print("time: stopped by the deadline")
    print("and the host is fine")


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "trio")
