"""Types of the text format of components, parsed straight into their encodings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from asyncwasm.component.syntax import Sort
from asyncwasm.component.types import Primitive
from asyncwasm.core.binary.leb128 import write_name, write_signed, write_unsigned
from asyncwasm.core.text.context import vector
from asyncwasm.core.text.fields import Fields
from asyncwasm.core.text.types import rec_group, type_definition

from .references import References
from .scope import CORE_EXPORTS, Label, Scope, Section, too_deep

# The codes count down in the order of the members, but for the last one.
PRIMITIVE_CODES: Final[dict[Primitive, int]] = {
    **{primitive: 0x7F - number for number, primitive in enumerate(Primitive)},
    Primitive.ERROR_CONTEXT: 0x64,
}
_PRIMITIVES: Final = {p.value: bytes((code,)) for p, code in PRIMITIVE_CODES.items()}
_MODULE_TYPE: Final = b"\x50"
_REP_TYPES: Final = {"i32": b"\x7f", "i64": b"\x7e"}
# How deep the types of values may lie in each other where they are written inline.
_MAX_DEPTH: Final = 100


class Types(References):
    """Parses types; those written inline become definitions of the scope."""

    _depth = 0

    def inner(self, identifier: str | None = None, *, is_module: bool = False) -> Types:
        """A parser, at the same place, of the inside of a type."""
        scope = self.scope
        scope.check_nesting(self.cursor)
        annotations = scope.context.annotations
        return Types(self.cursor, Scope(annotations, scope, identifier, is_module=is_module))

    # Types of values ---------------------------------------------------------------------------

    def value_type(self) -> bytes:
        """A value type, as an index or a primitive."""
        cursor = self.cursor
        code = _PRIMITIVES.get(cursor.tokens[cursor.pos])
        if code is not None:
            cursor.pos += 1
            return code
        if cursor.is_index() or cursor.at("type"):
            return write_signed(self.index(Sort.TYPE))
        return write_signed(self._define(self.defined_type()))

    def _define(self, code: bytes) -> int:
        self.scope.emit(Section.TYPE, code)
        index = self.scope.declare(Sort.TYPE, self.cursor)
        self.scope.shapes[index] = self.scope, code
        return index

    def _at_value_type(self) -> bool:
        cursor = self.cursor
        token = cursor.tokens[cursor.pos]
        if token == "(":
            following = cursor.tokens[cursor.pos + 1]
            return following in _CONSTRUCTORS or following == "type"
        return cursor.is_index() or token in _PRIMITIVES

    def _optional(self) -> bytes:
        """A value type that may be absent."""
        return b"\1" + self.value_type() if self._at_value_type() else b"\0"

    def defined_type(self) -> bytes:
        """The definition of a type of values."""
        cursor = self.cursor
        code = _PRIMITIVES.get(cursor.tokens[cursor.pos])
        if code is not None:
            cursor.pos += 1
            return code
        cursor.expect("(")
        parse = _CONSTRUCTORS.get(cursor.tokens[cursor.pos])
        if parse is None:
            raise cursor.unexpected()
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise too_deep(cursor)
        cursor.pos += 1
        code = parse(self)
        cursor.close()
        self._depth -= 1
        return code

    def _labelled(self, keyword: str) -> list[bytes]:
        cursor = self.cursor
        found = []
        while cursor.open(keyword):
            found.append(write_name(cursor.name()) + self.value_type())
            cursor.close()
        return found

    def _record(self) -> bytes:
        return b"\x72" + vector(self._labelled("field"))

    def _variant(self) -> bytes:
        cursor = self.cursor
        found = []
        while cursor.open("case"):
            cursor.identifier()
            found.append(write_name(cursor.name()) + self._optional() + b"\0")
            cursor.close()
        return b"\x71" + vector(found)

    def _list(self) -> bytes:
        element = self.value_type()
        if self.cursor.is_number():
            return b"\x67" + element + write_unsigned(self.cursor.unsigned(32))
        return b"\x70" + element

    def _tuple(self) -> bytes:
        found = []
        while self.cursor.tokens[self.cursor.pos] != ")":
            found.append(self.value_type())
        return b"\x6f" + vector(found)

    def _words(self) -> bytes:
        found = []
        while self.cursor.is_string():
            found.append(write_name(self.cursor.name()))
        return vector(found)

    def _flags(self) -> bytes:
        return b"\x6e" + self._words()

    def _enum(self) -> bytes:
        return b"\x6d" + self._words()

    def _option(self) -> bytes:
        return b"\x6b" + self.value_type()

    def _result(self) -> bytes:
        ok = self._optional()
        error = b"\0"
        if self.cursor.open("error"):
            error = b"\1" + self.value_type()
            self.cursor.close()
        return b"\x6a" + ok + error

    def _own(self) -> bytes:
        return b"\x69" + self.encoded(Sort.TYPE)

    def _borrow(self) -> bytes:
        return b"\x68" + self.encoded(Sort.TYPE)

    def _stream(self) -> bytes:
        return b"\x66" + self._optional()

    def _future(self) -> bytes:
        return b"\x65" + self._optional()

    def _map(self) -> bytes:
        key = self.value_type()
        return b"\x63" + key + self.value_type()

    # Other types -------------------------------------------------------------------------------

    def type_body(self, identifier: str | None) -> bytes:
        """What a type definition defines, as its encoding."""
        cursor = self.cursor
        if cursor.open("func"):
            code = self.function_type()
        elif cursor.open("component"):
            code = self.component_type(identifier)
        elif cursor.open("instance"):
            code = self.instance_type(identifier)
        elif cursor.open("resource"):
            code = self._resource()
        else:
            return self.defined_type()
        cursor.close()
        return code

    def _resource(self) -> bytes:
        cursor = self.cursor
        if not cursor.open("rep"):
            raise cursor.unexpected()
        rep = _REP_TYPES.get(cursor.tokens[cursor.pos])
        if rep is None:
            raise cursor.unexpected()
        cursor.pos += 1
        cursor.close()
        destructor = self.optional_group("dtor", Sort.CORE_FUNC)
        return b"\x3f" + rep + (b"\0" if destructor is None else b"\1" + destructor)

    def function_type(self) -> bytes:
        """The parts of a function type, without what is around them."""
        cursor = self.cursor
        head = b"\x43" if cursor.take("async") else b"\x40"
        params = vector(self._labelled("param"))
        return head + params + self.result()

    def result(self) -> bytes:
        """The result of a function, or its absence."""
        if not self.cursor.open("result"):
            return b"\1\0"
        code = b"\0" + self.value_type()
        self.cursor.close()
        return code

    def component_type(self, identifier: str | None) -> bytes:
        """The declarators of a component type."""
        return b"\x41" + self._declarators(identifier, allow_imports=True)

    def instance_type(self, identifier: str | None) -> bytes:
        """The declarators of an instance type."""
        return b"\x42" + self._declarators(identifier, allow_imports=False)

    def _declarators(self, identifier: str | None, *, allow_imports: bool) -> bytes:
        inner = self.inner(identifier)
        cursor = self.cursor
        while cursor.tokens[cursor.pos] == "(":
            cursor.pos += 1
            keyword = cursor.tokens[cursor.pos]
            if keyword == "core" and cursor.tokens[cursor.pos + 1] in ("type", "rec"):
                cursor.pos += 1
                inner.core_type()
                continue
            cursor.pos += 1
            if keyword == "type":
                inner.type_definition(inner.label())
            elif keyword == "alias":
                inner.alias()
            elif keyword == "export":
                inner.extern_declarator(Section.EXPORT)
            elif keyword == "import" and allow_imports:
                inner.extern_declarator(Section.IMPORT)
            else:
                raise cursor.unexpected(cursor.pos - 1)
            cursor.close()
        return inner.scope.declarators()

    def extern_declarator(self, section: Section) -> None:
        """An import, or an export declarator."""
        name = self.extern_name()
        sort, label, code = self.extern_type()
        self.scope.emit(section, name + code)
        self.scope.declare(sort, self.cursor, label)

    def type_definition(self, label: Label) -> int:
        """A type definition, after its label; gives its index."""
        index = self.inverted(Sort.TYPE, label)
        if index is None:
            code = self.type_body(label.identifier)
            self.scope.emit(Section.TYPE, code)
            index = self.scope.declare(Sort.TYPE, self.cursor, label)
            self.scope.shapes[index] = self.scope, code
        return index

    # Types of imports and exports --------------------------------------------------------------

    def extern_type(self) -> tuple[Sort, Label, bytes]:
        """`(sort id? …)`: the sort, what it is called, and the encoded type."""
        cursor = self.cursor
        cursor.expect("(")
        sort = self.sort()
        label = self.label()
        code = self.extern_body(sort, label.identifier)
        cursor.close()
        return sort, label, code

    def extern_body(self, sort: Sort, identifier: str | None = None) -> bytes:
        """The type of an import or export of this sort, encoded."""
        cursor = self.cursor
        match sort:
            case Sort.FUNC:
                return b"\1" + self.function_use()
            case Sort.CORE_MODULE:
                return b"\0\x11" + self._module_use()
            case Sort.COMPONENT:
                use = self._type_use()
                if use is None:
                    use = self._define(self.component_type(identifier))
                return b"\4" + write_unsigned(use)
            case Sort.INSTANCE:
                use = self._type_use()
                if use is None:
                    use = self._define(self.instance_type(identifier))
                return b"\5" + write_unsigned(use)
            case Sort.VALUE:
                bound = self.optional_group("eq", Sort.VALUE)
                return b"\2" + (b"\1" + self.value_type() if bound is None else b"\0" + bound)
            case Sort.TYPE:
                return b"\3" + self._type_bound()
            case _:
                raise cursor.unexpected()

    def _type_bound(self) -> bytes:
        bound = self.optional_group("eq", Sort.TYPE)
        if bound is not None:
            return b"\0" + bound
        if not self.cursor.open("sub"):
            raise self.cursor.unexpected()
        self.cursor.expect("resource")
        self.cursor.close()
        return b"\1"

    def _type_use(self, sort: Sort = Sort.TYPE) -> int | None:
        """`(type index)`, if it comes next and is not a definition within a type."""
        cursor = self.cursor
        if cursor.at("type"):
            after = cursor.tokens[cursor.pos + 3 : cursor.pos + 4]
            if after == [")"] or (after and after[0][:1] == '"'):
                return self.item(sort)
        return None

    def function_use(self) -> bytes:
        """The type of a function, by index or inline, as an encoded index."""
        use = self._type_use()
        return write_unsigned(self._define(self.function_type()) if use is None else use)

    def _module_use(self) -> bytes:
        use = self._type_use(Sort.CORE_TYPE)
        if use is None:
            self.scope.emit(Section.CORE_TYPE, self._module_type(None))
            use = self.scope.declare(Sort.CORE_TYPE, self.cursor)
        return write_unsigned(use)

    # Core types --------------------------------------------------------------------------------

    def core_type(self) -> None:
        """A core type or recursion group, from its keyword to its closing parenthesis."""
        cursor, scope = self.cursor, self.scope
        if cursor.take("rec"):
            self._core_group()
            return
        cursor.expect("type")
        start = cursor.pos
        label = self.label()
        if cursor.open("module"):
            if scope.is_module:
                raise cursor.unexpected(cursor.pos - 1)
            code = self._module_type(label.identifier)
            cursor.close()
            cursor.close()
            scope.emit(Section.CORE_TYPE, code)
            scope.declare(Sort.CORE_TYPE, cursor, label)
            return
        if self.inverted(Sort.CORE_TYPE, label) is not None:
            cursor.close()
            return
        types = scope.core_types
        types.catch_up()
        scope.declare(Sort.CORE_TYPE, cursor, label)
        cursor.pos = start
        type_definition(cursor, scope.context)
        code = types.groups.pop()
        # Not to be taken for a module type.
        scope.emit(Section.CORE_TYPE, b"\0" + code if code[:1] == _MODULE_TYPE else code)

    def _core_group(self) -> None:
        cursor, scope = self.cursor, self.scope
        start = cursor.pos
        scope.core_types.catch_up()
        while cursor.at("type"):
            at = cursor.pos
            cursor.pos += 2
            scope.declare(Sort.CORE_TYPE, cursor, self.label())
            cursor.pos = at
            cursor.skip_group()
        cursor.pos = start
        rec_group(cursor, scope.context)
        scope.emit(Section.CORE_TYPE, scope.core_types.groups.pop())

    def _module_type(self, identifier: str | None) -> bytes:
        """The declarators of a module type."""
        inner = self.inner(identifier, is_module=True)
        cursor, scope = self.cursor, inner.scope
        fields = Fields(cursor, scope.context)
        while cursor.tokens[cursor.pos] == "(":
            cursor.pos += 1
            keyword = cursor.tokens[cursor.pos]
            if keyword in ("type", "rec"):
                inner.core_type()
                continue
            cursor.pos += 1
            if keyword == "alias":
                inner.alias()
            elif keyword in ("import", "export"):
                names = write_name(cursor.name())
                if keyword == "import":
                    names += write_name(cursor.name())
                cursor.expect("(")
                kind = cursor.tokens[cursor.pos]
                if kind not in _CORE_KINDS:
                    raise cursor.unexpected()
                cursor.pos += 1
                inner.label()
                code = names + fields.extern_type(kind)
                cursor.close()
                scope.emit(Section.IMPORT if keyword == "import" else Section.EXPORT, code)
            else:
                raise cursor.unexpected(cursor.pos - 1)
            cursor.close()
        return _MODULE_TYPE + scope.declarators()

    # Aliases -----------------------------------------------------------------------------------

    def alias(self) -> None:
        """An alias definition, after its keyword."""
        cursor, scope = self.cursor, self.scope
        if cursor.take("outer"):
            at = cursor.pos
            count = self._outer_count()
            index_at = cursor.pos
            if not cursor.is_index():
                raise cursor.unexpected()
            cursor.pos += 1
            sort, label = self._aliased(core=scope.is_module)
            end, cursor.pos = cursor.pos, index_at
            self._outer(sort, count, at, label)
            cursor.pos = end
            return
        is_core = cursor.take("core")
        cursor.expect("export")
        instance = self.index(Sort.CORE_INSTANCE if is_core else Sort.INSTANCE)
        name = cursor.name()
        at = cursor.pos
        sort, label = self._aliased()
        if is_core != (sort in CORE_EXPORTS):
            raise cursor.unexpected(at + 1)
        scope.alias_export(sort, instance, name, cursor, label)

    def _aliased(self, *, core: bool = False) -> tuple[Sort, Label]:
        self.cursor.expect("(")
        sort = self.sort(core=core)
        label = self.label()
        self.cursor.close()
        return sort, label

    def _outer_count(self) -> int:
        cursor = self.cursor
        if cursor.is_number():
            return cursor.unsigned(32)
        identifier = cursor.identifier()
        if identifier is None:
            raise cursor.unexpected()
        cursor.pos -= 1
        count = self.scope.enclosing(identifier, cursor)
        cursor.pos += 1
        return count

    def _outer(self, sort: Sort, count: int, at: int, label: Label) -> int:
        """An outer alias of the item whose index is at the cursor."""
        cursor = self.cursor
        target = self.scope.outward(count)
        if target is not None:
            token = cursor.tokens[cursor.pos]
            if token[:1] == "$" and target.space(sort).lookup(token) is None:
                raise cursor.error(f"unknown {sort.value} `{token}`")
            index = target.space(sort).index(cursor)
        elif cursor.is_number():
            index = cursor.unsigned(32)
        else:
            raise cursor.error("no such enclosing component or type", at)
        return self.scope.alias_outer(sort, count, index, cursor, label)

    def inverted(self, sort: Sort, label: Label) -> int | None:
        """An alias written within the definition of what it is called, if one comes next."""
        cursor, scope = self.cursor, self.scope
        if not cursor.at("alias"):
            return None
        cursor.pos += 2
        if cursor.take("outer"):
            at = cursor.pos
            index = self._outer(sort, self._outer_count(), at, label)
        else:
            is_core = cursor.take("core")
            cursor.expect("export")
            if is_core != (sort in CORE_EXPORTS):
                raise cursor.unexpected(cursor.pos - 1)
            instance = self.index(Sort.CORE_INSTANCE if is_core else Sort.INSTANCE)
            index = scope.alias_export(sort, instance, cursor.name(), cursor, label)
        cursor.close()
        return index


_CORE_KINDS: Final = ("func", "table", "memory", "global", "tag")
_CONSTRUCTORS: Final[dict[str, Callable[[Types], bytes]]] = {
    "record": Types._record,
    "variant": Types._variant,
    "list": Types._list,
    "tuple": Types._tuple,
    "flags": Types._flags,
    "enum": Types._enum,
    "option": Types._option,
    "result": Types._result,
    "own": Types._own,
    "borrow": Types._borrow,
    "stream": Types._stream,
    "future": Types._future,
    "map": Types._map,
}
