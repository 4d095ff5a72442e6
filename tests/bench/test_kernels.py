"""The kernels compute what their oracles say: the portable engine's results on small sizes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from asyncwasm import Engine, Instance, Module, Store
from bench.kernels import KERNELS

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.name)
def test_result(kernel):
    engine = Engine()
    store: Store[None] = Store(engine)
    run = Instance.new(store, Module(engine, kernel.text)).get_func(store, "run")
    assert run is not None
    for n in (2, 7, kernel.n):
        assert run.call(store, n) == kernel.oracle(n)


@pytest.mark.slow
def test_every_file_is_a_kernel_and_comparing_works():
    names = {kernel.name for kernel in KERNELS}
    assert {path.stem for path in (ROOT / "bench/kernels").glob("*.wat")} == names
    assert {path.stem for path in (ROOT / "bench/kernels").glob("*.c")} < names
    options = "--seconds 0.01 --engines interpreter,wasmtime --kernels fib,bulk_small"
    options += " --only kernels"
    done = subprocess.run(
        [sys.executable, "-m", "bench.compare", *options.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| **geometric mean** |" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["interpreter", "native"])
def test_steps_can_be_measured(engine):
    if engine == "native":
        pytest.importorskip("llvmlite")
    done = subprocess.run(
        [sys.executable, "-m", "bench.steps", engine],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(figure >= 0 for key, figure in json.loads(done.stdout).items() if "_" not in key)
