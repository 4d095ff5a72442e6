"""Handle tables against a model of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncwasm import Engine, Store
from asyncwasm.component.runtime.handles import (
    HandleTable,
    ResourceHandle,
    get_resource,
    remove_resource,
    take_own,
)
from asyncwasm.component.runtime.host_table import HostEntry, HostTable
from asyncwasm.component.runtime.resources import Identity, ResourceImpl, ResourceType
from asyncwasm.component.runtime.state import state_of
from asyncwasm.component.runtime.task import CallScope
from asyncwasm.errors import CanonicalAbiError

GUEST = ResourceType("guest", Identity("a"))
OTHER = ResourceType("guest", Identity("a"))
HOST = ResourceType.host(int)


@given(st.lists(st.tuples(st.sampled_from(["add", "remove", "get"]), st.integers(0, 12))))
def test_a_table_reuses_what_was_freed_last(operations):
    table, model, free = HandleTable(), {}, []
    top = 1
    for count, (operation, index) in enumerate(operations):
        if operation == "add":
            if free:
                expected = free.pop()
            else:
                expected, top = top, top + 1
            assert table.add(f"entry {count}") == expected
            model[expected] = f"entry {count}"
        elif index not in model:
            with pytest.raises(CanonicalAbiError, match=f"unknown handle index {index}$"):
                table.get(index) if operation == "get" else table.remove(index)
        elif operation == "get":
            assert table.get(index) == model[index]
        else:
            assert table.remove(index) == model.pop(index)
            free.append(index)
        assert len(table) == len(model)
        assert sorted(table) == sorted(model.values())


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5))))
def test_what_was_given_away_is_not_found_again(operations):
    table, held, gone = HostTable(), [], []
    impl = ResourceImpl(HOST, None, None, None)
    for add, choice in operations:
        if add or not held:
            entry = HostEntry(impl, choice, None)
            held.append((table.add(entry), entry))
        else:
            place, entry = held.pop(choice % len(held))
            assert table.remove(*place) is entry
            gone.append(place)
    assert len({place for place, _ in held}) == len(held) == len(table)
    for place, entry in held:
        assert table.get(*place) is entry
    for place in gone:
        with pytest.raises(CanonicalAbiError, match="host-owned resource was already de-allocated"):
            table.get(*place)


def test_handles_know_their_type():
    table = HandleTable()
    index = table.add(ResourceHandle(GUEST, 7))
    assert get_resource(table, index, GUEST).rep == 7
    for wanted, text in (
        (OTHER, "expected guest-defined resource but found a different guest-defined resource"),
        (HOST, "expected host resource but found guest-defined resource"),
    ):
        with pytest.raises(CanonicalAbiError, match=f"handle index 1 used with the wrong.*{text}"):
            get_resource(table, index, wanted)
    host = table.add(ResourceHandle(HOST, 8))
    with pytest.raises(CanonicalAbiError, match="guest-defined resource but found host resource"):
        get_resource(table, host, GUEST)
    other = table.add(object())
    with pytest.raises(CanonicalAbiError, match="index 3 is not a resource"):
        get_resource(table, other, GUEST)
    assert take_own(table, index, GUEST) == 7


def test_what_is_lent_stays():
    table, call = HandleTable(), CallScope()
    handle = ResourceHandle(GUEST, 7)
    index = table.add(handle)
    call.lend(handle)
    call.lend(handle)
    with pytest.raises(CanonicalAbiError, match="cannot remove owned resource while borrowed"):
        remove_resource(table, index, GUEST)
    call.release()
    assert handle.lends == 0
    call.release()
    assert remove_resource(table, index, GUEST) is handle


def test_a_borrow_is_not_owned():
    table, call = HandleTable(), CallScope()
    index = table.add(ResourceHandle(GUEST, 7, call))
    with pytest.raises(CanonicalAbiError, match="cannot lift own resource from a borrow"):
        take_own(table, index, GUEST)
    call.borrows = 1
    with pytest.raises(CanonicalAbiError, match="borrow handles still remain at the end of the"):
        call.check_borrows()


def test_a_store_has_one_state():
    store = Store(Engine())
    assert state_of(store) is state_of(store)
    assert state_of(store) is not state_of(Store(Engine()))
