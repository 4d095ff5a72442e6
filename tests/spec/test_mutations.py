"""Damaged modules of the official suite: an error of ours, or a module that runs.

Nothing else may come of hostile bytes: no other exception, no hang, no memory without bound.
The seeds are fixed, so a failure can be repeated.
"""

from __future__ import annotations

import random
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from asyncwasm import (
    Engine,
    Func,
    Linker,
    LinkError,
    Module,
    RefType,
    Store,
    StoreLimits,
    WasmError,
)
from asyncwasm.core.text.printer import print_module
from asyncwasm.core.types import NumType
from asyncwasm.testing import script_config
from tests.spec.suite import ABSENT, scripts
from tests.spec.test_roundtrip import modules

pytestmark = [pytest.mark.spec, pytest.mark.slow]

MUTANTS = 400
SEEDS = range(12)
# What a module may take, in seconds, and what all of them may add to the process, in bytes.
PATIENCE = 10
MEMORY = 600 << 20
INTERESTING = [0, 1, 2, 0x0B, 0x3F, 0x40, 0x60, 0x64, 0x70, 0x7F, 0x80, 0xFB, 0xFC, 0xFD, 0xFF]


def corpus() -> list[tuple[str, bytes]]:
    """Small modules from everywhere in the suite, each once."""
    found: dict[bytes, str] = {}
    for path in scripts():
        if path.stat().st_size < 100_000:
            for line, _, binary in modules(path):
                if 8 < len(binary) < 2_000:
                    found.setdefault(binary, f"{path.name}:{line}")
    return [(name, binary) for binary, name in found.items()]


def mutate(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """`data` with a few changes; most leave the header alone."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        if not out:
            break
        at = rng.randrange(min(8, len(out) - 1), len(out))
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
    loaded = 0
    for number in range(MUTANTS):
        name, data = rng.choice(originals)
        damaged = mutate(rng, data, rng.choice(originals)[1])
        try:
            with patience(PATIENCE):
                loaded += exercise(engine, damaged)
        except (Exception, Hang) as error:
            raise AssertionError(
                f"mutant {number} of seed {seed}, from {name}: {error!r}\n{damaged.hex()}"
            ) from error
    # Enough of them must survive for the test to mean anything.
    assert loaded > MUTANTS // 20
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


def test_mutants_are_the_same_everywhere() -> None:
    rng = random.Random(1)
    data = bytes(range(60))
    assert mutate(rng, data, data) != data
    assert mutate(random.Random(7), data, data) == mutate(random.Random(7), data, data)
