"""What names mean while one module is assembled: index spaces, types, names, annotations."""

from __future__ import annotations

from typing import Final, NamedTuple

from asyncwasm.core.binary.leb128 import write_unsigned
from asyncwasm.errors import MalformedError

from .cursor import Cursor, shorten
from .lexer import UTF8, Annotation, string_bytes


class Signature(NamedTuple):
    """A function type, as the encodings of its value types."""

    params: tuple[bytes, ...] = ()
    results: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """The composite type in the binary format."""
        return b"\x60" + vector(self.params) + vector(self.results)


def vector(items: list[bytes] | tuple[bytes, ...]) -> bytes:
    """A vector of encoded items."""
    return write_unsigned(len(items)) + b"".join(items)


class Space:
    """An index space: what identifiers are bound to, and the names for the name section."""

    __slots__ = ("count", "indices", "kind", "names")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.count = 0
        self.indices: dict[str, int] = {}
        self.names: dict[int, str] = {}

    def bind(self, context: Context, cursor: Cursor) -> int:
        """Add the next item, with the identifier and the name that may follow."""
        at = cursor.pos
        identifier = cursor.identifier()
        index = self.count
        self.count += 1
        if identifier is not None:
            if identifier in self.indices:
                raise cursor.error(f"duplicate {self.kind} `{shorten(identifier)}`", at)
            self.indices[identifier] = index
        name = context.name_of(cursor, identifier, self.kind)
        if name is not None:
            self.names[index] = name
        return index

    def index(self, cursor: Cursor) -> int:
        """An index into this space, by number or by identifier."""
        token = cursor.tokens[cursor.pos]
        if token[:1] != "$":
            return cursor.unsigned(32)
        index = self.indices.get(token)
        if index is None:
            raise cursor.error(f"unknown {self.kind} `{shorten(token)}`")
        cursor.pos += 1
        return index


class TypeTable:
    """The types of a module, explicit ones first, then those added for inline type uses."""

    __slots__ = (
        "fields",
        "forward",
        "groups",
        "implicit",
        "signatures",
        "singles",
        "space",
        "unchecked",
    )

    def __init__(self, space: Space | None = None) -> None:
        self.space: Final = space or Space("type")
        self.groups: list[bytes] = []
        # By type index: the signature of a function type, the field names of a struct type.
        self.signatures: list[Signature | None] = []
        self.fields: list[Space | None] = []
        # The smallest index of each signature that is a final type and a group by itself.
        self.singles: dict[Signature, int] = {}
        self.implicit: list[Signature] = []
        # The greatest type index used where its signature was not known (yet), and the first
        # such use beside an inline signature: index and token.
        self.forward = -1
        self.unchecked: tuple[int, int] | None = None

    def signature(self, index: int) -> Signature | None:
        """The signature of type `index`, or None if it has none that is known."""
        if index < len(self.signatures):
            return self.signatures[index]
        self.forward = max(self.forward, index)
        return None

    def use(self, signature: Signature) -> int:
        """The index of the type that an inline use of this signature stands for."""
        index = self.singles.get(signature)
        if index is None:
            index = len(self.signatures)
            self.implicit.append(signature)
            self.groups.append(signature.encode())
            self.signatures.append(signature)
            self.fields.append(None)
            self.singles[signature] = index
        return index


_SPACES: Final = "func table memory global tag elem data".split()


class Context:
    """Everything that the fields of a module share while they are parsed."""

    __slots__ = (
        "annotations",
        "data",
        "elem",
        "func",
        "global_",
        "label_names",
        "local_names",
        "memory",
        "module_name",
        "needs_data_count",
        "spaces",
        "table",
        "tag",
        "types",
    )

    def __init__(self, annotations: dict[int, list[Annotation]]) -> None:
        """`annotations` are those inside the module; they are taken out as they are used."""
        self.annotations = annotations
        self.types = TypeTable()
        self.spaces = {kind: Space(kind) for kind in _SPACES}
        self.func = self.spaces["func"]
        self.table = self.spaces["table"]
        self.memory = self.spaces["memory"]
        self.global_ = self.spaces["global"]
        self.tag = self.spaces["tag"]
        self.elem = self.spaces["elem"]
        self.data = self.spaces["data"]
        self.module_name: str | None = None
        self.local_names: dict[int, dict[int, str]] = {}
        self.label_names: dict[int, dict[int, str]] = {}
        # Set by the instructions that the binary format allows only after a data count.
        self.needs_data_count = False

    def annotation(self, at: int, name: str) -> Annotation | None:
        """Take the annotation of this name in front of token `at`, if there is one."""
        if not self.annotations:
            return None
        for annotation in self.annotations.get(at, ()):
            if annotation.name == name:
                self.annotations[at].remove(annotation)
                if not self.annotations[at]:
                    del self.annotations[at]
                return annotation
        return None

    def name_of(self, cursor: Cursor, identifier: str | None, kind: str) -> str | None:
        """The name of what `identifier` was just read for: its own, or an annotation's."""
        annotation = self.annotation(cursor.pos, "name")
        if annotation is None:
            return None if identifier is None else identifier[1:]
        if self.annotation(cursor.pos, "name") is not None:
            raise annotation_error(cursor, annotation, f"multiple {kind} names")
        if len(annotation.items) != 1 or annotation.items[0][:1] != '"':
            raise annotation_error(cursor, annotation, "string expected")
        return annotation_string(cursor, annotation, annotation.items[0])


def annotation_string(cursor: Cursor, annotation: Annotation, token: str) -> str:
    """The UTF-8 string `token` inside an annotation."""
    try:
        return str(string_bytes(token), "utf-8")
    except UnicodeDecodeError:
        raise annotation_error(cursor, annotation, UTF8) from None


def annotation_error(cursor: Cursor, annotation: Annotation, message: str) -> MalformedError:
    """An error in an annotation, for the caller to raise."""
    return cursor.source.error(f"@{annotation.name} annotation: {message}", raw=annotation.index)
