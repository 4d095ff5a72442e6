"""Ctrl-C wherever it strikes: no fiber stays behind, and the interrupt comes out.

Each test is a process of its own, for signals do not stop at what is tested.
"""

from __future__ import annotations

import signal

import pytest

from tests import child

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(signal, "setitimer"), reason="needs a timer that raises signals"
    ),
]
STORMS = "tests.fiber.storms"


@pytest.mark.parametrize("name", ["in_calls", "between_calls", "in_fibers"])
def test_interrupts_anywhere(name):
    child.run(STORMS, name)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_interrupt_reaches_a_main_task_that_waits(loop):
    child.run(STORMS, "sleeping", loop)


def test_an_interrupt_of_sync_code_on_trio_waits_for_a_checkpoint():
    child.run(STORMS, "computing_on_trio")
