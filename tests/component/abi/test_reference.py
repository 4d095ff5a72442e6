"""Agreement with the specification's own implementation, on types and values made at random."""

from __future__ import annotations

import random

import pytest

from asyncwasm.component.abi import Abi, Options
from asyncwasm.component.abi.layout import alignment, flatten, size
from asyncwasm.component.syntax import StringEncoding
from asyncwasm.component.types import List, Primitive
from asyncwasm.component.values import Classes
from asyncwasm.errors import CanonicalAbiError, Trap

from . import generated
from .generated import Context, plain, random_type, random_value
from .reference import Reference, load

ENCODINGS = list(StringEncoding)
TYPES = 120


@pytest.fixture(autouse=True)
def _definitions() -> None:
    load()


def _outcome(abi: Abi, ty, options: Options, flat: list, cx: Context):
    try:
        [value] = abi.lift_params((("x", ty),), options)(cx, flat)
    except (CanonicalAbiError, Trap):
        return "trap"
    return plain(ty, value)


@pytest.mark.parametrize("memory64", [False, True])
def test_layout(memory64: bool) -> None:
    rng = random.Random(1)
    options = Options(memory64=memory64)
    for _ in range(1500):
        ty = random_type(rng)
        reference = Reference(Context(0), StringEncoding.UTF8, memory64)
        theirs, pointer = reference.type(ty), "i64" if memory64 else "i32"
        assert size(ty, options.pointer_size) == reference.module.elem_size(theirs, pointer)
        assert alignment(ty, options.pointer_size) == reference.module.alignment(theirs, pointer)
        flat = [core.value for core in flatten(ty, options.pointer_type)]
        assert flat == reference.flatten(ty)[:17]


@pytest.mark.parametrize("memory64", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("source", [StringEncoding.UTF8, StringEncoding.UTF16])
def test_lowering(encoding: StringEncoding, source: StringEncoding, memory64: bool) -> None:
    rng = random.Random(f"{encoding} {source} {memory64}")
    classes = Classes()
    abi = Abi(classes)
    options = Options(encoding, memory64, source_encoding=source)
    for _ in range(TYPES):
        ty = random_type(rng)
        lower = abi.lower_params((("x", ty),), options)
        lift = abi.lift_params((("x", ty),), options)
        for _ in range(6):
            value = random_value(rng, ty, classes)
            ours, theirs = Context(), Context()
            flat = list(lower(ours, (value,)))
            data = plain(ty, value)
            reference = Reference(theirs, encoding, memory64)
            wanted = reference.lower(ty, data, source, 16)
            assert _same(flat, wanted), ty
            assert ours.calls == theirs.calls
            assert ours.memory.data == theirs.memory.data
            assert plain(ty, lift(ours, flat)[0]) == data


def _same(a: list, b: list) -> bool:
    return [x if x == x else "nan" for x in a] == [x if x == x else "nan" for x in b]


@pytest.mark.parametrize("memory64", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lifting_what_may_be_invalid(encoding: StringEncoding, memory64: bool) -> None:
    rng = random.Random(f"{encoding} {memory64}")
    classes = Classes()
    abi = Abi(classes)
    options = Options(encoding, memory64)
    outcomes = {"trap": 0, "value": 0}
    for _ in range(TYPES * 2):
        ty = random_type(rng)
        cx = Context(1 << 12)
        reference = Reference(cx, encoding, memory64)
        flats = flatten(ty, options.pointer_type)
        for _ in range(10):
            # Small numbers often are lengths, pointers and discriminants that are in order.
            choices = rng.choice(
                (b"\x00", b"\x00\x00\x00\x01\x02", b"\x00\x04\x08", bytes(range(256)))
            )
            cx.memory.data[:] = bytes(rng.choice(choices) for _ in range(256)) * 16
            if len(flats) > 16:
                flat = [rng.choice((0, 8, 64, 100, 4096, 1 << 31))]
            else:
                flat = [_core_value(rng, core.value) for core in flats]
            ours = _outcome(abi, ty, options, list(flat), cx)
            assert ours == reference.lift(ty, list(flat), 16), (ty, flat)
            outcomes["trap" if ours == "trap" else "value"] += 1
    assert min(outcomes.values()) > 200


def _core_value(rng: random.Random, core: str) -> int | float:
    if core[0] == "f":
        return rng.choice((0.0, 1.5, -1.0))
    bits = int(core[1:])
    return rng.choice((0, 0, 1, 2, 4, 8, 64, 4095, 4096, rng.getrandbits(bits), (1 << bits) - 1))


@pytest.mark.parametrize("adapter", [False, True])
def test_text_that_may_be_invalid(adapter: bool) -> None:
    rng = random.Random(5)
    abi = Abi(Classes())
    for encoding in ENCODINGS:
        options = Options(encoding, adapter=adapter)
        for _ in range(1000):
            cx = Context(64)
            cx.memory.data[:] = bytes(
                rng.choice(b"\x00aa\x80\xbf\xc3\xe2\x98\x83\xed\xa0\xf0\x9f\xf4\xff\xd8\xdc")
                for _ in range(64)
            )
            length = rng.randrange(12)
            if encoding is StringEncoding.LATIN1_UTF16 and rng.random() < 0.5:
                length |= 1 << 31
            flat = [rng.randrange(66), length]
            ours = _outcome(abi, Primitive.STRING, options, flat, cx)
            assert ours == Reference(cx, encoding, False).lift(Primitive.STRING, flat, 16)


def test_texts_that_came_as_latin1_or_utf16() -> None:
    abi = Abi(Classes())
    latin1_utf16 = StringEncoding.LATIN1_UTF16
    lift = abi.lift_params((("x", Primitive.STRING),), Options(latin1_utf16, adapter=True))
    for text in generated._TEXTS:
        for wide in (False, True):
            if not wide and not all(c < "\u0100" for c in text):
                continue
            data = text.encode("utf-16-le" if wide else "latin-1")
            units = len(data) // 2 | 1 << 31 if wide else len(data)
            for target in ENCODINGS:
                source = Context(1 << 10)
                source.memory.data[16 : 16 + len(data)] = data
                [lifted] = lift(source, [16, units])
                ours, theirs = Context(), Context()
                options = Options(target, adapter=True, source_encoding=latin1_utf16)
                flat = abi.lower_params((("x", Primitive.STRING),), options)(ours, (lifted,))
                reference = Reference(theirs, target, False)
                value = (text, "latin1+utf16", units)
                wanted = reference.module.lower_flat_string(reference.cx, value)
                assert list(flat) == wanted
                assert ours.calls == theirs.calls
                assert ours.memory.data == theirs.memory.data


def test_lists_of_every_number() -> None:
    rng = random.Random(9)
    classes = Classes()
    abi = Abi(classes)
    for element in Primitive:
        if element is Primitive.ERROR_CONTEXT:
            continue
        ty = List(element)
        for length in (0, 1, 2, 50):
            value = [random_value(rng, element, classes) for _ in range(length)]
            ours, theirs = Context(), Context()
            flat = abi.lower_params((("x", ty),), Options())(ours, (value,))
            reference = Reference(theirs, StringEncoding.UTF8, False)
            assert list(flat) == reference.lower(ty, plain(ty, value), StringEncoding.UTF8, 16)
            assert ours.memory.data == theirs.memory.data
