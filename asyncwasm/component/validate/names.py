"""Names: labels, the names of imports and exports, and their strong uniqueness.

See "Import and Export Definitions" and "Name Uniqueness" in `Explainer.md` of the Component
Model.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

from asyncwasm.errors import ValidationError

from ..syntax import Name, Sort

_LABEL: Final = re.compile(r"(?:[a-z][0-9a-z]*|[A-Z][0-9A-Z]*)(?:-(?:[0-9a-z]+|[0-9A-Z]+))*", re.A)
_WORDS: Final = re.compile(r"[a-z][0-9a-z]*(?:-[0-9a-z]+)*", re.A)
_IDENTIFIER: Final = re.compile(r"[0-9A-Za-z-]+", re.A)
_CANON_VERSION: Final = re.compile(r"[1-9][0-9]*|0\.[1-9][0-9]*|0\.0\.[1-9][0-9]*|0\.0\.0", re.A)
_SUFFIX: Final = re.compile(r"[0-9A-Za-z.+-]*", re.A)
_MAX_NUMBER: Final = 1 << 64


def is_label(text: str) -> bool:
    """Whether `text` is in kebab case."""
    return _LABEL.fullmatch(text) is not None


class Form(enum.Enum):
    """What kind of name a name is."""

    LABEL = "label"
    CONSTRUCTOR = "constructor"
    METHOD = "method"
    STATIC = "static"
    INTERFACE = "interface"


@dataclass(frozen=True, slots=True)
class ParsedName:
    """The parts of a name that rules refer to: `resource` is set for the annotated forms."""

    form: Form
    resource: str | None = None
    version: str | None = None


_ANNOTATION: Final = re.compile(r"\[([a-z]+)\]")
_ANNOTATED: Final = {
    "constructor": Form.CONSTRUCTOR,
    "method": Form.METHOD,
    "static": Form.STATIC,
}


def parse_name(name: str) -> ParsedName:
    """Parse the name of an import or export.

    Raises `ValueError` with what is wrong.
    """
    annotation = _ANNOTATION.match(name)
    if annotation is not None:
        form = _ANNOTATED.get(annotation[1])
        if form is None:
            raise ValueError(f"unknown annotation `{annotation[0]}`")
        rest = name[annotation.end() :]
        if form is Form.CONSTRUCTOR:
            return ParsedName(form, _label(rest))
        resource, dot, field = rest.partition(".")
        if not dot:
            raise ValueError("failed to find `.` character")
        _label(field)
        return ParsedName(form, _label(resource))
    if ":" in name:
        return _interface(name)
    _label(name)
    return ParsedName(Form.LABEL)


def _label(text: str) -> str:
    if not is_label(text):
        raise ValueError(f"`{text}` is not in kebab case")
    return text


def _words(text: str) -> None:
    if _WORDS.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not in kebab case")


def _interface(name: str) -> ParsedName:
    path, at, version = name.partition("@")
    namespace, _, rest = path.partition(":")
    _words(namespace)
    end = next((i for i, char in enumerate(rest) if char in ":/"), len(rest))
    _words(rest[:end])
    if rest[end : end + 1] != "/":
        raise ValueError("expected `/` after package name")
    projection, slash, more = rest[end + 1 :].partition("/")
    _label(projection)
    if slash:
        raise ValueError(f"trailing characters found: `/{more}`")
    if at and _CANON_VERSION.fullmatch(version) is None:
        check_semver(version)
    return ParsedName(Form.INTERFACE, version=version if at else None)


def check_semver(text: str) -> None:
    """Raise `ValueError` unless `text` is a version by Semantic Versioning 2.0.0."""
    if not text:
        raise ValueError("empty string, expected a semver version")
    core, plus, build = text.partition("+")
    core, dash, pre = core.partition("-")
    pos = 0
    for place in range(3):
        if place:
            if pos >= len(core):
                raise ValueError("unexpected end of input in version")
            if core[pos] != ".":
                raise ValueError(f"unexpected character {core[pos]!r} in version")
            pos += 1
        start = pos
        while pos < len(core) and core[pos] in "0123456789":
            pos += 1
        if pos == start:
            if pos == len(core):
                raise ValueError("unexpected end of input in version")
            raise ValueError(f"unexpected character {core[pos]!r} in version")
        # Far fewer digits than it takes for a number to be slow to read.
        if pos - start > 20 or int(core[start:pos]) >= _MAX_NUMBER:
            raise ValueError("value of a version number is too large")
        if pos - start > 1 and core[start] == "0":
            raise ValueError("invalid leading zero in version")
    if pos < len(core):
        raise ValueError(f"unexpected character {core[pos]!r} in version")
    if dash:
        _check_identifiers(pre, numbers=True)
    if plus:
        _check_identifiers(build, numbers=False)


def _check_identifiers(text: str, *, numbers: bool) -> None:
    for part in text.split("."):
        if not part:
            raise ValueError("empty identifier segment in version")
        if _IDENTIFIER.fullmatch(part) is None:
            raise ValueError(f"unexpected character in version identifier `{part}`")
        if numbers and len(part) > 1 and part[0] == "0" and part.isdigit():
            raise ValueError("invalid leading zero in version identifier")


def canonical(name: str, parsed: ParsedName) -> str:
    """What two names must differ in to be strongly unique."""
    lower = name.lower()
    if parsed.form in (Form.METHOD, Form.STATIC):
        resource, _, field = lower[lower.index("]") + 1 :].partition(".")
        return resource if resource == field else f"{resource}.{field}"
    return lower


class NameSet:
    """The names of imports, or of exports, of one scope."""

    __slots__ = ("_kind", "_seen")

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._seen: dict[str, str] = {}

    def add(self, name: Name, sort: Sort, offset: int) -> ParsedName:
        """Check a name with its attributes, and that it is strongly unique so far.

        Raises `ValidationError`.
        """
        try:
            parsed = parse_name(name.name)
        except ValueError as error:
            raise ValidationError(
                f"{self._kind} name `{name.name}` is not a valid extern name: {error}",
                offset=offset,
            ) from None
        _check_attributes(name, parsed, sort, offset)
        if parsed.resource is not None and sort is not Sort.FUNC:
            raise ValidationError(f"{self._kind} `{name.name}` is not a func", offset=offset)
        key = canonical(name.name, parsed)
        if key in self._seen:
            raise ValidationError(
                f"{self._kind} name `{name.name}` conflicts with previous name `{self._seen[key]}`",
                offset=offset,
            )
        self._seen[key] = name.name
        return parsed


def _check_attributes(name: Name, parsed: ParsedName, sort: Sort, offset: int) -> None:
    if name.implements is not None:
        if sort is not Sort.INSTANCE:
            raise ValidationError(
                "only instances can have an `implements` attribute", offset=offset
            )
        if parsed.form is not Form.LABEL:
            raise ValidationError(
                f"name `{name.name}` is not valid with `implements`", offset=offset
            )
        try:
            implemented = parse_name(name.implements)
        except ValueError as error:
            raise ValidationError(
                f"`implements` value `{name.implements}` is not a valid name: {error}"
                " (it must be an interface name)",
                offset=offset,
            ) from None
        if implemented.form is not Form.INTERFACE:
            raise ValidationError(
                f"`implements` value `{name.implements}` must be an interface name",
                offset=offset,
            )
    if name.version_suffix is not None:
        _check_suffix(name.version_suffix, parsed, offset)


def _check_suffix(suffix: str, parsed: ParsedName, offset: int) -> None:
    version = parsed.version
    if version is None or _CANON_VERSION.fullmatch(version) is None:
        raise ValidationError(
            "`versionsuffix` requires an interface name with a canonical version", offset=offset
        )
    try:
        if _SUFFIX.fullmatch(suffix) is None:
            raise ValueError("unexpected character")
        check_semver(version + suffix)
    except ValueError as error:
        raise ValidationError(
            f"`versionsuffix` `{suffix}` does not complete version `{version}`: {error}",
            offset=offset,
        ) from None


class Labels:
    """The labels of one type, which must be strongly unique."""

    __slots__ = ("_offset", "_previous", "_seen", "_what")

    def __init__(self, what: str, previous: str, offset: int) -> None:
        self._what = what
        self._previous = previous
        self._offset = offset
        self._seen: dict[str, str] = {}

    def add(self, label: str) -> None:
        """Check one more label.  Raises `ValidationError`."""
        if not label:
            raise ValidationError(f"{self._what} name cannot be empty", offset=self._offset)
        if not is_label(label):
            raise ValidationError(
                f"{self._what} name `{label}` is not in kebab case", offset=self._offset
            )
        key = label.lower()
        if key in self._seen:
            raise ValidationError(
                f"{self._what} name `{label}` conflicts with previous {self._previous} name"
                f" `{self._seen[key]}`",
                offset=self._offset,
            )
        self._seen[key] = label
