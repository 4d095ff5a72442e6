"""What is compiled of a module, and how: functions in units with what they call."""

from __future__ import annotations

import enum
import threading
import time
import weakref
from array import array
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from asyncwasm.errors import ValidationError

from . import opaque, ticker
from .body import LARGEST, Body
from .compiler import CompileError, Unit, compile_unit
from .exits import NotCoveredError
from .glue import STUBS, call_import, call_python, finisher, lazy, plain_way
from .lower import LOWERINGS
from .passing import in_registers
from .prelude import prelude
from .state import address_of
from .workers import BACKGROUND

if TYPE_CHECKING:
    from asyncwasm.core.exec.protocol import Statistics
    from asyncwasm.core.runtime.config import Config
    from asyncwasm.core.runtime.module import Module
    from asyncwasm.core.types import DefType

# An optimised unit holds a function with what it calls, directly or not, as far as that is small
# enough to be worth inlining, until it has so many values.
_INLINED_BYTES: Final = 250
_UNIT_VALUES: Final = 8_000
_UNIT_FUNCTIONS: Final = 64
# A function that was found running so often is worth optimising.
_SAMPLES: Final = 2
# Units of more lines are not optimised: the time for that grows faster than the size.  Those
# that a call waits for have to be smaller.
_OPTIMISED_LINES: Final = 15_000
_BACKGROUND_LINES: Final = 150_000
_MAX_BODY_BYTES: Final = 400_000


class Level(enum.IntEnum):
    """What code a function has."""

    NONE = 0
    BASELINE = 1
    """Made quickly; it reports itself when it takes time."""
    OPTIMISED = 2


@dataclass(slots=True)
class Content:
    """What goes into a unit, by function: definitions, the native ones, and what is elsewhere."""

    definitions: dict[int, str] = field(default_factory=dict)
    native: list[int] = field(default_factory=list)
    elsewhere: set[int] = field(default_factory=set)
    stubs: set[tuple[str, DefType]] = field(default_factory=set)
    # Functions that make tail calls, and all that are called so.
    tails: set[int] = field(default_factory=set)
    tail_callees: set[int] = field(default_factory=set)
    stores_integers: bool = False
    values: int = 0


class ModuleCode:
    """The machine code of a module, shared by its instances.

    `entries` has a word for every function: the address of its machine code, or 0.  Code that
    was found there stays, though a word may come to have the address of better code.  `ways` is
    the same for tail calls, which differ in the functions in `tails`.  `levels` says what it is,
    `reasons` why functions are interpreted.
    """

    def __init__(self, module: Module, config: Config, counts: Statistics) -> None:
        count = max(1, len(module.info.funcs))
        self.info: Final = module.info
        self.entries: Final = array("Q", bytes(8 * count))
        self.ways: Final = array("Q", bytes(8 * count))
        self.tails: Final[set[int]] = set()
        self.levels: Final = bytearray(count)
        self.reasons: Final[dict[int, str]] = {}
        self._config: Final = config
        self._counts: Final = counts
        # How often functions were found running.
        self._samples: Final[dict[int, int]] = {}
        # The ticker's count when something was last compiled: it does not say what guests do.
        self._compiled_at = 0
        # What machine code points to or is in.
        self._units: Final[list[Unit]] = []
        self._types: Final[set[DefType]] = set()
        self._lock: Final = threading.RLock()

    def cell(self, index: int) -> int:
        """The address of a function's word in `entries`."""
        return address_of(self.entries) + 8 * index

    def way(self, index: int) -> int:
        """The address of a function's word in `ways`."""
        return address_of(self.ways) + 8 * index

    def compile(self, module: Module, index: int) -> None:
        """Compile function `index`, which was validated, or note the reason why not."""
        with self._lock:
            if self.entries[index] or index in self.reasons:
                return
            start = time.perf_counter()
            level = Level.OPTIMISED if self._config.opt_level == "speed" else Level.BASELINE
            try:
                self._compile(module, index, level, _OPTIMISED_LINES)
            except CompileError as error:
                self._interpret(index, f"compiling failed: {error}")
            finally:
                self._counts.seconds += time.perf_counter() - start
                self._compiled_at = ticker.now()

    def sampled(self, module: Module, index: int) -> None:
        """Baseline code of function `index` was running when it noticed a tick.

        When that happens often, the function is optimised in the background.
        """
        if ticker.now() == self._compiled_at:
            return
        samples = self._samples[index] = self._samples.get(index, 0) + 1
        if samples != _SAMPLES:
            return
        # A module that nobody uses any more is not kept for this.
        known = weakref.ref(module)

        def job() -> None:
            module = known()
            if module is not None:
                self._optimise(module, index)

        BACKGROUND.submit(job)

    def _optimise(self, module: Module, index: int) -> None:
        if self.levels[index] == Level.OPTIMISED:
            return
        # What goes wrong is no reason to stop what runs.
        with suppress(CompileError):
            self._compile(module, index, Level.OPTIMISED, _BACKGROUND_LINES)

    def _interpret(self, index: int, reason: str) -> None:
        self.reasons[index] = reason
        interpreted = self._counts.interpreted
        interpreted[reason] = interpreted.get(reason, 0) + 1

    def _compile(self, module: Module, index: int, level: Level, most: int) -> None:
        content = self._collect(module, index, level)
        if not content.native:
            return
        func = {n: self.info.funcs[n].func for n in (*content.definitions, *content.elsewhere)}
        parts = [prelude(), *content.definitions.values()]
        parts += [lazy(n, func[n], self.cell(n)) for n in sorted(content.elsewhere)]
        parts += [finisher(n, func[n]) for n in sorted(content.tails)]
        # Functions with a form of their own for tail calls.
        others = {n for n in content.native if not in_registers(func[n])} | content.tails
        called = (content.tail_callees | others) - content.tails
        parts += [self._tail_callee(n, content) for n in sorted(called)]
        parts += [STUBS[kind](ty) for kind, ty in content.stubs]
        parts.append(opaque.definitions(known=content.stores_integers))
        text = "\n".join(parts)
        optimise = level is Level.OPTIMISED and text.count("\n") <= most
        unit = compile_unit(text, speed=2 if optimise else 0)
        ticker.enable()
        codes = unit.addresses([f"f{n}" for n in content.native])
        ways = unit.addresses([f"{'t' if n in others else 'f'}{n}" for n in content.native])
        # In this order, because a signal handler may raise in here.
        self._units.append(unit)
        self._types.update(ty for _, ty in content.stubs)
        self.tails.update(content.tails)
        for number, at, way in zip(content.native, codes, ways, strict=True):
            if self.levels[number] < level:
                self._counts.functions += not self.levels[number]
                self._counts.optimised += optimise
                self.levels[number] = level
                self.ways[number] = way
                self.entries[number] = at
        self._counts.units += 1

    def _collect(self, module: Module, index: int, level: Level) -> Content:
        """What a unit for function `index` consists of; nothing if it has to be interpreted."""
        content = Content()
        todo = deque([index])
        while todo:
            number = todo.popleft()
            if number in content.definitions or number in content.elsewhere:
                continue
            ty = self.info.funcs[number].func
            if number < self.info.imported_funcs:
                content.definitions[number] = call_import(number, ty)
            elif number in self.reasons:
                content.definitions[number] = call_python(number, ty)
            else:
                body = self._body(module, content, number, level, number == index)
                if body is not None:
                    content.values += body.out.count
                    content.definitions[number] = body.text
                    content.native.append(number)
                    content.stubs |= body.stubs
                    content.stores_integers |= body.stores_integers
                    content.tail_callees |= body.tail_callees
                    if body.tails:
                        content.tails.add(number)
                    todo += sorted(body.callees | body.tail_callees)
                elif number not in self.reasons:
                    content.elsewhere.add(number)
                elif number != index:
                    todo.append(number)
        return content

    def _tail_callee(self, index: int, content: Content) -> str:
        """`t<index>` for a function that makes no tail calls in this unit."""
        ty = self.info.funcs[index].func
        if index in content.native:
            return plain_way(index, ty)
        if index in content.elsewhere:
            return lazy(index, ty, self.way(index), tail=True)
        if index < self.info.imported_funcs:
            return call_import(index, ty, tail=True)
        return call_python(index, ty, tail=True)

    def _body(
        self, module: Module, content: Content, number: int, level: Level, first: bool
    ) -> Body | None:
        """A function to add to a unit; None if it belongs elsewhere, or has to be interpreted."""
        span = self.info.bodies[number - self.info.imported_funcs]
        if not first and (
            level is Level.BASELINE
            or span.end - span.start > _INLINED_BYTES
            or content.values > _UNIT_VALUES
            or len(content.native) >= _UNIT_FUNCTIONS
        ):
            return None
        try:
            module.validate_body(number)
            return self._translate(number, level)
        except ValidationError:
            # Where validation was put off, calling the function raises this.
            return None
        except NotCoveredError as reason:
            self._interpret(number, str(reason))
            return None

    def _translate(self, index: int, level: Level) -> Body:
        info, config = self.info, self._config
        span = info.bodies[index - info.imported_funcs]
        if span.end - span.start > _MAX_BODY_BYTES:
            raise NotCoveredError("a body of this size")
        body = Body(info, index, config)
        if level is Level.BASELINE and config.opt_level == "tiered":
            body.poll = f"@sample(ptr %ctx, i64 {index})"
            body.watched = True
        body.translate(LOWERINGS)
        if body.out.count > LARGEST:
            raise NotCoveredError("a body of this size")
        return body
