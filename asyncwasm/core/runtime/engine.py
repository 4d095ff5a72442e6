"""`Engine`: a configuration, an epoch counter, and the executor that runs guest code."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, final

from asyncwasm.core.exec.interp import Interpreter
from asyncwasm.errors import UsageError

from . import serialized
from .config import Config

if TYPE_CHECKING:
    from asyncwasm.core.exec.protocol import Executor

    from .store import Store


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """What an engine has compiled so far.

    * `functions_compiled`: functions that have machine code.
    * `functions_optimised`: those of them whose code was optimised.
    * `units_recalled`: how often code came from the cache, and the compiler did not run.
    * `functions_interpreted`: for each reason why a function has none, the number of functions.
      Functions that were not tried yet are not in here.
    * `units`: how often the compiler ran; optimising takes functions with what they call.
    * `compile_seconds`: the time that calls have waited for it.
    * `loops_replaced`: how often a loop that was running went on in optimised code.
    * `loops_stuck`: for each reason why one cannot, the number of loops that were found running.
    """

    functions_compiled: int
    functions_optimised: int
    units_recalled: int
    functions_interpreted: Mapping[str, int]
    units: int
    compile_seconds: float
    loops_replaced: int
    loops_stuck: Mapping[str, int]


class Precompiles(Protocol):
    """What can be made of bytes or text, and written down compiled."""

    def __init__(self, engine: Engine, wasm: bytes | str) -> None: ...

    def serialize(self) -> bytes:
        """It, in a form to be loaded."""
        ...


@final
class Engine:
    """Where modules are compiled and stores live.  May be shared between threads.

    Two engines are never interchangeable, even with equal configurations.  Follows
    Wasmtime's `Engine`.
    """

    def __init__(self, config: Config | None = None, *, _token: str | None = None) -> None:
        self._config: Final = Config() if config is None else config
        # What the engine is known by when it travels by pickle.
        self._token: Final = _token or uuid.uuid4().hex
        self._epoch = 0
        # Stores with a call in progress, by id: `increment_epoch` has to flag them.
        self._running: Final[dict[int, Store[Any]]] = {}
        self._executor: Final = _executor(self._config)
        _ENGINES[self._token] = self

    @property
    def config(self) -> Config:
        """The configuration, immutable."""
        return self._config

    @property
    def epoch(self) -> int:
        """How often `increment_epoch` was called."""
        return self._epoch

    @property
    def executor(self) -> Executor:
        """What runs guest code; for the runtime's own use."""
        return self._executor

    @property
    def is_native(self) -> bool:
        """Whether guest code is compiled to machine code, where that is possible."""
        return not isinstance(self._executor, Interpreter)

    @property
    def is_async(self) -> bool:
        """Whether `Config.async_support` makes every entry point async."""
        return self._config.async_support is True

    def statistics(self) -> EngineStatistics:
        """What was compiled so far.  All zero for an engine that only interprets."""
        found = self._executor.statistics
        return EngineStatistics(
            found.functions,
            found.optimised,
            found.recalled,
            dict(found.interpreted),
            found.units,
            found.seconds,
            found.replaced,
            dict(found.stuck),
        )

    def increment_epoch(self) -> None:
        """Add one to the epoch.

        May be called from any thread and from signal handlers, and never suspends.  Guests
        that reached their deadline notice at their next check.
        """
        self._epoch += 1
        for store in list(self._running.values()):
            store._flag_epoch()

    def call_started(self, store: Store[Any]) -> None:
        """An outermost call of `store` starts; for the runtime's own use."""
        self._running[id(store)] = store
        self._executor.call_started(store)

    def call_ended(self, store: Store[Any]) -> None:
        """No call of `store` is in progress any more; for the runtime's own use."""
        self._running.pop(id(store), None)
        self._executor.call_ended(store)

    def precompile_module(self, wasm: bytes | str) -> bytes:
        """Validate and compile `wasm` (binary or text): what `Module.serialize` gives.

        Raises `MalformedError` or `ValidationError`.
        """
        from .module import Module

        return Module(self, wasm).serialize()

    # What compiles components; the Component Model, where it is imported.
    components: ClassVar[type[Precompiles] | None] = None

    def precompile_component(self, wasm: bytes | str) -> bytes:
        """Validate and compile `wasm` (binary or text): what `Component.serialize` gives.

        Raises `MalformedError` or `ValidationError`, and `UsageError` unless
        `asyncwasm.component` has been imported.
        """
        if self.components is None:
            raise UsageError("`asyncwasm.component` has to be imported for `precompile_component`")
        return self.components(self, wasm).serialize()

    @staticmethod
    def detect_precompiled(data: bytes) -> str | None:
        """What kind of precompiled artefact `data` claims to be.

        `"module"` or `"component"`, or None for neither.
        """
        return serialized.kind_of(data)

    def __repr__(self) -> str:
        return f"<Engine {self._token[:8]}>"

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore, (self._token, self._config))


# An engine that travels by pickle is itself again in its own process, and one and the same
# engine for everything that came from it in another process.
_ENGINES: Final[weakref.WeakValueDictionary[str, Engine]] = weakref.WeakValueDictionary()


def _restore(token: str, config: Config) -> Engine:
    return _ENGINES.get(token) or Engine(config, _token=token)


def _executor(config: Config) -> Executor:
    portable = Interpreter(config)
    if config.strategy == "interpreter":
        return portable
    # On demand: most of the time that importing the package takes would be spent on it.
    from asyncwasm.core.exec import native

    reason = native.unsupported()
    if config.strategy == "native":
        try:
            if reason is None:
                native.load()
        except (ImportError, native.CompileError) as error:
            reason = str(error)
        if reason is not None:
            raise UsageError(f"strategy 'native' does not work here: {reason}")
    # Otherwise LLVM is loaded when the first function is compiled; without it, it is interpreted.
    return portable if reason is not None else native.NativeExecutor(config, portable)
