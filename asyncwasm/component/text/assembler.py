"""From the text of a component to its binary format.

`assemble_component` is the way in.  The text is an abbreviation of the binary: what comes out
has not been validated, and may refer to things that do not exist if it does so by number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from asyncwasm.component.syntax import Sort
from asyncwasm.core.binary.leb128 import write_name, write_unsigned
from asyncwasm.core.text.assembler import assemble, assemble_fields
from asyncwasm.core.text.context import annotation_error, annotation_string, vector
from asyncwasm.core.text.cursor import Cursor
from asyncwasm.core.text.lexer import Annotation, Source, string_bytes

from .canon import Canon
from .references import ComponentCursor
from .scope import SORT_CODES, Label, Scope, Section
from .values import Literals

_INSTANCE_ARG: Final = b"\x12"


def assemble_component(text: str | bytes) -> bytes:
    """The binary format of the component that `text` describes, as `(component …)`.

    Bare definitions are taken for the inside of a component, unless they start with another
    one.  Raises `MalformedError`, with line and column, for what is not a component in the
    text format.
    """
    cursor = _cursor(text)
    if not cursor.at("component"):
        return _definitions_only(cursor)
    code = assemble_at(cursor)
    if cursor.tokens[cursor.pos]:
        raise cursor.unexpected()
    return code


def is_component_text(text: str | bytes) -> bool:
    """Whether `text` starts as the text of a component does, `(component`.

    Raises `MalformedError` only if it is not UTF-8.
    """
    return Cursor(Source(text)).at("component")


def assemble_definitions(text: str | bytes) -> bytes:
    """The component whose definitions `text` has, without what is around them."""
    return _definitions_only(_cursor(text))


def assemble_at(cursor: Cursor) -> bytes:
    """The component `(component …)` at the cursor, which is moved past it.

    Knows the forms `binary`, `quote` and `definition` of scripts, too.
    """
    inner = ComponentCursor(cursor.source, cursor.pos)
    inner.expect("(")
    inner.expect("component")
    inner.take("definition")
    definitions = Definitions(inner, Scope(_annotations(inner)))
    code = definitions.body(definitions.label())
    inner.close()
    cursor.pos = inner.pos
    return code


def _cursor(text: str | bytes) -> Cursor:
    source = Source(text)
    source.check()
    return ComponentCursor(source)


def _definitions_only(cursor: Cursor) -> bytes:
    definitions = Definitions(cursor, Scope(_annotations(cursor)))
    code = definitions.component(Label(0))
    if cursor.tokens[cursor.pos]:
        raise cursor.unexpected()
    return code


def _annotations(cursor: Cursor) -> dict[int, list[Annotation]]:
    return {at: list(found) for at, found in cursor.source.annotations.items()}


class Definitions(Canon):
    """Parses the definitions of a component."""

    def component(self, label: Label) -> bytes:
        """The binary format of the component whose definitions come next.

        They go on to a closing parenthesis or to the end of the text.
        """
        cursor, scope = self.cursor, self.scope
        scope.identifier = label.identifier
        self._customs()
        while cursor.tokens[cursor.pos] == "(":
            cursor.pos += 1
            parse = _PARSERS.get(cursor.tokens[cursor.pos])
            if parse is None:
                raise cursor.unexpected()
            cursor.pos += 1
            parse(self)
            self._customs()
        for name, sort, index in scope.exports:
            scope.emit(Section.EXPORT, name + self.sorted_index(sort, index) + b"\0")
            scope.declare(sort, cursor)
        return scope.component(label.name)

    def body(self, label: Label) -> bytes:
        """A component after its label: `binary` or `quote` and strings, or definitions."""
        cursor = self.cursor
        if cursor.take("binary"):
            return cursor.strings()
        if cursor.take("quote"):
            return assemble_definitions(cursor.strings())
        return self.component(label)

    def _customs(self) -> None:
        """The custom sections that annotations in front of the cursor are."""
        context, cursor = self.scope.context, self.cursor
        while (annotation := context.annotation(cursor.pos, "custom")) is not None:
            items = annotation.items
            if not items or any(item[:1] != '"' for item in items):
                raise annotation_error(cursor, annotation, "strings expected")
            name = annotation_string(cursor, annotation, items[0])
            content = b"".join(map(string_bytes, items[1:]))
            self.scope.emit(Section.CUSTOM, write_name(name) + content)

    # Core definitions --------------------------------------------------------------------------

    def _core(self) -> None:
        cursor = self.cursor
        keyword = cursor.tokens[cursor.pos]
        if keyword in ("type", "rec"):
            self.core_type()
            return
        cursor.pos += 1
        if keyword == "module":
            self._core_module()
        elif keyword == "instance":
            self._core_instance()
        elif keyword == "func":
            self._core_item(Sort.CORE_FUNC)
        elif keyword in ("table", "memory", "global", "tag"):
            self._core_item(Sort(f"core {keyword}"))
        else:
            raise cursor.unexpected(cursor.pos - 1)
        cursor.close()

    def _core_item(self, sort: Sort) -> None:
        cursor, scope = self.cursor, self.scope
        label = self.label()
        if self.inverted(sort, label) is None:
            if sort is not Sort.CORE_FUNC:
                raise cursor.unexpected()
            scope.emit(Section.CANON, self.canon_core_function())
            scope.declare(sort, cursor, label)

    def _core_module(self) -> None:
        cursor, scope = self.cursor, self.scope
        start = cursor.pos
        label = self.label()
        exports = self.inline_exports()
        name = self.inline_name("import")
        index = self.inverted(Sort.CORE_MODULE, label)
        if name is not None:
            index = self._import_inline(name, Sort.CORE_MODULE, label)
        elif index is None:
            scope.emit(Section.CORE_MODULE, self._module_bytes(start, label))
            index = scope.declare(Sort.CORE_MODULE, cursor, label)
        self.export_inline(exports, Sort.CORE_MODULE, index)

    def _module_bytes(self, start: int, label: Label) -> bytes:
        cursor = self.cursor
        if cursor.take("binary"):
            return cursor.strings()
        if cursor.take("quote"):
            return assemble(cursor.strings())
        inner = Cursor(cursor.source, cursor.pos)
        code = assemble_fields(inner, start, label.identifier)
        cursor.pos = inner.pos
        # The annotations inside were the module's.
        for at in [at for at in self.scope.context.annotations if start <= at <= cursor.pos]:
            del self.scope.context.annotations[at]
        return code

    def _core_instance(self) -> None:
        cursor, scope = self.cursor, self.scope
        label = self.label()
        if cursor.open("instantiate"):
            code = b"\0" + self.encoded(Sort.CORE_MODULE)
            args = []
            while cursor.open("with"):
                args.append(write_name(cursor.name()) + self._core_argument())
                cursor.close()
            code += vector(args)
            cursor.close()
        else:
            code = self._core_exports()
        scope.emit(Section.CORE_INSTANCE, code)
        scope.declare(Sort.CORE_INSTANCE, cursor, label)

    def _core_argument(self) -> bytes:
        cursor, scope = self.cursor, self.scope
        cursor.expect("(")
        cursor.take("core")
        cursor.expect("instance")
        if cursor.is_index():
            index = scope.space(Sort.CORE_INSTANCE).index(cursor)
        else:
            scope.emit(Section.CORE_INSTANCE, self._core_exports())
            index = scope.declare(Sort.CORE_INSTANCE, cursor)
        cursor.close()
        return _INSTANCE_ARG + write_unsigned(index)

    def _core_exports(self) -> bytes:
        cursor = self.cursor
        found = []
        while cursor.open("export"):
            name = write_name(cursor.name())
            sort, index = self.any_item(core=True)
            found.append(name + SORT_CODES[sort][1:] + write_unsigned(index))
            cursor.close()
        return b"\1" + vector(found)

    # Component definitions ---------------------------------------------------------------------

    def _component(self) -> None:
        cursor, scope = self.cursor, self.scope
        label = self.label()
        exports = self.inline_exports()
        name = self.inline_name("import")
        index = self.inverted(Sort.COMPONENT, label) if self._at_inverted() else None
        if name is not None:
            index = self._import_inline(name, Sort.COMPONENT, label)
        elif index is None:
            scope.check_nesting(cursor)
            inner = Definitions(cursor, Scope(scope.context.annotations, scope))
            scope.emit(Section.COMPONENT, inner.body(label))
            index = scope.declare(Sort.COMPONENT, cursor, label)
        self.export_inline(exports, Sort.COMPONENT, index)
        cursor.close()

    def _at_inverted(self) -> bool:
        """Whether an alias comes next that says not what it aliases to: not a definition."""
        cursor = self.cursor
        if not cursor.at("alias"):
            return False
        pos = cursor.pos + 2
        while cursor.tokens[pos] not in ("(", ")", ""):
            pos += 1
        return cursor.tokens[pos] == ")"

    def _instance(self) -> None:
        cursor, scope = self.cursor, self.scope
        label = self.label()
        exports = self.inline_exports()
        name = self.inline_name("import")
        index = self.inverted(Sort.INSTANCE, label)
        if name is not None:
            index = self._import_inline(name, Sort.INSTANCE, label)
        elif index is None:
            code = self._instantiate() if cursor.open("instantiate") else self._exports()
            scope.emit(Section.INSTANCE, code)
            index = scope.declare(Sort.INSTANCE, cursor, label)
        self.export_inline(exports, Sort.INSTANCE, index)
        cursor.close()

    def _instantiate(self) -> bytes:
        cursor, scope = self.cursor, self.scope
        code = b"\0" + self.encoded(Sort.COMPONENT)
        args = []
        while cursor.open("with"):
            name = write_name(cursor.name())
            if cursor.at("instance") and cursor.tokens[cursor.pos + 2] in ("(", ")"):
                cursor.pos += 2
                scope.emit(Section.INSTANCE, self._exports())
                sort, index = Sort.INSTANCE, scope.declare(Sort.INSTANCE, cursor)
                cursor.close()
            else:
                sort, index = self.any_item()
            args.append(name + self.sorted_index(sort, index))
            cursor.close()
        cursor.close()
        return code + vector(args)

    def _exports(self) -> bytes:
        cursor = self.cursor
        found = []
        while cursor.open("export"):
            found.append(self.extern_name() + self.sorted_index(*self.any_item()))
            cursor.close()
        return b"\1" + vector(found)

    def _alias(self) -> None:
        self.alias()
        self.cursor.close()

    def _type(self) -> None:
        label = self.label()
        exports = self.inline_exports()
        name = self.inline_name("import")
        if name is None:
            index = self.type_definition(label)
        else:
            index = self._import_inline(name, Sort.TYPE, label)
        self.export_inline(exports, Sort.TYPE, index)
        self.cursor.close()

    def _canon(self) -> None:
        self.canon_definition()
        self.cursor.close()

    def _func(self) -> None:
        cursor, scope = self.cursor, self.scope
        label = self.label()
        exports = self.inline_exports()
        name = self.inline_name("import")
        index = self.inverted(Sort.FUNC, label)
        if name is not None:
            index = self._import_inline(name, Sort.FUNC, label)
        elif index is None:
            use = self.function_use()
            scope.emit(Section.CANON, self.canon_lift(use))
            index = scope.declare(Sort.FUNC, cursor, label)
        self.export_inline(exports, Sort.FUNC, index)
        cursor.close()

    def _import_inline(self, name: bytes, sort: Sort, label: Label) -> int:
        code = self.extern_body(sort, label.identifier)
        self.scope.emit(Section.IMPORT, name + code)
        return self.scope.declare(sort, self.cursor, label)

    def _start(self) -> None:
        cursor, scope = self.cursor, self.scope
        func = self.encoded(Sort.FUNC)
        args = []
        while cursor.at("value"):
            args.append(write_unsigned(self.item(Sort.VALUE)))
        labels = []
        while cursor.open("result"):
            cursor.expect("(")
            cursor.expect("value")
            labels.append(self.label())
            cursor.close()
            cursor.close()
        scope.emit(Section.START, func + vector(args) + write_unsigned(len(labels)))
        for label in labels:
            scope.declare(Sort.VALUE, cursor, label)
        cursor.close()

    def _import(self) -> None:
        self.extern_declarator(Section.IMPORT)
        self.cursor.close()

    def _export(self) -> None:
        cursor, scope = self.cursor, self.scope
        label = self.label()
        name = self.extern_name()
        item = sort, exported = self.any_item()
        code = name + self.sorted_index(*item)
        if cursor.tokens[cursor.pos] == "(":
            _, _, ascribed = self.extern_type()
            code += b"\1" + ascribed
        else:
            code += b"\0"
        scope.emit(Section.EXPORT, code)
        index = scope.declare(sort, cursor, label)
        if sort is Sort.TYPE:
            scope.alias_shape(index, scope, exported)
        cursor.close()

    def _value(self) -> None:
        cursor, scope = self.cursor, self.scope
        label = self.label()
        exports = self.inline_exports()
        name = self.inline_name("import")
        index = self.inverted(Sort.VALUE, label)
        if name is not None:
            index = self._import_inline(name, Sort.VALUE, label)
        elif index is None:
            ty = self.value_type()
            if cursor.open("binary"):
                content = cursor.strings()
                cursor.close()
            else:
                content = Literals(cursor).value(scope, ty)
            scope.emit(Section.VALUE, ty + write_unsigned(len(content)) + content)
            index = scope.declare(Sort.VALUE, cursor, label)
        self.export_inline(exports, Sort.VALUE, index)
        cursor.close()


_PARSERS: Final[dict[str, Callable[[Definitions], None]]] = {
    "core": Definitions._core,
    "component": Definitions._component,
    "instance": Definitions._instance,
    "alias": Definitions._alias,
    "type": Definitions._type,
    "canon": Definitions._canon,
    "func": Definitions._func,
    "value": Definitions._value,
    "start": Definitions._start,
    "import": Definitions._import,
    "export": Definitions._export,
}
