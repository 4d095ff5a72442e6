"""One module, the same calls, in the interpreter and in Wasmtime."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import wasmtime

from asyncwasm.core.runtime.config import Config
from asyncwasm.core.runtime.engine import Engine
from asyncwasm.core.runtime.func import Func
from asyncwasm.core.runtime.instance import Instance
from asyncwasm.core.runtime.module import Module
from asyncwasm.core.runtime.store import Store
from asyncwasm.errors import Trap

Call = tuple[Any, ...]  # the name of an export and the arguments


@cache
def _their_engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.shared_memory = True
    config.wasm_exceptions = True
    return wasmtime.Engine(config)


class Ours:
    """An instance in the interpreter; calling it gives a value, a tuple, or a trap's code."""

    def __init__(self, wat: str, **options: Any) -> None:
        engine = Engine(Config(strategy="interpreter", shared_memory=True, **options))
        self.store = Store(engine)
        if engine.config.consume_fuel:
            self.store.set_fuel(1 << 40)
        module = Module(engine, bytes(wasmtime.wat2wasm(wat)))
        self.instance = Instance.new(self.store, module, [])

    def __call__(self, name: str, *args: Any) -> Any:
        func = self.instance.get_func(self.store, name)
        assert isinstance(func, Func)
        try:
            return func.call(self.store, *args)
        except Trap as trap:
            return trap.code.name


class Theirs:
    """The same in Wasmtime."""

    def __init__(self, wat: str) -> None:
        self.store = wasmtime.Store(_their_engine())
        module = wasmtime.Module(_their_engine(), wat)
        exports = wasmtime.Instance(self.store, module, []).exports(self.store)
        self.exports: Any = exports

    def __call__(self, name: str, *args: Any) -> Any:
        try:
            found = self.exports[name](self.store, *args)
        except wasmtime.Trap as trap:
            code: Any = trap.trap_code
            return code.name
        return tuple(found) if isinstance(found, list) else found


def agree(wat: str, calls: Iterable[Call], **options: Any) -> list[Any]:
    """Make the calls in order in one instance each, and compare; the outcomes."""
    ours, theirs = Ours(wat, **options), Theirs(wat)
    outcomes = []
    for call in calls:
        found, expected = ours(*call), theirs(*call)
        assert repr(found) == repr(expected), f"{call}: {found}, not {expected}"
        outcomes.append(found)
    return outcomes
