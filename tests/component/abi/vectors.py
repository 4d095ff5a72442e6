"""Examples of lowering and lifting as plain data, in `vectors.json`.

They stand in for the specification's implementation where that is not at hand, and were checked
against it when they were recorded: `python -m tests.component.abi.vectors` records them anew, and
needs `ASYNCWASM_CANONICAL_ABI`.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from asyncwasm.component.abi import Abi, Options
from asyncwasm.component.abi.layout import flatten
from asyncwasm.component.syntax import StringEncoding
from asyncwasm.component.values import Classes
from asyncwasm.errors import CanonicalAbiError, Trap

from .generated import (
    Context,
    from_plain,
    plain,
    random_type,
    random_value,
    type_from_plain,
    type_to_plain,
)

FILE = Path(__file__).with_name("vectors.json")
SIZE = 1 << 12


def lower(vector: dict[str, Any]) -> dict[str, Any]:
    """What lowering the value of a vector gives."""
    classes = Classes()
    ty = type_from_plain(vector["type"])
    options = Options(StringEncoding(vector["encoding"]), vector["memory64"])
    cx = Context(SIZE)
    value = from_plain(ty, vector["value"], classes)
    flat = Abi(classes).lower_params((("x", ty),), options)(cx, (value,))
    return {
        "flat": [_number(x) for x in flat],
        "calls": [list(call) for call in cx.calls],
        "memory": cx.memory.data[: cx.top].hex(),
    }


def lift(vector: dict[str, Any]) -> Any:
    """What lifting the core values of a vector gives, or "trap"."""
    ty = type_from_plain(vector["type"])
    options = Options(StringEncoding(vector["encoding"]), vector["memory64"])
    cx = Context(SIZE)
    cx.memory.data[:] = bytes.fromhex(vector["memory"]) * (SIZE // 256)
    flat = [float.fromhex(x) if isinstance(x, str) else x for x in vector["flat"]]
    try:
        [value] = Abi(Classes()).lift_params((("x", ty),), options)(cx, flat)
    except (CanonicalAbiError, Trap):
        return "trap"
    return plain(ty, value)


def _number(x: float) -> int | str:
    if isinstance(x, int):
        return x
    return x.hex() if x == x else "nan"


def _record() -> None:
    from .reference import Reference

    rng = random.Random(20)
    found: dict[str, list[Any]] = {"lower": [], "lift": []}
    while len(found["lower"]) < 150 or len(found["lift"]) < 150:
        ty = random_type(rng)
        vector: dict[str, Any] = {
            "type": type_to_plain(ty),
            "encoding": rng.choice(list(StringEncoding)).value,
            "memory64": rng.random() < 0.2,
        }
        encoding = StringEncoding(vector["encoding"])
        if len(found["lower"]) < 150:
            classes = Classes()
            data = plain(ty, random_value(rng, ty, classes))
            cx = Context(SIZE)
            reference = Reference(cx, encoding, vector["memory64"])
            flat = reference.lower(ty, data, StringEncoding.UTF8, 16)
            if cx.top < 200:
                cores = flatten(ty, Options(memory64=vector["memory64"]).pointer_type)
                if len(flat) == len(cores):
                    # The reference fills up with zeros of no type.
                    kinds = [float if core.value[0] == "f" else int for core in cores]
                    flat = [kind(x) for kind, x in zip(kinds, flat, strict=True)]
                done = {
                    "flat": [_number(x) for x in flat],
                    "calls": [list(call) for call in cx.calls],
                    "memory": cx.memory.data[: cx.top].hex(),
                }
                assert lower(vector | {"value": data}) == done
                found["lower"].append(vector | {"value": data, "result": done})
        choices = rng.choice((b"\x00", b"\x00\x00\x00\x01\x02", b"\x00\x04\x08", b"\x00a\xc3\xa9"))
        memory = bytes(rng.choice(choices) for _ in range(256))
        pointer = Options(memory64=vector["memory64"]).pointer_type
        flats: list[Any] = [
            rng.choice((0, 1, 2, 8, 64, 100, 4095)) if core.value[0] == "i" else "0x1.8p+0"
            for core in flatten(ty, pointer)
        ]
        flats = [rng.choice((0, 8, 12, 4096))] if len(flats) > 16 else flats
        vector = vector | {"flat": flats, "memory": memory.hex()}
        cx = Context(SIZE)
        cx.memory.data[:] = memory * (SIZE // 256)
        raw = [float.fromhex(x) if isinstance(x, str) else x for x in flats]
        reference = Reference(cx, encoding, vector["memory64"])
        outcome = reference.lift(ty, raw, 16)
        # Most random input is refused for one reason or other: keep some of that.
        keep = outcome != "trap" or rng.random() < 0.3
        if keep and len(json.dumps(outcome)) < 400 and len(found["lift"]) < 150:
            assert lift(vector) == outcome
            found["lift"].append(vector | {"result": outcome})
    lines = [
        f'"{kind}": [\n' + ",\n".join(json.dumps(v) for v in vectors) + "\n]"
        for kind, vectors in found.items()
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    _record()
