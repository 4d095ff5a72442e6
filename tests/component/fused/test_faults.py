"""What adapters refuse, and that they refuse no more than that."""

from __future__ import annotations

import random
from typing import Any

import pytest

from asyncwasm.component.fused import MAX_TYPES, Side, adapter
from asyncwasm.component.syntax import StringEncoding
from asyncwasm.component.types import (
    Borrow,
    Enum,
    Flags,
    FuncType,
    Future,
    List,
    Map,
    Option,
    Own,
    Primitive,
    Result,
    Stream,
    Tuple,
    ValType,
    Variant,
)
from asyncwasm.core import Config, Engine
from asyncwasm.errors import CanonicalAbiError, Trap, TrapCode
from tests.component.fused.harness import Call

UTF8, UTF16, LATIN1 = StringEncoding.UTF8, StringEncoding.UTF16, StringEncoding.LATIN1_UTF16
PAGE = 65536
TAG = 1 << 31
PLAIN = Side()


def call(
    *params: ValType,
    result: ValType | None = None,
    caller: Side = PLAIN,
    callee: Side = PLAIN,
    post_return: bool = False,
) -> Call:
    ty = FuncType(tuple((f"p{i}", t) for i, t in enumerate(params)), result)
    engine = Engine(Config(strategy="interpreter"))
    return Call(engine, ty, caller, callee, post_return=post_return)


def outcome(call: Call, *flat: Any) -> Any:
    """What the callee got, or why it was not called."""
    got: list[Any] = []
    call.body = lambda *args: got.extend(args)
    try:
        call.run(*flat)
    except Trap as error:
        return error.code
    except CanonicalAbiError as error:
        return str(error)
    return got


@pytest.mark.parametrize(
    ("ty", "given", "wanted"),
    [
        (Primitive.BOOL, 256, 1),
        (Primitive.U8, 0x1FF, 0xFF),
        (Primitive.S8, 0x180, 0xFFFFFF80),
        (Primitive.U16, 0x1FFFF, 0xFFFF),
        (Primitive.S16, 0x18000, 0xFFFF8000),
        (Primitive.CHAR, 0x10FFFF, 0x10FFFF),
        (Primitive.CHAR, 0xD7FF, 0xD7FF),
        (Primitive.CHAR, 0xE000, 0xE000),
        (Primitive.CHAR, 0xD800, TrapCode.INVALID_CHAR),
        (Primitive.CHAR, 0xDFFF, TrapCode.INVALID_CHAR),
        (Primitive.CHAR, 0x110000, TrapCode.INVALID_CHAR),
        (Primitive.CHAR, 0x8000D800, TrapCode.INVALID_CHAR),
        (Flags(("a", "b", "c")), 0xFF, 7),
        (Flags(tuple(f"f{i}" for i in range(32))), 0xFFFFFFFF, 0xFFFFFFFF),
        (Enum(("a", "b")), 1, 1),
        (Enum(("a", "b")), 2, TrapCode.INVALID_DISCRIMINANT),
    ],
)
def test_scalars(ty: ValType, given: int, wanted: Any) -> None:
    found = outcome(call(ty), given)
    assert found == (wanted if isinstance(wanted, TrapCode) else [wanted])


def test_discriminants() -> None:
    one = call(Variant((("a", None), ("b", Primitive.F32))))
    assert outcome(one, 0, 0) == [0, 0]
    assert outcome(one, 2, 0) is TrapCode.INVALID_DISCRIMINANT
    assert outcome(call(Option(Primitive.CHAR)), 0, 0xD800) == [0, 0]
    assert outcome(call(Option(Primitive.CHAR)), 1, 0xD800) is TrapCode.INVALID_CHAR


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    ("ty", "unit", "align", "code"),
    [
        (Primitive.STRING, 1, 1, TrapCode.STRING_OUT_OF_BOUNDS),
        (List(Primitive.U8), 1, 1, TrapCode.LIST_OUT_OF_BOUNDS),
        (List(Primitive.U64), 8, 8, TrapCode.LIST_OUT_OF_BOUNDS),
        (Map(Primitive.U8, Primitive.U32), 8, 4, TrapCode.LIST_OUT_OF_BOUNDS),
    ],
)
def test_ranges(ty: ValType, unit: int, align: int, code: TrapCode, wide: bool) -> None:
    one = call(ty, caller=Side(memory64=wide), callee=Side(memory64=wide))
    most = (1 << 64) - 1 if wide else (1 << 32) - 1
    assert isinstance(outcome(one, PAGE, 0), list)
    assert isinstance(outcome(one, PAGE - 64, 64 // unit), list)
    assert outcome(one, PAGE - 64, 64 // unit + 1) is code
    assert outcome(one, PAGE + align, 0) is code
    assert outcome(one, most - 7, 8 // unit) is code
    assert outcome(one, 0, most) is code
    assert outcome(one, 0, (1 << 28) // unit) is code
    if align > 1:
        assert outcome(one, align // 2, 0) is TrapCode.UNALIGNED_POINTER


def test_alignment_of_strings() -> None:
    assert outcome(call(Primitive.STRING, caller=Side(UTF16)), 1, 0) is TrapCode.UNALIGNED_POINTER
    for length in (0, TAG):
        one = call(Primitive.STRING, caller=Side(LATIN1))
        assert outcome(one, 1, length) is TrapCode.UNALIGNED_POINTER


def place(one: Call, data: bytes) -> int:
    one.caller.memory.view[16 : 16 + len(data)] = data
    return 16


def text(one: Call, encoding: str, pointer: int, length: int) -> str:
    unit = 2 if encoding == "utf-16-le" else 1
    return str(one.callee.memory.view[pointer : pointer + length * unit], encoding)


@pytest.mark.slow
@pytest.mark.parametrize("target", [UTF8, UTF16, LATIN1])
def test_utf8(target: StringEncoding) -> None:
    """Exactly what Python decodes is text."""
    one = call(Primitive.STRING, callee=Side(target))
    rng = random.Random(1)
    edges = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xC3, 0xDF]
    edges += [0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]
    found = set()
    for _ in range(4000):
        data = bytes(rng.choices(edges, k=rng.randrange(1, 6)))
        if rng.random() < 0.3:
            data = b"plain text " + data
        try:
            wanted: Any = data.decode()
        except UnicodeDecodeError:
            wanted = "invalid utf8 encoding"
        got = outcome(one, place(one, data), len(data))
        if isinstance(got, list):
            pointer, length = got
            encoding = {UTF8: "utf-8", UTF16: "utf-16-le"}.get(target, "latin-1")
            if target is LATIN1 and length & TAG:
                encoding, length = "utf-16-le", length ^ TAG
            got = text(one, encoding, pointer, length)
        assert got == wanted, data
        found.add(isinstance(wanted, str) and wanted != "invalid utf8 encoding")
        one.callee.top = 8
    assert found == {True, False}


@pytest.mark.parametrize("target", [UTF8, UTF16, LATIN1])
@pytest.mark.parametrize("source", [UTF16, LATIN1])
def test_utf16(source: StringEncoding, target: StringEncoding) -> None:
    one = call(Primitive.STRING, caller=Side(source), callee=Side(target))
    tag = TAG if source is LATIN1 else 0
    rng = random.Random(2)
    units = [0x41, 0xE9, 0xFF, 0x100, 0x7FF, 0x800, 0xD7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000]
    for _ in range(600):
        data = b"".join(u.to_bytes(2, "little") for u in rng.choices(units, k=rng.randrange(5)))
        try:
            wanted: Any = data.decode("utf-16-le")
        except UnicodeDecodeError:
            wanted = "invalid utf16 encoding"
        got = outcome(one, place(one, data), len(data) // 2 | tag)
        if isinstance(got, list):
            pointer, length = got
            encoding = {UTF8: "utf-8", UTF16: "utf-16-le"}.get(target, "latin-1")
            if target is LATIN1 and length & TAG:
                encoding, length = "utf-16-le", length ^ TAG
            got = text(one, encoding, pointer, length)
        assert got == wanted, data
        one.callee.top = 8


@pytest.mark.parametrize(
    ("ty", "code"),
    [
        (List(Primitive.U32), TrapCode.LIST_OUT_OF_BOUNDS),
        (Primitive.STRING, TrapCode.STRING_OUT_OF_BOUNDS),
    ],
)
def test_allocators(ty: ValType, code: TrapCode) -> None:
    one = call(ty, callee=Side(UTF16))
    one.callee.realloc = lambda *args: PAGE + 8  # type: ignore[method-assign]
    assert outcome(one, 0, 2) is code
    one = call(ty, callee=Side(UTF16))
    one.callee.realloc = lambda *args: 9  # type: ignore[method-assign]
    assert outcome(one, 0, 2) is TrapCode.UNALIGNED_POINTER


def test_spilled() -> None:
    many = [Primitive.U64] * 17
    one = call(*many, result=Tuple((Primitive.U8, Primitive.U64)))
    assert outcome(one, 4, 64) is TrapCode.UNALIGNED_POINTER
    assert outcome(one, PAGE - 128, 64) is TrapCode.MEMORY_OUT_OF_BOUNDS
    one.body = lambda pointer: pointer
    one.callee.calls.clear()
    one.run(0, 64)
    assert one.callee.calls == [(0, 0, 8, 136)]
    for returned, pointer, code in (
        (4, 64, TrapCode.UNALIGNED_POINTER),
        (PAGE - 8, 64, TrapCode.MEMORY_OUT_OF_BOUNDS),
        (0, 4, TrapCode.UNALIGNED_POINTER),
        (0, PAGE - 8, TrapCode.MEMORY_OUT_OF_BOUNDS),
    ):
        one.body = lambda _, returned=returned: returned
        with pytest.raises(Trap) as caught:
            one.run(0, pointer)
        assert caught.value.code is code


def test_leaving() -> None:
    one = call(Primitive.U8, result=Primitive.U32, post_return=True)
    one.body = lambda value: value + 1
    assert one.run(7) == 8
    assert one.events == [("post-return", 8)]
    one.caller.may_leave.value = 0
    assert outcome(one, 7) is TrapCode.CANNOT_LEAVE_COMPONENT


def test_handles() -> None:
    one = call(Own(3), List(Borrow(4)), result=Option(Own(3)))
    seen: list[Any] = []

    def body(own: int, pointer: int, count: int) -> int:
        seen.extend((own, list(one.callee.memory.view[pointer : pointer + 4 * count].cast("I"))))
        one.callee.memory.view[0:8] = b"\1\0\0\0\x2a\0\0\0"
        return 0

    one.body = body
    one.run(5, place(one, b"\1\0\0\0\2\0\0\0"), 2, 128)
    assert seen == [1005, [1001, 1002]]
    assert bytes(one.caller.memory.view[128:136]) == b"\1\0\0\0" + (1042).to_bytes(4, "little")
    assert one.events == [
        ("enter",),
        ("own.caller.3", 5),
        ("borrow.caller.4", 1),
        ("borrow.caller.4", 2),
        ("returned",),
        ("own.callee.3", 42),
        ("leave",),
    ]


@pytest.mark.parametrize(
    "ty",
    [
        Stream(Primitive.U8),
        List(Future(None)),
        Result(None, Primitive.ERROR_CONTEXT),
        Tuple((Primitive.U8,) * MAX_TYPES),
        Tuple((Tuple((Primitive.U8,) * 30),) * 30),
    ],
)
def test_none(ty: ValType) -> None:
    assert adapter(FuncType((("a", ty),)), Side(), Side()) is None
    assert adapter(FuncType((), ty), Side(), Side()) is None


def test_scalars_need_little() -> None:
    made = adapter(FuncType((("a", Primitive.U32),), Primitive.F64), Side(), Side())
    assert made is not None
    assert made.imports == ("trap", "callee", "caller.may-leave")
