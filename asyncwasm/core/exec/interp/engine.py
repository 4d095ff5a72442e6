"""`Interpreter`: the portable engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from types import CodeType, FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core.exec.protocol import Statistics
from asyncwasm.core.runtime.words import BARS, Bar
from asyncwasm.errors import ResourceLimitError, Trap, TrapCode, WasmError

from . import locate, registry
from .body import Options
from .names import RESOLVERS, Constants
from .translate import Translation, translate

if TYPE_CHECKING:
    from array import array

    from asyncwasm.core.runtime.config import Config
    from asyncwasm.core.runtime.func import Func
    from asyncwasm.core.runtime.instance import Instance
    from asyncwasm.core.runtime.module import Module
    from asyncwasm.core.runtime.store import Store

_CONSTANTS: Final = "constants"


class Interpreter:
    """Runs guest functions as generated Python; see the package's docstring.

    Stateless but for its options, so one serves all stores of an engine, on any threads.
    Implements `Executor`.
    """

    def __init__(self, config: Config) -> None:
        registry.load()
        # A deadline is noticed by the first function that is entered, however short.
        self._options = Options(
            config.consume_fuel,
            config.checks_interrupts,
            checks_entries=config.consume_fuel or config.epoch_interruption,
        )
        self._statistics: Final = Statistics()
        # Translations and the names in them are shared by all instances of a module.
        self._lock = threading.RLock()

    @property
    def statistics(self) -> Statistics:
        """See `Executor.statistics`."""
        return self._statistics

    def was_validated(self, data: bytes) -> bool:
        """See `Executor.was_validated`."""
        return False

    def packed(self, module: Module, *, complete: bool) -> bytes:
        """See `Executor.packed`."""
        return b""

    def adopt(self, module: Module, packed: bytes) -> None:
        """See `Executor.adopt`."""

    def prepare(self, instance: Instance) -> None:
        """See `Executor.prepare`."""
        instance.namespace["__wasm_instance__"] = instance

    def link(self, func: Func) -> None:
        """See `Executor.link`."""

        def make() -> None:
            if hasattr(func.fn, _MAKE):
                self.install(func, *self.make(func))

        func.fn = _stub(func, "fn", make)
        func.raw = _stub(func, "raw", make)

    def make(self, func: Func) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """See `Portable.make`."""
        try:
            translation = self.translation(func)
            instance = func.instance
            assert instance is not None
            namespace = instance.namespace
            raw = FunctionType(translation.code, namespace)
            fn = raw if translation.entry is None else FunctionType(translation.entry, namespace)
            for name, kind, value in translation.bindings:
                if name not in namespace:
                    namespace[name] = _resolve(instance, kind, value)
        except RecursionError:
            raise Trap(TrapCode.STACK_OVERFLOW) from None
        except MemoryError:
            raise ResourceLimitError(f"not enough memory for function {func.index}") from None
        return fn, raw

    def install(self, func: Func, fn: Callable[..., Any], raw: Callable[..., Any]) -> None:
        """See `Portable.install`."""
        func.fn, func.raw = fn, raw
        assert func.instance is not None
        namespace = func.instance.namespace
        for name, function in ((f"f{func.index}", fn), (f"r{func.index}", raw)):
            if name in namespace:
                namespace[name] = function

    def locate(
        self, namespace: dict[str, Any], code: CodeType, line: int
    ) -> tuple[int, int | None] | None:
        """See `Executor.locate`."""
        return locate.locate(namespace, code, line)

    def new_flag(self, words: array[int]) -> Any:
        """See `Executor.new_flag`."""
        words[BARS] = Bar.PORTABLE
        return [0]

    def new_fuel(self) -> Any:
        """See `Executor.new_fuel`."""
        return [0]

    def call_started(self, store: Store[Any]) -> None:
        """See `Executor.call_started`."""

    def call_ended(self, store: Store[Any]) -> None:
        """See `Executor.call_ended`."""

    def bind_thread(self, store: Store[Any]) -> None:
        """See `Executor.bind_thread`."""

    def instance_of(self, code: CodeType) -> Instance | None:
        """See `Executor.instance_of`."""
        return None

    def classify(self, error: BaseException, traceback: TracebackType | None) -> Trap | None:
        """See `Executor.classify`."""
        return locate.classify(error, traceback)

    def translation(self, func: Func) -> Translation:
        """The translated form of a function that a module defines."""
        instance, index = func.instance, func.index
        assert instance is not None
        assert index is not None
        module = instance._module
        found: Translation | None = module.translations.get(index)
        if found is None:
            module.validate_body(index)
            with self._lock:
                found = module.translations.get(index)
                if found is None:
                    constants = module.translations.setdefault(_CONSTANTS, Constants())
                    found = translate(module.info, index, constants, self._options)
                    module.translations[index] = found
        return found


_MAKE: Final = "wasm_make"


def _stub(func: Func, attribute: str, make: Callable[[], None]) -> Callable[..., Any]:
    """What stands for a function that has not been translated."""

    def stub(*args: Any) -> Any:
        make()
        return getattr(func, attribute)(*args)

    setattr(stub, _MAKE, make)
    return stub


def _resolve(instance: Instance, kind: str, value: Any) -> Any:
    if kind not in ("func", "raw"):
        return RESOLVERS[kind](instance, value)
    func = instance.func(value)
    if func.instance is not instance:
        # When another instance's function is translated, nothing would tell this namespace.
        make = getattr(func.fn, _MAKE, None)
        if make is not None:
            # Its stub raises this again when it is called.
            with suppress(WasmError):
                make()
    return func.fn if kind == "func" else func.raw
