"""Every instruction has a lowering, and no helper's name hides another's."""

from __future__ import annotations

from asyncwasm.core.exec.interp import registry
from asyncwasm.core.exec.interp.names import Constants
from asyncwasm.core.isa import numeric, simd
from asyncwasm.core.isa.table import TABLE

CONTROL = frozenset("block loop if else end try_table br br_if br_table return nop".split())


def test_every_instruction_is_lowered_once():
    registry.load()
    for row in TABLE:
        ways = [
            row.name in CONTROL,
            row.name in registry.LOWERINGS,
            row.name in registry.BRANCHINGS,
        ]
        assert sum(ways) <= 1, row.name
        assert any(ways) or row.name in numeric.REFERENCE or row.name in simd.REFERENCE, row.name


def test_every_branching_is_an_instruction_with_a_label():
    for row in TABLE:
        if row.name in registry.BRANCHINGS:
            assert row.immediates in (("labelidx",), ("castop",)), row.name


def test_names_of_constants_are_distinct_and_stay():
    def one():
        pass

    def other():
        pass

    other.__name__ = "one"
    constants = Constants()
    objects = [one, other, object(), object(), 1.5]
    names = [constants.name(thing, getattr(thing, "__name__", "k")) for thing in objects]
    assert len(set(names)) == len(names)
    assert [constants.name(thing) for thing in objects] == names
