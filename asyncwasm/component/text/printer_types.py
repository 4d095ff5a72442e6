"""Types of components as text: those of values, functions, components, instances and modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from asyncwasm.component.syntax import (
    BorrowDef,
    ComponentTypeDef,
    CoreTypeDef,
    Declarator,
    DefValType,
    EnumDef,
    EqBound,
    ExportAlias,
    ExportDecl,
    ExternDesc,
    FlagsDef,
    FuncDef,
    FutureDef,
    ImportDecl,
    InstanceTypeDef,
    ListDef,
    MapDef,
    Name,
    OptionDef,
    OuterAlias,
    OwnDef,
    RecordDef,
    ResourceDef,
    ResultDef,
    Sort,
    StreamDef,
    SubResource,
    TupleDef,
    TypeDef,
    ValTypeRef,
    VariantDef,
)
from asyncwasm.component.types import Primitive
from asyncwasm.core.binary.names import NameSection
from asyncwasm.core.module import Span
from asyncwasm.core.text.printer_literals import identifier, name_literal
from asyncwasm.core.text.printer_names import Names, definition
from asyncwasm.core.text.printer_types import Signature, TypeReader, read_group

_CORE_KINDS: Final = {0: "func", 1: "table", 2: "memory", 3: "global", 4: "tag"}
_NO_NAMES: Final[Mapping[int, str]] = {}
_SUB: Final = 0x50


class Indices:
    """The index spaces of a scope while it is printed: how far they are, and their names."""

    def __init__(self, names: Mapping[Sort, Mapping[int, str]]) -> None:
        self.counts: dict[Sort, int] = dict.fromkeys(Sort, 0)
        self._names = names
        self._unique = {
            sort: {name for name, count in Counter(found.values()).items() if name and count == 1}
            for sort, found in names.items()
        }

    def use(self, sort: Sort, index: int) -> str:
        """What to call an item: its identifier, or its index."""
        name = self._names.get(sort, _NO_NAMES).get(index)
        if name is None or name not in self._unique[sort] or index >= self.counts[sort]:
            return str(index)
        return identifier(name)

    def define(self, sort: Sort) -> str:
        """How the definition of the next item is labelled: a name, if any, and its index."""
        index = self.counts[sort]
        self.counts[sort] += 1
        name = self._names.get(sort, _NO_NAMES).get(index)
        if name is None:
            return f"(;{index};)"
        return f"{definition(name, unique=name in self._unique[sort])} (;{index};)"


class Scope:
    """Prints types of one scope of the component whose bytes are `data`."""

    def __init__(self, data: bytes, names: Mapping[Sort, Mapping[int, str]]) -> None:
        self.data = data
        self.indices = Indices(names)
        self._core_names = Names(NameSection(types=dict(names.get(Sort.CORE_TYPE, _NO_NAMES))))

    def use(self, sort: Sort, index: int) -> str:
        """What to call an item."""
        return self.indices.use(sort, index)

    def item(self, sort: Sort, index: int, *, core: bool = False) -> str:
        """An item with its sort; with `core`, without the word `core`."""
        keyword = sort.value.removeprefix("core ") if core else sort.value
        return f"({keyword} {self.use(sort, index)})"

    def label(self, sort: Sort) -> str:
        """The label of a definition, which is counted."""
        return self.indices.define(sort)

    # Types of values ---------------------------------------------------------------------------

    def value(self, ty: ValTypeRef) -> str:
        """A value type."""
        return ty.value if isinstance(ty, Primitive) else self.use(Sort.TYPE, ty)

    def _optional(self, ty: ValTypeRef | None) -> str:
        return "" if ty is None else f" {self.value(ty)}"

    def defined(self, ty: DefValType) -> str:
        """The definition of a type of values."""
        match ty:
            case Primitive():
                return ty.value
            case RecordDef(fields):
                items = [f" (field {name_literal(n)} {self.value(t)})" for n, t in fields]
                return f"(record{''.join(items)})"
            case VariantDef(cases):
                items = [f" (case {name_literal(n)}{self._optional(t)})" for n, t in cases]
                return f"(variant{''.join(items)})"
            case ListDef(element, length):
                return f"(list {self.value(element)}{'' if length is None else f' {length}'})"
            case TupleDef(types):
                return f"(tuple{''.join(self._optional(t) for t in types)})"
            case FlagsDef(labels):
                return f"(flags{_words(labels)})"
            case EnumDef(labels):
                return f"(enum{_words(labels)})"
            case OptionDef(inner):
                return f"(option {self.value(inner)})"
            case ResultDef(ok, error):
                failure = "" if error is None else f" (error {self.value(error)})"
                return f"(result{self._optional(ok)}{failure})"
            case OwnDef(resource):
                return f"(own {self.use(Sort.TYPE, resource)})"
            case BorrowDef(resource):
                return f"(borrow {self.use(Sort.TYPE, resource)})"
            case StreamDef(element):
                return f"(stream{self._optional(element)})"
            case FutureDef(element):
                return f"(future{self._optional(element)})"
            case MapDef(key, value):
                return f"(map {self.value(key)} {self.value(value)})"

    def result(self, ty: ValTypeRef | None) -> str:
        """The result of a function, with a space before it."""
        return "" if ty is None else f" (result {self.value(ty)})"

    # Definitions and declarators ---------------------------------------------------------------

    def type_definition(self, ty: TypeDef) -> list[str]:
        """A type definition."""
        match ty.type:
            case FuncDef(params, result, is_async):
                items = [f" (param {name_literal(n)} {self.value(t)})" for n, t in params]
                flag = " async" if is_async else ""
                body = [f"(func{flag}{''.join(items)}{self.result(result)})"]
            case ComponentTypeDef(decls):
                body = self._declarators("component", decls)
            case InstanceTypeDef(decls):
                body = self._declarators("instance", decls)
            case ResourceDef(rep, destructor):
                dtor = ""
                if destructor is not None:
                    dtor = f" (dtor {self.item(Sort.CORE_FUNC, destructor)})"
                body = [f"(resource (rep {rep}){dtor})"]
            case defined:
                body = [self.defined(defined)]
        return wrap(f"(type {self.label(Sort.TYPE)}", body)

    def _declarators(self, keyword: str, decls: Sequence[Declarator]) -> list[str]:
        inner = Scope(self.data, {})
        lines: list[str] = []
        for decl in decls:
            match decl:
                case CoreTypeDef():
                    lines += inner.core_type(decl)
                case TypeDef():
                    lines += inner.type_definition(decl)
                case ExportAlias() | OuterAlias():
                    lines.append(inner.alias(decl))
                case ImportDecl(name, desc):
                    lines.append(f"(import {extern_name(name)} {inner.extern(desc)})")
                case ExportDecl(name, desc):
                    lines.append(f"(export {extern_name(name)} {inner.extern(desc)})")
        return block(f"({keyword}", lines)

    def alias(self, alias: ExportAlias | OuterAlias) -> str:
        """An alias definition."""
        match alias:
            case ExportAlias(sort, instance, name, core):
                instances = Sort.CORE_INSTANCE if core else Sort.INSTANCE
                place = f"{'core ' if core else ''}export {self.use(instances, instance)}"
                place += f" {name_literal(name)}"
            case OuterAlias(sort, count, index):
                place = f"outer {count} {index}"
        return f"(alias {place} ({sort.value} {self.label(sort)}))"

    def extern(self, desc: ExternDesc, *, label: bool = True) -> str:
        """The type of an import or export, which is labelled and counted unless it is ascribed."""
        match desc.bound:
            case EqBound(index):
                bound = f"(eq {self.use(desc.sort, index)})"
            case SubResource():
                bound = "(sub resource)"
            case Primitive() as primitive:
                bound = primitive.value
            case index:
                if desc.sort is Sort.VALUE:
                    bound = self.use(Sort.TYPE, index)
                else:
                    sort = Sort.CORE_TYPE if desc.sort is Sort.CORE_MODULE else Sort.TYPE
                    bound = f"(type {self.use(sort, index)})"
        head = f"{desc.sort.value} {self.label(desc.sort)}" if label else desc.sort.value
        return f"({head} {bound})"

    # Core types --------------------------------------------------------------------------------

    def core_type(self, ty: CoreTypeDef) -> list[str]:
        """A core type, a recursion group or a module type."""
        if ty.is_module:
            body = _module_type(self.data, ty.content)
            return wrap(f"(core type {self.label(Sort.CORE_TYPE)}", body)
        reader = TypeReader(self.data, self._core_names, ty.content.start)
        lines, size = read_group(reader, self.indices.counts[Sort.CORE_TYPE], {})
        self.indices.counts[Sort.CORE_TYPE] += size
        return [f"(core {lines[0][1:]}", *lines[1:]]


def _module_type(data: bytes, content: Span) -> list[str]:
    """A module type; within it, types have no names."""
    reader = TypeReader(data, Names(NameSection()), content.start + 1)
    signatures: dict[int, Signature] = {}
    lines: list[str] = []
    count = 0
    for _ in range(reader.u32()):
        code = reader.byte()
        if code == 1:
            if data[reader.pos] == 0 and data[reader.pos + 1] == _SUB:
                reader.pos += 1
            group, size = read_group(reader, count, signatures)
            lines += group
            count += size
        elif code == 2:
            reader.pos += 2
            lines.append(f"(alias outer {reader.u32()} {reader.u32()} (type (;{count};)))")
            count += 1
        else:
            names = name_literal(reader.name())
            if code == 0:
                names += f" {name_literal(reader.name())}"
            kind = _CORE_KINDS[reader.byte()]
            match kind:
                case "func":
                    ty = f"(type {reader.u32()})"
                case "table":
                    ty = reader.table_type()
                case "memory":
                    ty = reader.memory_type()
                case "global":
                    ty = reader.global_type()
                case _:
                    ty = f"(type {reader.tag_type()})"
            lines.append(f"({'import' if code == 0 else 'export'} {names} ({kind} {ty}))")
    return block("(module", lines)


def extern_name(name: Name) -> str:
    """The name of an import or export with its attributes."""
    out = name_literal(name.name)
    if name.implements is not None:
        out += f" (implements {name_literal(name.implements)})"
    if name.version_suffix is not None:
        out += f" (versionsuffix {name_literal(name.version_suffix)})"
    if name.external_id is not None:
        out += f" (external-id {name_literal(name.external_id)})"
    return out


def _words(labels: Sequence[str]) -> str:
    return "".join(f" {name_literal(label)}" for label in labels)


def block(head: str, lines: Sequence[str]) -> list[str]:
    """A group of lines below a head."""
    if not lines:
        return [f"{head})"]
    return [head, *(f"  {line}" for line in lines), ")"]


def wrap(head: str, body: Sequence[str]) -> list[str]:
    """A group that ends with another one."""
    if len(body) == 1:
        return [f"{head} {body[0]})"]
    return [f"{head} {body[0]}", *body[1:-1], f"{body[-1]})"]
