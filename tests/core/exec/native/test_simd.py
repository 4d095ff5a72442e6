"""Vector instructions as machine code."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from asyncwasm.core.isa import simd
from asyncwasm.core.isa.table import BY_NAME, TABLE, Row

pytest.importorskip("llvmlite")
pytest.importorskip("wasmtime")

from asyncwasm.core.exec.native import lower_simd, lower_simd_float
from asyncwasm.core.exec.native.lower import LOWERINGS
from tests.core.exec.native.harness import Ours

# Floats that are special, and integers that are; the same bits serve as both.
EDGES = {
    4: [
        0, 1, 0x8000_0000, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x3F80_0000, 0xBF80_0000, 0x3F00_0000,
        0xBFC0_0000, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0xFFC0_0000, 0x7F80_0001,
        0xFFA0_1234, 0x7FC0_5678, 0x0000_0001, 0x7F7F_FFFF, 0x4F00_0000, 0xCF00_0000,
        0x4F80_0000, 0x4EFF_FFFF, 0x8000_7FFF, 0x7FFF_8000, 0x8080_8080, 0x7F7F_7F7F, 0x4B00_0001,
    ],
    8: [
        0, 1 << 63, (1 << 63) - 1, (1 << 64) - 1, 0x3FF0_0000_0000_0000, 0xBFE0_0000_0000_0000,
        0x7FF0_0000_0000_0000, 0xFFF0_0000_0000_0000, 0x7FF8_0000_0000_0000,
        0xFFF8_0000_0000_0000, 0x7FF0_0000_0000_0001, 0xFFF4_0000_1234_5678,
        0x41DF_FFFF_FFC0_0000, 0x41E0_0000_0000_0000, 0xC1E0_0000_0020_0000,
        0x41EF_FFFF_FFE0_0000, 0x47EF_FFFF_F000_0000, 0x3690_0000_0000_0000, 0x4330_0000_0000_0001,
    ],
}  # fmt: skip


def _vectors(count: int) -> Iterator[bytes]:
    """Vectors of random lanes, lanes that are special, and mixtures of both."""
    source = random.Random(7)
    for number in range(count):
        if number % 4 == 0:
            yield source.randbytes(16)
        elif number % 4 == 1:
            yield bytes(source.choice((0, 1, 15, 16, 127, 128, 129, 255)) for _ in range(16))
        elif number % 4 == 2:
            yield struct.pack("<4I", *source.choices(EDGES[4], k=4))
        else:
            yield struct.pack("<2Q", *source.choices(EDGES[8], k=2))


# Where operands are in memory, by type and place, and where results go.
VECTORS_AT = (0, 16, 32)
SCALAR_AT = 48
RESULTS_AT = 64

Case = tuple[Row, tuple[Any, ...]]


def _cases() -> Iterator[Case]:
    """Every row, with every lane number that it takes."""
    source = random.Random(3)
    for row in TABLE:
        if row.family != "simd":
            continue
        match row.immediates:
            case ("lane",):
                yield from ((row, (lane,)) for lane in range(row.lanes))
            case ("lanes16",):
                for _ in range(4):
                    yield row, (bytes(source.randrange(32) for _ in range(16)),)
            case _:
                yield row, ()


def _call(case: Case, second: str | None = None) -> str:
    """The instruction on operands from memory, as text; `second` is a second operand instead."""
    row, immediates = case
    assert row.params is not None
    operands = []
    for number, ty in enumerate(row.params):
        if number == 1 and second is not None:
            operands.append(second)
        elif ty == "v128":
            operands.append(f"(v128.load (i32.const {VECTORS_AT[number]}))")
        else:
            operands.append(f"({ty}.load (i32.const {SCALAR_AT}))")
    texts = [
        " ".join(map(str, value)) if isinstance(value, bytes) else str(value)
        for value in immediates
    ]
    return f"({row.name} {' '.join(texts)} {' '.join(operands)})"


def _store(ty: str, number: int, value: str) -> str:
    return f"({ty}.store (i32.const {RESULTS_AT + 16 * number}) {value})"


def _scalar(ty: str, given: bytes) -> Any:
    """The raw value that a load of this type finds."""
    if ty == "f64":
        return simd.f64x2_extract_lane(given, 0)
    if ty == "f32":
        return simd.f32x4_extract_lane(given, 0)
    return int.from_bytes(given[: 4 if ty == "i32" else 8], "little")


def _expected(case: Case, vectors: tuple[bytes, ...], scalar: bytes) -> bytes:
    row, immediates = case
    assert row.params is not None
    assert row.results is not None
    given = [
        vector if ty == "v128" else _scalar(ty, scalar)
        for ty, vector in zip(row.params, vectors, strict=False)
    ]
    result = simd.REFERENCE[row.name](*given, *immediates)
    match row.results[0]:
        case "v128":
            return bytes(result)
        case "f32":
            return bytes(simd.f32x4_splat(result)[:4])
        case "f64":
            return bytes(simd.f64x2_splat(result)[:8])
        case ty:
            return int(result).to_bytes(4 if ty == "i32" else 8, "little")


ARITHMETIC = {
    f"{shape}.{name}"
    for shape in ("f32x4", "f64x2")
    for name in (
        "add sub mul div sqrt min max ceil floor trunc nearest relaxed_min relaxed_max "
        "relaxed_madd relaxed_nmadd demote_f64x2_zero promote_low_f32x4"
    ).split()
}


def _same(name: str, found: bytes, wanted: bytes) -> bool:
    """Whether results agree; which quiet NaN arithmetic gives is up to the engine."""
    if found == wanted or name not in ARITHMETIC:
        return found == wanted
    size, quiet = (4, 0x7FC0_0000) if name.startswith("f32x4") else (8, 0x7FF8_0000_0000_0000)
    for at in range(0, 16, size):
        pair = [int.from_bytes(v[at : at + size], "little") for v in (found, wanted)]
        if pair[0] != pair[1] and not all(bits & quiet == quiet for bits in pair):
            return False
    return True


CASES = list(_cases())
BATCH = 60


@pytest.mark.parametrize("start", range(0, len(CASES), BATCH))
def test_every_row_computes_what_its_reference_function_does(start: int) -> None:
    _compare_with_reference(CASES[start : start + BATCH], start)


def _compare_with_reference(cases: list[Case], seed: int) -> None:
    """Operands come from memory, so that nothing is known of them."""
    stores = [_store(case[0].results[0], n, _call(case)) for n, case in enumerate(cases)]
    native = Ours(f"""(module (memory 1) (func (export "run") {" ".join(stores)}))""")
    data = native.memory.view
    vectors = list(_vectors(240))
    source = random.Random(seed)
    for _ in range(400):
        given = tuple(source.choices(vectors, k=4))
        data[:RESULTS_AT] = b"".join(given)
        native("run")
        for number, case in enumerate(cases):
            wanted = _expected(case, given[:3], given[3])
            at = RESULTS_AT + 16 * number
            found = bytes(data[at : at + len(wanted)])
            assert _same(case[0].name, found, wanted), (case, given, found.hex(), wanted.hex())
    native.check_native()


def test_arithmetic_with_constants_quiets_nans() -> None:
    """Compilers take `x * 1.0` for `x`, which keeps a signalling NaN."""
    cases, wanted_with = [], []
    for shape, lanes, bits in (("f32x4", 4, (0, 1 << 31)), ("f64x2", 2, (0, 1 << 63))):
        code = "I" if lanes == 4 else "Q"
        one = 0x3F80_0000 if lanes == 4 else 0x3FF0_0000_0000_0000
        integer = "i32x4" if lanes == 4 else "i64x2"
        for operation in ("add", "sub", "mul", "div", "min", "max"):
            for value in (*bits, one, one | bits[1]):
                row = BY_NAME[f"{shape}.{operation}"]
                text = f"(v128.const {integer} {' '.join([str(value)] * lanes)})"
                cases.append(_call((row, ()), text))
                wanted_with.append((row, struct.pack(f"<{lanes}{code}", *[value] * lanes)))
    stores = " ".join(_store("v128", n, text) for n, text in enumerate(cases))
    native = Ours(f'(module (memory 1) (func (export "run") {stores}))')
    data = native.memory.view
    for given in _vectors(120):
        data[:16] = given
        native("run")
        for number, (row, second) in enumerate(wanted_with):
            wanted = simd.REFERENCE[row.name](given, second)
            at = RESULTS_AT + 16 * number
            found = bytes(data[at : at + 16])
            assert _same(row.name, found, wanted), (row.name, given, second)
    native.check_native()


def test_vectors_pass_through_everything_that_holds_values() -> None:
    """Parameters, results, locals, globals, blocks, calls of all kinds, `select`."""
    native = Ours(
        """(module (memory 1)
          (type $t (func (param v128 i32 v128) (result v128 v128)))
          (global $g (mut v128) (v128.const i64x2 1 2))
          (table funcref (elem $choose))
          (func $choose (type $t)
            (local $unset v128)
            (select (local.get 0) (local.get 2) (local.get 1))
            (select (result v128) (local.get $unset) (global.get $g) (local.get 1)))
          (func (export "run") (param v128 i32 v128) (result v128 v128 v128)
            (call $choose (local.get 0) (local.get 1) (local.get 2))
            (global.set $g)
            (block (param v128) (result v128 v128)
              (call_indirect (type $t) (local.get 1) (global.get $g) (i32.const 0)))
            (global.get $g)))"""
    )
    one, two = bytes(range(16)), bytes(range(16, 32))
    initial = struct.pack("<2Q", 1, 2)
    assert native("run", one, 0, two) == (initial, initial, initial)
    assert native("run", one, 1, two) == (one, bytes(16), bytes(16))
    native.check_native()


def _elsewhere() -> dict[str, lower_simd.Build]:
    """What rows are on other processors than this one, as far as this one can run it."""
    found = {
        "i8x16.swizzle": lower_simd.swizzle_anywhere,
        "i16x8.q15mulr_sat_s": lower_simd.q15mulr_anywhere,
    }
    for sign in "su":
        for ty, row in (("<4 x float>", f"f32x4_{sign}"), ("<2 x double>", f"f64x2_{sign}_zero")):
            truncate = lower_simd_float.truncate_neon(ty, sign)
            found[f"i32x4.trunc_sat_{row}"] = truncate
            found[f"i32x4.relaxed_trunc_{row}"] = lower_simd_float.truncate_anywhere(ty, sign)
    return found


def test_rows_compute_the_same_on_other_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, build in _elsewhere().items():
        ty, result = "<16 x i8>", "<16 x i8>"
        if "trunc" in name:
            ty, result = "<4 x float>" if "f32x4" in name else "<2 x double>", "<4 x i32>"
        elif "i16x8" in name:
            ty = result = "<8 x i16>"
        params = BY_NAME[name].params
        assert params is not None
        monkeypatch.setitem(lower_simd.SIMD, name, lower_simd.SIMD[name])
        lower_simd.define(name, (ty,) * len(params), result, build)
        monkeypatch.setitem(LOWERINGS, name, lower_simd.SIMD[name])
    _compare_with_reference([(BY_NAME[name], ()) for name in _elsewhere()], 5)


MEMORY_ROWS = [row for row in TABLE if row.family == "simd_memory"]
ADDRESSES = (0, 1, 7, 65519, 65520, 65521, 65527, 65528, 65529, 65532, 65535, 65536, 0xFFFF_FFFF)


@pytest.mark.parametrize(
    ("index", "offset"), list(itertools.product(("i32", "i64"), (0, 5, 2**32 - 1)))
)
def test_memory_accesses_agree_with_the_interpreter(index: str, offset: int) -> None:
    """Every load and store, every lane, around the end of the memory."""
    functions, names = [], []
    for row in MEMORY_ROWS:
        for lane in range(row.lanes or 1):
            immediate = str(lane) if row.lanes else ""
            names.append((f"{row.name} {immediate}", row))
            access = f"{row.name} offset={offset} {immediate} (local.get 0)"
            assert row.params is not None
            operand = "(local.get 1)" if len(row.params) == 2 else ""
            result = (
                f"(global.set $g ({access} {operand}))" if row.results else f"({access} {operand})"
            )
            functions.append(
                f"(if (i32.eq (local.get 2) (i32.const {len(names) - 1})) (then {result}))"
            )
    data = "".join(f"\\{(i * 37 + 129) % 256:02x}" for i in range(256))
    wat = f"""(module (memory {index} 1) (global $g (mut v128) (v128.const i64x2 0 0))
      (data ({index}.const 0) "{data}") (data ({index}.const 65280) "{data}")
      (func (export "run") (param {index} v128 i32) (result v128)
        (global.set $g (v128.const i64x2 0 0))
        {" ".join(functions)} (global.get $g)))"""
    native = Ours(wat)
    interpreted = Ours(wat, "interpreter")
    vector = bytes(range(200, 216))
    for number, (name, _) in enumerate(names):
        for address in ADDRESSES:
            wanted = interpreted("run", address, vector, number)
            assert native("run", address, vector, number) == wanted, (name, address)
        assert native.memory.view == interpreted.memory.view, name
    native.check_native()
