"""Guests that share a memory budget: growing waits until another guest has given memory back.

Prints:

    guest 0 has 4 MiB
    guest 1 has to wait
    guest 1 has 4 MiB
    guest 2 asked for too much: -1
"""

import sys

import anyio

from asyncwasm import AsyncResourceLimiter, Engine, Instance, Module, Store

GUEST = """
(module
  (memory (export "memory") 0)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
"""
MIB = 1 << 20


# --8<-- [start:budget]
class Budget:
    """Bytes shared by many stores, given out in order of asking."""

    def __init__(self, total: int) -> None:
        self.total = self.free = total
        self.changed = anyio.Condition()

    async def take(self, size: int) -> None:
        async with self.changed:
            while size > self.free:
                await self.changed.wait()
            self.free -= size

    async def give_back(self, size: int) -> None:
        async with self.changed:
            self.free += size
            self.changed.notify_all()


class FromBudget(AsyncResourceLimiter):
    """One store's limiter; remembers what the store has taken."""

    def __init__(self, budget: Budget, name: str) -> None:
        self.budget, self.name, self.taken = budget, name, 0

    async def memory_growing(self, current: int, desired: int, maximum: int | None) -> bool:
        more = desired - current
        if self.taken + more > self.budget.total:
            return False  # could wait for ever: `memory.grow` returns -1
        if more > self.budget.free:
            print(self.name, "has to wait")
        await self.budget.take(more)
        self.taken += more
        return True

    async def table_growing(self, current: int, desired: int, maximum: int | None) -> bool:
        return desired <= 1000


# --8<-- [end:budget]


async def guest(engine: Engine, module: Module, budget: Budget, name: str) -> None:
    """Take 4 MiB, keep them for a while, give them back."""
    limiter = FromBudget(budget, name)
    store = Store(engine)
    store.limiter_async(limiter)
    try:
        instance = await Instance.new_async(store, module)
        grow = instance.get_func(store, "grow")
        await grow.call_async(store, 64)
        memory = instance.get_memory(store, "memory")
        print(f"{name} has {memory.data_size(store) // MIB} MiB")
        await anyio.sleep(0.3)
    finally:
        with anyio.CancelScope(shield=True):
            await budget.give_back(limiter.taken)


async def main() -> None:
    engine = Engine()
    module = Module(engine, GUEST)
    budget = Budget(6 * MIB)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(guest, engine, module, budget, "guest 0")
        await anyio.sleep(0.02)
        tasks.start_soon(guest, engine, module, budget, "guest 1")

    store = Store(engine)
    store.limiter_async(FromBudget(budget, "guest 2"))
    instance = await Instance.new_async(store, module)
    grow = instance.get_func(store, "grow")
    print("guest 2 asked for too much:", await grow.call_async(store, 1000))


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "trio")
