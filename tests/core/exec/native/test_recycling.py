"""The end of structs by our own functions: no recursion, nothing left, nothing freed too early."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from typing import Any

import pytest

from asyncwasm import ExternRef, StructRef
from asyncwasm.core.runtime.structs import struct_class
from asyncwasm.core.types import ANYREF, EXTERNREF, I64, FieldType, StructType, SubType, rec_group

pytest.importorskip("llvmlite")

from asyncwasm.core.exec.native import abi, recycling, structs


@pytest.fixture(autouse=True)
def enabled() -> None:
    recycling.enable()


def make_class(*storages: Any, supertype: Any = None) -> type[StructRef]:
    comp = StructType(tuple(FieldType(storage, mutable=True) for storage in storages))
    return struct_class(rec_group([SubType(comp, False, supertype)]).types[0])


def function_of(cls: type, place: int) -> int:
    return recycling._word(cls, place).value


def test_classes_have_our_functions():
    small, other, large = (make_class(*[ANYREF] * count) for count in (2, 63, 64))
    for place in recycling._PLACES.values():
        assert function_of(small, place) == function_of(other, place) != function_of(large, place)
    assert function_of(make_class(I64, ANYREF, I64, EXTERNREF), abi.TYPE_MAP) == 0b10101
    assert function_of(make_class(I64), abi.TYPE_MAP) == 1
    assert function_of(large, abi.TYPE_MAP) == 0


def test_the_collector_finds_what_they_refer_to():
    cls = make_class(ANYREF, I64, ANYREF)
    inner = cls(None, 5, None)
    outer = cls(inner, 7, inner)
    assert gc.get_referents(outer) == [inner, inner, cls]
    assert gc.get_referents(inner) == [cls]


@pytest.mark.parametrize("others", [(), [I64] * 15, [I64] * 20, [I64] * 70, [ANYREF] * 70])
def test_long_chains(others):
    base = make_class(ANYREF)
    cls = make_class(ANYREF, *others, supertype=base.type)
    default = [0 if storage is I64 else None for storage in others]
    head = None
    for _ in range(100_000):
        head = base(cls(head, *default))
    gone = weakref.ref(ExternRef(1), lambda _: None)
    del head
    assert gone() is None


def test_long_chains_through_host_objects():
    class Host:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

    cls = make_class(EXTERNREF)
    head = None
    for _ in range(100_000):
        head = cls(ExternRef(Host([head])))
    del head


def test_memory_that_is_kept_is_bounded():
    for count in (0, 1, 3, 16, 17):
        cls = make_class(*[ANYREF] * count)
        made = [cls(*[None] * count) for _ in range(50_000)]
        del made
        if count < structs.LISTS:
            first, room = structs._WORDS[2 * count : 2 * count + 2]
            assert first
            assert room < cls.__basicsize__


def test_what_goes_while_others_go():
    """A finalizer makes structs, in blocks that were freed a moment before."""
    cls = make_class(EXTERNREF, ANYREF)
    seen = []

    class Host:
        def __del__(self) -> None:
            chain = None
            for number in range(50):
                chain = cls(ExternRef(number), chain)
            seen.append(chain.f0.value)

    head = None
    for _ in range(100):
        head = cls(ExternRef(Host()), cls(None, head))
    del head
    assert seen == [49] * 100


@pytest.mark.parametrize("count", [2, 63, 64, 100])
def test_cycles(count):
    class Host:
        pass

    base = make_class(EXTERNREF, ANYREF)
    cls = make_class(EXTERNREF, *[ANYREF] * (count - 1), supertype=base.type)
    gone = []
    for _ in range(3):
        host = Host()
        host.ring = cls(ExternRef(host), *[None] * (count - 1))
        host.ring.f1 = base(None, host.ring)
        setattr(host.ring, f"g{count - 1}" if count > 10 else "f1", base(None, host.ring))
        gone.append(weakref.ref(host))
        del host
    gc.collect()
    assert [ref() for ref in gone] == [None] * 3


def test_objects_that_were_there_before():
    """Python made them, and native code appears while they are in use."""
    program = """if 1:
        import gc
        from asyncwasm.core.runtime.structs import struct_class
        from asyncwasm.core.types import *
        def make(supertype, *storages):
            fields = tuple(FieldType(storage, mutable=True) for storage in storages)
            ty = rec_group([SubType(StructType(fields), False, supertype)]).types[0]
            return struct_class(ty)
        base = make(None, ANYREF)
        derived = make(base.type, ANYREF, I64, ANYREF)
        def chain():
            head = None
            for number in range(10_000):
                head = base(derived(head, number, None))
            return head
        one, two = chain(), chain()
        two.f0.f2 = two
        del one
        from asyncwasm.core.exec.native import recycling
        recycling.enable()
        one, two = two, chain()
        kept = two.f0.f0
        del one, two
        gc.collect()
        assert kept.f0.f1 == 9998
        assert sum(isinstance(o, base) for o in gc.get_objects()) == 19998
        leak = chain()  # goes with the process
        """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
