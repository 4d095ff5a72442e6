"""Components made to do harm: an answer soon, and no error but ours."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncwasm.core.binary.leb128 import write_signed, write_unsigned
from asyncwasm.errors import MalformedError, ResourceLimitError, ValidationError, WasmError
from tests.component.binary.test_decoder import MODULE, PREAMBLE, component, section
from tests.component.validate.check import script_components, scripts, validated

SECONDS = 20


def index(value: int) -> bytes:
    return write_signed(value)


def types(*definitions: bytes) -> bytes:
    return section(7, write_unsigned(len(definitions)), *definitions)


def doubling_tuples() -> bytes:
    return types(b"\x73", *(b"\x6f\2" + index(i) * 2 for i in range(200)))


def deep_options() -> bytes:
    return types(b"\x73", *(b"\x6b" + index(i) for i in range(100_000)))


def big_types_over_and_over() -> bytes:
    wide = b"\x6f" + write_unsigned(9_000) + b"\x73" * 9_000
    return types(wide, *(b"\x6f" + write_unsigned(10) + index(0) * 10 for _ in range(100_000)))


def exported(type: int, name: str = "a") -> bytes:
    """An export declarator of an instance of that type."""
    return b"\4\0" + write_unsigned(len(name)) + name.encode() + b"\5" + write_unsigned(type)


def doubling_instances() -> bytes:
    """Each type has two instances of the one before, with a resource at the bottom."""
    definitions = [b"\x42\1\4\0\1r\3\1"]
    for i in range(60):
        alias = b"\2\3\2\1" + write_unsigned(i)
        definitions.append(b"\x42\3" + alias + exported(0, "a") + exported(0, "b"))
    return types(*definitions)


def deep_instances() -> bytes:
    above = (b"\x42\2\2\3\2\1" + write_unsigned(i) + exported(0) for i in range(50_000))
    return types(b"\x42\1\4\0\1r\3\1", *above)


def many_imports_of_a_big_instance() -> bytes:
    names = [f"a{i}".encode() for i in range(5_000)]
    exports = b"".join(b"\4\0" + write_unsigned(len(n)) + n + b"\3\1" for n in names)
    big = b"\x42" + write_unsigned(len(names)) + exports
    imports = b"".join(b"\0" + write_unsigned(len(n)) + n + b"\5\0" for n in names)
    return types(big) + section(10, write_unsigned(len(names)), imports)


def comparing_component_types() -> bytes:
    """Equality of component types asks for subtyping both ways, of all that is in them."""

    def chain() -> list[bytes]:
        definitions = [b"\x41\0"]
        for i in range(60):
            decls = b"\2\3\2\1" + write_unsigned(i) + b"\4\0\1a\3\0\0" + b"\3\0\1b\3\0\0"
            definitions.append(b"\x41\3" + decls)
        return definitions

    inner = component(types(*chain()), section(10, b"\1\0\1x\3\0\x3c"))
    return types(*chain()) + section(4, inner) + section(5, b"\1\0\0\1\1x\3\x3c")


def many_instantiations() -> bytes:
    inner = component(section(1, MODULE))
    count = 200_000
    return section(4, inner) + section(5, write_unsigned(count), b"\0\0\0" * count)


def many_sections() -> bytes:
    return section(7, b"\0") * 300_000


def module_types() -> bytes:
    """Every core type is looked at again for each that refers to it."""
    return section(3, write_unsigned(50_000), b"\x60\0\0" * 50_000)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        doubling_tuples,
        deep_options,
        big_types_over_and_over,
        doubling_instances,
        deep_instances,
        many_imports_of_a_big_instance,
        comparing_component_types,
        many_instantiations,
        many_sections,
        module_types,
    ],
)
def test_hostile(make: Callable[[], bytes]):
    data = component(make())
    start = time.process_time()
    with contextlib.suppress(ResourceLimitError, ValidationError):
        validated(data)
    assert time.process_time() - start < SECONDS


@pytest.mark.parametrize(
    "make", [doubling_tuples, deep_options, doubling_instances, deep_instances]
)
def test_refused(make: Callable[[], bytes]):
    with pytest.raises(ResourceLimitError):
        validated(component(make()))


@cache
def seeds() -> list[bytes]:
    return list(_seeds()) or [PREAMBLE]


def _seeds() -> Iterator[bytes]:
    for script in scripts():
        for _, found in script_components(script):
            with contextlib.suppress(MalformedError):
                data = found.to_binary()
                if len(data) < 3000:
                    yield data


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutations(data: st.DataObject):
    """Whatever the bytes are, there is a component or an error of ours."""
    binary = bytearray(data.draw(st.sampled_from(seeds())))
    for _ in range(data.draw(st.integers(1, 4))):
        if not binary:
            break
        place = data.draw(st.integers(0, len(binary) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                binary[place] = data.draw(st.integers(0, 255))
            case 1:
                del binary[place]
            case _:
                binary.insert(place, data.draw(st.integers(0, 255)))
    with contextlib.suppress(WasmError):
        validated(bytes(binary))
