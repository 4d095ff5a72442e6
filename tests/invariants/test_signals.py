"""Ctrl-C, wherever in a call it strikes: it comes out, the guest ends, the books are right.

Signal handlers raise between any two steps of Python code, also where a call begins or ends, and
in what runs the tests; hence each test is a process of its own.
"""

from __future__ import annotations

import signal

import pytest

from tests import child

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers"),
]
STORMS = "tests.invariants.storms"


@pytest.fixture(params=["interpreter", "native"])
def strategy(request):
    if request.param == "native":
        pytest.importorskip("llvmlite")
    return request.param


@pytest.mark.parametrize("hook", ["plain", "hooked"])
@pytest.mark.parametrize("name", ["short", "grow", "long"])
def test_sync_calls(strategy, name, hook):
    child.run(STORMS, "calls", strategy, name, hook)


@pytest.mark.parametrize("name", ["short", "long", "spin"])
def test_sync_calls_without_the_gil(name):
    pytest.importorskip("llvmlite")
    child.run(STORMS, "calls", "released", name, "plain")


def test_first_calls(strategy):
    child.run(STORMS, "first_calls", strategy)


def test_sync_instantiation_and_growth(strategy):
    child.run(STORMS, "instantiation_and_growth", strategy)


def test_a_storm_over_one_call_after_the_other(strategy):
    child.run(STORMS, "one_after_the_other", strategy)


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
def test_async_calls(strategy, loop):
    child.run(STORMS, "async_calls", strategy, loop)
