"""`ComponentExportIndex`: an export looked up once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from .component import Component


@final
@dataclass(frozen=True, slots=True, eq=False)
class ComponentExportIndex:
    """An export of a component, for any instance of it; see `Component.export_index`.

    `path` has the names of the export and of the instances that it is in, outermost first.
    """

    component: Component
    path: tuple[str, ...]
    item: Any

    def __repr__(self) -> str:
        return f"<ComponentExportIndex {'#'.join(self.path)}>"
