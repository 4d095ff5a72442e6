"""The reference functions against their rows and against Wasmtime."""

from __future__ import annotations

import itertools
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncwasm.core.isa import numeric, simd
from asyncwasm.core.isa.table import TABLE, Row
from asyncwasm.errors import Trap, TrapCode

pytest.importorskip("wasmtime")

from tests.core.isa import oracle

MODULES = {"numeric": numeric, "simd": simd}
ROWS = [row for row in TABLE if row.family in MODULES]
SHUFFLES = [bytes(range(16)), bytes(range(31, 15, -1)), bytes([0, 31, 16, 15] * 4)]
ZEROS: dict[str, Any] = {"i32": 0, "i64": 0, "f32": 0.0, "f64": 0.0, "v128": bytes(16)}


def reference(row: Row) -> numeric.Reference:
    return MODULES[row.family].REFERENCE[row.name]


def immediates(row: Row) -> list[tuple[Any, ...]]:
    """Values for the row's immediates: every lane, some shuffles, or none to give."""
    match row.immediates:
        case ("lane",):
            return [(lane,) for lane in range(row.lanes)]
        case ("lanes16",):
            return [(lanes,) for lanes in SHUFFLES]
        case _:
            return [()]


def in_text(values: tuple[Any, ...]) -> str:
    return " ".join(
        " ".join(map(str, value)) if isinstance(value, bytes) else str(value) for value in values
    )


def canonical_nans(type: str, value: Any) -> bool:
    """Whether every NaN among the lanes of each float type that `value` may hold is canonical."""
    return all(
        bits & ~sign == quiet
        for sign, quiet, exponent, lanes in _float_lanes(type, value)
        for bits in lanes
        if bits & ~sign > exponent
    )


def _float_lanes(type: str, value: Any) -> list[tuple[int, int, int, list[int]]]:
    data = oracle.encode(type, value)
    found = []
    for size, quiet, exponent in ((4, 0x7FC0_0000, 0x7F80_0000), (8, 0x7FF8 << 48, 0x7FF0 << 48)):
        if type == "v128" or (type[0] == "f" and len(data) == size):
            lanes = [
                int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)
            ]
            found.append((1 << size * 8 - 1, quiet, exponent, lanes))
    return found


MOVES_BITS = re.compile(r"(abs|neg|copysign|reinterpret|pmin|pmax|lane|splat)")


def nan_lane(row: Row, type: str) -> int:
    """The size of the lanes in which a result of this row may hold any of several NaNs, or 0."""
    if MOVES_BITS.search(row.name):
        return 0
    if type == "v128":
        shape = row.name.partition(".")[0]
        if re.search(r"\.(eq|ne|lt|gt|le|ge)$", row.name):
            return 0
        return {"f32x4": 4, "f64x2": 8}.get(shape, 0)
    return {"f32": 4, "f64": 8}.get(type, 0)


def same(row: Row, type: str, ours: Any, theirs: Any, all_canonical: bool) -> bool:
    """Whether two results agree, up to the NaNs that the specification leaves open."""
    left, right = oracle.encode(type, ours), oracle.encode(type, theirs)
    size = nan_lane(row, type)
    if left == right or not size:
        return left == right
    sign = 1 << size * 8 - 1
    quiet, exponent = (0x7FC0_0000, 0x7F80_0000) if size == 4 else (0x7FF8 << 48, 0x7FF0 << 48)
    for i in range(0, len(left), size):
        a = int.from_bytes(left[i : i + size], "little") & ~sign
        b = int.from_bytes(right[i : i + size], "little") & ~sign
        if a > exponent and b > exponent:
            if a & quiet != quiet or (all_canonical and a != quiet):
                return False
        elif left[i : i + size] != right[i : i + size]:
            return False
    return True


def outcome(function: numeric.Reference, *operands: Any) -> oracle.Outcome:
    try:
        found = function(*operands)
    except Trap as trap:
        return trap.code
    return found if isinstance(found, tuple) else (found,)


def check(row: Row, judge: oracle.Oracle, values: tuple[Any, ...], batch: list[tuple[Any, ...]]):
    function = reference(row)
    for operands, expected in zip(batch, judge(batch), strict=True):
        described = f"{row.name} {values} {operands}"
        found = outcome(function, *operands, *values)
        if isinstance(found, TrapCode) or isinstance(expected, TrapCode):
            assert found is expected, described
            assert found in row.traps, described
            continue
        canonical = all(map(canonical_nans, row.params or (), operands))
        for type, ours, theirs in zip(row.results or (), found, expected, strict=True):
            assert same(row, type, ours, theirs, canonical), f"{described}: {ours}, not {theirs}"


@pytest.mark.parametrize("family", MODULES)
def test_every_row_has_one_function_and_every_function_a_row(family):
    """Completeness in both directions, by name and by identifier."""
    rows = {row.name: row for row in ROWS if row.family == family}
    module = MODULES[family]
    assert set(module.REFERENCE) == set(rows)
    for name, row in rows.items():
        assert getattr(module, row.identifier) is module.REFERENCE[name]


def test_functions_have_names_of_their_own():
    """Generated code calls them by `__name__`."""
    functions = {id(f): f for module in MODULES.values() for f in module.REFERENCE.values()}
    names = [function.__name__ for function in functions.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_operands_and_results_are_those_of_the_row(row):
    """A function takes its row's operands and immediates, and gives raw values of its results."""
    assert row.params is not None
    operands = [1 if type[0] == "i" else ZEROS[type] for type in row.params]
    for values in immediates(row):
        got = reference(row)(*operands, *values)
        found = got if isinstance(got, tuple) else (got,)
        for type, value in zip(row.results, found, strict=True):
            assert value.__class__ is ZEROS[type].__class__
            if type == "v128":
                assert len(value) == 16
        with pytest.raises(TypeError):
            reference(row)(*operands, *values, 0)


@pytest.mark.parametrize("row", [r for r in ROWS if "v128" not in r.params], ids=lambda r: r.name)
def test_edges_agree_with_wasmtime(row):
    """All pairs of edge values; with more operands or immediates, a sample."""
    batch = list(itertools.product(*map(oracle.edges, row.params[:2])))
    if len(row.params) > 2:
        picks = [random.Random(0).choices(oracle.edges(type), k=500) for type in row.params]
        batch = list(zip(*picks, strict=True))
    # Traps are slow, and most pairs of a division are not special.
    batch = random.Random(0).sample(batch, min(len(batch), 1500))
    check(row, oracle.Oracle(row), (), batch)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_drawn_operands_agree_with_wasmtime(row):
    judges = [(oracle.Oracle(row, in_text(values)), values) for values in immediates(row)]
    operands = st.tuples(*map(oracle.values, row.params))

    @settings(max_examples=12)
    @given(st.lists(operands, min_size=1, max_size=30), st.sampled_from(judges))
    def compare(batch, judge):
        check(row, *judge, batch)

    compare()


@pytest.mark.parametrize("bits", [0x7FA0_0001, 0xFF80_0001, 0x7FC0_0000, 0xFFFF_FFFF])
def test_single_nans_survive_as_raw_values(bits):
    """Signalling NaNs too, also through sign changes, lanes and pseudo minimum."""
    x = numeric.f32_from_bits(bits)
    assert numeric.f32_to_bits(x) == bits
    assert numeric.f32_to_bits(numeric.f32_neg(x)) == bits ^ 1 << 31
    assert numeric.f32_to_bits(numeric.f32_copysign(x, -1.0)) == bits | 1 << 31
    vector = simd.f32x4_splat(x)
    assert vector == bits.to_bytes(4, "little") * 4
    assert numeric.f32_to_bits(simd.f32x4_extract_lane(vector, 3)) == bits
    assert simd.f32x4_pmin(vector, bytes(16)) == vector


@pytest.mark.parametrize(
    ("integer", "single"),
    [(0x7FFF_FF40_0000_0001, 0x7FFF_FF80 << 32), (0x0020_0000_2000_0001, 0x0020_0000_4000_0000)],
)
def test_integers_become_singles_in_one_rounding(integer, single):
    """Going through a double first would round these ties the wrong way."""
    assert numeric.f32_convert_i64_s(integer) == single
    assert numeric.f32_convert_i64_u(integer) == single


def test_relaxed_madd_rounds_the_product():
    """The documented choice is visible where the product is not exact."""
    x = numeric.round_f32(1.0 + 2.0**-12 + 2.0**-23)
    vector, product = simd.f32x4_splat(x), simd.f32x4_splat(numeric.round_f32(x * x))
    assert simd.f32x4_relaxed_madd(vector, vector, simd.f32x4_neg(product)) == bytes(16)
    x = 1.0 + 2.0**-30
    vector, product = simd.f64x2_splat(x), simd.f64x2_splat(x * x)
    assert simd.f64x2_relaxed_nmadd(vector, vector, product) == bytes(16)
