"""Memory that compiling takes, and gives back."""

from __future__ import annotations

import gc
import resource
from pathlib import Path

import pytest

pytest.importorskip("llvmlite")

from asyncwasm.core.exec.native import compiler

STATUS = Path("/proc/self/statm")


@pytest.mark.skipif(not STATUS.exists(), reason="the system does not say how much memory is used")
@pytest.mark.parametrize("speed", [0, 2])
def test_compiling_leaves_nothing_behind(speed):
    """llvmlite does not free the passes of an optimisation by itself, some 60 KB."""

    def used() -> int:
        gc.collect()
        return int(STATUS.read_text().split()[1]) * resource.getpagesize()

    def compile_some(count: int) -> None:
        for number in range(count):
            text = f"define i32 @f(i32 %x) {{\n  %y = add i32 %x, {number}\n  ret i32 %y\n}}"
            compiler.emit(text, speed=speed)

    compile_some(20)
    before = used()
    compile_some(200)
    assert used() - before < 200 * 10_000
