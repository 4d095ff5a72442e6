"""What runs when a module is instantiated ("Instantiation" in the core spec)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from asyncwasm.core.binary.immediates import read_instruction
from asyncwasm.core.exec.const_eval import evaluate
from asyncwasm.core.module import ModuleInfo, SegmentMode, Span
from asyncwasm.errors import Trap, TrapCode

if TYPE_CHECKING:
    from .instance import Instance

_SIZED: Final = frozenset({"array.new", "array.new_default"})


@final
class Startup:
    """The code of an instance that has been allocated.

    `needed` says whether there is any.  Constants and segments are plain copying and take no
    fuel; initialisers that compute something do, as guest code does, and with a start function
    also the entry of this code and the call.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        info = instance.info
        self.info = info
        self.fuel = sum(_fuel(info, span) for span in (*info.global_inits, *info.table_inits))
        self.needed = info.start is not None or any(
            (info.global_inits, info.elems, info.datas, any(info.table_inits))
        )

    def run(self) -> None:
        """Globals, element segments, tables, active segments, the start function: in order."""
        instance, info = self.instance, self.info
        store = instance.store
        if store.engine.config.consume_fuel and (self.fuel or info.start is not None):
            store.fuel[0] -= 1 + self.fuel + (info.start is not None)
            if store.fuel[0] <= 0:
                store.out_of_fuel()
        for item, span in zip(
            instance.globals[info.imported_globals :], info.global_inits, strict=True
        ):
            item.value = evaluate(instance, span)
        for index, segment in enumerate(info.elems):
            if segment.functions is not None:
                instance.elems[index] = [instance.func(i) for i in segment.functions]
            else:
                assert segment.expressions is not None
                instance.elems[index] = [evaluate(instance, e) for e in segment.expressions]
        for table, init in zip(
            instance.tables[info.imported_tables :], info.table_inits, strict=True
        ):
            if init is not None:
                table.elements[:] = [evaluate(instance, init)] * len(table.elements)
        for index, segment in enumerate(info.elems):
            if segment.mode is not SegmentMode.PASSIVE:
                if segment.offset_expr is not None:
                    assert segment.table_index is not None
                    offset = evaluate(instance, segment.offset_expr)
                    values = instance.elems[index]
                    elements = instance.tables[segment.table_index].elements
                    if offset + len(values) > len(elements):
                        raise Trap(TrapCode.TABLE_OUT_OF_BOUNDS)
                    elements[offset : offset + len(values)] = values
                instance.elems[index] = []
        for number, data in enumerate(info.datas):
            if data.offset_expr is not None:
                assert data.memory_index is not None
                offset = evaluate(instance, data.offset_expr)
                content = instance.datas[number]
                memory = instance.memories[data.memory_index]
                if offset + len(content) > memory.size_bytes:
                    raise Trap(TrapCode.MEMORY_OUT_OF_BOUNDS)
                memory.view[offset : offset + len(content)] = content
                instance.datas[number] = b""
        if info.start is not None:
            instance.func(info.start).fn()


def _fuel(info: ModuleInfo, span: Span | None) -> int:
    """What an initialiser costs: nothing for a constant, else its operators and elements."""
    if span is None:
        return 0
    cost = length = 0
    names = []
    pos = span.start
    while pos < span.end:
        row, immediates, pos = read_instruction(info.data, pos, info.types)
        names.append(row.name)
        if row.name == "i32.const":
            length = immediates[0] & 0xFFFFFFFF
        cost += 1 + (length if row.name in _SIZED else 0)
    if len(names) == 2 and (names[0].endswith(".const") or names[0] == "ref.null"):
        return 0
    return cost - 1
