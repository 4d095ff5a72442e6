"""`asyncwasm inspect`: what a module imports, exports and uses; what a component is in WIT."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final

from asyncwasm.component.binary import decode_component
from asyncwasm.component.types import (
    ComponentType,
    FuncType,
    InstanceType,
    ModuleType,
    TypeExport,
)
from asyncwasm.component.validate import validate_component
from asyncwasm.component.wit import wit_text
from asyncwasm.core.binary.names import read_names
from asyncwasm.core.isa.features import ALL
from asyncwasm.core.module import ExternKind, ModuleInfo
from asyncwasm.core.text.printer_literals import name_literal
from asyncwasm.core.types import ExternFunc

from ._code import to_binary
from ._failure import blame
from ._features import features_used
from ._files import display_name, read_bytes

_KINDS: Final[dict[type, str]] = {
    FuncType: "func",
    InstanceType: "instance",
    TypeExport: "type",
    ComponentType: "component",
    ModuleType: "core module",
}


def make_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Show what a module imports and exports, how much it defines, and which "
        "proposals it needs to be valid; of a component, what it imports and exports, as WIT.",
    )
    parser.add_argument("file", metavar="FILE", help="a module or component; - for standard input")
    parser.add_argument("--json", action="store_true", help="write one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    data = read_bytes(args.file)
    with blame(display_name(args.file)):
        binary, is_component = to_binary(data)
        if is_component:
            ty = validate_component(decode_component(binary), ALL).type
            return _show_component(args, len(binary), ty)
        info, features = features_used(binary)
    report = {"file": display_name(args.file), "bytes": len(binary), **_describe(info)}
    report["features"] = [feature.value for feature in features]
    if args.json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _show(report)
    return 0


def _show_component(args: argparse.Namespace, size: int, ty: ComponentType) -> int:
    text = wit_text(ty)
    if not args.json:
        print(f"// {display_name(args.file)}: {size} bytes, component", text, sep="\n", end="")
        return 0
    report = {
        "file": display_name(args.file),
        "bytes": size,
        "imports": [{"name": name, "kind": _kind(item)} for name, item in ty.imports.items()],
        "exports": [{"name": name, "kind": _kind(item)} for name, item in ty.exports.items()],
        "wit": text,
    }
    print(json.dumps(report, indent=2, ensure_ascii=False))
    return 0


def _kind(item: object) -> str:
    return _KINDS.get(type(item), "value")


def _describe(info: ModuleInfo) -> dict[str, Any]:
    defined = {
        "types": len(info.types),
        "funcs": len(info.bodies),
        "tables": len(info.tables) - info.imported_tables,
        "memories": len(info.memories) - info.imported_memories,
        "globals": len(info.global_inits),
        "tags": len(info.tags) - info.imported_tags,
        "elem_segments": len(info.elems),
        "data_segments": len(info.datas),
    }
    return {
        "name": read_names(info).module,
        "imports": [
            {"module": i.module, "name": i.name, "type": str(i.type)} for i in info.imports
        ],
        "exports": [
            {"name": e.name, "type": _export_type(info, e.kind, e.index)}
            for e in info.exports.values()
        ],
        "start": info.start,
        "defined": defined,
        "custom_sections": [
            {"name": c.name, "bytes": c.content.end - c.content.start} for c in info.customs
        ],
    }


def _export_type(info: ModuleInfo, kind: ExternKind, index: int) -> str:
    match kind:
        case ExternKind.FUNC:
            return str(ExternFunc(info.funcs[index]))
        case ExternKind.TABLE:
            return str(info.tables[index])
        case ExternKind.MEMORY:
            return str(info.memories[index])
        case ExternKind.GLOBAL:
            return str(info.globals[index])
        case ExternKind.TAG:
            return str(info.tags[index])


def _show(report: dict[str, Any]) -> None:
    # Names are quoted: what a module calls things must not control the terminal.
    name = f", module {name_literal(report['name'])}" if report["name"] else ""
    print(f"{report['file']}: {report['bytes']} bytes{name}")
    _section(
        "imports",
        [
            f"{name_literal(i['module'])} {name_literal(i['name'])}: {i['type']}"
            for i in report["imports"]
        ],
    )
    _section("exports", [f"{name_literal(e['name'])}: {e['type']}" for e in report["exports"]])
    if report["start"] is not None:
        _section("start", [f"function {report['start']}"])
    _section("defines", [f"{n} {what}" for what, n in report["defined"].items() if n])
    _section(
        "custom sections",
        [f"{name_literal(c['name'])}: {c['bytes']} bytes" for c in report["custom_sections"]],
    )
    _section("features", report["features"])


def _section(title: str, lines: list[str]) -> None:
    if lines:
        print(f"{title}:", *lines, sep="\n  ")
