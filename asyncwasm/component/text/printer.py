"""The printer: a component's binary format as text.

Everything is written out: each type and each alias is a definition of its own, as it is in the
binary.  Assembling the text gives the same bytes, where those were as short as they can be and
neighbours of one kind were in one section.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from asyncwasm.component.binary import decode_component
from asyncwasm.component.syntax import (
    CanonBuiltin,
    CanonLift,
    CanonLower,
    CanonOptions,
    ComponentDef,
    CoreInlineExports,
    CoreInstantiate,
    CoreModuleDef,
    CoreTypeDef,
    CustomSection,
    Definition,
    ExportAlias,
    ExportDef,
    ImportDecl,
    InlineExports,
    Instantiate,
    OuterAlias,
    Sort,
    SortIndex,
    Start,
    TypeDef,
    ValueDef,
)
from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.binary.leb128 import read_name, read_u32
from asyncwasm.core.binary.names import read_names
from asyncwasm.core.module import Span
from asyncwasm.core.text.printer import print_module
from asyncwasm.core.text.printer_literals import bytes_literal, name_literal
from asyncwasm.core.text.printer_names import definition as name_definition
from asyncwasm.errors import MalformedError, ResourceLimitError, ValidationError

from .canon import BUILTINS, INDEX_OPTIONS, WORD_OPTIONS
from .printer_types import Scope, block, extern_name, wrap
from .scope import NAME_SECTION, SORT_CODES, encode_names

_OPTION_WORDS: Final = {code: word for word, code in WORD_OPTIONS.items()}
_OPTION_INDICES: Final = {
    code: (keyword, sort, keyword.replace("-", "_"))
    for keyword, (code, sort) in INDEX_OPTIONS.items()
}
_SORTS: Final = {code: sort for sort, code in SORT_CODES.items()}
_REC: Final = 0x4E
# The sorts that a definition which is not an import, export or alias adds to.
_SORT_OF: Final = {
    CoreModuleDef: Sort.CORE_MODULE,
    ComponentDef: Sort.COMPONENT,
    CoreInstantiate: Sort.CORE_INSTANCE,
    CoreInlineExports: Sort.CORE_INSTANCE,
    Instantiate: Sort.INSTANCE,
    InlineExports: Sort.INSTANCE,
    TypeDef: Sort.TYPE,
    CanonLift: Sort.FUNC,
    CanonLower: Sort.CORE_FUNC,
    CanonBuiltin: Sort.CORE_FUNC,
    ValueDef: Sort.VALUE,
}

_NamesBySort = dict[Sort, dict[int, str]]


def print_component(data: bytes, *, names: bool = True) -> str:
    """The text of a component in binary format, ending in a newline.

    With `names`, identifiers are taken from the name sections where they are unambiguous;
    without, everything is called by its index.  The component need not be valid.  Raises
    `MalformedError` for bytes that are not a component.  Never suspends.
    """
    return _ComponentPrinter(decode_component(data), names).text()


class _ComponentPrinter:
    """Prints one component, and those nested in it through others of its kind."""

    def __init__(self, component: ComponentDef, use_names: bool) -> None:
        self._component = component
        self._data = component.data
        self._use_names = use_names
        # The printers of nested components, in order.
        self._nested = [
            _ComponentPrinter(definition, use_names)
            for definition in component.definitions
            if isinstance(definition, ComponentDef)
        ]
        self.own_name: str | None = None
        self._implied: CustomSection | None = None
        names = self._read_names() if use_names else {}
        self._scope = Scope(self._data, names)

    def text(self) -> str:
        """The whole text."""
        label = "" if self.own_name is None else f" {name_definition(self.own_name)}"
        return "\n".join([*self._lines(f"(component{label}"), ""])

    def _lines(self, head: str) -> list[str]:
        lines: list[str] = []
        customs = [custom for custom in self._component.customs if custom is not self._implied]
        for number, definition in enumerate(self._component.definitions):
            while customs and customs[0].before <= number:
                lines.append(self._custom(customs.pop(0)))
            lines += self._definition(definition)
        lines += map(self._custom, customs)
        return block(head, lines)

    def _custom(self, custom: CustomSection) -> str:
        content = self._data[custom.content.start : custom.content.end]
        return f"(@custom {name_literal(custom.name)} {bytes_literal(content)})"

    # Names -------------------------------------------------------------------------------------

    def _read_names(self) -> _NamesBySort:
        """The names of the items, and whether the text implies the name section.

        A nested module or component has one label, for its own name and for its name here.
        """
        found = [custom for custom in self._component.customs if custom.name == NAME_SECTION]
        names: _NamesBySort = {}
        content = b""
        if len(found) == 1:
            content = self._data[found[0].content.start : found[0].content.end]
            # What is in a name section need not make sense.
            with contextlib.suppress(MalformedError):
                self.own_name, names = _decode_names(content)
        counts = dict.fromkeys(Sort, 0)
        nested = iter(self._nested)
        for definition in self._component.definitions:
            inner: tuple[Sort, str | None] | None = None
            if isinstance(definition, CoreModuleDef):
                inner = Sort.CORE_MODULE, self._module_name(definition)
            elif isinstance(definition, ComponentDef):
                inner = Sort.COMPONENT, next(nested).own_name
            if inner is not None:
                sort, name = inner
                here = names.setdefault(sort, {})
                here.pop(counts[sort], None)
                if name is not None:
                    here[counts[sort]] = name
            for sort, count in self._added(definition):
                counts[sort] += count
        names = {
            sort: {index: name for index, name in items.items() if index < counts[sort]}
            for sort, items in names.items()
        }
        is_last = bool(found) and found[-1].content.end == self._component.content.end
        if is_last and encode_names(self.own_name, names) == content:
            self._implied = found[-1]
        return names

    def _module_name(self, module: CoreModuleDef) -> str | None:
        try:
            return read_names(decode_module(self._bytes(module.content))).module
        except (MalformedError, ValidationError, ResourceLimitError):
            return None

    def _added(self, definition: Definition) -> Iterator[tuple[Sort, int]]:
        """How many items of which sort a definition adds."""
        match definition:
            case CoreTypeDef(content, is_module):
                is_group = not is_module and self._data[content.start] == _REC
                yield Sort.CORE_TYPE, read_u32(self._data, content.start + 1)[0] if is_group else 1
            case ExportAlias(sort) | OuterAlias(sort):
                yield sort, 1
            case ImportDecl(_, desc):
                yield desc.sort, 1
            case ExportDef(_, item):
                yield item.sort, 1
            case Start():
                yield Sort.VALUE, definition.results
            case _:
                yield _SORT_OF[type(definition)], 1

    # Definitions -------------------------------------------------------------------------------

    def _bytes(self, span: Span) -> bytes:
        return self._data[span.start : span.end]

    def _definition(self, definition: Definition) -> list[str]:
        scope = self._scope
        match definition:
            case CoreModuleDef(content):
                return self._module(self._bytes(content))
            case ComponentDef():
                inner = self._nested.pop(0)
                return inner._lines(f"(component {scope.label(Sort.COMPONENT)}")
            case CoreTypeDef():
                return scope.core_type(definition)
            case TypeDef():
                return scope.type_definition(definition)
            case ExportAlias() | OuterAlias():
                return [scope.alias(definition)]
            case ImportDecl(name, desc):
                return [f"(import {extern_name(name)} {scope.extern(desc)})"]
            case ExportDef():
                return [self._export(definition)]
            case CoreInstantiate(module, args):
                head = f"(instantiate {scope.use(Sort.CORE_MODULE, module)}"
                with_ = [
                    f"(with {name_literal(name)} {scope.item(item.sort, item.index, core=True)})"
                    for name, item in args
                ]
                return self._instance(Sort.CORE_INSTANCE, [block(head, with_)])
            case Instantiate(component, args):
                head = f"(instantiate {scope.use(Sort.COMPONENT, component)}"
                with_ = [
                    f"(with {name_literal(name)} {scope.item(item.sort, item.index)})"
                    for name, item in args
                ]
                return self._instance(Sort.INSTANCE, [block(head, with_)])
            case CoreInlineExports(exports):
                return self._instance(
                    Sort.CORE_INSTANCE,
                    [
                        [f"(export {name_literal(name)} {self._core_item(item)})"]
                        for name, item in exports
                    ],
                )
            case InlineExports(named):
                return self._instance(
                    Sort.INSTANCE,
                    [
                        [f"(export {extern_name(name)} {scope.item(item.sort, item.index)})"]
                        for name, item in named
                    ],
                )
            case Start(func, args, results):
                values = "".join(f" {scope.item(Sort.VALUE, arg)}" for arg in args)
                made = "".join(
                    f" (result (value {scope.label(Sort.VALUE)}))" for _ in range(results)
                )
                return [f"(start {scope.use(Sort.FUNC, func)}{values}{made})"]
            case ValueDef(ty, content):
                literal = bytes_literal(self._bytes(content))
                value = f"{scope.value(ty)} (binary {literal})"
                return [f"(value {scope.label(Sort.VALUE)} {value})"]
            case CanonLift() | CanonLower() | CanonBuiltin():
                return [self._canon(definition)]

    def _module(self, data: bytes) -> list[str]:
        head = f"(core module {self._scope.label(Sort.CORE_MODULE)}"
        try:
            name = read_names(decode_module(data)).module if self._use_names else None
            lines = print_module(data, names=self._use_names).splitlines()
        except (MalformedError, ValidationError, ResourceLimitError):
            return [f"{head} binary {bytes_literal(data)})"]
        own = "(module" if name is None else f"(module {name_definition(name)}"
        return [head + lines[0].removeprefix(own), *lines[1:]]

    def _core_item(self, item: SortIndex) -> str:
        return self._scope.item(item.sort, item.index, core=True)

    def _instance(self, sort: Sort, parts: list[list[str]]) -> list[str]:
        head = f"({sort.value} {self._scope.label(sort)}"
        if len(parts) == 1:
            return wrap(head, parts[0])
        return block(head, [line for part in parts for line in part])

    def _export(self, export: ExportDef) -> str:
        scope = self._scope
        text = f"{extern_name(export.name)} {scope.item(export.item.sort, export.item.index)}"
        if export.desc is not None:
            text += f" {scope.extern(export.desc, label=False)}"
        return f"(export {scope.label(export.item.sort)} {text})"

    def _canon(self, canon: CanonLift | CanonLower | CanonBuiltin) -> str:
        scope = self._scope
        match canon:
            case CanonLift(core_func, options, type):
                text = f"lift {scope.item(Sort.CORE_FUNC, core_func)}{self._options(options)}"
                use = f"(type {scope.use(Sort.TYPE, type)})"
                return f"(canon {text} (func {scope.label(Sort.FUNC)} {use}))"
            case CanonLower(func, options):
                text = f"lower {scope.item(Sort.FUNC, func)}{self._options(options)}"
            case CanonBuiltin(name):
                operands = BUILTINS[name].operands
                text = name + "".join(self._operand(canon, kind) for kind in operands)
        return f"(canon {text} (core func {scope.label(Sort.CORE_FUNC)}))"

    def _operand(self, canon: CanonBuiltin, kind: str) -> str:
        scope = self._scope
        match kind:
            case "type":
                assert canon.type is not None
                return f" {scope.use(Sort.TYPE, canon.type)}"
            case "options":
                return self._options(canon.options)
            case "result":
                return scope.result(canon.result)
            case "memory":
                assert canon.memory is not None
                return f" (memory {scope.use(Sort.CORE_MEMORY, canon.memory)})"
            case "slot":
                return f" {canon.slot_type} {canon.slot}"
            case "core type":
                assert canon.type is not None
                return f" {scope.use(Sort.CORE_TYPE, canon.type)}"
            case "core table":
                assert canon.table is not None
                return f" {scope.use(Sort.CORE_TABLE, canon.table)}"
            case "async":
                return " async" if canon.is_async else ""
            case _:
                return f" {kind}" if getattr(canon, kind) else ""

    def _options(self, options: CanonOptions) -> str:
        found = []
        for code in options.order:
            word = _OPTION_WORDS.get(code)
            if word is None:
                keyword, sort, field = _OPTION_INDICES[code]
                word = f"({keyword} {self._scope.use(sort, getattr(options, field))})"
            found.append(f" {word}")
        return "".join(found)


def _decode_names(content: bytes) -> tuple[str | None, _NamesBySort]:
    """A name section: the component's own name and those of its items."""
    own: str | None = None
    names: _NamesBySort = {}
    pos, end = 0, len(content)
    while pos < end:
        kind = content[pos]
        size, pos = read_u32(content, pos + 1)
        stop = pos + size
        if kind == 0:
            own, pos = read_name(content, pos, end)
        elif kind == 1 and stop <= end:
            width = 2 if content[pos : pos + 1] == b"\0" else 1
            sort = _SORTS.get(content[pos : pos + width])
            if sort is None:
                raise MalformedError("malformed sort", offset=pos)
            count, pos = read_u32(content, pos + width)
            found = names.setdefault(sort, {})
            for _ in range(count):
                index, pos = read_u32(content, pos)
                found[index], pos = read_name(content, pos, end)
        if pos != stop:
            raise MalformedError("malformed name section", offset=pos)
    return own, names
