"""Damaged modules of the official suite: an error of ours, or a module that runs.

Nothing else may come of hostile bytes: no other exception, no hang, no memory without bound.
The seeds are fixed, so a failure can be repeated.
"""

from __future__ import annotations

import random
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from asyncwasm import (
    Engine,
    Func,
    Linker,
    LinkError,
    MalformedError,
    Module,
    RefType,
    Store,
    StoreLimits,
    WasmError,
)
from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.binary.immediates import read_instruction, read_val_type
from asyncwasm.core.binary.leb128 import read_u32, write_signed, write_unsigned
from asyncwasm.core.isa.features import ALL
from asyncwasm.core.isa.table import TABLE, Row
from asyncwasm.core.module import ExternKind, Span
from asyncwasm.core.text.printer import print_module
from asyncwasm.core.types import DefType, NumType
from asyncwasm.core.validate import validate_module
from asyncwasm.testing import script_config
from tests.spec.suite import ABSENT, scripts
from tests.spec.test_roundtrip import modules

pytestmark = [pytest.mark.spec, pytest.mark.slow]

MUTANTS = 400
SEEDS = range(12)
# What a module may take, in seconds, and what all of them may add to the process, in bytes.
PATIENCE = 10
MEMORY = 600 << 20
NUMBERS = [0, 1, -1, 0x7FFFFFFF, -0x80000000, 0x10000, 0x7FFFFFFFFFFFFFFF, -0x8000000000000000]
FLOATS = [b"", bytes(8), b"\xff" * 8, b"\0\0\x80\x7f", b"\0\0\0\0\0\0\xf0\xff"]
# Instructions that validation cannot tell apart.
TWINS: dict[tuple[Any, ...], list[Row]] = {}
for _row in TABLE:
    if _row.params is not None:
        TWINS.setdefault((_row.immediates, _row.params, _row.results), []).append(_row)
INTERESTING = [0, 1, 2, 0x0B, 0x3F, 0x40, 0x60, 0x64, 0x70, 0x7F, 0x80, 0xFB, 0xFC, 0xFD, 0xFF]


def corpus() -> list[tuple[str, bytes]]:
    """Small valid modules from everywhere in the suite, each once."""
    found: dict[bytes, str] = {}
    for path in scripts():
        if path.stat().st_size < 100_000:
            for line, _, binary in modules(path):
                if 8 < len(binary) < 2_000 and is_valid(binary):
                    found.setdefault(binary, f"{path.name}:{line}")
    return [(name, binary) for binary, name in found.items()]


def is_valid(data: bytes) -> bool:
    try:
        validate_module(decode_module(data), ALL)
    except WasmError:
        return False
    return True


def exports(data: bytes) -> bool:
    """Whether a module exports a function."""
    return any(e.kind is ExternKind.FUNC for e in decode_module(data).exports.values())


def mutate(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """`data` damaged: anywhere; or inside of one section or body, with sizes put right again.

    The first seldom gets past the decoder, and the second seldom past validation, so that a
    third kind exchanges instructions and constants for others of the same type.
    """
    kind = rng.randrange(8)
    if kind == 0:
        return scramble(rng, data, other, 8)
    info = decode_module(data)
    if len(data) == 8:
        return data + scramble(rng, b"\0\1\0", other, 0)
    if kind < 3 or not info.bodies:
        start, end, header = rng.choice(sections(data))
        content = scramble(rng, data[start:end], other, 0)
        return data[:header] + write_unsigned(len(content)) + content + data[end:]
    span = rng.choice(info.bodies)
    body = data[span.start : span.end]
    if kind == 3:
        body = scramble(rng, body, other, 0)
    else:
        with suppress(MalformedError):
            for _ in range(rng.choice([1, 1, 2, 5])):
                body = exchange(rng, body, info.types)
    return with_body(data, info.bodies, span, body)


def scramble(rng: random.Random, data: bytes, other: bytes, keep: int) -> bytes:
    """A few changes past the first `keep` bytes."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        if len(out) <= keep:
            break
        at = rng.randrange(keep, len(out))
        match rng.randrange(8):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at] = rng.randrange(256)
            case 2:
                out[at] = rng.choice(INTERESTING)
            case 3:
                out.insert(at, rng.choice(INTERESTING))
            case 4:
                del out[at : at + rng.choice([1, 1, 2, 5])]
            case 5:
                # A number at its limit, in its longest form.
                out[at : at + 1] = rng.choice([b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x08"])
            case 6:
                start = rng.randrange(len(other))
                out[at:at] = other[start : start + rng.randrange(1, 40)]
            case 7:
                out[at : at + 1] = bytes([out[at] & 0x7F | 0x80, 0])
    return bytes(out)


def sections(data: bytes) -> list[tuple[int, int, int]]:
    """Where sections start and end, and where the size of each is."""
    found = []
    pos = 8
    while pos < len(data):
        header = pos + 1
        size, start = read_u32(data, header)
        pos = start + size
        found.append((start, pos, header))
    return found


def exchange(rng: random.Random, body: bytes, types: list[DefType]) -> bytes:
    """A body with one instruction exchanged for another of the same type."""
    count, pos = read_u32(body, 0)
    for _ in range(count):
        _, pos = read_u32(body, pos)
        _, pos = read_val_type(body, pos, types)
    found = []
    while pos < len(body):
        start = pos
        row, _, pos = read_instruction(body, pos, types)
        found.append((row, start, pos))
    if not found:
        return body
    row, start, end = rng.choice(found)
    twins = TWINS.get((row.immediates, row.params, row.results), [])
    if row.name == "i32.const":
        new = b"\x41" + write_signed(rng.choice(NUMBERS[:6]))
    elif row.name == "i64.const":
        new = b"\x42" + write_signed(rng.choice(NUMBERS))
    elif row.name in ("f32.const", "f64.const"):
        size = end - start - 1
        new = body[start : start + 1] + rng.choice(FLOATS) + rng.randbytes(size)
        new = new[: 1 + size]
    elif "memarg" in row.immediates:
        new = body[start : end - 1] + rng.choice([b"\0", b"\x7f", b"\xff\xff\xff\xff\x0f"])
    elif len(twins) > 1:
        code = rng.choice(twins).opcode
        opcode = bytes([code]) if code < 0x100 else bytes([code >> 16])
        if code >= 0x100:
            opcode += write_unsigned(code & 0xFFFF)
        old = 1 if row.opcode < 0x100 else 1 + len(write_unsigned(row.opcode & 0xFFFF))
        new = opcode + body[start + old : end]
    else:
        new = rng.choice([b"", b"\x01" + body[start:end], body[start:end] * 2, b"\0"])
    return body[:start] + new + body[end:]


def with_body(data: bytes, bodies: list[Span], span: Span, body: bytes) -> bytes:
    """The module with one body exchanged."""
    _, end, header = next(
        place for place in sections(data) if place[0] < span.start <= span.end <= place[1]
    )
    content = write_unsigned(len(bodies))
    for other in bodies:
        code = body if other is span else data[other.start : other.end]
        content += write_unsigned(len(code)) + code
    return data[:header] + write_unsigned(len(content)) + content + data[end:]


class Hang(BaseException):
    """A module took too long."""


@contextmanager
def patience(seconds: int) -> Iterator[None]:
    def alarm(*_: object) -> None:
        raise Hang

    previous = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def default(ty: Any) -> Any:
    match ty:
        case NumType.F32 | NumType.F64:
            return 1.5
        case NumType.V128:
            return bytes(range(16))
        case NumType():
            return 3
        case RefType(nullable=True):
            return None
    raise LinkError(f"no default value for {ty}")


def exercise(engine: Engine, data: bytes) -> bool:
    """Load, print, instantiate and call everything; whether it got to a call.

    Raises what is not a `WasmError`.
    """
    called = False
    try:
        module = Module.from_binary(engine, data)
        print_module(data)
        store = Store(engine)
        store.limiter(StoreLimits(memory_size=8 << 20, table_elements=10_000))
        store.set_fuel(20_000)
        linker = Linker(engine)
        linker.define_unknown_imports_as_default_values(store, module)
        instance = linker.instantiate(store, module)
    except WasmError:
        return False
    for export in instance.exports(store):
        if isinstance(export.extern, Func):
            try:
                arguments = [default(ty) for ty in export.extern.ty(store).params]
                store.set_fuel(20_000)
                called = True
                export.extern.call(store, *arguments)
            except WasmError:
                continue
    return called


@pytest.fixture(scope="module")
def originals() -> list[tuple[str, bytes]]:
    found = corpus()
    if not found:
        pytest.skip(ABSENT)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_modules(seed: int, originals: list[tuple[str, bytes]]) -> None:
    rng = random.Random(seed)
    engine = Engine(script_config(consume_fuel=True, preemption_interval=None))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    runnable = [item for item in originals if exports(item[1])]
    loaded = 0
    for number in range(MUTANTS):
        # Modules that export functions more often than the rest: these can be run.
        name, data = rng.choice(runnable if number % 4 else originals)
        damaged = mutate(rng, data, rng.choice(originals)[1])
        try:
            with patience(PATIENCE):
                loaded += exercise(engine, damaged)
        except (Exception, Hang) as error:
            raise AssertionError(
                f"mutant {number} of seed {seed}, from {name}: {error!r}\n{damaged.hex()}"
            ) from error
    # Enough of them must survive for the test to mean anything.
    assert loaded > MUTANTS // 8
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MEMORY


def test_undamaged_modules(originals: list[tuple[str, bytes]]) -> None:
    """The same with the modules as they are, in every order of calls that exports give."""
    engine = Engine(script_config(consume_fuel=True, preemption_interval=None))
    for name, data in originals:
        try:
            with patience(PATIENCE):
                exercise(engine, data)
        except (Exception, Hang) as error:
            raise AssertionError(f"{name}: {error!r}") from error
