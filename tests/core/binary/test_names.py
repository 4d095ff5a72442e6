"""The name section: everything in it, and everything that may be wrong with it."""

from __future__ import annotations

import random

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.binary.names import NameSection, read_names
from asyncwasm.core.isa.features import ALL
from tests.core.binary import build as b


def names(*subsections: bytes, title: str = "name") -> NameSection:
    return read_names(decode_module(b.module(b.custom(title, b"".join(subsections))), ALL))


def name_map(names: dict[int, str]) -> bytes:
    return b.vec(*(b.u(index) + b.name(name) for index, name in names.items()))


def indirect(maps: dict[int, dict[int, str]]) -> bytes:
    return b.vec(*(b.u(index) + name_map(names) for index, names in maps.items()))


EVERYTHING = [
    b.raw_section(0, b.name("mod")),
    b.raw_section(1, name_map({0: "f", 300: "g"})),
    b.raw_section(2, indirect({0: {0: "x", 1: "y"}})),
    b.raw_section(3, indirect({1: {0: "again"}})),
    b.raw_section(4, name_map({0: "t"})),
    b.raw_section(5, name_map({0: "tab"})),
    b.raw_section(6, name_map({0: "mem"})),
    b.raw_section(7, name_map({0: "glob"})),
    b.raw_section(8, name_map({0: "elem"})),
    b.raw_section(9, name_map({0: "data"})),
    b.raw_section(10, indirect({0: {1: "field"}})),
    b.raw_section(11, name_map({0: "tag"})),
]


def test_all_subsections():
    assert names(*EVERYTHING) == NameSection(
        module="mod",
        functions={0: "f", 300: "g"},
        locals={0: {0: "x", 1: "y"}},
        labels={1: {0: "again"}},
        types={0: "t"},
        tables={0: "tab"},
        memories={0: "mem"},
        globals={0: "glob"},
        elems={0: "elem"},
        datas={0: "data"},
        fields={0: {1: "field"}},
        tags={0: "tag"},
    )


def test_a_module_without_names():
    assert read_names(decode_module(b.HEADER, ALL)) == NameSection()
    assert names(*EVERYTHING, title="eman") == NameSection()


def test_unknown_subsections_are_skipped():
    assert names(b.raw_section(99, b"?"), EVERYTHING[0]).module == "mod"


def test_what_is_malformed_is_left_out():
    good = EVERYTHING[0]
    for bad in (
        b"\x01",
        b"\x01\x05\0",
        b.raw_section(1, b"\x01\0\x05abc"),
        b.raw_section(1, b"\x01\0\x01\xff"),
        b.raw_section(1, b"\0\0"),
        b.raw_section(1, b.u(1 << 30)),
        b.raw_section(2, b"\x01\0\x01"),
    ):
        assert names(good, bad, EVERYTHING[4]) == NameSection(module="mod")


def test_no_bytes_make_it_fail():
    rng = random.Random(1)
    content = b"".join(EVERYTHING)
    for _ in range(2000):
        mutated = bytearray(content)
        for _ in range(rng.randrange(1, 4)):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        names(bytes(mutated))
