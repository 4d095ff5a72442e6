"""Instances of components: by instantiation, or put together from what there is."""

from __future__ import annotations

from asyncwasm.errors import ValidationError

from ..syntax import InlineExports, Instantiate, Sort
from ..types import Path, ResourceId
from .annotated import AnnotatedNames
from .frame import Frame, item
from .items import Entity, Func, Identity, Inst, sort_of
from .names import NameSet
from .substitution import Substitution, fresh_marks
from .subtyping import Matcher, check_matches


def instantiate(frame: Frame, definition: Instantiate) -> Inst:
    """The type of a new instance of a component.

    The resources of the result are those that are new with it.  Raises `ValidationError`.
    """
    offset = definition.offset
    component = item(frame.components, Sort.COMPONENT, definition.component, offset)
    args: dict[str, Entity] = {}
    for name, ref in definition.args:
        if name in args:
            raise ValidationError(
                f"instantiation argument `{name}` conflicts with previous argument `{name}`",
                offset=offset,
            )
        args[name] = frame.entity(ref, offset)
    matcher = Matcher(frame.work)
    for name, wanted in component.imports.items():
        given = args.get(name)
        if given is None:
            raise ValidationError(f"missing import named `{name}`", offset=offset)
        matcher.bind(wanted, given, component.imported)
        where = f"type mismatch for import `{name}`"
        check_matches(matcher, given, wanted, where, offset)
    map: dict[Identity, Identity] = dict(matcher.expected)
    fresh: dict[ResourceId, Path] = {}
    for resource, path in component.defined.items():
        own = ResourceId(resource.name)
        map[resource] = own
        if path is not None:
            fresh[own] = path
    fresh_marks(frame.work, component.exports, component.defined, map)
    frame.defined.update(dict.fromkeys(fresh))
    substitution = Substitution(frame.work, map)
    exports = {name: substitution.entity(e) for name, e in component.exports.items()}
    return Inst(frame.work, exports, fresh)


def put_together(frame: Frame, definition: InlineExports) -> Inst:
    """The type of an instance made of items that there are.  Raises `ValidationError`."""
    names = NameSet("export")
    # No types are introduced here, so there are none that annotations could refer to.
    annotated = AnnotatedNames("export")
    exports: dict[str, Entity] = {}
    for name, ref in definition.exports:
        entity = frame.entity(ref, definition.offset)
        parsed = names.add(name, sort_of(entity), definition.offset)
        if isinstance(entity, Func):
            annotated.add(name.name, parsed, entity, definition.offset)
        exports[name.name] = entity
    # Nothing is new with it: what its exports mention comes from elsewhere.
    return Inst(frame.work, exports, {})
