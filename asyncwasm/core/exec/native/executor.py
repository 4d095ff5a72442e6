"""The native engine: functions compiled when it pays, the rest on the portable engine."""

from __future__ import annotations

import weakref
from array import array
from contextlib import suppress
from itertools import count
from types import CodeType, MethodType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core.exec.protocol import Statistics
from asyncwasm.core.module import ExternKind
from asyncwasm.core.runtime.words import LEAVE, LOWEST
from asyncwasm.core.types import EXTERNREF, FuncType, NumType

from . import bridges, made, ticker
from .cache import pack, unpack
from .compiler import CompileError, know
from .gates import Gates, make_slot
from .stack import lowest_address
from .state import InstanceState
from .storage import Storage, fingerprint
from .units import VALIDATED, ModuleCode

if TYPE_CHECKING:
    from asyncwasm.core.exec.protocol import Portable
    from asyncwasm.core.runtime.config import Config
    from asyncwasm.core.runtime.func import Func
    from asyncwasm.core.runtime.instance import Instance
    from asyncwasm.core.runtime.module import Module
    from asyncwasm.core.runtime.store import Store
    from asyncwasm.errors import Trap

    from .cache import CodeFile

_STATE: Final = "__native__"
_CODE: Final = "native"
# What names of code start with that belongs to no module.
_SHARED: Final = "shared."

# The same for all engines of the process.
_GATES: Final = Gates()


def _plain(ty: FuncType) -> FuncType:
    """A type that is passed in the same way and refers to no types of any module."""
    if all(type(ty) is NumType for ty in (*ty.params, *ty.results)):
        return ty
    return FuncType(
        tuple(p if isinstance(p, NumType) else EXTERNREF for p in ty.params),
        tuple(r if isinstance(r, NumType) else EXTERNREF for r in ty.results),
    )


# Frames of code that is not optimised, for which every value has a place of its own, are up to so
# many times larger.  Real programs (interpreters written in C) need what they need in either.
_UNOPTIMISED: Final = 8


def _is_bound(method: object, function: object) -> bool:
    return type(method) is MethodType and method.__func__ is function


class NativeExecutor:
    """Runs guest functions as machine code where that is possible.  Implements `Executor`.

    The other functions of an instance run on `portable`; either calls the other through
    `Func`.  A function is compiled when it is first called, quickly, and optimised in the
    background when it is found running at a tick.
    """

    def __init__(self, config: Config, portable: Portable) -> None:
        self._config: Final = config
        self._portable: Final = portable
        # By the file name in tracebacks.
        self._instances: Final[weakref.WeakValueDictionary[str, Instance]] = (
            weakref.WeakValueDictionary()
        )
        self._numbers: Final = count()
        # What functions are until they are called.
        self._first_call: Final = self._call_first
        self._first_raw: Final = self._call_first_raw
        self.statistics: Final = Statistics()
        self._storage: Final = Storage(config) if config.cache is not False else None

    def new_flag(self, words: array[int]) -> Any:
        """See `Executor.new_flag`."""
        return ticker.Flag(words, self._config.preemption_interval)

    def new_fuel(self) -> Any:
        """See `Executor.new_fuel`."""
        return array("q", [0])

    def call_started(self, store: Store[Any]) -> None:
        """See `Executor.call_started`."""
        ticker.call_started(store)

    def call_ended(self, store: Store[Any]) -> None:
        """See `Executor.call_ended`."""
        ticker.call_ended(store)

    def bind_thread(self, store: Store[Any]) -> None:
        """See `Executor.bind_thread`."""
        store.words[LOWEST] = lowest_address()

    def was_validated(self, data: bytes) -> bool:
        """See `Executor.was_validated`."""
        file = None if self._storage is None else self._storage.file(data)
        return file is not None and VALIDATED in file.items

    def packed(self, module: Module, *, complete: bool) -> bytes:
        """See `Executor.packed`."""
        code = self._code_of(module)
        types = {_plain(ty.func) for ty in module.info.funcs}
        try:
            if complete:
                code.compile_all(module)
                for export in module.info.exports.values():
                    if export.kind is ExternKind.FUNC:
                        _GATES.inward(_plain(module.info.funcs[export.index].func))
            items = code.packed()
            if not items:
                return b""
            shared = {**_GATES.kept(types), **bridges.kept(made.imports(items.values()))}
            items.update((f"{_SHARED}{name}", shared[name]) for name in sorted(shared))
            return fingerprint(self._config).encode() + b"\n" + pack(items)
        except (CompileError, ImportError, OSError):
            return b""

    def adopt(self, module: Module, packed: bytes) -> None:
        """See `Executor.adopt`."""
        made_for, _, content = packed.partition(b"\n")
        with suppress(CompileError, ImportError, OSError, ValueError):
            if content and made_for.decode() == fingerprint(self._config):
                items = unpack(content)
                shared = {name for name in items if name.startswith(_SHARED)}
                know({name.removeprefix(_SHARED): items.pop(name) for name in shared})
                self._code_of(module).adopt(items)

    def prepare(self, instance: Instance) -> None:
        """See `Executor.prepare`."""
        self._portable.prepare(instance)

    def link(self, func: Func) -> None:
        """See `Executor.link`."""
        instance = func.instance
        assert instance is not None
        state = instance.namespace.get(_STATE)
        if state is not None:
            state.callables[func.index] = id(func)

        # Bound to the function, and not made for it: most functions are never called, and closures
        # would be half of what an instance gives the garbage collector to look at.
        func.fn, func.raw = MethodType(self._first_call, func), MethodType(self._first_raw, func)

    def _call_first(self, func: Func, *args: Any) -> Any:
        if _is_bound(func.fn, self._first_call):
            self._settle(func)
        return func.fn(*args)

    def _call_first_raw(self, func: Func, *args: Any) -> Any:
        if _is_bound(func.raw, self._first_raw):
            self._settle(func)
        return func.raw(*args)

    def _settle(self, func: Func) -> None:
        """Give `func` code: the machine's, or the portable if it cannot have that."""
        instance, index = func.instance, func.index
        assert instance is not None
        assert index is not None
        module = instance._module
        module.validate_body(index)
        code = self._code_of(module)
        code.compile(module, index)
        if index in code.reasons:
            func.store.lend_stack()
            self._portable.install(func, *self._portable.make(func))
            return
        slot = self._slot_of(func)
        assert slot is not None
        # The gates keep alive what the function works on: the instance, and the module's code.
        fn, tail = _GATES.inward(_plain(func.type.func)).install(func, slot, (code, instance))
        self._portable.install(func, fn, tail if index in code.tails else fn)

    def _sampled(self, instance: Instance, index: int, loop: int) -> None:
        """Code of a function that is not optimised was running when a tick was noticed.

        It was at the head of the loop at that offset, unless that is 0.
        """
        self._code_of(instance._module).sampled(instance._module, index, loop)

    def _called(self, instance: Instance, index: int) -> None:
        """Machine code calls a function that has none yet."""
        module = instance._module
        module.validate_body(index)
        code = self._code_of(module)
        code.compile(module, index)
        if index in code.reasons:
            code.forward(index)

    def _slot_of(self, func: Func) -> bytes | None:
        """The slot of a function, or None if only Python can call it."""
        slot: bytes | None = getattr(func, "fast", None)
        if slot is None:
            instance, index = func.instance, func.index
            if instance is None or index is None:
                slot = _GATES.slot_of_host(func)
            else:
                code = self._code_of(instance._module)
                context = self._state_of(instance).address
                most = self._config.max_wasm_stack
                if self._config.opt_level != "speed":
                    most *= _UNOPTIMISED
                slot = make_slot(func, code.cell(index), code.way(index), context, most)
            if slot is not None:
                func.fast = slot
        return slot

    def _code_of(self, module: Module) -> ModuleCode:
        found: ModuleCode | None = module.translations.get(_CODE)
        if found is None:
            # Another thread may be here too, and there must be only one.
            found = module.translations.setdefault(
                _CODE, ModuleCode(module, self._config, self.statistics, self._file_of(module))
            )
        return found

    def _file_of(self, module: Module) -> CodeFile | None:
        file = None if self._storage is None else self._storage.file(module.info.data)
        if file is not None and module.is_validated and VALIDATED not in file.items:
            file.add(VALIDATED, b"")
        return file

    def _state_of(self, instance: Instance) -> InstanceState:
        found: InstanceState | None = instance.namespace.get(_STATE)
        if found is None:
            ways = self._slot_of, self._sampled, self._called
            found = InstanceState(instance, next(self._numbers), *ways)
            # A table's element may be overwritten while its code runs: as in Wasmtime, an
            # instance is the store's for good.
            store = instance.store
            store.interrupt.kept.append(instance)
            if not store.words[LEAVE]:
                leave = store.end_direct
                store.interrupt.kept.append(leave)
                store.words[LEAVE] = id(leave)
            self._instances[found.filename.value.decode()] = instance
            instance.namespace[_STATE] = found
        return found

    def locate(
        self, namespace: dict[str, Any], code: CodeType, line: int
    ) -> tuple[int, int | None] | None:
        """See `Executor.locate`."""
        if code.co_filename in self._instances:
            return int(code.co_name[1:]), line
        return self._portable.locate(namespace, code, line)

    def instance_of(self, code: CodeType) -> Instance | None:
        """See `Executor.instance_of`."""
        return self._instances.get(code.co_filename)

    def classify(self, error: BaseException, traceback: TracebackType | None) -> Trap | None:
        """See `Executor.classify`."""
        return self._portable.classify(error, traceback)
