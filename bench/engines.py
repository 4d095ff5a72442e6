"""The engines that can be compared, behind one function each: wasm bytes in, `run(n)` out.

Only the engine asked for is imported: each measurement runs in a process of its own.  `c` is not
an engine but the same kernel written in C, in `kernels/NAME.c`, compiled by gcc.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Run = Callable[[int], Any]

KERNELS = Path(__file__).parent / "kernels"
# As WebAssembly has it, results are exact: no fused operations.
GCC = ("gcc", "-O2", "-march=native", "-ffp-contract=off", "-shared", "-fPIC")


def asyncwasm_config(engine: str) -> Any:
    """The configuration of one of our engines."""
    from asyncwasm import Config

    if engine == "native-alone":
        return Config(strategy="native", preemption_interval=None)
    return Config(strategy=engine)


def _asyncwasm(engine: str) -> Callable[[bytes, str], Run]:
    def load(wasm: bytes, kernel: str) -> Run:
        from asyncwasm import Engine, Instance, Module, Store

        store = Store(Engine(asyncwasm_config(engine)))
        instance = Instance.new(store, Module(store.engine, wasm), [])
        run = instance.get_func(store, "run")
        assert run is not None
        return lambda n: run.call(store, n)

    return load


def _pywasm(wasm: bytes, kernel: str) -> Run:
    import io

    import pywasm

    pywasm.log.lvl = 0
    runtime = pywasm.Runtime()
    module = runtime.instance(pywasm.ModuleDesc.from_reader(io.BytesIO(wasm)))
    return lambda n: runtime.invocate(module, "run", [n])[0]


def wasmtime_engine() -> Any:
    """Wasmtime with the features that kernels use."""
    import wasmtime

    config = wasmtime.Config()
    config.wasm_gc = True
    config.wasm_function_references = True
    config.wasm_exceptions = True
    return wasmtime.Engine(config)


def _wasmtime(wasm: bytes, kernel: str) -> Run:
    import wasmtime

    store = wasmtime.Store(wasmtime_engine())
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, wasm), [])
    run = instance.exports(store)["run"]
    return lambda n: run(store, n)


def _c(wasm: bytes, kernel: str) -> Run:
    with tempfile.TemporaryDirectory() as directory:
        library = Path(directory) / "kernel.so"
        subprocess.run(
            [*GCC, "-o", str(library), str(KERNELS / f"{kernel}.c"), "-lm"],
            check=True,
        )
        run = ctypes.CDLL(str(library)).run
    run.argtypes = [ctypes.c_int]
    run.restype = ctypes.c_double if kernel in ("matmul_ijk", "matmul_ikj", "nbody") else _INT
    return run  # type: ignore[no-any-return]


_INT = ctypes.c_longlong


@dataclass(frozen=True)
class Engine:
    """How an engine is loaded, what tables call it, and how fast it is.

    An engine that makes machine code gets a kernel's `n_native`.
    """

    load: Callable[[bytes, str], Run]
    title: str
    machine_code: bool
    distribution: str | None = None

    @property
    def name(self) -> str:
        """The title, with the version of another project's distribution."""
        if self.distribution is None:
            return self.title
        return f"{self.title} {importlib.metadata.version(self.distribution)}"


ENGINES = {
    "native": Engine(_asyncwasm("native"), "native", True),
    "native-alone": Engine(_asyncwasm("native-alone"), "native, no preemption", True),
    "interpreter": Engine(_asyncwasm("interpreter"), "portable", False),
    "wasmtime": Engine(_wasmtime, "wasmtime", True, "wasmtime"),
    "pywasm": Engine(_pywasm, "pywasm", False, "pywasm"),
    "c": Engine(_c, "C (gcc -O2)", True),
}


def can_run(engine: str, kernel: str) -> bool:
    """Whether there is such a measurement here."""
    if engine == "pywasm":
        return kernel not in ("gc_tree", "exceptions")
    if engine == "c":
        return (KERNELS / f"{kernel}.c").exists() and shutil.which("gcc") is not None
    return True
