"""Globals from the host's side."""

from __future__ import annotations

import gc
import weakref

import pytest

from asyncwasm.core.runtime.engine import Engine
from asyncwasm.core.runtime.func import Func
from asyncwasm.core.runtime.gc import ExternRef
from asyncwasm.core.runtime.global_ import Global
from asyncwasm.core.runtime.store import Store
from asyncwasm.core.types import EXTERNREF, F32, FUNCREF, I32, I64, FuncType, GlobalType
from asyncwasm.errors import WrongStoreError


@pytest.fixture
def store() -> Store[None]:
    return Store(Engine())


def test_values_are_signed_outside_and_unsigned_inside(store):
    variable = Global.new(store, GlobalType(I32, mutable=True), -1)
    assert variable.value == 0xFFFF_FFFF
    assert variable.get(store) == -1
    variable.set(store, 0xFFFF_FFFE)
    assert variable.get(store) == -2
    assert variable.ty(store) == GlobalType(I32, mutable=True)


def test_singles_are_rounded(store):
    assert Global.new(store, GlobalType(F32), 0.1).get(store) == 0.10000000149011612


def test_the_initial_value_is_checked(store):
    context = (
        "^type mismatch: initial value provided does not match the type of this global: "
        "type mismatch: expected i64, found float$"
    )
    with pytest.raises(TypeError, match=context):
        Global.new(store, GlobalType(I64), 1.0)
    with pytest.raises(OverflowError, match="integer out of range for i64"):
        Global.new(store, GlobalType(I64), 1 << 64)


def test_mutability_is_checked_before_the_value(store):
    constant = Global.new(store, GlobalType(I32), 1)
    with pytest.raises(TypeError, match="^immutable global cannot be set$"):
        constant.set(store, "text")
    variable = Global.new(store, GlobalType(I32, mutable=True), 1)
    with pytest.raises(
        TypeError, match="^type mismatch: attempt to set global to value of wrong type: type mism"
    ):
        variable.set(store, "text")
    assert variable.get(store) == 1


def test_stores_are_kept_apart(store):
    other = Store(store.engine)
    variable = Global.new(store, GlobalType(FUNCREF, mutable=True), None)
    for use in (
        lambda: variable.get(other),
        lambda: variable.set(other, None),
        lambda: variable.ty(other),
    ):
        with pytest.raises(WrongStoreError, match=r"^object used with the wrong store$"):
            use()
    with pytest.raises(WrongStoreError, match="value used with wrong store$"):
        variable.set(store, Func.new(other, FuncType(), lambda caller: None))


def test_a_cycle_through_a_global_is_collected(store):
    class Host:
        pass

    host = Host()
    host.variable = Global.new(store, GlobalType(EXTERNREF), ExternRef.new(store, host))
    gone = weakref.ref(host)
    del host
    gc.collect()
    assert gone() is None
