"""Type definitions: canonical groups and the subtype declarations that decoding checks."""

from __future__ import annotations

import pytest

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.isa.features import ALL
from asyncwasm.core.types import (
    ArrayType,
    DefType,
    FieldType,
    FuncType,
    PackedType,
    RefType,
    StructType,
)
from asyncwasm.errors import MalformedError, ResourceLimitError, ValidationError
from tests.core.binary import build as b


def types(*definitions: bytes) -> list[DefType]:
    return decode_module(b.module(b.section(b.TYPE, *definitions)), ALL).types


def rec(*definitions: bytes) -> bytes:
    return b"\x4e" + b.vec(*definitions)


def sub(composite: bytes, *supers: int, final: bool = False) -> bytes:
    return (b"\x4f" if final else b"\x50") + b.vec(*map(b.u, supers)) + composite


def struct(*fields: bytes) -> bytes:
    return b"\x5f" + b.vec(*fields)


def ref(index: int, null: bool = True) -> bytes:
    return (b"\x63" if null else b"\x64") + b.s(index)


CONST_I32 = b"\x7f\0"
MUT_I8 = b"\x78\x01"


def test_fields_and_elements():
    pair, array = types(struct(CONST_I32, MUT_I8), b"\x5e\x77\0")
    assert isinstance(pair.comp, StructType)
    assert [str(field) for field in pair.comp.fields] == ["i32", "(mut i8)"]
    assert array.comp == ArrayType(FieldType(PackedType.I16))
    assert pair.final
    assert array.final


def test_equal_definitions_are_one_type():
    first, second, third = types(b.func_type([b.I32]), b.func_type([b.I32]), b.func_type())
    assert first is second
    assert first is not third
    assert types(rec(b.func_type([b.I32]))) == [first]


def test_equal_groups_are_the_same_in_every_module():
    group = rec(struct(ref(1) + b"\0"), struct(ref(0) + b"\0"))
    shifted = rec(struct(ref(2) + b"\0"), struct(ref(1) + b"\0"))
    a, c = types(group)
    assert types(b.func_type(), shifted)[1:] == [a, c]
    assert a is not c
    # Only the whole group counts: alone, neither of them is the same.
    assert types(struct(ref(0) + b"\0"))[0] not in (a, c)


def test_a_type_may_be_in_its_own_definition():
    (ty,) = types(b"\x60\x01" + ref(0, null=False) + b"\0")
    assert ty.comp == FuncType((RefType(False, ty),), ())


def test_references_out_of_the_group():
    outer, inner = types(b.func_type(), rec(struct(ref(0) + b"\0")))
    assert inner.comp == StructType((FieldType(outer.ref_null),))


def test_subtypes():
    parent, child, last = types(
        sub(struct(CONST_I32)),
        sub(struct(CONST_I32, MUT_I8), 0),
        sub(struct(CONST_I32, MUT_I8), 1, final=True),
    )
    assert last.supers == {parent, child, last}
    assert child.supertype is parent
    assert [ty.final for ty in (parent, child, last)] == [False, False, True]


def test_subtypes_inside_of_a_group():
    parent, child = types(rec(sub(struct(ref(0) + b"\0")), sub(struct(ref(1) + b"\0"), 0)))
    assert child.matches(parent)


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ([struct(ref(1) + b"\0")], "unknown type 1"),
        ([rec(struct(ref(2) + b"\0"), struct())], "unknown type 2"),
        ([struct(ref(1) + b"\0"), struct()], "unknown type 1"),
        ([sub(struct(), 1)], "unknown type 1"),
        ([sub(struct(), 0)], "uses type 0 before its definition"),
        ([rec(sub(struct(), 1), sub(struct()))], "uses type 1 before its definition"),
        ([struct(), sub(struct(), 0)], "final super type"),
        ([sub(struct()), sub(struct()), sub(struct(), 0, 1)], "more than one super type"),
        ([sub(struct(CONST_I32)), sub(struct(), 0)], "does not match"),
        ([sub(struct(MUT_I8)), sub(struct(b"\x77\x01"), 0)], "does not match"),
        ([sub(struct(CONST_I32)), sub(struct(b"\x7f\x01"), 0)], "does not match"),
        ([sub(b.func_type()), sub(struct(), 0)], "does not match"),
        ([sub(b.func_type()), sub(b.func_type([b.I32]), 0)], "does not match"),
        ([sub(b"\x5e\x7f\0"), sub(b"\x5e\x7e\0", 0)], "does not match"),
    ],
)
def test_invalid_definitions(definitions: list[bytes], message: str):
    with pytest.raises(ValidationError, match=message) as caught:
        types(*definitions)
    assert caught.value.offset is not None


def test_heap_types_have_33_bits():
    with pytest.raises(ValidationError, match="unknown type 4294967295"):
        types(struct(b"\x63" + b.s(0xFFFFFFFF) + b"\0"))
    with pytest.raises(MalformedError, match="integer too large"):
        types(struct(b"\x63\x80\x80\x80\x80\x10\0"))


def test_abstract_heap_types_have_one_byte():
    """The same number in a longer encoding is not a heap type."""
    with pytest.raises(MalformedError, match="malformed heap type"):
        types(struct(b"\x63\xf0\x7f\0"))


def test_the_depth_of_subtyping_is_limited():
    chain = [sub(struct())] + [sub(struct(), index) for index in range(63)]
    assert len(types(*chain)[-1].supers) == 64
    for too_deep in ([*chain, sub(struct(), 63)], [rec(*chain, sub(struct(), 63))]):
        with pytest.raises(ResourceLimitError, match="64 levels of subtyping"):
            types(*too_deep)
