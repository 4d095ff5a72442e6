"""Ten thousand suspended calls in one process: bounded memory for each, and none is left."""

from __future__ import annotations

import gc
import sys

import pytest
import trio

from asyncwasm.fiber import live_fibers
from bench.suspended import measure, resident

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm"),
]

CALLS = 10_000
# What docs/explanation/limits.md says was measured, with room for other versions of Python.
MOST_FOR_A_CALL = 64 * 1024
MOST_FOR_AN_INSTANCE = 64 * 1024


def test_ten_thousand_suspended_calls():
    before = resident()
    taken = trio.run(measure, CALLS)
    assert taken.suspended < MOST_FOR_A_CALL
    assert taken.instance < MOST_FOR_AN_INSTANCE
    assert live_fibers() == 0
    gc.collect()
    # Allocators keep some pages; most of it has to be back or reusable.
    assert trio.run(measure, 1000).suspended < MOST_FOR_A_CALL
    assert resident() - before < CALLS * (taken.suspended + taken.instance)
