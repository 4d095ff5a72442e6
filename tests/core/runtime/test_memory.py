"""Linear memories: sizes, views, growing, and where their address space comes from."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import weakref
from array import array

import pytest

from asyncwasm.core.runtime import mapping
from asyncwasm.core.runtime.config import Config
from asyncwasm.core.runtime.engine import Engine
from asyncwasm.core.runtime.memory import Memory, create_memory
from asyncwasm.core.runtime.shared_memory import SharedMemory
from asyncwasm.core.runtime.store import Store
from asyncwasm.core.types import IndexType, Limits, MemoryType
from asyncwasm.errors import (
    AsyncSupportError,
    MemoryAccessError,
    ResourceLimitError,
    WrongStoreError,
)

PAGE = 65536


@pytest.fixture
def store() -> Store[None]:
    return Store(Engine())


def memory_type(minimum=1, maximum=None, **options) -> MemoryType:
    return MemoryType(Limits(minimum, maximum), **options)


def test_a_new_memory_is_zero_and_of_its_minimum_size(store):
    memory = Memory.new(store, memory_type(2, 5))
    assert memory.size(store) == 2
    assert memory.data_size(store) == memory.size_bytes == 2 * PAGE
    assert (memory.page_size, memory.page_size_log2) == (PAGE, 16)
    assert not any(memory.read(store, 0, 2 * PAGE))


def test_the_views_are_one_memory(store):
    memory = Memory.new(store, memory_type(1))
    memory.widen()
    memory.view[8:16] = bytes(range(1, 9))
    assert memory.u16[4] == 0x0201
    assert memory.u32[2] == 0x04030201
    assert memory.u64[1] == 0x0807060504030201
    memory.f64[0] = 1.0
    assert bytes(memory.view[:8]) == b"\0\0\0\0\0\0\xf0\x3f"
    assert [len(v) for v in (memory.view, memory.u16, memory.u32, memory.u64)] == [
        PAGE,
        PAGE // 2,
        PAGE // 4,
        PAGE // 8,
    ]


def test_wide_views_leave_out_an_incomplete_element(store):
    memory = Memory.new(store, memory_type(7, page_size=1))
    memory.widen()
    views = (memory.view, memory.u16, memory.u32, memory.u64, memory.f64)
    assert [len(v) for v in views] == [7, 3, 1, 0, 0]
    assert memory.page_size_log2 == 0


def test_growing(store):
    memory = Memory.new(store, memory_type(1, 3))
    memory.widen()
    assert memory.grow(store, 1) == 1
    assert memory.grow(store, 0) == 2
    assert memory.ty(store) == memory_type(2, 3)
    assert len(memory.view) == len(memory.u64) * 8 == 2 * PAGE
    assert memory.grow_raw(1) == 2
    assert memory.grow_raw(1) == -1
    with pytest.raises(ResourceLimitError, match=r"^failed to grow memory by `4`$"):
        memory.grow(store, 4)
    assert memory.size(store) == 3


@pytest.mark.parametrize("delta", [-1, 1 << 64])
def test_a_delta_has_64_bits(store, delta):
    with pytest.raises(OverflowError):
        Memory.new(store, memory_type()).grow(store, delta)


def test_a_view_outlives_growth_memory_and_store():
    store = Store(Engine())
    memory = Memory.new(store, memory_type(1))
    view = memory.data(store)
    assert memory.grow(store, 1) == 1
    memory.write(store, 10, b"seen")
    assert bytes(view[10:14]) == b"seen"
    assert len(view) == PAGE
    gone = weakref.ref(memory)
    del memory, store
    gc.collect()
    assert gone() is None
    view[0] = 7
    assert (view[0], bytes(view[10:14])) == (7, b"seen")


def test_releasing_a_view_leaves_the_memory_alone(store):
    memory = Memory.new(store, memory_type(1))
    with memory.data(store) as view:
        view[0] = 1
    assert memory.read(store, 0, 1) == b"\1"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes with __buffer__ need Python 3.12")
def test_buffer_protocol(store):
    memory = Memory.new(store, memory_type(1))
    with memoryview(memory) as view:
        view[3] = 9
        assert len(view) == PAGE
    assert bytes(memory)[3] == 9


def test_read_and_write_stay_inside(store):
    memory = Memory.new(store, memory_type(1))
    memory.write(store, PAGE - 2, b"ab")
    assert memory.read(store, PAGE - 2, 2) == b"ab"
    assert memory.read(store, PAGE, 0) == b""
    memory.write(store, PAGE, b"")
    for bad in (
        lambda: memory.write(store, PAGE - 1, b"cd"),
        lambda: memory.write(store, PAGE + 1, b""),
        lambda: memory.write(store, -1, b"x"),
        lambda: memory.read(store, PAGE - 1, 2),
        lambda: memory.read(store, PAGE + 1, 0),
        lambda: memory.read(store, -1, 1),
        lambda: memory.read(store, 2, -1),
    ):
        with pytest.raises(MemoryAccessError, match=r"^out of bounds memory access$"):
            bad()
    assert memory.read(store, PAGE - 2, 2) == b"ab"


def test_any_buffer_can_be_written(store):
    memory = Memory.new(store, memory_type(1))
    memory.write(store, 0, array("I", [1, 2]))
    assert memory.read(store, 0, 8) == b"\1\0\0\0\2\0\0\0"
    memory.write(store, 0, memoryview(b"a-b-c")[::2])
    assert memory.read(store, 0, 3) == b"abc"
    with pytest.raises(TypeError):
        memory.write(store, 0, "text")


@pytest.mark.parametrize(
    ("ty", "message"),
    [
        (memory_type(2, 1), "maximum page size cannot be smaller than the minimum page size"),
        (memory_type(page_size=3), r"page size must be 2\*\*16 or 2\*\*0, but was given 3; "),
        (memory_type(-1), "minimum size must not be negative"),
        (memory_type(65537), "minimum size is too large for this memory type's index type"),
        (memory_type(0, 65537), "maximum size is too large for this memory type's index type"),
        (
            memory_type(1 << 48, index_type=IndexType.I64),
            "memory's minimum byte size must fit in a u64",
        ),
        (
            memory_type(0, (1 << 48) + 1, index_type=IndexType.I64),
            "maximum size is too large for this memory type's index type",
        ),
        (memory_type(0, 1, shared=True), "shared memories must be created through `SharedMemory`"),
    ],
)
def test_impossible_types(store, ty, message):
    with pytest.raises(ValueError, match="^" + message):
        Memory.new(store, ty)


def test_empty_memory(store):
    memory = Memory.new(store, memory_type(0, 0))
    assert memory.size(store) == 0
    assert memory.read(store, 0, 0) == b""
    assert len(memory.data(store)) == 0
    assert memory.grow_raw(0) == 0
    assert memory.grow_raw(1) == -1


def test_a_memory_as_large_as_32_bits_go(store):
    memory = Memory.new(store, memory_type(65536))
    memory.write(store, (4 << 30) - 1, b"!")
    assert memory.view[(4 << 30) - 1] == ord("!")
    assert memory.grow_raw(1) == -1


def test_64_bit_memories_grow_up_to_what_is_reserved(store):
    memory = Memory.new(store, memory_type(1, index_type=IndexType.I64))
    assert memory.grow_raw((1 << 64) - 1) == -1
    assert memory.grow_raw(1 << 47) == -1
    if memory._reserved >= 4 << 30:
        assert memory.grow_raw(65535) == 1
        assert memory.grow_raw(1) == -1


def test_a_minimum_that_cannot_be_had(store):
    with pytest.raises(ResourceLimitError, match="^failed to allocate a memory of "):
        Memory.new(store, memory_type(1 << 40, index_type=IndexType.I64))
    with pytest.raises(
        ResourceLimitError, match=rf"^memory minimum size of {1 << 48} pages exceeds memory limits$"
    ):
        # Modules may declare it; `Memory.new` would refuse the type.
        create_memory(store, memory_type(1 << 48, index_type=IndexType.I64), store.wait)


def test_a_32_bit_memory_of_small_pages_never_has_a_size_of_minus_one(store):
    memory = Memory.new(store, memory_type(0, page_size=1))
    assert memory.grow_raw(0xFFFF_FFFF) == -1
    assert memory.grow_raw(0x1_0000_0000) == -1
    if memory._reserved >= 4 << 30:
        assert memory.grow_raw(0xFFFF_FFFE) == 0
        assert memory.size(store) == 0xFFFF_FFFE


def test_another_store_is_refused(store):
    memory = Memory.new(store, memory_type())
    other = Store(store.engine)
    for use in (
        lambda: memory.ty(other),
        lambda: memory.size(other),
        lambda: memory.data_size(other),
        lambda: memory.data(other),
        lambda: memory.read(other, 0, 0),
        lambda: memory.write(other, 0, b""),
        lambda: memory.grow(other, 0),
    ):
        with pytest.raises(WrongStoreError, match=r"^object used with the wrong store$"):
            use()


def test_memories_go_as_soon_as_they_are_dropped(store):
    """Ten thousand of them: no leak, and no need for the cycle collector."""
    store.limits._ceilings["memory"] = 1 << 30
    gc.disable()
    try:
        before = _resident()
        for _ in range(10_000):
            memory = Memory.new(store, memory_type(1))
            memory.view[0] = 1
        del memory
        assert _resident() - before < 4 << 20
    finally:
        gc.enable()


@pytest.mark.slow
def test_ten_thousand_memories_at_once(store):
    memories = [Memory.new(store, memory_type(1)) for _ in range(10_000)]
    for number, memory in enumerate(memories):
        memory.widen()
        memory.u32[0] = number
    assert [memory.u32[0] for memory in memories] == list(range(10_000))
    assert memories[-1].grow_raw(100) == 1


def _resident() -> int:
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs setrlimit")
def test_little_address_space():
    """With `ulimit -v`, less is reserved, and growing past it fails cleanly."""
    program = """
        import resource
        from asyncwasm.core.runtime.engine import Engine
        from asyncwasm.core.runtime.memory import Memory
        from asyncwasm.core.runtime.store import Store
        from asyncwasm.core.types import Limits, MemoryType
        from asyncwasm.errors import ResourceLimitError
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        store = Store(Engine())
        memories = [Memory.new(store, MemoryType(Limits(16))) for _ in range(20)]
        for memory in memories:
            assert memory._reserved < 1 << 30
            assert memory.grow_raw(16) in (16, -1)
            memory.view[len(memory.view) - 1] = 1
        assert memories[0].grow_raw(1) == 32
        assert bytearray(50 << 20)
        assert memories[0].grow_raw(65000) == -1
        try:
            Memory.new(store, MemoryType(Limits(20000)))
        except ResourceLimitError as error:
            assert "failed to allocate a memory of 1310720000 bytes" in str(error)
        else:
            raise AssertionError
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_reserving_asks_for_less_and_less(monkeypatch):
    tried = []

    class Full:
        def __init__(self, fd, size, **flags):
            tried.append(size)
            if size > 3 * PAGE:
                raise OSError("full")

        def madvise(self, advice):
            pass

    monkeypatch.setattr(mapping.mmap, "mmap", Full)
    size = mapping.reserve(PAGE, 16 * PAGE).size
    assert size == PAGE
    assert [n // PAGE for n in tried] == [16, 16, 8, 4, 2, 1]
    tried.clear()
    with pytest.raises(ResourceLimitError, match=f"^failed to allocate a memory of {4 * PAGE}"):
        mapping.reserve(4 * PAGE, 6 * PAGE)
    assert [n // PAGE for n in tried] == [6, 6, 4]


@pytest.mark.anyio
async def test_async_twins_checkpoint(anyio_backend, store):
    memory = await Memory.new_async(store, memory_type(1, 2))
    assert await memory.grow_async(store, 1) == 1
    with pytest.raises(ResourceLimitError, match="failed to grow memory by `1`"):
        await memory.grow_async(store, 1)
    if anyio_backend == "trio":
        import trio.testing

        with trio.testing.assert_checkpoints():
            await Memory.new_async(store, memory_type(1))
        with trio.testing.assert_checkpoints():
            await memory.grow_async(store, 0)


@pytest.mark.anyio
async def test_engines_that_are_sync_or_async_by_configuration():
    store = Store(Engine(Config(async_support=True)))
    with pytest.raises(AsyncSupportError, match="must use `new_async` when async support is"):
        Memory.new(store, memory_type())
    memory = await Memory.new_async(store, memory_type())
    with pytest.raises(AsyncSupportError, match="must use `grow_async` when async support is"):
        memory.grow(store, 1)
    store = Store(Engine(Config(async_support=False)))
    memory = Memory.new(store, memory_type())
    with pytest.raises(AsyncSupportError, match="cannot use `grow_async` without enabling"):
        await memory.grow_async(store, 1)
    with pytest.raises(AsyncSupportError, match="cannot use `new_async` without enabling"):
        await Memory.new_async(store, memory_type())


@pytest.fixture
def sharing() -> Engine:
    return Engine(Config(shared_memory=True))


def test_shared_memories_have_to_be_allowed(store):
    shared = memory_type(1, 2, shared=True)
    message = "^shared memory support is disabled for this engine -- see `Config::shared_memory`$"
    with pytest.raises(ResourceLimitError, match=message):
        SharedMemory.new(store.engine, shared)
    with pytest.raises(ResourceLimitError, match=message):
        create_memory(store, shared, store.wait)


def test_shared_memory_types(sharing):
    with pytest.raises(ValueError, match="must have the `shared` flag enabled on its memory type"):
        SharedMemory.new(sharing, memory_type(1, 2))
    with pytest.raises(ValueError, match="shared memories must have a maximum size"):
        SharedMemory.new(sharing, memory_type(1, shared=True))


def test_a_shared_memory_belongs_to_no_store(sharing):
    memory = SharedMemory.new(sharing, memory_type(1, 2, shared=True))
    assert memory.is_shared
    assert (memory.size(), memory.data_size(), memory.page_size) == (1, PAGE, PAGE)
    view = memory.data()
    memory.write(1, b"x")
    assert (memory.read(1, 1), bytes(view[1:2])) == (b"x", b"x")
    with pytest.raises(MemoryAccessError):
        memory.read(PAGE, 1)
    assert memory.grow(1) == 1
    assert memory.grow(0) == 2
    assert memory.ty() == memory_type(2, 2, shared=True)
    with pytest.raises(ResourceLimitError, match="^failed to grow memory by `1`$"):
        memory.grow(1)
    assert memory.grow_raw(1) == -1


def test_a_module_may_define_a_shared_memory(sharing):
    store = Store(sharing)
    made = create_memory(store, memory_type(1, 2, shared=True), store.wait)
    assert isinstance(made, SharedMemory)
    assert made.engine is sharing


def test_dropped_memories_are_used_again_empty(store):
    if not mapping.MAX_KEPT:
        pytest.skip("memory is not kept on this system")
    gc.collect()
    mapping._sweep()
    mapping._idle.clear()
    memory = Memory.new(store, memory_type(1))
    address = memory._mapping.address
    memory.view[5] = 7
    held = memory.view[4:6]
    del memory
    gc.collect()
    # Who still looks at it keeps it.
    assert bytes(held) == b"\0\7"
    other = Memory.new(store, memory_type(1))
    assert other._mapping.address != address
    other.view[5] = 7
    address = other._mapping.address
    del other
    gc.collect()
    again = Memory.new(store, memory_type(1))
    assert again._mapping.address == address
    assert not any(again.view)
