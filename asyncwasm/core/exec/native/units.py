"""What is compiled of a module, and how: functions in units with what they call."""

from __future__ import annotations

import enum
import threading
import time
import weakref
from array import array
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from asyncwasm.errors import ResourceLimitError, ValidationError

from . import bridges, indirect, opaque, recycling, ticker
from .body import LARGEST, MOST_WAYS, Body
from .cache import flush
from .compiler import MODULE, CompileError, Object, Unit, compile_unit, emit
from .exits import NotCoveredError
from .glue import STUBS, call_import, call_python, finisher, lazy, plain_way
from .loops import Entry, Leaving
from .lower import LOWERINGS
from .made import Made, functions
from .parts import Parts
from .prelude import prelude
from .state import address_of
from .workers import BACKGROUND, FOREGROUND

if TYPE_CHECKING:
    from asyncwasm.core.exec.protocol import Statistics
    from asyncwasm.core.runtime.config import Config
    from asyncwasm.core.runtime.module import Module
    from asyncwasm.core.types import DefType

    from .cache import CodeFile

# An optimised unit holds a function with what it calls, directly or not, as far as that is small
# enough to be worth inlining, until it has so many values.
_INLINED_BYTES: Final = 250
_UNIT_VALUES: Final = 8_000
_UNIT_FUNCTIONS: Final = 64
# In modules with so little code, functions with loops are optimised before they run, if they
# have at most so many values: what takes only some milliseconds gains from it, too.  In larger
# ones that would make programs start slowly.
_SMALL_MODULE_BYTES: Final = 32 * 1024
_LOOP_VALUES: Final = 2_000
# A function that was found running so often is worth optimising.
_SAMPLES: Final = 2
# Units of more lines are not optimised: LLVM, which others may be waiting for meanwhile, takes half
# a second for so many.
_OPTIMISED_LINES: Final = 15_000
_MAX_BODY_BYTES: Final = 400_000


# What a file has if the module that it belongs to was validated as a whole.
VALIDATED: Final = "validated"


@cache
def _shared(known: bool, released: bool, metered: bool) -> Parts:
    text = prelude(released=released, metered=metered)
    return Parts(f"{text}\n{opaque.definitions(known=known)}")


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
    loops: bool = False
    # A function that begins at one of its loops.
    entry: str = ""

    def take(self, body: Body) -> None:
        """Have what a function needs."""
        self.values += body.out.count
        self.loops |= body.loops
        self.stubs |= body.stubs
        self.stores_integers |= body.stores_integers
        self.tail_callees |= body.tail_callees


def _word(kind: str, number: int) -> str:
    """The address of a word of the module, as a number in IR: the same text in every process."""
    return f"ptrtoint (ptr @{MODULE}{kind}.{number} to i64)"


class ModuleCode:
    """The machine code of a module, shared by its instances.

    `entries` has a word for every function: the address of its machine code, or 0.  Code that
    was found there stays, though a word may come to have the address of better code.  `ways` is
    the same for the form that functions in `tails` have for tail calls.  `levels` says what it is,
    `reasons` why functions are interpreted.
    """

    def __init__(
        self, module: Module, config: Config, counts: Statistics, saved: CodeFile | None
    ) -> None:
        count = max(1, len(module.info.funcs))
        self.info: Final = module.info
        self.entries: Final = array("Q", bytes(8 * count))
        self.ways: Final = array("Q", bytes(8 * count))
        self.tails: Final[set[int]] = set()
        self.levels: Final = bytearray(count)
        self.reasons: Final[dict[int, str]] = {}
        self._config: Final = config
        self._counts: Final = counts
        self._saved: Final = saved
        # What there is in packed form, by name, and where in there a function's best code is.
        self._packed: Final[dict[str, bytes]] = {}
        self._kept: Final[dict[int, tuple[int, str]]] = {}
        if saved is not None:
            self.adopt({n: packed for n, packed in saved.items.items() if n != VALIDATED})
        size = sum(span.end - span.start for span in self.info.bodies)
        self._is_small: Final = size <= _SMALL_MODULE_BYTES
        # How often functions were found running, and loops, by what is below 0.
        self._samples: Final[dict[int, int]] = {}
        # The address of each loop's entry, or 0, by its offset.
        self._entries: Final[dict[int, array[int]]] = {}
        # The ticker's count when something was last compiled: it does not say what guests do.
        self._compiled_at = 0
        # What machine code points to or is in.
        self._units: Final[list[Unit]] = []
        self._lock: Final = threading.RLock()

    def cell(self, index: int) -> int:
        """The address of a function's word in `entries`."""
        return address_of(self.entries) + 8 * index

    def way(self, index: int) -> int:
        """The address of a function's word in `ways`."""
        return address_of(self.ways) + 8 * index

    def adopt(self, items: Mapping[str, bytes]) -> None:
        """Use packed code, when it is called for.  Raises `ValueError` if it is something else."""
        for name, packed in items.items():
            self._keep(name, packed, *functions(packed))

    def _keep(self, name: str, packed: bytes, indices: Iterable[int], level: int) -> None:
        self._packed[name] = packed
        for index in indices:
            if self._kept.get(index, (0, ""))[0] < level:
                self._kept[index] = level, name

    def packed(self) -> dict[str, bytes]:
        """All code that there is, for `adopt`."""
        # The background may be adding to it.
        return {name: self._packed[name] for _, name in sorted({*self._kept.values()})}

    def compile_all(self, module: Module) -> None:
        """Compile what there is no code for, and was validated."""
        for index in range(self.info.imported_funcs, len(self.info.funcs)):
            if index not in self._kept:
                self.compile(module, index)

    def compile(self, module: Module, index: int) -> None:
        """Compile function `index`, which was validated, or note the reason why not."""
        with self._lock:
            if self.entries[index] or index in self.reasons:
                return
            start = time.perf_counter()
            level = Level.OPTIMISED if self._config.opt_level == "speed" else Level.BASELINE
            try:
                if not self._recall(index):
                    self._compile(module, index, level, _OPTIMISED_LINES)
            except CompileError as error:
                self._interpret(index, f"compiling failed: {error}")
            finally:
                self._counts.seconds += time.perf_counter() - start
                self._compiled_at = ticker.now()

    def forward(self, index: int) -> None:
        """Give an interpreted function code that calls its `Func`, for other code to call.

        Raises `ResourceLimitError` if there is no making that either.
        """
        with self._lock:
            if self.entries[index]:
                return
            ty = self.info.funcs[index].func
            parts = [call_python(index, ty), call_python(index, ty, tail=True)]
            text = "\n".join([*parts, bridges.provide([ty]), ""])
            try:
                unit = compile_unit(f"{text}\n{self._shared(False).used_by(text)}", speed=0)
            except CompileError as error:
                raise ResourceLimitError(f"compiling failed: {error}") from error
            code, way = unit.addresses([f"f{index}", f"t{index}"])
            self._units.append(unit)
            self.ways[index] = way
            self.entries[index] = code

    def sampled(self, module: Module, index: int, loop: int) -> None:
        """Baseline code of function `index` was running when it noticed a tick.

        When that happens often, the function is optimised in the background; and when it still
        does, the loop at that offset, if there is one, is given an entry.
        """
        if loop and self._entry(loop)[0]:
            # There it goes.
            self._counts.replaced += 1
            return
        optimised = self.levels[index] == Level.OPTIMISED
        if ticker.now() == self._compiled_at or (optimised and not loop):
            return
        place = -loop if optimised else index
        samples = self._samples[place] = self._samples.get(place, 0) + 1
        if samples != _SAMPLES:
            return
        # A module that nobody uses any more is not kept for this.
        known = weakref.ref(module)

        def job() -> None:
            BACKGROUND.give_way(FOREGROUND)
            module = known()
            # What goes wrong is no reason to stop what runs.
            with suppress(CompileError, NotCoveredError):
                if module is None:
                    pass
                elif optimised:
                    self._make_entry(module, index, loop)
                else:
                    self._optimise(module, index)

        BACKGROUND.submit(job)

    def _optimise(self, module: Module, index: int) -> None:
        if self.levels[index] != Level.OPTIMISED:
            self._compile(module, index, Level.OPTIMISED, _OPTIMISED_LINES)

    def _entry(self, loop: int) -> array[int]:
        """The word for the entry of a loop."""
        return self._entries.setdefault(loop, array("Q", [0]))

    def _make_entry(self, module: Module, index: int, loop: int) -> None:
        """Give a loop an entry, or note the reason why not."""
        span = self.info.bodies[index - self.info.imported_funcs]
        text, reason = "", "its function is too large"
        if index in self.tails:
            reason = "its function makes tail calls"
        # An instruction takes more lines than bytes.
        elif span.end - span.start <= _OPTIMISED_LINES:
            with suppress(NotCoveredError):
                text = self._text(self._collect(module, index, Level.OPTIMISED, loop))
        if not text or text.count("\n") > _OPTIMISED_LINES:
            self._counts.stuck[reason] = self._counts.stuck.get(reason, 0) + 1
            return
        unit = self._link(emit(text, speed=2))
        (code,) = unit.addresses([f"o{index}"])
        self._units.append(unit)
        self._counts.units += 1
        self._entry(loop)[0] = code

    def _interpret(self, index: int, reason: str) -> None:
        self.reasons[index] = reason
        interpreted = self._counts.interpreted
        interpreted[reason] = interpreted.get(reason, 0) + 1

    def _compile(self, module: Module, index: int, level: Level, most: int) -> None:
        content = self._collect(module, index, level)
        if not content.native:
            return
        if (
            level is Level.BASELINE
            and self._config.opt_level == "tiered"
            and self._is_small
            and content.loops
            and content.values <= _LOOP_VALUES
        ):
            level = Level.OPTIMISED
            content = self._collect(module, index, level)
        text = self._text(content)
        optimise = level is Level.OPTIMISED and text.count("\n") <= most
        code = emit(text, speed=2 if optimise else 0)
        made = Made(tuple(content.native), tuple(content.tails), level, optimise, code)
        self._install(made)
        name, packed = f"{int(level)}.{index}", made.pack()
        self._keep(name, packed, made.native, level)
        if self._saved is not None:
            self._saved.add(name, packed)
            BACKGROUND.submit(partial(flush, now=False))

    def _text(self, content: Content) -> str:
        """The text of a unit."""
        func = {n: self.info.funcs[n].func for n in (*content.definitions, *content.elsewhere)}
        parts = [*content.definitions.values(), content.entry]
        parts += [lazy(n, func[n], _word("cell", n)) for n in sorted(content.elsewhere)]
        parts += [finisher(n, func[n]) for n in sorted(content.tails)]
        called = content.tail_callees - content.tails
        parts += [self._tail_callee(n, content) for n in sorted(called)]
        # By way of Python go imported and interpreted functions.
        bridged = content.definitions.keys() - {*content.native}
        parts.append(bridges.provide(func[n] for n in sorted(bridged)))
        text = self._with_stubs(parts, content)
        return text + self._shared(content.stores_integers).used_by(text)

    def _shared(self, known: bool) -> Parts:
        return _shared(known, self._config.release_gil, self._config.consume_fuel)

    def _with_stubs(self, parts: list[str], content: Content) -> str:
        """The text of a unit, with the stubs that its calls go to.

        These are named after the addresses of types; in here, after their numbers.
        """
        text = "\n".join([*parts, ""])
        for kind, ty in content.stubs:
            number = self._number_of(ty)
            stub = self._stub(kind, ty).replace(str(id(ty)), _word("type", number))
            stub = stub.replace(f"_{id(ty):x}", f"_{number}")
            text = text.replace(f"@{kind}_{id(ty):x}", f"@{kind}_{number}") + stub + "\n"
        return text

    def _stub(self, kind: str, ty: DefType) -> str:
        kind, _, table = kind.partition("_")
        return indirect.stub(self.info, int(table), ty) if table else STUBS[kind](ty)

    def _number_of(self, ty: DefType) -> int:
        return next(n for n, known in enumerate(self.info.types) if known is ty)

    def _address_of(self, word: str) -> int:
        """Where a word of the module is, by the name that code has for it."""
        _, kind, number = word.split(".")
        match kind:
            case "cell":
                return self.cell(int(number))
            case "way":
                return self.way(int(number))
            case "loop":
                return address_of(self._entry(int(number)))
            case _:
                return id(self.info.types[int(number)])

    def _link(self, code: Object) -> Unit:
        for name in filter(bridges.is_bridge, code.imports):
            bridges.recall(name)
        recycling.note(code.imports)
        return Unit(code, self._address_of)

    def _install(self, made: Made) -> None:
        unit = self._link(made.code)
        ticker.enable()
        codes = unit.addresses([f"f{n}" for n in made.native])
        ways = dict(zip(made.tails, unit.addresses([f"t{n}" for n in made.tails]), strict=True))
        # In this order, because a signal handler may raise in here.
        self._units.append(unit)
        self.tails.update(made.tails)
        for number, at in zip(made.native, codes, strict=True):
            if self.levels[number] < made.level:
                self._counts.functions += not self.levels[number]
                self._counts.optimised += made.optimised
                self.levels[number] = made.level
                self.ways[number] = ways.get(number, 0)
                self.entries[number] = at
        self._counts.units += 1

    def _recall(self, index: int) -> bool:
        """Use code of function `index` that was kept.  Whether there was any."""
        found = self._kept.get(index)
        if found is None:
            return False
        try:
            self._install(Made.unpack(self._packed[found[1]]))
        except (ValueError, KeyError, CompileError):
            return False
        self._counts.recalled += 1
        return True

    def _collect(
        self, module: Module, index: int, level: Level, loop: int | None = None
    ) -> Content:
        """What a unit for function `index` consists of; nothing if it has to be interpreted.

        Or for the entry of its loop at that offset.
        """
        content = Content()
        todo = deque([index])
        if loop is not None:
            entry = self._translate(index, level, loop)
            content.entry = entry.text
            content.take(entry)
            todo = deque(sorted(entry.callees))
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
                first = number == index and loop is None
                body = self._body(module, content, number, level, first)
                if body is not None:
                    content.take(body)
                    content.definitions[number] = body.text
                    content.native.append(number)
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
            return lazy(index, ty, _word("cell", index), _word("way", index))
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
            # It is possibly only too large to be optimised.
            if not self.levels[number]:
                self._interpret(number, str(reason))
            return None

    def _translate(self, index: int, level: Level, loop: int | None = None) -> Body:
        info, config = self.info, self._config
        span = info.bodies[index - info.imported_funcs]
        if span.end - span.start > _MAX_BODY_BYTES:
            raise NotCoveredError("a body of this size")
        if loop is not None:
            body: Body = Entry(info, index, config, loop)
        elif level is Level.BASELINE and config.opt_level == "tiered":
            body = Leaving(info, index, config)
        else:
            body = Body(info, index, config)
        body.hoists = level is Level.BASELINE
        body.translate(LOWERINGS)
        if body.out.count > LARGEST or max(len(body.ways), len(body.traps)) > MOST_WAYS:
            raise NotCoveredError("a body of this size")
        return body
