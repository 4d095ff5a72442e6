"""Memory accesses: bounds, alignment, and what growing changes."""

from __future__ import annotations

import pytest

from asyncwasm import Config, Engine, Instance, Module, Store, Trap, TrapCode

WIDTHS = {
    "i32.load": 4, "i32.load8_s": 1, "i32.load8_u": 1, "i32.load16_s": 2, "i32.load16_u": 2,
    "i64.load": 8, "i64.load8_s": 1, "i64.load8_u": 1, "i64.load16_s": 2, "i64.load16_u": 2,
    "i64.load32_s": 4, "i64.load32_u": 4, "f32.load": 4, "f64.load": 8,
}  # fmt: skip
STORES = {
    "i32.store": 4, "i32.store8": 1, "i32.store16": 2, "i64.store": 8, "i64.store8": 1,
    "i64.store16": 2, "i64.store32": 4, "f32.store": 4, "f64.store": 8,
}  # fmt: skip
ENGINE = Engine(
    Config(strategy="interpreter", preemption_interval=None, wasm_custom_page_sizes=True)
)


class Guest:
    def __init__(self, text: str) -> None:
        self.store: Store[None] = Store(ENGINE)
        self.instance = Instance.new(self.store, Module(ENGINE, text), [])

    def __call__(self, name: str, *arguments: object) -> object:
        func = self.instance.get_func(self.store, name)
        assert func is not None
        return func.call(self.store, *arguments)

    def traps(self, name: str, *arguments: object) -> None:
        with pytest.raises(Trap) as caught:
            self(name, *arguments)
        assert caught.value.code is TrapCode.MEMORY_OUT_OF_BOUNDS

    @property
    def data(self) -> memoryview:
        memory = self.instance.get_memory(self.store, "memory")
        assert memory is not None
        return memory.data(self.store)


# Each access with a variable address, one known to be aligned, and a constant one.
WAYS = {
    "variable": "(local.get 0)",
    "aligned": "(i32.shl (i32.shr_u (local.get 0) (i32.const 3)) (i32.const 3))",
    "constant": None,
}


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17])
@pytest.mark.parametrize("offset", [0, 1, 8])
@pytest.mark.parametrize("index", ["i32", "i64"])
def test_bounds(size, offset, index):
    functions = []
    for name in (*WIDTHS, *STORES):
        for way, given in WAYS.items():
            for at in range(20) if way == "constant" else [0]:
                if way == "constant":
                    place = f"({index}.const {at})"
                else:
                    place = given.replace("i32", index)
                value = "" if name in WIDTHS else f"({name[:3]}.const 0x5a)"
                body = f"({name} offset={offset} {place} {value})"
                if name in WIDTHS:
                    body = f"(drop {body})"
                label = f"{name}/{way}/{at}"
                functions.append(f'(func (export "{label}") (param {index}) {body})')
    text = f"""(module (memory (export "memory") {index if index == "i64" else ""}
        {size} {size} (pagesize 1)) {"".join(functions)})"""
    guest = Guest(text)
    for name, width in (*WIDTHS.items(), *STORES.items()):
        for at in range(20):
            for way in WAYS:
                start = (at >> 3 << 3 if way == "aligned" else at) + offset
                label = f"{name}/{way}/{at if way == 'constant' else 0}"
                before = bytes(guest.data)
                if start + width <= size:
                    guest(label, at)
                    after = bytes(guest.data)
                    end = start + width
                    assert (after[:start], after[end:]) == (before[:start], before[end:])
                    assert after == before or name in STORES
                else:
                    guest.traps(label, at)
                    assert bytes(guest.data) == before


@pytest.mark.parametrize("address", [2**31, 2**32 - 1, 2**32 - 8])
def test_addresses_do_not_wrap(address):
    guest = Guest("""(module (memory (export "memory") 1)
        (func (export "near") (param i32) (result i32) (i32.load offset=16 (local.get 0)))
        (func (export "far") (param i32) (result i32)
            (i32.load8_u offset=4294967295 (local.get 0)))
        (func (export "store") (param i32) (i64.store offset=16 (local.get 0) (i64.const 1)))
        (func (export "sum") (param i32) (result i32)
            (i32.load offset=8 (i32.add (local.get 0) (i32.const 16))))
        (func (export "constant") (result i32)
            (i32.load8_u offset=4294967295 (i32.const 65536))))""")
    for name in ("near", "far", "store"):
        guest.traps(name, address)
    guest.traps("constant")
    # The addition itself does wrap, before the offset is added.
    assert guest("sum", 2**32 - 8) == 0


def test_64_bit_addresses():
    guest = Guest("""(module (memory (export "memory") i64 1)
        (func (export "load") (param i64) (result i32) (i32.load8_u (local.get 0)))
        (func (export "far") (param i64) (result i64)
            (i64.load offset=0xffffffffffffffff (local.get 0)))
        (func (export "store") (param i64) (i32.store offset=4 (local.get 0) (i32.const 1)))
        (func (export "fill") (param i64 i64)
            (memory.fill (local.get 0) (i32.const 7) (local.get 1)))
        (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0))))""")
    assert guest("load", 65535) == 0
    for address in (65536, 2**32, 2**63 - 1, 2**63, 2**64 - 1):
        guest.traps("load", address)
        guest.traps("far", address)
        guest.traps("store", address)
        guest.traps("fill", address, 1)
        guest.traps("fill", 1, address)
    assert guest("grow", 2**63) == -1
    assert guest("grow", 1) == 1


def test_growing_shows_at_once():
    guest = Guest("""(module (memory (export "memory") 1 3)
        (func $grow (drop (memory.grow (i32.const 1))))
        (func (export "f") (result i32)
            (local $i i32)
            (loop $again
                (call $grow)
                (i32.store (i32.add (i32.mul (local.get $i) (i32.const 65536)) (i32.const 65536))
                    (local.get $i))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const 2))))
            (i32.load (i32.const 131072))))""")
    assert guest("f") == 1
    assert len(guest.data) == 3 * 65536


def test_floats_keep_their_bits():
    patterns = [0x7FA00000, 0xFFC00001, 0x7F800001, 0x80000000, 0x00000001, 0x7F7FFFFF]
    guest = Guest("""(module (memory (export "memory") 1)
        (func (export "copy") (f32.store (i32.const 8) (f32.load (i32.const 0))))
        (func (export "copy64") (f64.store (i32.const 9) (f64.load (i32.const 1))))
        (func (export "local") (local f32)
            (local.set 0 (f32.load (i32.const 0))) (f32.store (i32.const 8) (local.get 0)))
        (func (export "bits") (result i32) (i32.reinterpret_f32 (f32.load (i32.const 0))))
        (func (export "neg") (f32.store (i32.const 8) (f32.neg (f32.load (i32.const 0))))))""")
    for pattern in patterns:
        guest.data[0:4] = pattern.to_bytes(4, "little")
        for name in ("copy", "local"):
            guest.data[8:12] = bytes(4)
            guest(name)
            assert guest.data[8:12] == guest.data[0:4]
        assert guest("bits") == pattern - (pattern >> 31 << 32)
        guest("neg")
        assert int.from_bytes(guest.data[8:12], "little") == pattern ^ 0x80000000
    signalling = 0x7FF4000000000001
    guest.data[1:9] = signalling.to_bytes(8, "little")
    guest("copy64")
    assert int.from_bytes(guest.data[9:17], "little") == signalling


def test_bulk_operations():
    guest = Guest("""(module (memory (export "memory") 1)
        (memory $other 1) (data $d "abcdef")
        (func (export "fill") (param i32 i32 i32)
            (memory.fill (local.get 0) (local.get 1) (local.get 2)))
        (func (export "copy") (param i32 i32 i32)
            (memory.copy (local.get 0) (local.get 1) (local.get 2)))
        (func (export "across") (param i32 i32 i32)
            (memory.copy 0 1 (local.get 0) (local.get 1) (local.get 2)))
        (func (export "init") (param i32 i32 i32)
            (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
        (func (export "drop") (data.drop $d)))""")
    guest("init", 0, 0, 6)
    assert guest.data[:7] == b"abcdef\0"
    guest("copy", 1, 0, 5)
    assert guest.data[:7] == b"aabcde\0"
    guest("copy", 0, 1, 5)
    assert guest.data[:7] == b"abcdee\0"
    guest("fill", 2, 0x158, 3)
    assert guest.data[:7] == b"abXXXe\0"
    guest("across", 0, 0, 3)
    assert guest.data[:7] == b"\0\0\0XXe\0"
    for arguments in ((65535, 0, 2), (2**32 - 1, 0, 1), (0, 0, 65537), (65537, 0, 0)):
        before = bytes(guest.data)
        for name in ("fill", "copy", "across", "init"):
            if (name, arguments) != ("init", (0, 0, 0)):
                guest.traps(name, *arguments)
        assert bytes(guest.data) == before
    guest("fill", 65536, 0, 0)
    guest.traps("init", 0, 3, 4)
    guest("drop")
    guest("init", 0, 0, 0)
    guest.traps("init", 0, 0, 1)
