"""Wasmtime as a second opinion on what is valid, and programs to ask it about."""

from __future__ import annotations

import random

import wasmtime

from asyncwasm.core.isa.table import TABLE, Row
from tests.core.binary import build as b

_SWITCHES = """
threads tail_call reference_types function_references gc simd relaxed_simd bulk_memory multi_value
multi_memory memory64 wide_arithmetic exceptions custom_page_sizes
""".split()


class Oracle:
    """Says whether Wasmtime, with the same features, accepts a module."""

    def __init__(self) -> None:
        config = wasmtime.Config()
        for switch in _SWITCHES:
            setattr(config, f"wasm_{switch}", True)
        config.shared_memory = True
        self.engine = wasmtime.Engine(config)

    def refuses(self, data: bytes) -> str | None:
        """Why a module is refused, or None if it is not."""
        try:
            wasmtime.Module.validate(self.engine, data)
        except wasmtime.WasmtimeError as error:
            return str(error)
        return None


_TYPES = [
    b.func_type(),
    b.func_type([b.I32], [b.I32]),
    b.func_type([b.I32, b.I64], [b.F32, b.F64]),
    b"\x50\0\x5f" + b.vec(b"\x7f\x01", b"\x78\x01", b"\x63\x03\0"),
    b"\x50\x01\x03\x5f" + b.vec(b"\x7f\x01", b"\x78\x01", b"\x63\x04\0", b"\x7c\0"),
    b"\x5e\x78\x01",
    b"\x5e\x7f\x01",
    b"\x5e\x70\x01",
    b"\x5e\x6e\0",
    b.func_type([], [0x6E]),
    b.func_type([0x6E], [0x6D]),
    b.func_type([b.I32]),
    b"\x5f" + b.vec(b"\x64\x03\0"),
    b.func_type([0x6E, 0x6D], [0x6E, 0x6D]),
]
# The types of the locals of the function that is tested; the last two are not initialised.
_LOCALS = [
    *(bytes((code,)) for code in (b.I32, b.I64, b.F32, b.F64, b.V128)),
    *(bytes((code,)) for code in (0x70, 0x6F, 0x6E, 0x6D, 0x6C, 0x6B, 0x6A, 0x69, 0x71)),
    *(b"\x63" + b.s(index) for index in (1, 3, 4, 5, 6, 7, 8)),
    *(b"\x64" + b.s(index) for index in (1, 3, 4, 5)),
    b"\x64\x6c",
    b"\x64\x6b",
    b"\x64\x70",
]
_UNINITIALISED = [b"\x64\x03", b"\x64\x6e"]
_TABLES = [b"\x70\0\x05", b"\x6e\x04\x05", b"\x63\x01\0\x05"]
_MEMORIES = [b"\0\x01", b"\x04\x01", b"\x03\x01\x02"]
_GLOBALS = [b"\x7f\x01\x41\0\x0b", b"\x7e\0\x42\0\x0b", b"\x63\x03\x01\xd0\x03\x0b"]
_ELEMS = [b"\x01\0\x01\0", b"\x05\x6e\x01\xd0\x71\x0b", b"\x05\x63\x01\x01\xd2\0\x0b"]
_COUNTS = {
    "func": 3,
    "type": len(_TYPES),
    "table": len(_TABLES),
    "mem": len(_MEMORIES),
    "global": len(_GLOBALS),
    "local": len(_LOCALS) + len(_UNINITIALISED),
    "tag": 2,
    "data": 1,
    "elem": 3,
}
_HEAPS = [bytes((code,)) for code in range(0x69, 0x75)] + [b.u(index) for index in range(9)]
_BLOCK_TYPES = [b"\x40", b"\x7f", b"\x7e", b"\x6e", b"\x70"] + [
    b.u(index) for index in (0, 1, 2, 9, 10, 11, 13)
]


def module_around(code: bytes) -> bytes:
    """A module with a bit of everything, and a function with `code` as its body.

    The function's type is `[local types] -> [i32]`; `code` comes with its `end`.
    """
    tested = b"\x60" + b.vec(*_LOCALS) + b.vec(b"\x7f")
    locals = b.vec(*(b"\x01" + ty for ty in _UNINITIALISED))
    return b.module(
        b.section(b.TYPE, *_TYPES, tested),
        b.section(b.FUNC, b.u(1), b.u(2), b.u(len(_TYPES))),
        b.section(b.TABLE, *_TABLES),
        b.section(b.MEMORY, *_MEMORIES),
        b.section(b.TAG, b"\0\0", b"\0\x0b"),
        b.section(b.GLOBAL, *_GLOBALS),
        b.section(
            b.ELEM, b"\x01\0\x01\0", b"\x05\x6e\x01\xd0\x71\x0b", b"\x05\x63\x01\x01\xd2\0\x0b"
        ),
        b.raw_section(b.DATA_COUNT, b"\x01"),
        b.section(b.CODE, b.body(b"\0"), b.body(b"\0"), b.sized(locals + code)),
        b.section(b.DATA, b"\x01\x02hi"),
    )


class Programs:
    """Random function bodies: mostly well formed, about half of them valid."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def body(self) -> bytes:
        rng = self.rng
        code = bytearray()
        opened = 0
        if rng.random() < 0.3:
            code += b"\0"
        for _ in range(rng.randrange(1, 5)):
            row = rng.choice(TABLE)
            if row.name in ("end", "else") and rng.random() < 0.9:
                continue
            code += self.operands(row)
            code += self.instruction(row)
            if row.name in ("block", "loop", "if", "try_table"):
                opened += 1
        for _ in range(opened + 1):
            # After `unreachable` any frame may end.
            code += b"\0\x0b" if rng.random() < 0.9 else b"\x0b"
        return bytes(code)

    def operands(self, row: Row) -> bytes:
        """Some locals, of the right types as far as the row knows them."""
        rng = self.rng
        if row.params is None:
            count = rng.choice((0, 0, 1, 1, 2, 3, 4, 5))
            weights = [6, 2] + [1] * (len(_LOCALS) - 2)
            found = rng.choices(range(len(_LOCALS)), weights, k=count)
        else:
            numbers = {"i32": 0, "i64": 1, "f32": 2, "f64": 3, "v128": 4}
            found = [numbers.get(name, rng.choice((0, 0, 0, 1))) for name in row.params]
            if found and rng.random() < 0.1:
                found[rng.randrange(len(found))] = rng.randrange(8)
        return b"".join(b"\x20" + b.u(index) for index in found)

    def instruction(self, row: Row) -> bytes:
        prefix = bytes((row.prefix,)) if row.prefix else b""
        number = b.u(row.number) if row.prefix else bytes((row.number,))
        immediates = b"".join(self.immediate(kind, row) for kind in row.immediates)
        return prefix + number + immediates

    def immediate(self, kind: str, row: Row) -> bytes:
        rng = self.rng
        if kind.endswith("idx") and kind != "labelidx":
            count = _COUNTS[kind.removesuffix("idx")]
            return b.u(rng.randrange(count) if rng.random() < 0.95 else count)
        match kind:
            case "labelidx" | "u32":
                return b.u(rng.choice((0, 0, 0, 1, 1, 2, 3)))
            case "labelvec":
                return b.vec(*(b.u(rng.randrange(2)) for _ in range(rng.randrange(3)))) + b"\0"
            case "blocktype":
                return rng.choice(_BLOCK_TYPES)
            case "heaptype":
                return rng.choice(_HEAPS)
            case "valtypevec":
                types = [rng.choice(_LOCALS) for _ in range(rng.choice((0, 1, 1, 1, 1, 2)))]
                return b.vec(*types)
            case "catchvec":
                clauses = (b"\0\0\0", b"\0\x01\x01", b"\x01\0\0", b"\x02\0", b"\x03\x01")
                return b.vec(*(rng.choice(clauses) for _ in range(rng.randrange(3))))
            case "castop":
                flags = bytes((rng.randrange(4),))
                return flags + b.u(rng.randrange(2)) + rng.choice(_HEAPS) + rng.choice(_HEAPS)
            case "memarg":
                align = max(0, row.natural_align + rng.choice((0, 0, 0, 0, -1, 1)))
                memory = rng.randrange(4) if rng.random() < 0.3 else None
                flags = align if memory is None else align | 0x40
                middle = b"" if memory is None else b.u(memory)
                return b.u(flags) + middle + b.u(rng.choice((0, 1, 1000, 1 << 31, 1 << 32)))
            case "s32" | "s64":
                return b.s(rng.choice((0, 1, -1, 63, 64, 1 << 20, -(1 << 31), (1 << 31) - 1)))
            case "f32":
                return rng.randbytes(4)
            case "f64":
                return rng.randbytes(8)
            case "v128":
                return rng.randbytes(16)
            case "lane":
                return bytes((rng.randrange(row.lanes + (rng.random() < 0.1)),))
            case "lanes16":
                return bytes(rng.randrange(33 if rng.random() < 0.02 else 32) for _ in range(16))
            case "zero":
                return b"\0"
            case _:
                raise AssertionError(kind)
