"""Who works first."""

from __future__ import annotations

import threading
import time

from asyncwasm.core.exec.native import workers
from asyncwasm.core.exec.native.workers import Worker


def test_what_nobody_waits_for_waits_for_what_somebody_does():
    foreground, background = Worker(), Worker()
    order: list[str] = []
    done = threading.Event()

    def job() -> None:
        background.give_way(foreground)
        order.append("background")
        done.set()

    assert foreground.run(lambda: 1) == 1
    background.submit(job)
    for number in range(5):
        time.sleep(workers._QUIET / 5)
        foreground.run(lambda: order.append("foreground"))
        assert order == ["foreground"] * (number + 1)
    assert done.wait(10)


def test_it_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(workers, "_DELAY", 0.05)
    foreground, background = Worker(), Worker()
    foreground.run(lambda: None)
    monkeypatch.setattr(foreground, "_wanted_at", time.monotonic() + 1000)
    background.give_way(foreground)


def test_nor_at_the_end_of_the_process():
    foreground, background = Worker(), Worker()
    foreground.run(lambda: None)
    background.end()
    start = time.monotonic()
    background.give_way(foreground)
    assert time.monotonic() - start < workers._QUIET
