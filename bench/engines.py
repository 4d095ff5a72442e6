"""The engines that can be compared, behind one function each: wasm bytes in, `run(n)` out.

Only the engine asked for is imported: each measurement runs in a process of its own.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

Run = Callable[[int], Any]


def _asyncwasm(strategy: str) -> Callable[[bytes], Run]:
    def load(wasm: bytes) -> Run:
        from asyncwasm import Config, Engine, Instance, Module, Store

        engine = Engine(Config(strategy=strategy))
        store = Store(engine)
        instance = Instance.new(store, Module(engine, wasm), [])
        run = instance.get_func(store, "run")
        assert run is not None
        return lambda n: run.call(store, n)

    return load


def _pywasm(wasm: bytes) -> Run:
    import io

    import pywasm

    pywasm.log.lvl = 0
    runtime = pywasm.Runtime()
    module = runtime.instance(pywasm.ModuleDesc.from_reader(io.BytesIO(wasm)))
    return lambda n: runtime.invocate(module, "run", [n])[0]


def _wasmtime(wasm: bytes) -> Run:
    import wasmtime

    config = wasmtime.Config()
    config.wasm_gc = True
    config.wasm_function_references = True
    config.wasm_exceptions = True
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    instance = wasmtime.Instance(store, wasmtime.Module(engine, wasm), [])
    run = instance.exports(store)["run"]
    return lambda n: run(store, n)


ENGINES: dict[str, Callable[[bytes], Run]] = {
    "interpreter": _asyncwasm("interpreter"),
    "pywasm": _pywasm,
    "wasmtime": _wasmtime,
}
# Engines that produce machine code get a kernel's `n_native`.
NATIVE = frozenset({"wasmtime"})


def version(engine: str) -> str:
    """The version of the distribution behind an engine."""
    return importlib.metadata.version(engine if engine != "interpreter" else "asyncwasm")
