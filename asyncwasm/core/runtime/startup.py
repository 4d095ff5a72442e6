"""What runs when a module is instantiated ("Instantiation" in the core spec)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from asyncwasm.core.binary.immediates import read_instruction
from asyncwasm.core.exec.const_eval import constant, evaluate
from asyncwasm.core.module import ModuleInfo, SegmentMode, Span
from asyncwasm.errors import Trap, TrapCode

if TYPE_CHECKING:
    from .instance import Instance
    from .module import Module

_SIZED: Final = frozenset({"array.new", "array.new_default"})
_PLAN: Final = "startup"


class _Init(NamedTuple):
    """An initialiser: its value, if that is the same in every instance, or its expression."""

    value: Any
    span: Span | None

    def evaluate(self, instance: Instance) -> Any:
        return self.value if self.span is None else evaluate(instance, self.span)


class _Elements(NamedTuple):
    """An element segment that is used when the instance starts; `table` is None to drop it."""

    segment: int
    table: int | None
    offset: _Init


class _Data(NamedTuple):
    """An active data segment."""

    segment: int
    memory: int
    offset: _Init


@final
class Startup:
    """The code of a module's instances, worked out once.

    `needed` says whether there is any, and `plain` that it is copying only.  Constants and
    segments take no fuel; initialisers that compute something do, as guest code does, and with
    a start function also the entry of this code and the call.
    """

    @staticmethod
    def of(module: Module) -> Startup:
        """The startup of a module."""
        found: Startup | None = module.translations.get(_PLAN)
        if found is None:
            found = module.translations[_PLAN] = Startup(module.info)
        return found

    def __init__(self, info: ModuleInfo) -> None:
        self.info = info
        self.fuel = sum(_fuel(info, span) for span in (*info.global_inits, *info.table_inits))
        self.needed = info.start is not None or any(
            (info.global_inits, info.elems, info.datas, any(info.table_inits))
        )
        # The contents of data segments, which instances share.
        data = memoryview(info.data)
        self.datas = [data[d.content.start : d.content.end] for d in info.datas]
        self.plain = info.start is None and not self.fuel
        self._globals = [_init(info, span) for span in info.global_inits]
        self._tables = [
            (number, _init(info, span))
            for number, span in enumerate(info.table_inits, info.imported_tables)
            if span is not None
        ]
        self._elements = [
            _Elements(
                number,
                None if segment.offset_expr is None else segment.table_index,
                _init(info, segment.offset_expr),
            )
            for number, segment in enumerate(info.elems)
            if segment.mode is not SegmentMode.PASSIVE
        ]
        self._datas = [
            _Data(number, data.memory_index, _init(info, data.offset_expr))
            for number, data in enumerate(info.datas)
            if data.offset_expr is not None and data.memory_index is not None
        ]

    def run(self, instance: Instance) -> None:
        """Globals, element segments, tables, active segments, the start function: in order."""
        info = self.info
        store = instance.store
        if store.engine.config.consume_fuel and not self.plain:
            store.fuel[0] -= 1 + self.fuel + (info.start is not None)
            if store.fuel[0] <= 0:
                store.out_of_fuel()
        if self._globals:
            for item, init in zip(
                instance.globals[info.imported_globals :], self._globals, strict=True
            ):
                item.value = init.evaluate(instance)
        for index, segment in enumerate(info.elems):
            if segment.functions is not None:
                instance.elems[index] = [instance.func(i) for i in segment.functions]
            else:
                assert segment.expressions is not None
                instance.elems[index] = [evaluate(instance, e) for e in segment.expressions]
        for number, init in self._tables:
            elements = instance.tables[number].elements
            elements[:] = [init.evaluate(instance)] * len(elements)
        for number, table, init in self._elements:
            if table is not None:
                offset = init.evaluate(instance)
                values = instance.elems[number]
                elements = instance.tables[table].elements
                if offset + len(values) > len(elements):
                    raise Trap(TrapCode.TABLE_OUT_OF_BOUNDS)
                elements[offset : offset + len(values)] = values
            instance.elems[number] = []
        for number, index, init in self._datas:
            offset = init.evaluate(instance)
            content = instance.datas[number]
            memory = instance.memories[index]
            if offset + len(content) > memory.size_bytes:
                raise Trap(TrapCode.MEMORY_OUT_OF_BOUNDS)
            memory.view[offset : offset + len(content)] = content
            instance.datas[number] = b""
        if info.start is not None:
            instance.func(info.start).fn()


def _init(info: ModuleInfo, span: Span | None) -> _Init:
    """What an initialiser is.  One that is a single constant is evaluated here."""
    if span is None:
        return _Init(None, None)
    found = constant(info, span)
    return _Init(None, span) if found is None else _Init(found[0], None)


def _fuel(info: ModuleInfo, span: Span | None) -> int:
    """What an initialiser costs: nothing for a constant, else its operators and elements."""
    if span is None or constant(info, span) is not None:
        return 0
    cost = length = 0
    pos = span.start
    while pos < span.end:
        row, immediates, pos = read_instruction(info.data, pos, info.types)
        if row.name == "i32.const":
            length = immediates[0] & 0xFFFFFFFF
        cost += 1 + (length if row.name in _SIZED else 0)
    return cost - 1
