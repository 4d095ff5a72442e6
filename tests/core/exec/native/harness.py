"""Instances of the native engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import wasmtime

from asyncwasm.core.runtime.config import Config
from asyncwasm.core.runtime.engine import Engine
from asyncwasm.core.runtime.instance import Instance
from asyncwasm.core.runtime.module import Module
from asyncwasm.core.runtime.store import Store
from asyncwasm.errors import Trap


class Ours:
    """An instance; calling it gives a value, a tuple, or a trap's code.

    `memory` is its first memory, or None.
    """

    def __init__(
        self,
        wat: str,
        strategy: str = "native",
        *,
        engine: Engine | None = None,
        imports: Sequence[Any] = (),
    ) -> None:
        self.engine = engine or Engine(
            Config(strategy=strategy, opt_level="speed", shared_memory=True)
        )
        self.store = Store(self.engine)
        module = Module(self.engine, bytes(wasmtime.wat2wasm(wat)))
        self.instance = Instance.new(self.store, module, list(imports))
        self.memory: Any = next(iter(self.instance.memories), None)

    def __call__(self, name: str, *args: Any) -> Any:
        func: Any = self.instance.get_func(self.store, name)
        try:
            return func.call(self.store, *args)
        except Trap as trap:
            return trap.code.name

    def check_native(self) -> None:
        """Fail if anything was interpreted."""
        statistics = self.engine.executor.statistics
        assert statistics.functions
        assert not statistics.interpreted
