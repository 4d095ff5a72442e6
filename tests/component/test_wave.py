"""WAVE: values as text, both ways."""

from __future__ import annotations

import contextlib
import math
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncwasm.component.types import (
    Borrow,
    Enum,
    Flags,
    Future,
    List,
    Map,
    Option,
    Own,
    Primitive,
    Record,
    Result,
    Stream,
    Tuple,
    ValType,
    Variant,
)
from asyncwasm.component.values import Classes, Err, Ok, Some
from asyncwasm.component.wave import (
    WaveError,
    call_name,
    format_value,
    parse_arguments,
    parse_value,
)
from asyncwasm.core.isa.numeric import f32_from_bits, f32_to_bits

P = Primitive
CLASSES = Classes()
POINT = Record((("x", P.S32), ("y-axis", Option(P.STRING))))
SHAPE = Variant((("circle", P.F64), ("none", None), ("of-shapes", List(P.U16))))
COLOR = Enum(("red", "ok", "dark-blue"))
RIGHTS = Flags(("read", "write", "true"))


def parse(text: str, ty: ValType) -> Any:
    return parse_value(text, ty, CLASSES)


def made(ty: ValType) -> Any:
    return CLASSES.of(ty)


CASES: list[tuple[ValType, Any, str]] = [
    (P.BOOL, True, "true"),
    (P.U8, 255, "255"),
    (P.S64, -(1 << 63), "-9223372036854775808"),
    (P.F64, 0.1, "0.1"),
    (P.F64, 3.0, "3"),
    (P.F32, -math.inf, "-inf"),
    (P.CHAR, "'", "'\\''"),
    (P.CHAR, "\U0001f370", "'\U0001f370'"),
    (P.STRING, 'a "quoted"\n\\\x00', '"a \\"quoted\\"\\n\\\\\\u{0}"'),
    (List(P.U8), b"\1\2", "[1, 2]"),
    (List(P.BOOL), [], "[]"),
    (List(P.U32, 2), [1, 2], "[1, 2]"),
    (Tuple((P.U8, P.STRING)), (1, "a"), '(1, "a")'),
    (Map(P.STRING, P.U8), {"a": 1, "b": 2}, '[("a", 1), ("b", 2)]'),
    (Option(P.U8), None, "none"),
    (Option(P.U8), 1, "some(1)"),
    (Option(Option(P.U8)), None, "none"),
    (Option(Option(P.U8)), Some(None), "some(none)"),
    (Option(Option(P.U8)), Some(1), "some(some(1))"),
    (Result(P.U8, P.STRING), Ok(1), "ok(1)"),
    (Result(P.U8, P.STRING), Err("no"), 'err("no")'),
    (Result(None, None), Ok(), "ok"),
    (Result(None, None), Err(), "err"),
    (POINT, made(POINT)(1, "up"), '{x: 1, y-axis: some("up")}'),
    (POINT, made(POINT)(1, None), "{x: 1}"),
    (Record((("a", Option(P.U8)),)), made(Record((("a", Option(P.U8)),)))(None), "{:}"),
    (SHAPE, made(SHAPE).wit_cases["circle"](0.5), "circle(0.5)"),
    (SHAPE, made(SHAPE).wit_cases["none"](), "%none"),
    (COLOR, made(COLOR)("dark-blue"), "dark-blue"),
    (COLOR, made(COLOR)("ok"), "%ok"),
    (RIGHTS, made(RIGHTS)(0), "{}"),
    (RIGHTS, made(RIGHTS)(5), "{read, %true}"),
]


@pytest.mark.parametrize(("ty", "value", "text"), CASES)
def test_both_ways(ty: ValType, value: Any, text: str) -> None:
    assert format_value(value, ty) == text
    assert parse(text, ty) == value


@pytest.mark.parametrize(
    ("text", "ty", "value"),
    [
        ("1e3", P.F64, 1000.0),
        ("1", Option(P.U8), 1),
        ("[1, none, some(2),]", List(Option(P.U8)), [1, None, 2]),
        ("1", Result(P.U8, None), Ok(1)),
        ("( 1 , // one\n 2 )", Tuple((P.U8, P.U8)), (1, 2)),
        ('"\\u{1F370}\\t\\\'"', P.STRING, "\U0001f370\t'"),
        ('"""\n  a\n    "b"\n\n  c\\n\n  """', P.STRING, 'a\n  "b"\n\nc\n'),
        ('"""\n"""', P.STRING, ""),
        ("{ : }", Record((("a", Option(P.U8)),)), made(Record((("a", Option(P.U8)),)))(None)),
        ('{y-axis: "a", x: 0}', POINT, made(POINT)(0, "a")),
        ("of-shapes([1])", SHAPE, made(SHAPE).wit_cases["of-shapes"]([1])),
        ("%red", COLOR, made(COLOR)("red")),
        ("{write, write}", RIGHTS, made(RIGHTS)(2)),
    ],
)
def test_other_spellings(text: str, ty: ValType, value: Any) -> None:
    assert parse(text, ty) == value


def test_nan() -> None:
    assert math.isnan(parse("nan", P.F32))
    assert format_value(math.nan, P.F64) == "nan"


@pytest.mark.parametrize(
    ("text", "ty", "message"),
    [
        ("256", P.U8, "expected an integer from 0 to 255, got `256` (at character 1)"),
        ("9" * 10_000, P.U8, "expected an integer from 0 to 255"),
        ("-1", P.U64, "expected an integer from 0"),
        ("true", P.U8, "expected an integer, got `true`"),
        ("1 2", P.U8, "expected the end, got `2` (at character 3)"),
        ("", P.U8, "expected an integer, got the end"),
        ("yes", P.BOOL, "expected `true` or `false`, got `yes`"),
        ("1e39", P.F32, "`1e39` is too large for `f32`"),
        ("-nan", P.F32, "expected a number"),
        ("'ab'", P.CHAR, "expected one character"),
        ("'a", P.CHAR, "the string is not closed"),
        ('"a', P.STRING, "the string is not closed"),
        ('"\\x"', P.STRING, "invalid escape in a string (at character 2)"),
        ('"\\u{d800}"', P.STRING, "invalid escape"),
        ('"""a"""', P.STRING, "expected a line break"),
        ('"""\na\n  """', P.STRING, "to be indented"),
        ("[1 2]", List(P.U8), "expected `]`, got `2`"),
        ("[1]", List(P.U8, 2), "expected 2 elements, got 1"),
        ("(1)", Tuple((P.U8, P.U8)), "expected 2 values, got 1"),
        ("(1, 2, 3)", Tuple((P.U8, P.U8)), "expected no more than 2 values"),
        ("ok", Option(P.U8), "expected an integer, got `ok`"),
        ("1", Option(Option(P.U8)), "expected `some` or `none`"),
        ("1", Result(None, P.U8), "expected `ok` or `err`"),
        ("1", Result(Option(P.U8), None), "expected `ok` or `err`"),
        ("{}", POINT, "field `x` is missing"),
        ("{x: 1, x: 2}", POINT, "field `x` comes twice"),
        ("{z: 1}", POINT, "expected one of `x`, `y-axis`, got `z`"),
        ("none", SHAPE, "expected one of `circle`, `%none`, `of-shapes`, got `none`"),
        ("circle", SHAPE, "expected `(`, got the end"),
        ("{execute}", RIGHTS, "expected one of `read`, `write`, `%true`, got `execute`"),
        ("1", Own(0), "a value of type `own` cannot be written"),
        ("1", P.ERROR_CONTEXT, "a value of type `error-context` cannot be written"),
    ],
)
def test_errors(text: str, ty: ValType, message: str) -> None:
    with pytest.raises(WaveError) as caught:
        parse(text, ty)
    assert message in str(caught.value)


@pytest.mark.parametrize("ty", [Own(0), Borrow(0), Stream(None), Future(P.U8), P.ERROR_CONTEXT])
def test_what_has_no_text(ty: ValType) -> None:
    with pytest.raises(ValueError, match="has no text"):
        format_value(object(), ty)


def test_calls() -> None:
    types: list[ValType] = [P.U8, P.STRING, Option(P.U8)]
    assert call_name(' f-2(1, "x")') == "f-2"
    assert call_name("a:b/c@1.0.0#f()") == "a:b/c@1.0.0#f"
    assert call_name("f") == "f"
    assert parse_arguments('f(1, "x)")', types, CLASSES) == [1, "x)", None]
    assert parse_arguments('f ( 1, "x", 2 )', types, CLASSES) == [1, "x", 2]
    assert parse_arguments("f", [], CLASSES) == []
    with pytest.raises(WaveError, match="expected 3 arguments, got 1"):
        parse_arguments("f(1)", types, CLASSES)
    with pytest.raises(WaveError, match="expected the end"):
        parse_arguments("f() g", [], CLASSES)


LABELS = st.lists(
    st.from_regex(r"[a-z][a-z0-9]{0,3}(-[a-z0-9]{1,3})?", fullmatch=True),
    min_size=1,
    max_size=5,
    unique=True,
)
SCALARS = st.sampled_from([p for p in P if p is not P.ERROR_CONTEXT])


def compound(inner: st.SearchStrategy[ValType]) -> st.SearchStrategy[ValType]:
    optional = st.none() | inner

    def labelled(made: Any, part: Any) -> Any:
        return LABELS.flatmap(
            lambda labels: st.tuples(*[st.tuples(st.just(n), part) for n in labels]).map(made)
        )

    return st.one_of(
        inner.map(List),
        inner.map(Option),
        st.lists(inner, min_size=1, max_size=3).map(lambda types: Tuple(tuple(types))),
        st.builds(Result, optional, optional),
        labelled(Record, inner),
        labelled(Variant, optional),
        LABELS.map(lambda labels: Enum(tuple(labels))),
        LABELS.map(lambda labels: Flags(tuple(labels))),
    )


TYPES: st.SearchStrategy[ValType] = st.recursive(SCALARS, compound, max_leaves=6)


def values(ty: ValType) -> st.SearchStrategy[Any]:
    match ty:
        case P.BOOL:
            return st.booleans()
        case P.F32:
            singles = st.integers(0, 0xFFFFFFFF).map(f32_from_bits)
            return singles.filter(lambda value: value == value)
        case P.F64:
            return st.floats(allow_nan=False)
        case P.CHAR:
            return st.characters(exclude_categories=["Cs"])
        case P.STRING:
            return st.text(
                st.characters(exclude_categories=["Cs"]) | st.sampled_from(string.punctuation)
            )
        case Primitive():
            bits = int(ty.value[1:])
            low = -1 << (bits - 1) if ty.value[0] == "s" else 0
            return st.integers(low, low + (1 << bits) - 1)
        case List(P.U8, None):
            return st.binary(max_size=4)
        case List(element):
            return st.lists(values(element), max_size=3)
        case Option(Option() as inner):
            return st.none() | values(inner).map(Some)
        case Option(inner):
            return st.none() | values(inner)
        case Tuple(types):
            return st.tuples(*map(values, types))
        case Result(ok, error):
            return _payload(ok).map(Ok) | _payload(error).map(Err)
        case Record(fields):
            return st.tuples(*(values(each) for _, each in fields)).map(lambda v: made(ty)(*v))
        case Variant(cases):
            classes = made(ty).wit_cases
            return st.one_of(
                *(
                    st.just(classes[n]()) if each is None else values(each).map(classes[n])
                    for n, each in cases
                )
            )
        case Enum(labels):
            return st.sampled_from(labels).map(made(ty))
        case Flags(labels):
            return st.integers(0, (1 << len(labels)) - 1).map(made(ty))
    raise AssertionError(ty)


def _payload(ty: ValType | None) -> st.SearchStrategy[Any]:
    return st.none() if ty is None else values(ty)


@given(st.data())
def test_any_value_comes_back(data: st.DataObject) -> None:
    ty = data.draw(TYPES)
    value = data.draw(values(ty))
    text = format_value(value, ty)
    again = parse(text, ty)
    assert again == value
    assert format_value(again, ty) == text
    if ty is P.F32:
        assert f32_to_bits(again) == f32_to_bits(value)


@given(TYPES, st.text(string.printable, max_size=20))
def test_any_text_is_a_value_or_not(ty: ValType, text: str) -> None:
    with contextlib.suppress(WaveError):
        parse(text, ty)
