"""Instructions for printing: function bodies and constant expressions, in flat form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from asyncwasm.core.binary.immediates import READERS, BrTable, Catch, MemArg, read_opcode
from asyncwasm.core.binary.limits import MAX_LOCALS, check_limit
from asyncwasm.core.isa.table import Row
from asyncwasm.core.module import Span
from asyncwasm.errors import MalformedError

from .printer_literals import f32_literal, f64_literal, v128_literal
from .printer_names import NO_NAMES, NO_SCOPE, Names, Scope
from .printer_types import Signature, TypeReader, clauses, group, ref_type

# Deeper blocks are not indented further: a body of n nested blocks must not take n² characters.
_MAX_INDENT: Final = 40
# A few bytes can declare many thousand locals, in each of many functions.
_MAX_LOCALS: Final = 10_000_000
# Longer function types are not repeated at every use, for the same reason.
_MAX_SIGNATURE: Final = 20
_OPENERS: Final = frozenset({"block", "loop", "if", "try_table"})


class CodePrinter:
    """Prints the instructions of one module."""

    def __init__(self, data: bytes, names: Names, signatures: Mapping[int, Signature]) -> None:
        self._data = data
        self._names = names
        self._signatures = signatures
        self._reader = TypeReader(data, names)
        self._locals: Mapping[int, str] = {}
        self._local_count = 0
        # Whether an instruction names a data segment, which takes a data count.
        self.uses_data = False
        # The identifier of each label in scope, innermost last; the first is the body's own.
        self._labels: list[str | None] = []

    def expression(self, pos: int) -> tuple[list[str], int]:
        """The instructions of the constant expression at `pos`, and the position after it."""
        self._locals = {}
        self._labels = [None]
        lines, pos = self._instructions(pos, NO_SCOPE, 0)
        return [line.lstrip() for line in lines], pos

    def body(self, func: int, type_index: int, span: Span, depth: int) -> list[str]:
        """The lines of a function's body: locals, then instructions."""
        scope = self._names.inner("local", func)
        signature = self._signatures.get(type_index)
        first = len(signature.params) if signature else 0
        reader = self._reader
        reader.pos = span.start
        groups = [(reader.u32(), reader.val_type()) for _ in range(reader.u32())]
        total = sum(count for count, _ in groups)
        if total >= 1 << 32:
            raise MalformedError("too many locals", offset=span.start)
        check_limit(total, MAX_LOCALS, "locals")
        types = [ty for count, ty in groups for _ in range(count)]
        self._local_count += len(types)
        check_limit(self._local_count, _MAX_LOCALS, "locals to print")
        declared = clauses(self._names, "local", types, scope.definitions, first)
        lines = [f"{_indent(depth)}{text}" for text in declared]
        self._locals = scope.uses
        self._labels = [None]
        labels = self._names.inner("label", func)
        code, pos = self._instructions(reader.pos, labels, depth)
        if pos != span.end:
            raise MalformedError("instructions do not end with the body", offset=pos)
        return lines + code

    def _instructions(self, pos: int, label_scope: Scope, depth: int) -> tuple[list[str], int]:
        """Instructions up to the `end` that closes them, and the position after that."""
        data = self._data
        labels = self._labels
        conditions = [False]  # for each label, whether it is an `if` that may still have an `else`
        lines: list[str] = []
        opened = 0
        while True:
            start = pos
            row, pos = read_opcode(data, pos)
            name = row.name
            if name in _OPENERS:
                indent = _indent(depth + len(labels) - 1)
                label = label_scope.definitions.get(opened)
                use = label_scope.uses.get(opened)
                self._names.inner_count += label is not None
                opened += 1
                self._reader.pos = pos
                text = self._block_type()
                if name == "try_table":
                    text += self._catches()
                pos = self._reader.pos
                labels.append(use)
                conditions.append(name == "if")
                lines.append(f"{indent}{name}{f' {label}' if label else ''}{text}")
            elif name == "end":
                labels.pop()
                conditions.pop()
                if not labels:
                    return lines, pos
                lines.append(f"{_indent(depth + len(labels) - 1)}end")
            elif name == "else":
                if not conditions[-1]:
                    raise MalformedError("`else` without an `if`", offset=start)
                conditions[-1] = False
                lines.append(f"{_indent(depth + len(labels) - 2)}else")
            else:
                text, pos = self._plain(row, pos)
                lines.append(f"{_indent(depth + len(labels) - 1)}{text}")

    def _plain(self, row: Row, pos: int) -> tuple[str, int]:
        special = _SPECIAL.get(row.name)
        if special is None and not row.immediates:
            return row.name, pos
        reader = self._reader
        reader.pos = pos
        if special is not None:
            text = special(self, row.name)
            return text, reader.pos
        parts = [row.name]
        for kind in row.immediates:
            parts += self._operand(kind, row)
        return " ".join(parts), reader.pos

    def _read(self, kind: str) -> Any:
        value, self._reader.pos = READERS[kind](self._data, self._reader.pos, ())
        return value

    def _operand(self, kind: str, row: Row) -> list[str]:
        """One immediate as text; nothing where it is left out."""
        if kind == "heaptype":
            return [self._reader.heap_type()]
        value = self._read(kind)
        match kind:
            case "labelidx":
                return [self._label(value)]
            case "localidx":
                return [self._locals.get(value) or str(value)]
            case "memidx":
                return [self._names.use("mem", value)] if value else []
            case "memarg":
                return self._memarg(value, row)
            case "labelvec":
                return self._label_vector(value)
            case "f32":
                return [f32_literal(value)]
            case "f64":
                return [f64_literal(value)]
            case "v128":
                return [v128_literal(value)]
            case "lanes16":
                return [str(lane) for lane in value]
            case "zero":
                return []
            case "dataidx":
                self.uses_data = True
        space = kind.removesuffix("idx")
        return [str(value) if space == kind else self._names.use(space, value)]

    def _memarg(self, memarg: MemArg, row: Row) -> list[str]:
        parts = []
        if memarg.memory:
            parts.append(self._names.use("mem", memarg.memory))
        if memarg.offset:
            parts.append(f"offset={memarg.offset}")
        if memarg.align != row.natural_align:
            parts.append(f"align={1 << memarg.align}")
        return parts

    def _label(self, depth: int) -> str:
        """A label: by name where the innermost of that name is meant, else by depth."""
        if depth < len(self._labels):
            name = self._labels[-1 - depth]
            if name is not None and name not in self._labels[len(self._labels) - depth :]:
                return name
        return str(depth)

    def _label_vector(self, value: BrTable) -> list[str]:
        return [self._label(label) for label in (*value.labels, value.default)]

    def _block_type(self) -> str:
        index, results = self._reader.block_type()
        if index is not None:
            return f" {type_use(self._names, self._signatures, index)}"
        return f" {group('result', results)}" if results else ""

    def _catches(self) -> str:
        # Labels of handlers count from outside of the `try_table`, which is not open yet.
        catches: tuple[Catch, ...] = self._read("catchvec")
        parts = []
        for catch in catches:
            ref = "_ref" if catch.ref else ""
            label = self._label(catch.label)
            if catch.tag is None:
                parts.append(f" (catch_all{ref} {label})")
            else:
                parts.append(f" (catch{ref} {self._names.use('tag', catch.tag)} {label})")
        return "".join(parts)

    # Instructions whose text form is not simply the name and the immediates in order.

    def _call_indirect(self, name: str) -> str:
        ty, table = self._read("typeidx"), self._read("tableidx")
        where = f" {self._names.use('table', table)}" if table else ""
        return f"{name}{where} (type {self._names.use('type', ty)})"

    def _select(self, name: str) -> str:
        return f"select {group('result', self._reader.val_types())}"

    def _cast(self, name: str) -> str:
        heap = self._reader.heap_type()
        return f"{name.removesuffix('_null')} {ref_type(name.endswith('_null'), heap)}"

    def _branch_on_cast(self, name: str) -> str:
        start = self._reader.pos
        flags = self._reader.byte()
        if flags > 3:
            raise MalformedError("malformed br_on_cast flags", offset=start)
        label = self._label(self._read("labelidx"))
        source = ref_type(bool(flags & 1), self._reader.heap_type())
        target = ref_type(bool(flags & 2), self._reader.heap_type())
        return f"{name} {label} {source} {target}"

    def _field(self, name: str) -> str:
        ty, index = self._read("typeidx"), self._read("u32")
        field = self._names.inner("field", ty).uses.get(index) or str(index)
        return f"{name} {self._names.use('type', ty)} {field}"

    def _init(self, name: str) -> str:
        space = "mem" if name == "memory.init" else "table"
        self.uses_data = self.uses_data or space == "mem"
        segment = self._read("u32")
        target = self._read("u32")
        where = "" if space == "mem" and not target else f" {self._names.use(space, target)}"
        return f"{name}{where} {self._names.use('data' if space == 'mem' else 'elem', segment)}"

    def _memory_copy(self, name: str) -> str:
        target, source = self._read("memidx"), self._read("memidx")
        if not target and not source:
            return name
        return f"{name} {self._names.use('mem', target)} {self._names.use('mem', source)}"


def type_use(
    names: Names,
    signatures: Mapping[int, Signature],
    index: int,
    params: Mapping[int, str] = NO_NAMES,
) -> str:
    """`(type …)`, and the type written out after it if it is short or has named parameters."""
    use = f"(type {names.use('type', index)})"
    signature = signatures.get(index)
    if signature is None:
        return use
    count = len(signature.params)
    if count + len(signature.results) > _MAX_SIGNATURE and all(i >= count for i in params):
        return use
    return f"{use} {signature.text(names, params)}".rstrip()


def _indent(depth: int) -> str:
    return "  " * min(depth, _MAX_INDENT)


_Special = Callable[[CodePrinter, str], str]
_SPECIAL: Final[dict[str, _Special]] = {
    "call_indirect": CodePrinter._call_indirect,
    "return_call_indirect": CodePrinter._call_indirect,
    "select.t": CodePrinter._select,
    "ref.test": CodePrinter._cast,
    "ref.test_null": CodePrinter._cast,
    "ref.cast": CodePrinter._cast,
    "ref.cast_null": CodePrinter._cast,
    "br_on_cast": CodePrinter._branch_on_cast,
    "br_on_cast_fail": CodePrinter._branch_on_cast,
    "struct.get": CodePrinter._field,
    "struct.get_s": CodePrinter._field,
    "struct.get_u": CodePrinter._field,
    "struct.set": CodePrinter._field,
    "memory.init": CodePrinter._init,
    "table.init": CodePrinter._init,
    "memory.copy": CodePrinter._memory_copy,
}
