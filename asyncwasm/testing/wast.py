"""Running test scripts (`.wast`), the language of the official test suite.

A script runs in one store, with the host module `spectest` and with a linker for what it
registers; each instance of a component has a store of its own and no imports.  What is
compared, and how:

* results to the bit, with `nan:canonical` and `nan:arithmetic` as the specification defines
  them, vectors lane by lane;
* the text of a trap, an exhaustion or a link error: the script's text must occur in ours, as a
  prefix must in the reference interpreter.  Two texts that name a detail which we may not know
  (the index of an uninitialised element, the kind of a null reference) need not have it;
* values of components as Python's, but floating-point numbers to the bit;
* a malformed, invalid or unlinkable module or component by the class of the error:
  `MalformedError`, `ValidationError`, `LinkError`.  Why it is malformed or invalid is said in too
  many ways to be compared.

A `thread` runs in a thread of its own, with a store and a linker of its own, through the sync
entry points; of the modules shared with it, it sees the shared memories.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from asyncwasm import (
    Config,
    Engine,
    Func,
    Global,
    Instance,
    Linker,
    LinkError,
    MalformedError,
    Module,
    SharedMemory,
    Store,
    ThrownException,
    Trap,
    TrapCode,
    ValidationError,
    ValType,
)
from asyncwasm.component import Component
from asyncwasm.component import Linker as ComponentLinker
from asyncwasm.component.text.script import (
    ComponentOf,
    ComponentScriptReader,
    DefineComponent,
    InstantiateComponent,
    InstantiateDefinedComponent,
    ScriptComponent,
)
from asyncwasm.core.isa.features import Feature
from asyncwasm.core.text import script
from asyncwasm.errors import CanonicalAbiError
from asyncwasm.fiber import ThreadEvent

from .components import ComponentInstance, ComponentOutcome, show
from .results import Failure, ScriptResult, Skip
from .spectest import define_spectest
from .values import HostReferences, show_values

# Proposals that came after the scripts of another proposal were written, which assert that what
# they bring does not exist: by the directory of the official suite that the scripts are in.
_LATER: Final[dict[tuple[str, ...], tuple[Feature, ...]]] = {
    ("proposals", "threads"): (
        Feature.REFERENCE_TYPES,
        Feature.FUNCTION_REFERENCES,
        Feature.GC,
        Feature.EXCEPTIONS,
        Feature.MEMORY64,
        Feature.COMPONENT_MODEL_MEMORY64,
        Feature.MULTI_MEMORY,
    ),
}


def script_config(script: str | os.PathLike[str] = "", **options: Any) -> Config:
    """A `Config` for test scripts: every proposal on, shared memories allowed.

    The scripts of a proposal's own directory in the official suite (`proposals/threads`) assume
    that later proposals are absent: for the path of such a `script` they are off.  `options`
    override it all.
    """
    later = _LATER.get(PurePath(script).parent.parts[-2:], ())
    switches: dict[str, Any] = {feature.switch: feature not in later for feature in Feature}
    return Config(**{**switches, "shared_memory": True, **options})


async def run_script(
    text: str | bytes, *, file: str = "<script>", engine: Engine | None = None
) -> ScriptResult:
    """Run a script through the async entry points and return what came of it.

    Failures are part of the result, also when the script itself cannot be read; nothing but
    cancellation is raised.  `engine` is by default a new one with `script_config()`.  Always
    checkpoints, if the script has a command that runs something.
    """
    return await _ScriptRunner(engine or Engine(script_config()), sync=False).run(text, file)


def run_script_sync(
    text: str | bytes, *, file: str = "<script>", engine: Engine | None = None
) -> ScriptResult:
    """As `run_script`, through the sync entry points.  Never suspends."""
    running = _ScriptRunner(engine or Engine(script_config()), sync=True).run(text, file)
    try:
        running.send(None)
    except StopIteration as stop:
        result: ScriptResult = stop.value
        return result
    raise AssertionError("a sync entry point suspended")


@dataclass(frozen=True, slots=True)
class _Unsupported:
    """A command of the script language that this runner does not know how to run."""

    line: int
    keyword: str


# Commands of proposals and of other tools.  Anything else is an error in the script.
_UNSUPPORTED: Final = ("assert_suspension", "script", "input", "output")


class _Unexpected(Exception):
    """A command went another way than the script says."""

    def __init__(self, expected: str, got: str) -> None:
        self.expected = expected
        self.got = got


class _Skipped(Exception):
    """A command cannot be run here; the text says why."""


class _Outcome(NamedTuple):
    """The results of a core function, or the value of a global."""

    host: HostReferences
    types: Sequence[ValType]
    values: Sequence[Any]

    def matches(self, expected: Sequence[Any]) -> bool:
        """Whether they are what the script expects."""
        return self.host.match_all(expected, self.types, self.values)

    def show(self) -> str:
        """The values as text."""
        return show_values(self.types, self.values)


class _ScriptRunner:
    """One script, or one of its threads."""

    def __init__(self, engine: Engine, *, sync: bool) -> None:
        self._engine = engine
        self._sync = sync
        self._store: Store[None] = Store(engine)
        self._linker = Linker(engine)
        self._linker.allow_shadowing(True)
        self._host = HostReferences(self._store)
        # By name, None being the last one.
        self._modules: dict[str | None, Module | Component] = {}
        self._instances: dict[str | None, Instance | ComponentInstance] = {}
        # In a thread: the shared memories of the modules shared with it, by module.
        self._shared: dict[str, dict[str, SharedMemory]] = {}
        self._threads: dict[str, _Thread] = {}
        self._component_stores: list[Store[None]] = []
        self._result = ScriptResult("")

    async def run(self, text: str | bytes, file: str) -> ScriptResult:
        started = time.perf_counter()
        self._result.file = file
        define_spectest(self._linker, self._store)
        try:
            await self.run_commands(_commands(text))
            for thread in list(self._threads.values()):
                await self._wait(thread)
        finally:
            # Guest threads may be left that wait for ever.
            for store in self._component_stores:
                store.close()
        self._result.seconds = time.perf_counter() - started
        return self._result

    async def run_commands(self, commands: Iterable[Any]) -> ScriptResult:
        reader = iter(commands)
        while True:
            try:
                command = next(reader, None)
            except MalformedError as error:
                self._fail(error.line or 1, "a script", _describe(error))
                break
            if command is None:
                break
            try:
                await self._run(command)
            except _Unexpected as failure:
                self._fail(command.line, failure.expected, failure.got)
            except _Skipped as reason:
                self._result.skips.append(Skip(command.line, str(reason)))
            except Exception as error:
                # Not a way in which a command may end: an error of ours, not of the script.
                self._fail(command.line, _expectation(command), _describe(error))
            else:
                self._result.passed += 1
        return self._result

    def _fail(self, line: int, expected: str, got: str) -> None:
        self._result.failures.append(Failure(line, expected, got))

    async def _run(self, command: Any) -> None:
        match command:
            case script.DefineModule(_, source):
                self._define(source)
            case script.InstantiateModule(_, source):
                await self._instantiate(source.name, self._define(source))
            case script.InstantiateDefined(_, name, source):
                await self._instantiate(name, self._module(source))
            case DefineComponent(_, source):
                self._define(source)
            case InstantiateComponent(_, source):
                await self._instantiate(source.name, self._define(source))
            case InstantiateDefinedComponent(_, name, source):
                await self._instantiate(name, self._module(source))
            case script.Register(_, name, instance):
                self._register(name, instance)
            case script.Perform(_, action):
                await self._perform(action)
            case script.AssertReturn(_, action, results):
                await self._assert_return(action, results)
            case script.AssertTrap(_, subject, message):
                await self._assert_trap(subject, message)
            case script.AssertExhaustion(_, action, message):
                await self._assert_exhaustion(action, message)
            case script.AssertException(_, action):
                await self._assert_exception(action)
            case script.AssertMalformed(_, source, message, custom):
                self._assert_rejected(source, message, MalformedError, custom)
            case script.AssertInvalid(_, source, message, custom):
                self._assert_rejected(source, message, ValidationError, custom)
            case script.AssertUnlinkable(_, source, message):
                await self._assert_unlinkable(source, message)
            case script.Thread():
                self._start(command)
            case script.Wait(_, name):
                if name not in self._threads:
                    raise _Unexpected(f"a thread `{name}`", "none of that name")
                await self._wait(self._threads[name])
            case _Unsupported(_, keyword):
                raise _Skipped(f"`{keyword}` is not supported")

    # Modules and instances -------------------------------------------------------------------

    def _compile(self, source: Any) -> Module | Component:
        made = Component if isinstance(source, ScriptComponent) else Module
        return made.from_binary(self._engine, source.to_binary())

    def _define(self, source: Any) -> Module | Component:
        # A command that fails leaves no module and no instance to mistake for its own.
        for name in {None, source.name}:
            self._modules.pop(name, None)
            self._instances.pop(name, None)
        module = self._compile(source)
        self._modules[None] = self._modules[source.name] = module
        return module

    def _module(self, source: script.InstanceOf) -> Module | Component:
        kind = Component if isinstance(source, ComponentOf) else Module
        module = self._modules.get(source.module)
        if not isinstance(module, kind):
            wanted = f"a {kind.__name__.lower()} `{source.module or 'before'}`"
            raise _Unexpected(wanted, "none of that name")
        return module

    async def _link(self, module: Module | Component) -> Instance | ComponentInstance:
        if isinstance(module, Component):
            store: Store[None] = Store(self._engine)
            self._component_stores.append(store)
            linker = ComponentLinker(self._engine)
            if self._sync:
                return ComponentInstance(store, linker.instantiate(store, module))
            return ComponentInstance(store, await linker.instantiate_async(store, module))
        if self._sync:
            return self._linker.instantiate(self._store, module)
        return await self._linker.instantiate_async(self._store, module)

    async def _instantiate(self, name: str | None, module: Module | Component) -> None:
        self._instances.pop(None, None)
        self._instances.pop(name, None)
        instance = await self._link(module)
        self._instances[None] = self._instances[name] = instance

    def _any_instance(self, name: str | None) -> Instance | ComponentInstance:
        instance = self._instances.get(name)
        if instance is None:
            raise _Unexpected(f"an instance `{name or 'before'}`", "none of that name")
        return instance

    def _instance(self, name: str | None) -> Instance:
        instance = self._any_instance(name)
        if not isinstance(instance, Instance):
            raise _Unexpected(f"an instance of a module `{name or 'before'}`", "a component's")
        return instance

    def _register(self, name: str, instance: str | None) -> None:
        shared = self._shared.get(instance) if instance is not None else None
        if shared is None:
            self._linker.instance(self._store, name, self._instance(instance))
            return
        for export, memory in shared.items():
            self._linker.define(self._store, name, export, memory)

    # Actions -----------------------------------------------------------------------------------

    async def _perform(self, action: script.Action) -> _Outcome | ComponentOutcome:
        """Do it; what came of it."""
        instance = self._any_instance(action.instance)
        if isinstance(instance, ComponentInstance):
            if isinstance(action, script.Get):
                raise _Unexpected(f"a global exported as `{action.export}`", "a component")
            return await self._call_component(instance, action)
        store = self._store
        item = instance.get_export(store, action.export)
        if isinstance(action, script.Get):
            if not isinstance(item, Global):
                raise _Unexpected(f"a global exported as `{action.export}`", _kind(item))
            return _Outcome(self._host, (item.ty(store).content,), (item.get(store),))
        if not isinstance(item, Func):
            raise _Unexpected(f"a function exported as `{action.export}`", _kind(item))
        arguments = map(self._host.argument, action.arguments)
        if self._sync:
            found = item.call(store, *arguments)
        else:
            found = await item.call_async(store, *arguments)
        types = item.ty(store).results
        return _Outcome(self._host, types, found if len(types) > 1 else (found,) * len(types))

    async def _call_component(
        self, instance: ComponentInstance, action: script.Invoke
    ) -> ComponentOutcome:
        try:
            return await instance.call(action.export, action.arguments, sync=self._sync)
        except LookupError:
            raise _Unexpected(f"a function exported as `{action.export}`", "nothing") from None

    # Assertions --------------------------------------------------------------------------------

    async def _assert_return(self, action: script.Action, expected: tuple[Any, ...]) -> None:
        outcome = await self._perform(action)
        if not outcome.matches(expected):
            raise _Unexpected(_show(expected), outcome.show())

    async def _assert_trap(self, subject: Any, message: str) -> None:
        try:
            if isinstance(subject, (script.Invoke, script.Get)):
                got = (await self._perform(subject)).show()
            else:
                await self._link(self._subject(subject))
                got = "an instance"
        except (Trap, CanonicalAbiError) as trap:
            if names_trap(message, trap):
                return
            got = _describe(trap)
        raise _Unexpected(f"trap `{message}`", got)

    async def _assert_exhaustion(self, action: script.Action, message: str) -> None:
        try:
            got = (await self._perform(action)).show()
        except Trap as trap:
            if trap.code is TrapCode.STACK_OVERFLOW and names_trap(message, trap):
                return
            got = _describe(trap)
        raise _Unexpected(f"exhaustion `{message}`", got)

    async def _assert_exception(self, action: script.Action) -> None:
        try:
            outcome = await self._perform(action)
        except ThrownException:
            return
        raise _Unexpected("an exception", outcome.show())

    def _check(self, source: Any) -> None:
        """Compile a module or component, all of it."""
        found = self._compile(source)
        if isinstance(found, Module):
            found.validate_bodies()

    def _assert_rejected(
        self, source: Any, message: str, wanted: type[Exception], custom: bool
    ) -> None:
        # A faulty annotation is malformed, whatever the reference interpreter calls it.
        accepted = (MalformedError, ValidationError) if custom else wanted
        try:
            self._check(source)
        except accepted:
            return
        except (MalformedError, ValidationError) as error:
            got = _describe(error)
        else:
            got = "a valid module"
        kind = "malformed" if wanted is MalformedError else "invalid"
        raise _Unexpected(f"{kind} module `{message}`", got)

    async def _assert_unlinkable(self, source: Any, message: str) -> None:
        try:
            await self._link(self._subject(source))
            got = "an instance"
        except LinkError as error:
            if message in str(error):
                return
            got = _describe(error)
        raise _Unexpected(f"unlinkable module `{message}`", got)

    def _subject(self, source: Any) -> Module | Component:
        if isinstance(source, script.InstanceOf):
            return self._module(source)
        return self._compile(source)

    # Threads -----------------------------------------------------------------------------------

    def _start(self, command: script.Thread) -> None:
        if self._engine.config.async_support:
            raise _Skipped("a thread needs the sync entry points, which this engine refuses")
        shared = {}
        for name in command.shared:
            exports = self._instance(name).exports(self._store)
            shared[name] = {e.name: e.extern for e in exports if isinstance(e.extern, SharedMemory)}
        event = None if self._sync else ThreadEvent()
        thread = _Thread(self._engine, shared, command.commands, event)
        self._threads[command.name] = thread
        thread.start()

    async def _wait(self, thread: _Thread) -> None:
        """Wait for the end of a thread, and count its commands as the script's."""
        if thread.event is None:
            thread.join()
        else:
            await thread.event.wait(None)
        self._threads = {n: t for n, t in self._threads.items() if t is not thread}
        self._result.passed += thread.result.passed
        self._result.failures += thread.result.failures
        self._result.skips += thread.result.skips


class _Thread(threading.Thread):
    """A `thread` of a script.  `event`, if any, is set when it has ended."""

    def __init__(
        self,
        engine: Engine,
        shared: dict[str, dict[str, SharedMemory]],
        commands: tuple[Any, ...],
        event: ThreadEvent | None,
    ) -> None:
        # A daemon: a script that is cancelled leaves its threads to wait for ever.
        super().__init__(name="asyncwasm-script", daemon=True)
        self.event = event
        self.result = ScriptResult("")
        self._engine = engine
        self._shared = shared
        self._commands = commands

    def run(self) -> None:
        try:
            runner = _ScriptRunner(self._engine, sync=True)
            define_spectest(runner._linker, runner._store)
            runner._shared = self._shared
            running = runner.run_commands(self._commands)
            try:
                running.send(None)
            except StopIteration as stop:
                self.result = stop.value
        finally:
            if self.event is not None:
                # An event loop that has ended has nobody who waits.
                with contextlib.suppress(RuntimeError):
                    self.event.set()


def _commands(text: str | bytes) -> Iterator[Any]:
    reader = ComponentScriptReader(text)

    def skip(line: int) -> _Unsupported:
        cursor = reader.cursor
        keyword = cursor.tokens[cursor.pos]
        cursor.pos -= 1
        cursor.skip_group()
        # The closing parenthesis is the reader's to take.
        cursor.pos -= 1
        return _Unsupported(line, keyword)

    for keyword in _UNSUPPORTED:
        reader.parsers.setdefault(keyword, skip)
    yield from reader.commands()


# Details that a script's text for a trap may have and ours need not.
_DETAILS: Final = (
    (re.compile(r"uninitialized element \d+"), "uninitialized element"),
    (re.compile(r"null \w+ reference"), "null reference"),
)


# Traps that Wasmtime, for which the scripts with components are written, calls otherwise.
_WASMTIME: Final = {"wasm `unreachable` instruction executed": "unreachable"}


def names_trap(message: str, trap: Trap | CanonicalAbiError) -> bool:
    """Whether a script that says `message` means this trap.

    Wasmtime shows a `CanonicalAbiError` as it does a trap, and its traps with a prefix.
    """
    message = message.removeprefix("wasm trap: ")
    message = _WASMTIME.get(message, message)
    if isinstance(trap, CanonicalAbiError):
        return message in str(trap)
    if message in trap.message:
        return True
    for detailed, plain in _DETAILS:
        if detailed.fullmatch(message):
            return trap.message == plain
    return False


def _show(expected: Sequence[Any]) -> str:
    return " ".join(map(show, expected)) or "no results"


def _kind(item: object) -> str:
    return "nothing" if item is None else f"a {type(item).__name__.lower()}"


def _describe(error: Exception) -> str:
    """An error in one line, its kind first."""
    text = " ".join(str(error).splitlines())
    match error:
        case Trap():
            return f"trap `{error.message}`"
        case MalformedError():
            return f"malformed: {text}"
        case ValidationError():
            return f"invalid: {text}"
    return f"{type(error).__name__}: {text}"


def _expectation(command: Any) -> str:
    match command:
        case script.AssertReturn(results=results):
            return _show(results)
        case script.AssertTrap(message=message):
            return f"trap `{message}`"
        case script.AssertExhaustion(message=message):
            return f"exhaustion `{message}`"
        case script.AssertException():
            return "an exception"
        case script.AssertMalformed(message=message):
            return f"malformed module `{message}`"
        case script.AssertInvalid(message=message):
            return f"invalid module `{message}`"
        case script.AssertUnlinkable(message=message):
            return f"unlinkable module `{message}`"
        case script.Register() | script.Perform():
            return "success"
    return "an instance"
