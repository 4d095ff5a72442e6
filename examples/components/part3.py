"""A resource that the host implements: rows of a database that a plugin reads one by one.

Prints:

    opened rows for 'fruit'
    closed after 3
    the plugin counted 3
    open at the end: 0
"""

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio

from asyncwasm import Caller, Engine, Store
from asyncwasm.component import Component, Linker, Resource, ResourceTable, ResourceType

# --8<-- [start:guest]
PLUGIN = """
(component
  (import "db" (instance $db
    (export "rows" (type $rows (sub resource)))
    (export "query" (func (param "what" string) (result (own $rows))))
    (export "[method]rows.next" (func (param "self" (borrow $rows)) (result (option u32))))))
  (alias export $db "rows" (type $rows))

  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $libc (instantiate $libc))
  (core func $query (canon lower (func $db "query") (memory (core memory $libc "memory"))))
  (core func $next (canon lower (func $db "[method]rows.next")
    (memory (core memory $libc "memory"))))
  (core func $drop (canon resource.drop $rows))

  (core module $code
    (import "libc" "memory" (memory 1))
    (import "db" "query" (func $query (param i32 i32) (result i32)))
    (import "db" "next" (func $next (param i32 i32)))
    (import "db" "drop" (func $drop (param i32)))
    (func (export "count") (param $what i32) (param $length i32) (result i32)
      (local $rows i32) (local $count i32)
      (local.set $rows (call $query (local.get $what) (local.get $length)))
      (loop $more
        (call $next (local.get $rows) (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (br $more))))
      (call $drop (local.get $rows))
      (local.get $count)))
  (core instance $code (instantiate $code
    (with "libc" (instance $libc))
    (with "db" (instance
      (export "query" (func $query)) (export "next" (func $next)) (export "drop" (func $drop))))))

  (func (export "count") (param "what" string) (result u32)
    (canon lift (core func $code "count")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
"""
# --8<-- [end:guest]


# --8<-- [start:host]
@dataclass
class Rows:
    source: AsyncIterator[int]
    read: int = 0


async def select(what: str) -> AsyncIterator[int]:
    print(f"opened rows for {what!r}")
    for row in (7, 11, 13):
        await anyio.sleep(0.001)
        yield row


async def query(caller: Caller[ResourceTable], what: str) -> Resource[Rows]:
    return caller.data.push(Rows(select(what)))


async def rows_next(caller: Caller[ResourceTable], rows: Resource[Rows]) -> int | None:
    found = caller.data.get(rows)
    row = await anext(found.source, None)
    found.read += row is not None
    return row


async def rows_drop(caller: Caller[ResourceTable], rep: int) -> None:
    rows = caller.data.delete(Resource.new_own(rep, Rows))
    await rows.source.aclose()
    print("closed after", rows.read)


# --8<-- [end:host]

# --8<-- [start:main]
engine = Engine()
linker = Linker(engine)
db = linker.instance("db")
db.resource_async("rows", ResourceType.host(Rows), rows_drop)
db.func_wrap_async("query", query)
db.func_wrap_async("[method]rows.next", rows_next)


async def main() -> None:
    store = Store(engine, ResourceTable())
    instance = await linker.instantiate_async(store, Component(engine, PLUGIN))
    count = instance.get_func(store, "count")
    print("the plugin counted", await count.call_async(store, "fruit"))
    print("open at the end:", len(store.data))


# --8<-- [end:main]
anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "trio")
