"""Adapters do what lifting to Python's values and lowering them again does."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from asyncwasm.component.abi import Abi
from asyncwasm.component.abi.layout import flatten
from asyncwasm.component.fused import Side
from asyncwasm.component.syntax import StringEncoding
from asyncwasm.component.types import (
    FuncType,
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
from asyncwasm.core import Config, Engine
from tests.component.abi.generated import Context, plain, random_type, random_value
from tests.component.fused.harness import Call

ENCODINGS = list(StringEncoding)
SIDES = [Side(encoding, wide) for encoding, wide in product(ENCODINGS, (False, True))]


@pytest.fixture(scope="module")
def portable() -> Engine:
    return Engine(Config(strategy="interpreter"))


def offset(ty: ValType, value: Any) -> Any:
    """`value` as data, with the handles that the harness gives for those in it."""
    data = plain(ty, value)
    return _offset(ty, data)


def _offset(ty: ValType, data: Any) -> Any:
    match ty:
        case Record(fields):
            return [_offset(t, d) for (_, t), d in zip(fields, data, strict=True)]
        case Tuple(types):
            return [_offset(t, d) for t, d in zip(types, data, strict=True)]
        case Variant(cases):
            payload = dict(cases)[data[0]]
            return [data[0], None if payload is None else _offset(payload, data[1])]
        case List(element, _):
            return [_offset(element, d) for d in data]
        case Option(inner):
            return None if data is None else [_offset(inner, data[0])]
        case Result(ok, error):
            payload = ok if data[0] == "ok" else error
            return [data[0], None if payload is None else _offset(payload, data[1])]
        case Map(key, item):
            return [[_offset(key, k), _offset(item, v)] for k, v in data]
        case Primitive():
            return data
        case _ if isinstance(data, int):
            return data + 1000
        case _:
            return data


def check_call(
    engine: Engine,
    rng: random.Random,
    params: list[ValType],
    result: ValType | None,
    *sides: Side,
    make: Callable[[random.Random, ValType, Classes], Any] = random_value,
    times: int = 3,
) -> None:
    """Call with random values, and compare what arrives, and each call of an allocator."""
    classes = Classes()
    abi = Abi(classes)
    ty = FuncType(tuple((f"p{i}", t) for i, t in enumerate(params)), result)
    call = Call(engine, ty, *sides)
    caller, callee = call.caller, call.callee
    for _ in range(times):
        caller.top = callee.top = 8
        values = tuple(make(rng, t, classes) for t in params)
        given = None if result is None else make(rng, result, classes)
        arrived: list[Any] = []

        def body(*flat: Any, given: Any = given, arrived: list[Any] = arrived) -> Any:
            arrived.extend(abi.lift_params(ty.params, callee.options)(callee, flat))
            if result is None:
                return None
            # As a lifted function returns it: spilled where the callee likes.
            lowered = abi.lower_params((("r", result),), callee.options, 1)(callee, (given,))
            return lowered[0] if lowered else None

        call.body = body
        flat = list(abi.lower_params(ty.params, caller.options)(caller, values))
        pointer = None
        spilled = result is not None and len(flatten(result, caller.options.pointer_type)) > 1
        if spilled:
            pointer = caller.realloc(0, 0, 8, 4096)
            flat.append(pointer)
        callee.calls.clear()
        raw = call.run(*flat)
        # What the general path does with the same, in a memory of its own.
        shadow = Context()
        assert shadow.top == 8
        outer, inner = (
            replace(one.options, adapter=True, source_encoding=other.options.string_encoding)
            for one, other in ((caller, callee), (callee, caller))
        )
        between = abi.lift_params(ty.params, outer)(caller, flat)
        abi.lower_params(ty.params, inner)(shadow, between)
        assert callee.calls[: len(shadow.calls)] == shadow.calls
        assert [plain(t, v) for t, v in zip(params, arrived, strict=True)] == [
            offset(t, v) for t, v in zip(params, values, strict=True)
        ]
        if result is None:
            continue
        if spilled:
            assert pointer is not None
            found = abi.load(result, caller.options)(caller, pointer)
        else:
            found = abi.lift_result(result, caller.options)(caller, raw)
        assert plain(result, found) == offset(result, given)
        assert (caller.may_leave.value, callee.may_leave.value) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_random_types(portable: Engine, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        params = [random_type(rng) for _ in range(rng.randrange(4))]
        result = random_type(rng) if rng.random() < 0.7 else None
        check_call(portable, rng, params, result, rng.choice(SIDES), rng.choice(SIDES))


@pytest.mark.slow
@pytest.mark.parametrize("caller", SIDES, ids=str)
@pytest.mark.parametrize("callee", SIDES, ids=str)
def test_strings(portable: Engine, caller: Side, callee: Side) -> None:
    rng = random.Random(f"{caller} {callee}")
    strings = Tuple((Primitive.STRING, List(Primitive.STRING), Option(Primitive.STRING)))
    for _ in range(4):
        check_call(portable, rng, [strings], strings, caller, callee)


def long_text(rng: random.Random, ty: ValType, classes: Classes) -> str:
    """Runs of characters that encodings tell apart, long enough to be taken many at once."""
    alphabets = ("ab", "é\xff\x80", "Ā☃\ud7ff\ue000", "🍰\U0010ffff")
    most = rng.choice((1, 2, 4))
    runs = range(rng.randrange(5))
    return "".join(
        rng.choice(alphabets[rng.randrange(most)]) * rng.choice((1, 7, 16, 17, 33, 64))
        for _ in runs
    )


@pytest.mark.slow
@pytest.mark.parametrize("caller", SIDES, ids=str)
@pytest.mark.parametrize("callee", SIDES, ids=str)
def test_long_strings(portable: Engine, caller: Side, callee: Side) -> None:
    rng = random.Random(f"{caller} {callee}")
    text = Primitive.STRING
    check_call(portable, rng, [text], text, caller, callee, make=long_text, times=25)


@pytest.mark.slow
def test_native() -> None:
    pytest.importorskip("llvmlite")
    engine = Engine(Config(strategy="native"))
    rng = random.Random(5)
    for caller, callee in ((SIDES[0], SIDES[2]), (SIDES[5], SIDES[0])):
        strings = [Primitive.STRING, List(Tuple((Primitive.STRING, Primitive.CHAR)))]
        check_call(engine, rng, strings, Option(Primitive.STRING), caller, callee)
        text = Primitive.STRING
        check_call(engine, rng, [text], text, caller, callee, make=long_text, times=50)
    check_call(engine, rng, [random_type(rng)], random_type(rng), SIDES[0], SIDES[0])
