"""What a guest may do wrong, and what too much is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from asyncwasm.component.abi import Abi, Options
from asyncwasm.component.abi.layout import flatten, size
from asyncwasm.component.syntax import StringEncoding
from asyncwasm.component.types import (
    Enum,
    List,
    Map,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    ValType,
    Variant,
)
from asyncwasm.component.values import Classes
from asyncwasm.core.types import NumType
from asyncwasm.errors import CanonicalAbiError, ResourceLimitError, Trap, TrapCode

from .generated import Context

P = Primitive
BILLION = 1_000_000_000


def lift(ty: ValType, flat: list[int], cx: Context | None = None, **options) -> object:
    return Abi(Classes()).lift_params((("v", ty),), Options(**options))(cx or Context(), flat)


@pytest.mark.parametrize(
    ("ty", "flat", "text", "code"),
    [
        (P.STRING, [1 << 31, 0], "string pointer/length out of bounds", "STRING_OUT_OF_BOUNDS"),
        (P.STRING, [0, BILLION], "string pointer/length out of bounds", "STRING_OUT_OF_BOUNDS"),
        (List(P.U8), [0, BILLION], "list pointer/length out of bounds", "LIST_OUT_OF_BOUNDS"),
        (List(P.U64), [8, 1 << 31], "list pointer/length out of bounds", "LIST_OUT_OF_BOUNDS"),
        (List(P.U64), [4, 0], "list pointer is not aligned", "UNALIGNED_POINTER"),
        (Map(P.U8, P.U32), [2, 0], "map pointer is not aligned", "UNALIGNED_POINTER"),
        (Map(P.U8, P.U8), [0, 1 << 30], "map pointer/length out of", "LIST_OUT_OF_BOUNDS"),
        (P.CHAR, [0xD800], "converted integer out of range for `char`", "INVALID_CHAR"),
        (P.CHAR, [0x110000], "converted integer out of range for `char`", "INVALID_CHAR"),
        (Enum(("a", "b")), [2], r"discriminant 2 out of range \[0..2\)", "INVALID_DISCRIMINANT"),
        (Option(P.U8), [9, 0], r"discriminant 9 out of range", "INVALID_DISCRIMINANT"),
        (Result(P.U8, None), [2, 0], r"discriminant 2 out of range", "INVALID_DISCRIMINANT"),
        (Variant((("a", None),)), [1], r"discriminant 1 out of", "INVALID_DISCRIMINANT"),
        (Tuple((P.U32,) * 17), [2], "^pointer not aligned", "UNALIGNED_POINTER"),
        (Tuple((P.U32,) * 17), [65536 - 4], "^pointer out of bounds$", "MEMORY_OUT_OF_BOUNDS"),
    ],
    ids=str,
)
def test_faults_of_the_guest(ty: ValType, flat: list[int], text: str, code: str) -> None:
    with pytest.raises(CanonicalAbiError, match=text):
        lift(ty, flat)
    with pytest.raises(Trap) as caught:
        lift(ty, flat, adapter=True)
    assert caught.value.code is TrapCode[code]


def test_results() -> None:
    take = Abi(Classes()).lift_result(P.STRING, Options())
    with pytest.raises(CanonicalAbiError, match="^return pointer not aligned$"):
        take(Context(), 2)
    with pytest.raises(CanonicalAbiError, match="^pointer out of bounds of memory$"):
        take(Context(), 65532)
    give = Abi(Classes()).lower_result(P.STRING, Options())
    with pytest.raises(CanonicalAbiError, match="^pointer not aligned$"):
        give(Context(), "a", 2)
    with pytest.raises(CanonicalAbiError, match="^pointer out of bounds$"):
        Abi(Classes()).check_out(P.STRING, Options())(Context(), 65532)


@pytest.mark.parametrize(
    ("encoding", "data", "text"),
    [
        (StringEncoding.UTF8, b"a\xff", "invalid utf-8 sequence of 1 bytes from index 1"),
        (StringEncoding.UTF8, b"a\xc3", "incomplete utf-8 byte sequence from index 1"),
        (StringEncoding.UTF8, b"\xed\xa0\x80", "invalid utf-8 sequence"),
        (StringEncoding.UTF16, b"\x00\xd8", "invalid utf16 encoding"),
        (StringEncoding.UTF16, b"\x00\xdca\x00", "invalid utf16 encoding"),
    ],
)
def test_text_that_is_none(encoding: StringEncoding, data: bytes, text: str) -> None:
    cx = Context()
    cx.memory.data[8 : 8 + len(data)] = data
    units = len(data) // (2 if encoding is StringEncoding.UTF16 else 1)
    with pytest.raises(CanonicalAbiError, match=text):
        lift(P.STRING, [8, units], cx, string_encoding=encoding)


def test_utf16_must_be_aligned_even_where_empty() -> None:
    for length in (0, 1 << 31):
        for encoding in (StringEncoding.UTF16, StringEncoding.LATIN1_UTF16):
            with pytest.raises(CanonicalAbiError, match="string pointer is not aligned"):
                lift(P.STRING, [1, length], string_encoding=encoding)


@pytest.mark.parametrize(
    ("value", "pointer", "text", "code"),
    [
        ([], 0xFFFF_FFFC, "realloc return: beyond end of memory", "LIST_OUT_OF_BOUNDS"),
        ([1], 0xFFFF_FFFF, "realloc return: result not aligned", "UNALIGNED_POINTER"),
        ("", 0xFFFF_FFFC, "realloc return: beyond end of memory", "STRING_OUT_OF_BOUNDS"),
    ],
)
def test_realloc(value: object, pointer: int, text: str, code: str) -> None:
    class Wild(Context):
        def realloc(self, *args: int) -> int:
            return pointer

    params = (("v", P.STRING if isinstance(value, str) else List(P.U32)),)
    with pytest.raises(CanonicalAbiError, match=text):
        Abi(Classes()).lower_params(params, Options())(Wild(), (value,))
    with pytest.raises(Trap) as caught:
        Abi(Classes()).lower_params(params, Options(adapter=True))(Wild(), (value,))
    assert caught.value.code is TrapCode[code]


def test_fuel() -> None:
    cx = Context()
    cx.fuel = 1000
    nested = List(List(P.STRING))
    # A list of lists of the same long string: little memory, much to copy.
    cx.memory.data[0:8] = (64).to_bytes(4, "little") + (600).to_bytes(4, "little")
    cx.memory.data[8:16] = (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
    assert lift(nested, [8, 1], cx)
    with pytest.raises(ResourceLimitError, match="fuel allocated for hostcalls"):
        lift(nested, [8, 1], cx)


def test_deep_types() -> None:
    ty: ValType = P.U8
    for i in range(33):
        ty = Record(
            (
                (
                    "f",
                    Option(Tuple((ty, List(P.U8)))),
                ),
                (f"g{i}", P.U8),
            )
        )
    cx = Context()
    [value] = lift(ty, [16], cx)
    assert value.f is None
    assert len(flatten(ty, NumType.I32)) == 17
    value = 7
    for i in range(33):
        value = {"f": (value, b"x"), f"g{i}": i}
    abi = Abi(Classes())
    flat = abi.lower_params((("v", ty),), Options())(cx, (value,))
    [again] = abi.lift_params((("v", ty),), Options())(cx, flat)
    for i in reversed(range(33)):
        assert getattr(again, f"g{i}") == i
        again, data = again.f
        assert data == b"x"
    assert again == 7


def test_threads_share_what_is_compiled() -> None:
    types = [Tuple((List(Enum(tuple(f"e{i}" for i in range(n)))), P.STRING)) for n in range(1, 60)]
    abi = Abi(Classes())

    def work(ty: ValType) -> object:
        cx = Context()
        label = ty.types[0].element.labels[-1]
        flat = abi.lower_params((("v", ty),), Options())(cx, (([label], label),))
        return abi.lift_params((("v", ty),), Options())(cx, flat)[0][0][0].value == label

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, types * 4))


def test_wide_types() -> None:
    huge = List(List(P.U32, 1 << 20), 1 << 20)
    assert size(huge, 4) == 1 << 42
    assert len(flatten(huge, NumType.I32)) == 17
    cases = Variant(tuple((f"c{i}", P.U32 if i % 2 else None) for i in range(700)))
    for number in (0, 1, 255, 256, 698, 699):
        [value] = lift(cases, [number, 5])
        assert value.case == f"c{number}"
        assert getattr(value, "value", None) == (5 if number % 2 else None)
    with pytest.raises(CanonicalAbiError):
        lift(cases, [700, 0])
