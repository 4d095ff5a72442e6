"""Tables from the host's side."""

from __future__ import annotations

import gc
import weakref

import pytest

from asyncwasm.core.runtime.config import Config
from asyncwasm.core.runtime.engine import Engine
from asyncwasm.core.runtime.func import Func
from asyncwasm.core.runtime.gc import ExternRef
from asyncwasm.core.runtime.store import Store
from asyncwasm.core.runtime.table import MAX_ELEMENTS, Table
from asyncwasm.core.types import (
    EXTERNREF,
    FUNCREF,
    AbsHeapType,
    FuncType,
    IndexType,
    Limits,
    RefType,
    TableType,
)
from asyncwasm.errors import (
    AsyncSupportError,
    ResourceLimitError,
    Trap,
    TrapCode,
    WrongStoreError,
)

FUNC = RefType(False, AbsHeapType.FUNC)


@pytest.fixture
def store() -> Store[None]:
    return Store(Engine())


def table_type(minimum=2, maximum=None, element=EXTERNREF, **options) -> TableType:
    return TableType(element, Limits(minimum, maximum), **options)


def func(store) -> Func:
    return Func.new(store, FuncType(), lambda caller: None)


def test_elements(store):
    one, two = ExternRef.new(store, 1), ExternRef.new(store, 2)
    table = Table.new(store, table_type(3), one)
    assert table.size(store) == 3
    table.set(store, 1, two)
    table.set(store, 2, None)
    assert [table.get(store, i) for i in range(3)] == [one, two, None]
    assert table.elements == [one, two, None]
    assert table.get(store, 3) is None
    assert table.get(store, -1) is None


@pytest.mark.parametrize("index", [2, -1, 1 << 40])
def test_setting_out_of_bounds_traps(store, index):
    table = Table.new(store, table_type(2), None)
    with pytest.raises(Trap) as caught:
        table.set(store, index, None)
    assert caught.value.code is TrapCode.TABLE_OUT_OF_BOUNDS


def test_elements_are_checked(store):
    context = "^type mismatch: value does not match table element type: type mismatch: expected "
    with pytest.raises(TypeError, match=context + "externref, found int; .*ExternRef.new"):
        Table.new(store, table_type(), 5)
    table = Table.new(store, table_type(1, element=FUNC), func(store))
    with pytest.raises(TypeError, match=context + r"non-nullable \(ref func\), found null"):
        table.set(store, 0, None)
    with pytest.raises(TypeError, match=context + r"\(ref func\), found \(ref extern\)"):
        table.fill(store, 0, ExternRef.new(store, 1), 1)
    other = func(Store(store.engine))
    with pytest.raises(WrongStoreError, match="value used with wrong store$"):
        table.grow(store, 1, other)
    assert table.size(store) == 1


def test_growing(store):
    ref = ExternRef.new(store, None)
    table = Table.new(store, table_type(1, 4), None)
    elements = table.elements
    assert table.grow(store, 2, ref) == 1
    assert table.grow(store, 0, None) == 3
    assert table.elements is elements == [None, ref, ref]
    assert table.ty(store) == table_type(3, 4)
    with pytest.raises(ResourceLimitError, match="^failed to grow table by `2`$"):
        table.grow(store, 2, None)
    assert table.grow_raw(2, None) == -1
    assert table.grow_raw(1, None) == 3
    with pytest.raises(OverflowError):
        table.grow(store, -1, None)


@pytest.mark.parametrize("index_type", IndexType)
def test_absurd_sizes_fail_without_using_memory(store, index_type):
    table = Table.new(store, table_type(1, index_type=index_type), None)
    for delta in (0xFFFF_FFFE, (1 << 64) - 2, (1 << 64) - 1, MAX_ELEMENTS):
        assert table.grow_raw(delta, None) == -1
    message = r"^table minimum size of 4294967295 elements exceeds table limits$"
    with pytest.raises(ResourceLimitError, match=message):
        Table.new(store, table_type(0xFFFF_FFFF, index_type=index_type), None)


def test_impossible_types(store):
    with pytest.raises(ValueError, match="maximum table size cannot be smaller than the minimum"):
        Table.new(store, table_type(2, 1), None)
    for bad in (table_type(1 << 32), table_type(0, 1 << 32), table_type(-1)):
        with pytest.raises(ValueError, match="table size is too large for this table type's"):
            Table.new(store, bad, None)


def test_filling(store):
    ref = ExternRef.new(store, None)
    table = Table.new(store, table_type(4), None)
    table.fill(store, 1, ref, 2)
    table.fill(store, 4, ref, 0)
    assert table.elements == [None, ref, ref, None]
    for start, length in ((3, 2), (5, 0), (0, 5), (-1, 1)):
        with pytest.raises(Trap, match="undefined element: out of bounds table access"):
            table.fill(store, start, ref, length)
    assert table.elements == [None, ref, ref, None]


def test_copying_overlaps_like_memmove(store):
    refs = [ExternRef.new(store, i) for i in range(4)]
    table = Table.new(store, table_type(4), None)
    for start, source in ((1, 0), (0, 1)):
        table.elements[:] = refs
        Table.copy(store, table, start, table, source, 3)
        expected = [*refs]
        expected[start : start + 3] = refs[source : source + 3]
        assert table.elements == expected
    for bad in ((2, 0, 3), (0, 2, 3), (5, 0, 0)):
        with pytest.raises(Trap) as caught:
            Table.copy(store, table, bad[0], table, bad[1], bad[2])
        assert caught.value.code is TrapCode.TABLE_OUT_OF_BOUNDS


def test_copying_between_types(store):
    narrow = Table.new(store, table_type(1, element=FUNC), func(store))
    wide = Table.new(store, table_type(1, element=FUNCREF), None)
    Table.copy(store, wide, 0, narrow, 0, 1)
    assert wide.get(store, 0) is narrow.get(store, 0)
    with pytest.raises(
        TypeError,
        match="^type mismatch: source table's element type does not match destination "
        "table's element type$",
    ):
        Table.copy(store, narrow, 0, wide, 0, 1)


def test_another_store_is_refused(store):
    table = Table.new(store, table_type(), None)
    other = Store(store.engine)
    for use in (
        lambda: table.get(other, 0),
        lambda: table.set(other, 0, None),
        lambda: table.size(other),
        lambda: table.ty(other),
        lambda: table.grow(other, 1, None),
        lambda: table.fill(other, 0, None, 0),
        lambda: Table.copy(other, table, 0, table, 0, 0),
    ):
        with pytest.raises(WrongStoreError, match=r"^object used with the wrong store$"):
            use()


def test_a_cycle_through_a_table_is_collected(store):
    class Host:
        pass

    host = Host()
    host.table = Table.new(store, table_type(1), ExternRef.new(store, host))
    gone = weakref.ref(host)
    del host
    gc.collect()
    assert gone() is None


@pytest.mark.anyio
async def test_async_twins(anyio_backend, store):
    table = await Table.new_async(store, table_type(1, 2), None)
    assert await table.grow_async(store, 1, None) == 1
    with pytest.raises(ResourceLimitError, match="failed to grow table by `1`"):
        await table.grow_async(store, 1, None)
    if anyio_backend == "trio":
        import trio.testing

        with trio.testing.assert_checkpoints():
            await Table.new_async(store, table_type(), None)
        with trio.testing.assert_checkpoints():
            await table.grow_async(store, 0, None)


@pytest.mark.anyio
async def test_engines_that_are_sync_or_async_by_configuration():
    store = Store(Engine(Config(async_support=True)))
    with pytest.raises(AsyncSupportError, match="must use `new_async` when async support is"):
        Table.new(store, table_type(), None)
    store = Store(Engine(Config(async_support=False)))
    table = Table.new(store, table_type(), None)
    with pytest.raises(AsyncSupportError, match="cannot use `grow_async` without enabling"):
        await table.grow_async(store, 1, None)
