"""The names of imports and exports."""

from __future__ import annotations

import pytest

from asyncwasm.component.syntax import Name, Sort
from asyncwasm.component.validate.names import Form, NameSet, parse_name
from asyncwasm.errors import ValidationError

UNIQUE = (
    "foo",
    "foo-bar",
    "[constructor]foo",
    "[method]foo.bar",
    "[static]foo.baz",
    "foo:bar/baz",
)


def names(*given: str) -> NameSet:
    result = NameSet("import")
    for name in given:
        result.add(Name(name), Sort.FUNC, 0)
    return result


@pytest.mark.parametrize(
    "name",
    "foo FOO foo-BAR [constructor]FOO [method]foo.BAR [static]foo.bar [static]foo.BAZ"
    " [method]foo.foo [static]foo-BAR.FOO-bar foo:bar/BAZ".split(),
)
def test_strong_uniqueness(name: str):
    seen = names(*UNIQUE)
    with pytest.raises(ValidationError, match="conflicts with previous name"):
        seen.add(Name(name), Sort.FUNC, 0)


@pytest.mark.parametrize(
    ("name", "form", "resource"),
    [
        ("a", Form.LABEL, None),
        ("A11-4CR0NYMS", Form.LABEL, None),
        ("[constructor]a-B", Form.CONSTRUCTOR, "a-B"),
        ("[method]a.b", Form.METHOD, "a"),
        ("[static]a.b", Form.STATIC, "a"),
        ("a-1:b2/C-3@0.2", Form.INTERFACE, None),
        ("a:b/c@1", Form.INTERFACE, None),
        ("a:b/c@0.0.0", Form.INTERFACE, None),
        ("a:b/c@1.2.3-rc.1+x.01", Form.INTERFACE, None),
    ],
)
def test_forms(name: str, form: Form, resource: str | None):
    parsed = parse_name(name)
    assert (parsed.form, parsed.resource) == (form, resource)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ä", "kebab case"),
        ("a\n", "kebab case"),
        ("a٣", "kebab case"),
        ("[async]a", "unknown annotation"),
        ("[method]a", "failed to find"),
        ("a:b", "expected `/`"),
        ("a:b/c/d", "trailing characters"),
        ("a:b/c@01.2.3", "leading zero"),
        ("a:b/c@1.2.3-01", "leading zero"),
        ("a:b/c@1.2.99999999999999999999", "too large"),
        ("a:b/c@1.2." + "9" * 5000, "too large"),
        ("a:b/c@1.2.٣", "unexpected character"),
        ("a:b/c@1.2.3-a_b", "unexpected character"),
        ("url=<https://example.com>", "kebab case"),
    ],
)
def test_bad_names(name: str, message: str):
    with pytest.raises(ValueError, match=message):
        parse_name(name)


@pytest.mark.parametrize(
    ("name", "suffix", "message"),
    [
        ("a:b/c@0.2", ".6", None),
        ("a:b/c@1", ".2.3-pre", None),
        ("a:b/c@1", ".2", "unexpected end"),
        ("a:b/c@1.2.3", "", "canonical version"),
        ("a:b/c", ".1", "canonical version"),
        ("a", ".1", "canonical version"),
        ("a:b/c@1", ".2.3 ", "unexpected character"),
    ],
)
def test_version_suffix(name: str, suffix: str, message: str | None):
    given = Name(name, version_suffix=suffix)
    if message is None:
        NameSet("import").add(given, Sort.INSTANCE, 0)
    else:
        with pytest.raises(ValidationError, match=message):
            NameSet("import").add(given, Sort.INSTANCE, 0)
