"""WIT: what a component imports and exports, as text for people.

The world comes first, then the interfaces that it names, by package.  Modules, components and
values cannot be said in WIT: they are comments.  The binary format keeps less than WIT source
has; where an interface has a type of the name and the shape of one in an interface before it, or
the same resource type, that is shown as a `use`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final, get_args

from .types import (
    Borrow,
    ComponentType,
    Enum,
    ExternType,
    Flags,
    FuncType,
    Future,
    InstanceType,
    List,
    Map,
    ModuleType,
    Option,
    Own,
    Primitive,
    Record,
    Result,
    Stream,
    Tuple,
    TypeExport,
    ValType,
    Variant,
)

_KEYWORDS: Final = frozenset(
    """
    as async bool borrow char constructor enum error-context export f32 f64 flags from func future
    import include interface list map option own package record resource result s16 s32 s64 s8
    static stream string tuple type u16 u32 u64 u8 use variant with world
    """.split()
)
_VALUES: Final = get_args(ValType)
_NAMED: Final = (Record, Variant, Enum, Flags)


def wit_text(ty: ComponentType, *, world: str = "root") -> str:
    """The WIT text of a component of this type, ending in a newline."""
    return "\n".join([*_Document(ty, world).lines(), ""])


def type_text(ty: ValType) -> str:
    """A type as WIT writes it, with what has a name in WIT written out."""
    return _Names().value(ty)


class _Names:
    """What the types in sight are called: here, or in the world around an interface."""

    def __init__(self, outer: _Names | None = None) -> None:
        self._names: dict[Hashable, str] = {}
        self._outer = outer

    def name(self, ty: Hashable) -> str | None:
        """The name of a type, if it has one here."""
        return self._names.get(ty)

    def sight(self, ty: Hashable) -> str | None:
        """The name of a type here or further out."""
        found = self._names.get(ty)
        if found is None and self._outer is not None:
            found = self._outer.sight(ty)
        return found

    def define(self, ty: Hashable, name: str) -> None:
        """Call a type by a name, unless it has one."""
        self._names.setdefault(ty, name)

    def value(self, ty: ValType) -> str:
        """A type of values."""
        if isinstance(ty, _NAMED) and (known := self.sight(ty)) is not None:
            return known
        match ty:
            case Primitive():
                return ty.value
            case List(element, length):
                return f"list<{self.value(element)}{'' if length is None else f', {length}'}>"
            case Tuple(types):
                return f"tuple<{', '.join(map(self.value, types))}>"
            case Option(inner):
                return f"option<{self.value(inner)}>"
            case Result(None, None):
                return "result"
            case Result(ok, None):
                return f"result<{self.optional(ok)}>"
            case Result(ok, error):
                return f"result<{self.optional(ok)}, {self.optional(error)}>"
            case Own(resource):
                return self.sight(resource) or "own<_>"
            case Borrow(resource):
                return f"borrow<{self.sight(resource) or '_'}>"
            case Stream(element):
                return "stream" if element is None else f"stream<{self.value(element)}>"
            case Future(element):
                return "future" if element is None else f"future<{self.value(element)}>"
            case Map(key, value):
                return f"map<{self.value(key)}, {self.value(value)}>"
            case Record() | Variant() | Enum() | Flags():
                # Types that are in sight from outside have names, so this is for messages.
                keyword, items = self.parts(ty)
                return f"{keyword} {{ {', '.join(items)} }}"

    def optional(self, ty: ValType | None) -> str:
        """A type of values, or what stands for none."""
        return "_" if ty is None else self.value(ty)

    def parts(self, ty: Record | Variant | Enum | Flags) -> tuple[str, list[str]]:
        """The keyword of a type's definition, and its fields, cases or labels."""
        match ty:
            case Record(fields):
                return "record", [f"{_id(name)}: {self.value(each)}" for name, each in fields]
            case Variant(cases):
                return "variant", [
                    _id(name) if each is None else f"{_id(name)}({self.value(each)})"
                    for name, each in cases
                ]
            case Enum(labels):
                return "enum", [_id(label) for label in labels]
            case Flags(labels):
                return "flags", [_id(label) for label in labels]

    def function(self, ty: FuncType, *, skip: int = 0, result: bool = True) -> str:
        """The parameters, without the first `skip` ones, and the result of a function."""
        params = [f"{_id(name)}: {self.value(each)}" for name, each in ty.params[skip:]]
        text = f"({', '.join(params)})"
        if result and ty.result is not None:
            text += f" -> {self.value(ty.result)}"
        return text


class _Document:
    def __init__(self, ty: ComponentType, world: str) -> None:
        self._type = ty
        self._world = world
        # Interfaces by package and name, and where types were first seen.
        self._packages: dict[str, dict[str, list[str]]] = {}
        self._resources: dict[Hashable, tuple[str, str]] = {}
        self._types: dict[tuple[str, Hashable], str] = {}

    def lines(self) -> list[str]:
        """The whole text."""
        names = _Names()
        body: list[str] = []
        for keyword, items in (("import", self._type.imports), ("export", self._type.exports)):
            if body and items:
                body.append("")
            body += self._items(items, names, keyword)
        lines = ["package root:component;", "", *_block(f"world {_id(self._world)}", body)]
        for package, interfaces in self._packages.items():
            content: list[str] = []
            for name, interface in interfaces.items():
                if content:
                    content.append("")
                content += _block(f"interface {_id(name)}", interface)
            lines += ["", *_block(f"package {package}", content)]
        return lines

    def _items(
        self, items: Mapping[str, ExternType], names: _Names, keyword: str = "", owner: str = ""
    ) -> list[str]:
        """The items of the world (as `keyword` says), or of the interface `owner`."""
        lines: list[str] = []
        resources: dict[str, list[str]] = {}
        prefix = f"{keyword} " if keyword else ""
        for name, ty in items.items():
            match ty:
                case FuncType() if name[:1] == "[":
                    resource, method = _method(name, ty, names)
                    found = resources.get(resource)
                    if found is None:
                        lines.append(f"{prefix}// {name}")
                    else:
                        found.append(method)
                case FuncType():
                    lines.append(f"{prefix}{_id(name)}: {_func(ty)}{names.function(ty)};")
                case TypeExport(inner):
                    found_type = self._type_lines(name, inner, names, owner)
                    if not isinstance(inner, _VALUES) and found_type[0].startswith("resource "):
                        # Its methods come later: they are put where the line is.
                        resources[name] = []
                        found_type = [f"\0{name}"]
                    lines += found_type
                case InstanceType(exports):
                    lines += self._instance(name, exports, names, prefix)
                case _:
                    lines.append(f"// {prefix}{name}: {_other(ty)}")
        return _spaced(_with_methods(lines, resources))

    def _instance(
        self, name: str, exports: Mapping[str, ExternType], names: _Names, prefix: str
    ) -> list[str]:
        package, slash, rest = name.rpartition("/")
        interface, at, version = rest.partition("@")
        if not slash or ":" not in package:
            lines = self._items(exports, _Names(names), owner=name)
            self._share(exports, names)
            return _block(f"{prefix}{_id(name)}: interface", lines)
        # Functions of the world may speak of the types in it.
        interfaces = self._packages.setdefault(f"{package}{at}{version}", {})
        if interface not in interfaces:
            interfaces[interface] = []
            interfaces[interface] = self._items(exports, _Names(names), owner=name)
        else:
            self._seen(exports, name)
        self._share(exports, names)
        return [f"{prefix}{name};"]

    def _share(self, exports: Mapping[str, ExternType], names: _Names) -> None:
        for name, ty in exports.items():
            if isinstance(ty, TypeExport):
                names.define(ty.type, _id(name))

    def _seen(self, exports: Mapping[str, ExternType], owner: str) -> None:
        """Take note of the resources of an interface whose text is there already."""
        for name, ty in exports.items():
            if isinstance(ty, TypeExport) and not isinstance(ty.type, _VALUES):
                self._resources.setdefault(ty.type, (owner, name))

    def _type_lines(self, name: str, ty: Hashable, names: _Names, owner: str) -> list[str]:
        known = names.name(ty)
        if not isinstance(ty, _VALUES):
            first = self._resources.setdefault(ty, (owner, name))
            names.define(ty, _id(name))
            if known is not None:
                return [f"type {_id(name)} = {known};"]
            return [f"resource {_id(name)};"] if first == (owner, name) else [_use(*first, name)]
        if isinstance(ty, _NAMED):
            first_owner = self._types.setdefault((name, ty), owner)
            names.define(ty, _id(name))
            if known is not None:
                return [f"type {_id(name)} = {known};"]
            if first_owner != owner:
                return [_use(first_owner, name, name)]
            keyword, items = names.parts(ty)
            return _block(f"{keyword} {_id(name)}", [f"{item}," for item in items])
        return [f"type {_id(name)} = {names.value(ty)};"]


def _use(owner: str, first: str, name: str) -> str:
    renamed = "" if first == name else f" as {_id(name)}"
    return f"use {owner}.{{{_id(first)}{renamed}}};" if owner else f"type {_id(name)} = {first};"


def _method(name: str, ty: FuncType, names: _Names) -> tuple[str, str]:
    """The resource that a function belongs to, and its line there."""
    kind, _, rest = name[1:].partition("]")
    resource, _, method = rest.partition(".")
    match kind:
        case "constructor":
            is_plain = isinstance(ty.result, Own)
            return resource, f"constructor{names.function(ty, result=not is_plain)};"
        case "static":
            return resource, f"{_id(method)}: static {_func(ty)}{names.function(ty)};"
        case _:
            return resource, f"{_id(method)}: {_func(ty)}{names.function(ty, skip=1)};"


def _func(ty: FuncType) -> str:
    return "async func" if ty.is_async else "func"


def _with_methods(lines: Sequence[str], resources: Mapping[str, list[str]]) -> Iterator[str]:
    for line in lines:
        if line[:1] != "\0":
            yield line
            continue
        head = f"resource {_id(line[1:])}"
        methods = resources[line[1:]]
        yield from _block(head, methods) if methods else [f"{head};"]


def _spaced(lines: Iterable[str]) -> list[str]:
    """The lines with one `use` per interface, and with space around what has several."""
    out: list[str] = []
    for line in lines:
        owner, dot, rest = line.partition(".{")
        if dot and owner.startswith("use ") and out and out[-1].startswith(f"{owner}.{{"):
            out[-1] = f"{out[-1][:-2]}, {rest}"
            continue
        if out and out[-1] and (out[-1] == "}" or (line[-1:] == "{" and line[:1] != " ")):
            out.append("")
        out.append(line)
    return out


def _other(ty: ExternType) -> str:
    match ty:
        case ComponentType():
            return "component"
        case ModuleType():
            return "core module"
        case _:
            return "value"


def _block(head: str, lines: Sequence[str]) -> list[str]:
    return [f"{head} {{", *(f"  {line}" if line else "" for line in lines), "}"]


def _id(name: str) -> str:
    return f"%{name}" if name in _KEYWORDS else name
