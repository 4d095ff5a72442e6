"""The resource limiter's protocol: who is asked what, and what comes of the answers."""

from __future__ import annotations

import anyio
import pytest

from asyncwasm.core.runtime.calls import operate_async, operate_sync
from asyncwasm.core.runtime.config import Config
from asyncwasm.core.runtime.engine import Engine
from asyncwasm.core.runtime.gc import ArrayRef, ArrayRefPre, ExternRef, StructRef, StructRefPre
from asyncwasm.core.runtime.limits import (
    AsyncResourceLimiter,
    ResourceLimiter,
    StoreLimits,
)
from asyncwasm.core.runtime.memory import Memory, create_memory
from asyncwasm.core.runtime.shared_memory import SharedMemory
from asyncwasm.core.runtime.store import Store
from asyncwasm.core.runtime.table import Table, create_table
from asyncwasm.core.types import (
    EXTERNREF,
    I32,
    ArrayType,
    FieldType,
    IndexType,
    Limits,
    MemoryType,
    StructType,
    TableType,
)
from asyncwasm.errors import AsyncSupportError, ResourceLimitError

PAGE = 65536
NEEDS_ASYNC = r"^when using an async resource limiter `\*_async` functions must be used instead$"


class Recorder(ResourceLimiter):
    def __init__(self, answer=True, veto=None):
        self.answer = answer
        self.veto = veto
        self.calls = []

    def memory_growing(self, current, desired, maximum):
        self.calls.append(("memory", current, desired, maximum))
        return self._answer()

    def memory_grow_failed(self, error):
        self.calls.append(("memory failed", str(error)))
        if self.veto is not None:
            raise self.veto

    def table_growing(self, current, desired, maximum):
        self.calls.append(("table", current, desired, maximum))
        return self._answer()

    def table_grow_failed(self, error):
        self.calls.append(("table failed", str(error)))
        if self.veto is not None:
            raise self.veto

    def _answer(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class AsyncRecorder(AsyncResourceLimiter):
    def __init__(self, answer=True):
        self.answer = answer
        self.calls = []

    async def memory_growing(self, current, desired, maximum):
        await anyio.lowlevel.checkpoint()
        self.calls.append(("memory", current, desired, maximum))
        return self.answer

    async def memory_grow_failed(self, error):
        await anyio.lowlevel.checkpoint()
        self.calls.append(("memory failed", str(error)))

    async def table_growing(self, current, desired, maximum):
        await anyio.lowlevel.checkpoint()
        self.calls.append(("table", current, desired, maximum))
        return self.answer

    async def table_grow_failed(self, error):
        await anyio.lowlevel.checkpoint()
        self.calls.append(("table failed", str(error)))


def limited(limiter, **config) -> Store[None]:
    store = Store(Engine(Config(**config)))
    if isinstance(limiter, AsyncResourceLimiter):
        store.limiter_async(limiter)
    else:
        store.limiter(limiter)
    return store


def memory_type(minimum=0, maximum=None, **options) -> MemoryType:
    return MemoryType(Limits(minimum, maximum), **options)


def table_type(minimum=0, maximum=None, **options) -> TableType:
    return TableType(EXTERNREF, Limits(minimum, maximum), **options)


def test_creation_and_growth_are_asked_in_bytes():
    asked = Recorder()
    store = limited(asked)
    memory = Memory.new(store, memory_type(1, 5))
    memory.grow(store, 2)
    assert asked.calls == [
        ("memory", 0, PAGE, 5 * PAGE),
        ("memory", PAGE, 3 * PAGE, 5 * PAGE),
    ]


def test_empty_objects_are_asked_about_and_growth_by_zero_is_not():
    asked = Recorder()
    store = limited(asked)
    memory = Memory.new(store, memory_type(0, 0))
    table = Table.new(store, table_type(0, 0), None)
    assert asked.calls == [("memory", 0, 0, 0), ("table", 0, 0, 0)]
    asked.answer = False
    assert memory.grow(store, 0) == table.grow(store, 0, None) == 0
    assert len(asked.calls) == 2


@pytest.mark.parametrize(
    ("ty", "maximum"),
    [
        (memory_type(), 1 << 32),
        (memory_type(page_size=1), 1 << 32),
        (memory_type(0, 3, page_size=1), 3),
        (memory_type(index_type=IndexType.I64), None),
        (memory_type(0, 1 << 48, index_type=IndexType.I64), None),
        (memory_type(0, 1 << 47, index_type=IndexType.I64), 1 << 63),
    ],
)
def test_the_maximum_of_memories(ty, maximum):
    asked = Recorder()
    Memory.new(limited(asked), ty)
    assert asked.calls == [("memory", 0, 0, maximum)]


@pytest.mark.parametrize(
    ("ty", "maximum"),
    [
        (table_type(), (1 << 32) - 1),
        (table_type(0, 7), 7),
        (table_type(index_type=IndexType.I64), (1 << 64) - 1),
    ],
)
def test_the_maximum_of_tables(ty, maximum):
    asked = Recorder()
    Table.new(limited(asked), ty, None)
    assert asked.calls == [("table", 0, 0, maximum)]


def test_requests_past_the_maximum_are_asked_about_and_fail_even_so():
    asked = Recorder()
    store = limited(asked)
    memory = Memory.new(store, memory_type(1, 2))
    table = Table.new(store, table_type(1, 2), None)
    del asked.calls[:]
    assert memory.grow_raw(5) == -1
    assert table.grow_raw(5, None) == -1
    assert asked.calls == [
        ("memory", PAGE, 6 * PAGE, 2 * PAGE),
        ("memory failed", "Memory maximum size exceeded"),
        ("table", 1, 6, 2),
        ("table failed", "Table maximum size exceeded"),
    ]


def test_requests_past_the_address_space_are_cut_down():
    asked = Recorder()
    store = limited(asked)
    memory = Memory.new(store, memory_type(1, index_type=IndexType.I64))
    table = Table.new(store, table_type(1, index_type=IndexType.I64), None)
    del asked.calls[:]
    assert memory.grow_raw((1 << 64) - 1) == -1
    assert table.grow_raw((1 << 64) - 1, None) == -1
    assert asked.calls[0] == ("memory", PAGE, (1 << 64) - PAGE, None)
    assert asked.calls[1][0] == "memory failed"
    assert asked.calls[2:] == [("table failed", "overflow calculating new table size")]


def test_small_pages_that_would_reach_minus_one_are_not_asked_about():
    asked = Recorder()
    memory = Memory.new(limited(asked), memory_type(1, page_size=1))
    del asked.calls[:]
    assert memory.grow_raw(0xFFFF_FFFE) == -1
    assert asked.calls == [("memory failed", "memory growth exceeds memory type's limits")]


def test_minimum_sizes_past_the_address_space_are_asked_about():
    asked = Recorder()
    store = limited(asked)
    with pytest.raises(ResourceLimitError, match="exceeds memory limits$"):
        create_memory(store, memory_type(1 << 48, index_type=IndexType.I64), store.wait)
    with pytest.raises(ResourceLimitError, match="exceeds table limits$"):
        create_table(store, table_type(1 << 60, index_type=IndexType.I64), None, store.wait)
    assert asked.calls == [
        ("memory", 0, (1 << 64) - PAGE, None),
        ("table", 0, 1 << 60, (1 << 64) - 1),
    ]


def test_a_denial():
    asked = Recorder()
    store = limited(asked)
    memory = Memory.new(store, memory_type(1))
    table = Table.new(store, table_type(1), None)
    asked.answer = False
    assert memory.grow_raw(1) == table.grow_raw(1, None) == -1
    with pytest.raises(ResourceLimitError, match="^failed to grow memory by `1`$"):
        memory.grow(store, 1)
    with pytest.raises(ResourceLimitError, match="^failed to grow table by `1`$"):
        table.grow(store, 1, None)
    with pytest.raises(
        ResourceLimitError, match="^memory minimum size of 3 pages exceeds memory limits$"
    ):
        Memory.new(store, memory_type(3))
    with pytest.raises(
        ResourceLimitError, match="^table minimum size of 3 elements exceeds table limits$"
    ):
        Table.new(store, table_type(3), None)
    assert not [call for call in asked.calls if "failed" in call[0]]


def test_an_error_of_the_limiter_comes_out_unchanged():
    asked = Recorder()
    store = limited(asked)
    memory = Memory.new(store, memory_type(1))
    table = Table.new(store, table_type(1), None)
    asked.answer = KeyError("mine")
    for use in (
        lambda: memory.grow_raw(1),
        lambda: memory.grow(store, 1),
        lambda: table.grow_raw(1, None),
        lambda: table.grow(store, 1, None),
        lambda: Memory.new(store, memory_type()),
        lambda: Table.new(store, table_type(), None),
    ):
        with pytest.raises(KeyError) as caught:
            use()
        assert caught.value is asked.answer


def test_an_error_about_a_failure_comes_out_unchanged():
    asked = Recorder(veto=KeyError("mine"))
    store = limited(asked)
    memory = Memory.new(store, memory_type(1, 1))
    table = Table.new(store, table_type(1, 1), None)
    for use in (
        lambda: memory.grow_raw(1),
        lambda: memory.grow(store, 1),
        lambda: table.grow_raw(1, None),
        lambda: table.grow(store, 1, None),
    ):
        with pytest.raises(KeyError) as caught:
            use()
        assert caught.value is asked.veto
    assert memory.size(store) == table.size(store) == 1


def test_shared_memories_are_asked_about_only_when_a_module_defines_them():
    asked = Recorder()
    store = limited(asked, shared_memory=True)
    shared = memory_type(1, 2, shared=True)
    SharedMemory.new(store.engine, shared).grow(1)
    assert asked.calls == []
    made = create_memory(store, shared, store.wait)
    made.grow_raw(1)
    assert asked.calls == [("memory", 0, PAGE, 2 * PAGE)]
    asked.answer = False
    with pytest.raises(ResourceLimitError, match="exceeds memory limits$"):
        create_memory(store, shared, store.wait)


def test_counts_have_defaults():
    limits = Store(Engine()).limits
    for kind in ("instance", "memory", "table"):
        limits.bump(kind, 9_999)
        limits.bump(kind)
        limits.bump(kind, 0)
        with pytest.raises(
            ResourceLimitError,
            match=f"^resource limit exceeded: {kind} count too high at 10001$",
        ):
            limits.bump(kind)


def test_counts_are_read_once_and_include_what_there_was():
    store = Store(Engine())
    Memory.new(store, memory_type())
    limits = StoreLimits(memories=2, tables=1)
    store.limiter(limits)
    limits.memories = limits.tables = 100
    Memory.new(store, memory_type())
    with pytest.raises(
        ResourceLimitError, match=r"^resource limit exceeded: memory count too high at 3$"
    ):
        Memory.new(store, memory_type())
    Table.new(store, table_type(), None)
    with pytest.raises(ResourceLimitError, match="table count too high at 2$"):
        Table.new(store, table_type(), None)


def test_a_count_is_not_taken_back_when_creation_fails():
    store = limited(StoreLimits(memories=2, memory_size=PAGE))
    with pytest.raises(ResourceLimitError, match="exceeds memory limits"):
        Memory.new(store, memory_type(2))
    Memory.new(store, memory_type(1))
    with pytest.raises(ResourceLimitError, match="memory count too high at 3"):
        Memory.new(store, memory_type(1))


def test_a_new_limiter_replaces_the_old_one():
    old, new = Recorder(), Recorder()
    store = limited(old)
    store.limiter(new)
    Memory.new(store, memory_type())
    assert (len(old.calls), len(new.calls)) == (0, 1)


def test_store_limits_are_per_object():
    store = limited(StoreLimits(memory_size=2 * PAGE, table_elements=2))
    memories = [Memory.new(store, memory_type(1)) for _ in range(3)]
    tables = [Table.new(store, table_type(1), None) for _ in range(3)]
    for memory, table in zip(memories, tables, strict=True):
        assert memory.grow_raw(1) == table.grow_raw(1, None) == 1
        assert memory.grow_raw(1) == table.grow_raw(1, None) == -1
    with pytest.raises(ResourceLimitError, match="exceeds memory limits"):
        Memory.new(store, memory_type(3))


def test_store_limits_deny_what_is_past_the_maximum_themselves():
    limits = StoreLimits()
    assert limits.memory_growing(0, 5, None)
    assert limits.memory_growing(0, 5, 5)
    assert not limits.memory_growing(0, 6, 5)
    assert not limits.table_growing(0, 6, 5)
    limits.memory_grow_failed(OSError())
    limits.table_grow_failed(OSError())


def test_failures_forced_to_be_traps():
    limits = StoreLimits(memory_size=PAGE, table_elements=1, trap_on_grow_failure=True)
    store = limited(limits)
    memory = Memory.new(store, memory_type(1))
    table = Table.new(store, table_type(1), None)
    with pytest.raises(
        ResourceLimitError, match=r"^forcing trap when growing memory to 131072 bytes$"
    ):
        memory.grow_raw(1)
    with pytest.raises(
        ResourceLimitError, match=r"^forcing trap when growing table to 2 elements$"
    ):
        table.grow_raw(1, None)
    cause = OSError("no space")
    for report, what in (
        (limits.memory_grow_failed, "memory"),
        (limits.table_grow_failed, "table"),
    ):
        with pytest.raises(
            ResourceLimitError, match=f"^forcing a {what} growth failure to be a trap$"
        ) as caught:
            report(cause)
        assert caught.value.__cause__ is cause


def test_sync_operations_are_refused_with_an_async_limiter():
    store = Store(Engine())
    memory = Memory.new(store, memory_type(1))
    table = Table.new(store, table_type(1), None)
    struct = StructRefPre.new(store, StructType())
    array = ArrayRefPre.new(store, ArrayType(FieldType(I32)))
    store.limiter_async(AsyncRecorder())
    for use in (
        lambda: Memory.new(store, memory_type()),
        lambda: memory.grow(store, 0),
        lambda: Table.new(store, table_type(), None),
        lambda: table.grow(store, 0, None),
        lambda: ExternRef.new(store, 1),
        lambda: StructRef.new(store, struct, []),
        lambda: ArrayRef.new(store, array, 0, 1),
        lambda: ArrayRef.new_fixed(store, array, [0]),
        store.gc,
    ):
        with pytest.raises(AsyncSupportError, match=NEEDS_ASYNC):
            use()


@pytest.mark.anyio
async def test_async_limiter():
    asked = AsyncRecorder()
    store = limited(asked)
    memory = await Memory.new_async(store, memory_type(1, 2))
    table = await Table.new_async(store, table_type(1, 2), None)
    assert await memory.grow_async(store, 1) == 1
    assert await table.grow_async(store, 1, None) == 1
    with pytest.raises(ResourceLimitError, match="failed to grow memory"):
        await memory.grow_async(store, 1)
    with pytest.raises(ResourceLimitError, match="failed to grow table"):
        await table.grow_async(store, 1, None)
    assert asked.calls == [
        ("memory", 0, PAGE, 2 * PAGE),
        ("table", 0, 1, 2),
        ("memory", PAGE, 2 * PAGE, 2 * PAGE),
        ("table", 1, 2, 2),
        ("memory", 2 * PAGE, 3 * PAGE, 2 * PAGE),
        ("memory failed", "Memory maximum size exceeded"),
        ("table", 2, 3, 2),
        ("table failed", "Table maximum size exceeded"),
    ]
    asked.answer = False
    with pytest.raises(ResourceLimitError, match="exceeds memory limits"):
        await Memory.new_async(store, memory_type())


@pytest.mark.anyio
async def test_guest_growth_waits_for_an_async_limiter():
    store = limited(AsyncRecorder())
    memory = await Memory.new_async(store, memory_type(1))
    table = await Table.new_async(store, table_type(1), None)
    assert await operate_async(store, None, memory.grow_raw, (1,)) == 1
    assert await operate_async(store, None, table.grow_raw, (1, None)) == 1


@pytest.mark.anyio
async def test_plain_methods_do_in_an_async_limiter():
    class Plain(AsyncResourceLimiter):
        def memory_growing(self, current, desired, maximum):
            return desired <= PAGE

        def table_growing(self, current, desired, maximum):
            return True

    store = limited(Plain())
    memory = await Memory.new_async(store, memory_type(1))
    with pytest.raises(ResourceLimitError):
        await memory.grow_async(store, 1)
    assert await (await Table.new_async(store, table_type(1), None)).grow_async(store, 1, None) == 1


@pytest.mark.anyio
async def test_a_limiter_that_is_async_without_saying_so():
    class Misled(Recorder):
        async def memory_growing(self, current, desired, maximum):
            return True

    store = limited(Misled())
    with pytest.raises(AsyncSupportError, match=NEEDS_ASYNC):
        Memory.new(store, memory_type())
    memory = await Memory.new_async(store, memory_type(1))
    assert await memory.grow_async(store, 1) == 1
    with pytest.raises(AsyncSupportError, match="failed to complete synchronously"):
        operate_sync(store, None, memory.grow_raw, (1,))


@pytest.mark.anyio
async def test_growth_meanwhile_is_not_undone():
    """What a limiter answers is about the size it was asked about."""
    store = Store(Engine())

    class Slow(AsyncResourceLimiter):
        async def memory_growing(self, current, desired, maximum):
            await anyio.lowlevel.checkpoint()
            if current == PAGE:
                memory._resize(4 * PAGE)
            return True

        async def table_growing(self, current, desired, maximum):
            await anyio.lowlevel.checkpoint()
            if current == 1:
                table.elements.extend([None] * 3)
            return True

    memory = Memory.new(store, memory_type(1))
    table = Table.new(store, table_type(1), None)
    store.limiter_async(Slow())
    assert await memory.grow_async(store, 1) == 4
    assert memory.size(store) == 5
    assert await table.grow_async(store, 1, None) == 4
    assert table.size(store) == 5


@pytest.mark.anyio
async def test_cancelling_a_limiter_leaves_the_size_alone():
    class Stuck(AsyncResourceLimiter):
        async def memory_growing(self, current, desired, maximum):
            scope.cancel()
            await anyio.sleep_forever()
            return True

        async def table_growing(self, current, desired, maximum):
            return True

    store = Store(Engine())
    memory = Memory.new(store, memory_type(1))
    store.limiter_async(Stuck())
    with anyio.CancelScope() as scope:
        await memory.grow_async(store, 1)
    assert scope.cancelled_caught
    assert memory.size(store) == 1
    store.limiter_async(AsyncRecorder())
    assert await memory.grow_async(store, 1) == 1
