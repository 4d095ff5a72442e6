"""What is compiled of a module, and how: functions in units with what they call."""

from __future__ import annotations

import threading
import time
from array import array
from collections import deque
from typing import TYPE_CHECKING, Final

from asyncwasm.errors import ValidationError

from . import ticker
from .body import LARGEST, Body, NotCoveredError
from .compiler import CompileError, Unit, compile_unit
from .glue import call_import, call_python, indirect, lazy, prelude, reference
from .lower import LOWERINGS
from .state import address_of

if TYPE_CHECKING:
    from asyncwasm.core.exec.protocol import Statistics
    from asyncwasm.core.runtime.config import Config
    from asyncwasm.core.runtime.module import Module
    from asyncwasm.core.types import DefType

# A unit holds a function and what it calls, directly or not, until it has so many values: calls
# within a unit can be inlined, and small units start sooner.
_UNIT_VALUES: Final = 8_000
_UNIT_FUNCTIONS: Final = 64
# Units of more lines are not optimised: the time for that grows faster than the size.
_OPTIMISED_LINES: Final = 15_000
_MAX_BODY_BYTES: Final = 400_000


class ModuleCode:
    """The machine code of a module, shared by its instances.

    `entries` has a word for every function: the address of its machine code, or 0.  Words are only
    ever set, so code that was found stays.  `reasons` says why functions are interpreted.
    """

    def __init__(self, module: Module) -> None:
        count = len(module.info.funcs)
        self.info: Final = module.info
        self.entries: Final = array("Q", bytes(8 * max(1, count)))
        self.reasons: Final[dict[int, str]] = {}
        # What machine code points to or is in.
        self._units: Final[list[Unit]] = []
        self._types: Final[set[DefType]] = set()
        self._lock: Final = threading.RLock()

    def cell(self, index: int) -> int:
        """The address of a function's word in `entries`."""
        return address_of(self.entries) + 8 * index

    def compile(self, module: Module, config: Config, index: int, counts: Statistics) -> None:
        """Compile function `index`, which was validated, with what it calls, or note the reason
        why not.
        """
        with self._lock:
            if self.entries[index] or index in self.reasons:
                return
            start = time.perf_counter()
            try:
                self._compile(module, config, index, counts)
            except CompileError as error:
                self._interpret(index, f"compiling failed: {error}", counts)
            finally:
                counts.seconds += time.perf_counter() - start

    def _interpret(self, index: int, reason: str, counts: Statistics) -> None:
        self.reasons[index] = reason
        counts.interpreted[reason] = counts.interpreted.get(reason, 0) + 1

    def _compile(self, module: Module, config: Config, index: int, counts: Statistics) -> None:
        definitions: dict[int, str] = {}
        native: list[int] = []
        externals: set[int] = set()
        indirects: set[DefType] = set()
        references: set[DefType] = set()
        todo, size = deque([index]), 0
        while todo:
            number = todo.popleft()
            if number in definitions or number in externals:
                continue
            if number < self.info.imported_funcs:
                definitions[number] = call_import(number, self.info.funcs[number].func)
                continue
            if number in self.reasons:
                definitions[number] = call_python(number, self.info.funcs[number].func)
                continue
            if self.entries[number] or size > _UNIT_VALUES or len(native) >= _UNIT_FUNCTIONS:
                externals.add(number)
                continue
            try:
                module.validate_body(number)
            except ValidationError:
                # Where validation was put off, calling the function raises this.
                externals.add(number)
                continue
            try:
                body = self._translate(config, number)
            except NotCoveredError as reason:
                self._interpret(number, str(reason), counts)
                if number == index:
                    return
                todo.append(number)
                continue
            size += body.out.count
            definitions[number] = body.text
            native.append(number)
            todo += sorted(body.callees)
            indirects |= body.indirect
            references |= body.referred
        func = {n: self.info.funcs[n].func for n in (*definitions, *externals)}
        parts = [prelude(), *definitions.values()]
        parts += [lazy(n, func[n], self.cell(n)) for n in sorted(externals)]
        parts += [indirect(ty) for ty in indirects]
        parts += [reference(ty) for ty in references]
        text = "\n".join(parts)
        large = text.count("\n") > _OPTIMISED_LINES
        unit = compile_unit(text, speed=0 if large else 2)
        ticker.enable()
        codes = unit.addresses([f"f{n}" for n in native])
        # In this order, because a signal handler may raise in here.
        self._units.append(unit)
        self._types.update(indirects, references)
        for number, at in zip(native, codes, strict=True):
            self.entries[number] = at
        counts.functions += len(native)
        counts.units += 1

    def _translate(self, config: Config, index: int) -> Body:
        info = self.info
        span = info.bodies[index - info.imported_funcs]
        if span.end - span.start > _MAX_BODY_BYTES:
            raise NotCoveredError("a body of this size")
        body = Body(info, index, config)
        body.translate(LOWERINGS)
        if body.out.count > LARGEST:
            raise NotCoveredError("a body of this size")
        return body
