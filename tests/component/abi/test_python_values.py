"""Which Python values lowering takes, what it refuses and in which words."""

from __future__ import annotations

import enum
import math
from array import array
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from asyncwasm.component.abi import Abi, Options
from asyncwasm.component.types import (
    Enum,
    Flags,
    List,
    Map,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    Variant,
)
from asyncwasm.component.values import Classes, Err, Ok, Some

from .generated import Context

P = Primitive
POINT = Record((("x", P.S32), ("the-label", P.STRING)))
SHAPE = Variant((("circle", P.F64), ("empty", None), ("at", POINT)))
COLOR = Enum(("red", "dark-blue"))
RIGHTS = Flags(("read", "write", "run-it"))


def name(value: object) -> str:
    """A name that is the same in every process."""
    text = str(value)
    return type(value).__name__ if " at 0x" in text else text


@pytest.fixture
def classes() -> Classes:
    made = Classes()
    for ty, name in ((POINT, "point"), (SHAPE, "shape"), (COLOR, "color"), (RIGHTS, "rights")):
        made.name(ty, name)
    return made


def echo(classes: Classes, ty, value, options: Options = Options()):  # noqa: B008
    """`value` lowered and lifted, flat and by way of a memory."""
    abi = Abi(classes)
    cx = Context()
    flat = abi.lower_params((("v", ty),), options)(cx, (value,))
    [result] = abi.lift_params((("v", ty),), options)(cx, flat)
    many = (ty,) * 17
    spilled = abi.lower_params((("v", Tuple(many)),), options)(cx, ((value,) * 17,))
    [again] = abi.lift_params((("v", Tuple(many)),), options)(cx, spilled)
    assert again == (result,) * 17
    return result


def refuse(classes: Classes, ty, value, error: type[Exception], text: str) -> None:
    """Both lowerings refuse `value` in these words."""
    abi = Abi(classes)
    with pytest.raises(error) as caught:
        abi.lower_params((("v", ty),), Options())(Context(), (value,))
    assert str(caught.value) == text
    with pytest.raises(error) as caught:
        abi.lower_params((("v", List(Tuple((ty,)))),), Options())(Context(), ([(value,)],))
    assert str(caught.value) == text.replace("v", "v[0][0]", 1)


class Number:
    def __index__(self) -> int:
        return 7


class Real:
    def __float__(self) -> float:
        return 2.5


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("ty", "value", "result"),
    [
        (P.U8, Number(), 7),
        (P.S64, Level.HIGH, 3),
        (P.F64, 3, 3.0),
        (P.F32, Real(), 2.5),
        (P.F32, 1e300, math.inf),
        (P.F32, 0.1, 0.10000000149011612),
        (List(P.U8), bytearray(b"ab"), b"ab"),
        (List(P.U8), memoryview(b"abcd")[::2], b"ac"),
        (List(P.U8), [1, Number()], b"\x01\x07"),
        (List(P.U8), array("B", [1, 2]), b"\x01\x02"),
        (List(P.U32), array("I", [1, 2]), [1, 2]),
        (List(P.U32), (1, 2), [1, 2]),
        (List(P.U32), b"ab", [97, 98]),
        (List(P.U32), range(3), [0, 1, 2]),
        (List(P.U16), array("I", [1, 2]), [1, 2]),
        (List(P.S8), memoryview(array("b", [-1, 2])), [-1, 2]),
        (List(P.F64), array("d", [0.5]), [0.5]),
        (List(P.F32), [1, Real()], [1.0, 2.5]),
        (List(P.BOOL), (True, False), [True, False]),
        (List(P.CHAR), ["a", "🍰"], ["a", "🍰"]),
        (List(P.U8, 3), b"abc", [97, 98, 99]),
        (List(P.STRING, 2), ("a", "b"), ["a", "b"]),
        (List(P.U16, 10), range(10), list(range(10))),
        (Tuple((P.U8, P.STRING)), [1, "a"], (1, "a")),
        (Option(P.U8), Some(1), 1),
        (Option(P.U8), None, None),
        (Option(Option(P.U8)), Some(None), Some(None)),
        (Option(Option(P.U8)), Some(5), Some(5)),
        (Option(Option(P.U8)), None, None),
        (Result(None, P.STRING), Ok(), Ok()),
        (Result(None, P.STRING), Err("no"), Err("no")),
        (Map(P.STRING, P.U8), {"a": 1, "b": 2}, {"a": 1, "b": 2}),
    ],
    ids=name,
)
def test_values(classes: Classes, ty, value, result) -> None:
    found = echo(classes, ty, value)
    assert found == result
    assert type(found) is type(result)


def test_records(classes: Classes) -> None:
    point = classes.of(POINT)
    wanted = point(x=1, the_label="a")

    @dataclass
    class Own:
        the_label: str
        x: int

    assert repr(wanted) == "Point(x=1, the_label='a')"
    for value in (
        wanted,
        {"x": 1, "the-label": "a"},
        {"x": 1, "the_label": "a"},
        SimpleNamespace(x=1, the_label="a", more=2),
        Own("a", 1),
    ):
        assert echo(classes, POINT, value) == wanted
        assert type(echo(classes, POINT, value)) is point


def test_variants(classes: Classes) -> None:
    shape = classes.of(SHAPE)
    assert echo(classes, SHAPE, shape.Circle(1.5)) == shape.Circle(1.5)
    assert echo(classes, SHAPE, "empty") == shape.Empty()
    assert echo(classes, SHAPE, SimpleNamespace(case="circle", value=2)) == shape.Circle(2.0)
    nested = echo(classes, SHAPE, shape.At({"x": 1, "the-label": "a"}))
    match nested:
        case shape.At(point):
            assert point.x == 1
        case _:
            raise AssertionError(nested)
    assert isinstance(nested, shape)
    assert repr(nested) == "Shape.At(value=Point(x=1, the_label='a'))"


def test_enums_and_flags(classes: Classes) -> None:
    color, rights = classes.of(COLOR), classes.of(RIGHTS)
    assert echo(classes, COLOR, "dark-blue") is color.DARK_BLUE
    assert echo(classes, COLOR, color.RED) is color.RED
    assert echo(classes, COLOR, Classes().of(COLOR).RED) is color.RED
    assert echo(classes, RIGHTS, {"read", "run-it"}) == rights.READ | rights.RUN_IT
    assert echo(classes, RIGHTS, rights.WRITE) == rights.WRITE
    assert echo(classes, RIGHTS, Classes().of(RIGHTS).WRITE) == rights.WRITE
    assert echo(classes, RIGHTS, ()) == rights(0)
    assert (rights.READ | rights.RUN_IT).labels == ("read", "run-it")


def test_a_class_does_not_keep_every_set_of_flags(classes: Classes) -> None:
    every = Flags(tuple(f"l{i}" for i in range(20)))
    lift = Abi(classes).lift_params((("v", every),), Options())
    for bits in range(20_000):
        assert lift(None, (bits,))[0].value == bits
    made = classes.of(every)
    assert len(made._value2member_map_) < 5000
    assert lift(None, (3,))[0] == made.L0 | made.L1


@pytest.mark.parametrize(
    ("ty", "value", "error", "text"),
    [
        (P.U8, 256, OverflowError, "v: 256 is out of range for u8"),
        (P.S16, -32769, OverflowError, "v: -32769 is out of range for s16"),
        (P.U64, -1, OverflowError, "v: -1 is out of range for u64"),
        (P.U32, "1", TypeError, "v: expected int, got str"),
        (P.U32, True, TypeError, "v: expected int, got bool"),
        (P.U32, 1.0, TypeError, "v: expected int, got float"),
        (P.BOOL, 1, TypeError, "v: expected bool, got int"),
        (P.F64, "1", TypeError, "v: expected float, got str"),
        (P.F64, True, TypeError, "v: expected float, got bool"),
        (P.F32, 10**400, OverflowError, "v: integer too large for f32"),
        (P.CHAR, "ab", ValueError, "v: expected one character, got 2"),
        (P.CHAR, b"a", TypeError, "v: expected str, got bytes"),
        (P.CHAR, "\ud800", ValueError, "v: surrogate '\\ud800' at index 0"),
        (P.STRING, "a\udfff", ValueError, "v: surrogate '\\udfff' at index 1"),
        (P.STRING, b"a", TypeError, "v: expected str, got bytes"),
        (P.STRING, None, TypeError, "v: expected str, got NoneType"),
        (List(P.U8), "abc", TypeError, "v: expected bytes, got str"),
        (List(P.U8), 3, TypeError, "v: expected bytes, got int"),
        (List(P.U8), [1, 256], OverflowError, "v[1]: 256 is out of range for u8"),
        (List(P.U32), {1, 2}, TypeError, "v: expected list, got set"),
        (List(P.U32), [1, True], TypeError, "v[1]: expected int, got bool"),
        (List(P.U32), array("f", [1.0]), TypeError, "v[0]: expected int, got float"),
        (List(P.F32), [1.0, "x"], TypeError, "v[1]: expected float, got str"),
        (List(P.BOOL), [True, 1], TypeError, "v[1]: expected bool, got int"),
        (List(P.CHAR), ["a", ""], ValueError, "v[1]: expected one character, got 0"),
        (List(P.CHAR), ["a", "\ud801"], ValueError, "v[1]: surrogate '\\ud801' at index 0"),
        (List(P.U8, 2), b"abc", ValueError, "v: expected 2 elements, got 3"),
        (List(P.U16, 9), [1], ValueError, "v: expected 9 elements, got 1"),
        (Tuple((P.U8, P.U8)), "ab", TypeError, "v: expected tuple, got str"),
        (Tuple((P.U8, P.U8)), (1,), ValueError, "v: expected 2 elements, got 1"),
        (Tuple((P.U8, P.U8)), (1, -1), OverflowError, "v[1]: -1 is out of range for u8"),
        (POINT, 5, TypeError, "v: expected Point, got int"),
        (POINT, {"x": 1}, TypeError, "v: missing field `the-label`"),
        (POINT, {"x": 1, "y": 2}, ValueError, "v: unexpected field `y`"),
        (POINT, {"x": 1, "the-label": 2}, TypeError, "v.the-label: expected str, got int"),
        (SHAPE, 5, TypeError, "v: expected Shape, got int"),
        (SHAPE, "square", ValueError, "v: unknown variant case: `square`"),
        (SHAPE, "circle", TypeError, "v: expected a payload for case `circle`"),
        (COLOR, "blue", ValueError, "v: enum variant name `blue` is not valid"),
        (COLOR, [], TypeError, "v: expected Color or str, got list"),
        (RIGHTS, {"fly"}, ValueError, "v: unknown flag: `fly`"),
        (RIGHTS, "read", TypeError, "v: expected Rights or set, got str"),
        (RIGHTS, 3, TypeError, "v: expected Rights or set, got int"),
        (Option(P.U8), "x", TypeError, "v: expected int, got str"),
        (Option(Option(P.U8)), 5, TypeError, "v: expected None or Some, got int"),
        (Option(Option(P.U8)), Some("x"), TypeError, "v.value: expected int, got str"),
        (Result(P.U8, None), 5, TypeError, "v: expected Ok or Err, got int"),
        (Result(P.U8, None), Ok("x"), TypeError, "v.value: expected int, got str"),
        (Result(P.U8, None), Err(1), TypeError, "v: payload provided to `err` but not expected"),
        (Map(P.STRING, P.U8), [], TypeError, "v: expected dict, got list"),
        (Map(P.STRING, P.U8), {"a": 300}, OverflowError, "v['a']: 300 is out of range for u8"),
        (Map(P.U8, P.U8), {"a": 3}, TypeError, "v key 'a': expected int, got str"),
    ],
    ids=name,
)
def test_refused(classes: Classes, ty, value, error: type[Exception], text: str) -> None:
    refuse(classes, ty, value, error, text)


def test_the_path_of_a_part(classes: Classes) -> None:
    shape = classes.of(SHAPE)
    value = [{"x": 1, "the-label": "a"}, {"x": 2, "the-label": b"b"}]
    refuse(classes, List(POINT), value, TypeError, "v[1].the-label: expected str, got bytes")
    refuse(classes, SHAPE, shape.At(POINT), TypeError, "v.value: expected Point, got Record")
    lower = Abi(classes).lower_result(List(POINT), Options())
    with pytest.raises(OverflowError, match=r"^result\[0\]\.x: 2147483648 is out of range"):
        lower(Context(), [{"x": 1 << 31, "the-label": ""}], 8)


def test_errors_of_realloc_stay_as_they_are(classes: Classes) -> None:
    class Failing(Context):
        def realloc(self, *args: int) -> int:
            raise ValueError("mine")

    with pytest.raises(ValueError, match="^mine$"):
        Abi(classes).lower_params((("v", P.STRING),), Options())(Failing(), ("a",))
