"""Strings from one memory to another, with their encoding changed on the way.

Which calls of `realloc` that takes, and what the memory holds at each, is part of the Canonical
ABI ("Storing" in `CanonicalABI.md`): a guest can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from asyncwasm.core.types import NumType

from ..abi.layout import MAX_BYTE_LENGTH
from ..syntax import StringEncoding
from .characters import Characters
from .faults import Fault
from .text import End, Module, trap_if

_UTF8: Final = StringEncoding.UTF8
_UTF16: Final = StringEncoding.UTF16
_LATIN1_UTF16: Final = StringEncoding.LATIN1_UTF16


def string_function(module: Module, source: End, target: End) -> str:
    """The function that takes pointer and length of a string and gives them for the copy."""
    return _Strings(module, source, target).entry()


class _Strings(Characters):
    """Writes the functions for one direction.

    A function for one encoding takes the address and the number of code units, without a tag, of
    text that is known to be in the memory; its result is a pointer and a length with a tag.
    """

    def __init__(self, module: Module, source: End, target: End) -> None:
        super().__init__(module, source, target)
        self.way = f"{source.name}-{target.name}"

    def entry(self) -> str:
        """The function for any string."""
        return self.module.helper(f"string.{self.way}", self._entry)

    def _entry(self) -> str:
        check = self.module.check(self.source)
        self.module.need_memory(self.target)
        encoding, s = self.source.side.encoding, self.s
        head = f"(param $p {s}) (param $n {s}) (result {self.t} {self.t})"
        if encoding is not _LATIN1_UTF16:
            unit = 1 if encoding is _UTF8 else 2
            return f"{head} {self._checked(check, unit)} {self._call(encoding)}"
        tag = self._tag(s)
        return f"""{head}
        local.get $n {tag} {s}.and {s}.eqz
        if (result {self.t} {self.t}) {self._checked(check, 1, aligned=True)} {self._call(None)}
        else local.get $n {tag} {s}.xor local.set $n
        {self._checked(check, 2)} {self._call(_UTF16)} end"""

    def _tag(self, pointer: NumType) -> str:
        return f"{pointer}.const {1 << (pointer.bits - 1):#x}"

    def _checked(self, check: str, unit: int, *, aligned: bool = False) -> str:
        length = self.source.widened("local.get $n")
        at = self.source.widened("local.get $p")
        most = MAX_BYTE_LENGTH // unit
        code = trap_if(f"{length} i64.const {most} i64.gt_u", Fault.STRING)
        if unit == 2 or aligned:
            code = f"{trap_if(f'{at} i32.wrap_i64 i32.const 1 i32.and', Fault.UNALIGNED)} {code}"
        bytes = f"{length} i64.const {unit} i64.mul"
        return f"{code} {at} {bytes} i32.const {int(Fault.STRING)} call {check}"

    def _call(self, encoding: StringEncoding | None) -> str:
        """Call the function for text in `encoding`; None is Latin-1."""
        source = "latin1" if encoding is None else encoding.value
        target = self.target.side.encoding
        writers: dict[StringEncoding, Callable[[str], str]] = {
            _UTF8: self._copy_utf8 if encoding is _UTF8 else self._to_utf8,
            _UTF16: self._copy_utf16 if encoding is _UTF16 else self._to_utf16,
            _LATIN1_UTF16: {
                None: self._copy_latin1,
                _UTF16: self._narrow
                if self.source.side.encoding is _LATIN1_UTF16
                else self._to_latin1,
            }.get(encoding, self._to_latin1),
        }
        name = f"{source}-{target.value.replace('+', '-')}.{self.way}"
        function = self.module.helper(name, lambda: self._function(writers[target](source)))
        return f"local.get $p local.get $n call {function}"

    def _function(self, body: str) -> str:
        s, t = self.s, self.t
        return f"""(param $p {s}) (param $n {s}) (result {t} {t})
        (local $end {s}) (local $before {s}) (local $start {t}) (local $q {t}) (local $i {t})
        (local $c i32) (local $step i64) (local $units i64) (local $worst i64) (local $used i64)
        (local $v v128) (local $w v128) (local $set v128)
        {self.source.widened("local.get $n")} local.set $units
        {body}"""

    # --- pieces ------------------------------------------------------------------------------

    def _end(self, unit: int) -> str:
        """Set `$end` to where the text ends."""
        s = self.s
        return f"local.get $p local.get $n {s}.const {unit} {s}.mul {s}.add local.set $end"

    def _allocate(self, old: str, old_size: str, align: int, size: str) -> str:
        """Set `$start` to memory for `size` bytes."""
        function = self.module.allocate(self.target)
        return f"""{old} {old_size} i64.const {align} {size} i32.const {int(Fault.STRING)}
        call {function} local.set $start"""

    def _new(self, align: int, size: str) -> str:
        return self._allocate(f"{self.t}.const 0", "i64.const 0", align, size)

    def _shrink(self, align: int) -> str:
        """Give back what is left of `$worst` bytes after `$used`."""
        again = self._allocate("local.get $start", "local.get $worst", align, "local.get $used")
        return f"local.get $used local.get $worst i64.lt_u if {again} end"

    def _used(self) -> str:
        """Set `$used` to how many bytes there are from `$start` to `$q`."""
        used = self.target.widened(f"local.get $q local.get $start {self.t}.sub")
        return f"{used} local.set $used"

    def _result(self, length: str) -> str:
        return f"local.get $start {self.target.narrowed(length)}"

    def _tagged(self, length: str) -> str:
        return f"{self._result(length)} {self._tag(self.t)} {self.t}.or"

    def _copy(self, size: str) -> str:
        """Copy `size` bytes as they are."""
        length = NumType.I64 if self.s is self.t is NumType.I64 else NumType.I32
        count = size if length is NumType.I64 else f"{size} i32.wrap_i64"
        memories = f"{self.target.memory} {self.source.memory}"
        return f"local.get $start local.get $p {count} memory.copy {memories}"

    # --- whole strings -----------------------------------------------------------------------

    def _copy_utf8(self, source: str) -> str:
        s = self.s
        step = self.source.narrowed("local.get $step i64.const 32 i64.shr_u")
        ascii = "local.get $v local.get $w v128.or i8x16.bitmask i32.eqz"
        body = f"""local.get $p i32.load8_u {self.source.memory} i32.const 0x80 i32.lt_u
        if {self.step_p(f"{s}.const 1")}
        else local.get $p local.get $end call {self.decode_utf8()} local.set $step
        {self.step_p(step)} end"""
        return f"""{self._end(1)} local.get $p local.set $before
        {self.while_text(body, self._block(32, ascii, "", 0))}
        local.get $before local.set $p
        {self._new(1, "local.get $units")} {self._copy("local.get $units")}
        {self._result("local.get $units")}"""

    def _validate_utf16(self) -> str:
        """Read all of the text, leaving in `$worst` what bits any character has set."""
        body = f"""{self.read("utf16")}
        local.get $worst local.get $c i64.extend_i32_u i64.or local.set $worst"""
        collect = "local.get $set local.get $v v128.or local.set $set"
        wide = self.none_set("local.get $set", 0xFF00)
        return f"""{self._end(2)} local.get $p local.set $before
        {self.while_text(body, self.units_to_units(collect, 0))}
        {wide} i32.eqz if local.get $worst i64.const 0x100 i64.or local.set $worst end
        local.get $before local.set $p"""

    def _copy_utf16(self, source: str) -> str:
        size = "local.get $units i64.const 1 i64.shl"
        return f"""{self._validate_utf16()} {self._new(2, size)} {self._copy(size)}
        {self._result("local.get $units")}"""

    def _copy_latin1(self, source: str) -> str:
        units = "local.get $units"
        return f"{self._new(2, units)} {self._copy(units)} {self._result(units)}"

    def _narrow(self, source: str) -> str:
        """Text that came as UTF-16 and may be Latin-1 all the same."""
        t, memory = self.t, self.target.memory
        size = "local.get $units i64.const 1 i64.shl"
        again = self._allocate("local.get $start", size, 1, "local.get $units")
        bound = self.target.narrowed("local.get $units")
        at = f"local.get $start local.get $i {t}.const 1 {t}.shl {t}.add"
        return f"""{self._validate_utf16()} {self._new(2, size)} {self._copy(size)}
        local.get $worst i64.const 0x100 i64.lt_u
        if (result {t} {t})
        block loop local.get $i {bound} {t}.ge_u br_if 1
        {bound} local.get $i {t}.sub {t}.const 16 {t}.ge_u
        if local.get $start local.get $i {t}.add
        {at} v128.load {memory} {at} v128.load {memory} offset=16 i8x16.narrow_i16x8_u
        v128.store {memory}
        local.get $i {t}.const 16 {t}.add local.set $i br 1 end
        local.get $start local.get $i {t}.add
        local.get $start local.get $i {t}.const 1 {t}.shl {t}.add i32.load16_u {memory}
        i32.store8 {memory}
        local.get $i {t}.const 1 {t}.add local.set $i br 0 end end
        {again} {self._result("local.get $units")}
        else {self._tagged("local.get $units")} end"""

    def _to_utf16(self, source: str) -> str:
        """From UTF-8, or from Latin-1, of which each character takes a unit."""
        text = f"{self.read(source)} {self.write_utf16()}"
        body = f"""{self._end(1)} {self._new(2, "local.get $worst")}
        local.get $start local.set $q
        {self.while_text(text, self.bytes_to_utf16(source))}"""
        worst = "local.get $units i64.const 1 i64.shl local.set $worst"
        if source == "latin1":
            return f"{worst} {body} {self._result('local.get $units')}"
        return f"""{worst} {body} {self._used()} {self._shrink(2)}
        {self._result("local.get $used i64.const 1 i64.shr_u")}"""

    def _to_utf8(self, source: str) -> str:
        """From UTF-16 or Latin-1, in the hope that it is ASCII."""
        t = self.t
        if source == "latin1":
            unit, load, factor, block = 1, "i32.load8_u", 2, self.bytes_to_bytes()
        else:
            unit, load, factor, block = 2, "i32.load16_u", 3, self.units_to_bytes(0xFF80)
        more = self._allocate("local.get $start", "local.get $units", 1, "local.get $worst")
        start = f"local.get $start {self.target.narrowed('local.get $used')} {t}.add"
        ascii = f"""local.get $p {load} {self.source.memory} local.tee $c
        i32.const 0x80 i32.ge_u br_if 1
        {self.step_p(f"{self.s}.const {unit}")} {self.write_byte()}"""
        text = f"""{self.read(source)} local.get $c i32.const 0x80 i32.lt_u
        if {self.write_byte()} else {self.write_utf8()} end"""
        return f"""{self._end(unit)} {self._new(1, "local.get $units")}
        local.get $start local.set $q
        {self.while_text(ascii, block)}
        local.get $p local.get $end {self.s}.ge_u
        if (result {t} {t}) {self._result("local.get $units")} else
        {self._used()}
        local.get $units i64.const {factor} i64.mul local.set $worst {more}
        {start} local.set $q
        {self.while_text(text, block)}
        {self._used()} {self._shrink(1)} {self._result("local.get $used")} end"""

    def _to_latin1(self, source: str) -> str:
        """From UTF-8 or UTF-16, in the hope that it is Latin-1."""
        t, memory = self.t, self.target.memory
        if source == "utf8":
            unit, block = 1, self.bytes_to_bytes()
        else:
            unit, block = 2, self.units_to_bytes(0xFF00)
        more = self._allocate("local.get $start", "local.get $units", 2, "local.get $worst")
        inflated = self.target.narrowed("local.get $used")
        narrow = f"""local.get $p local.set $before {self.read(source)}
        local.get $c i32.const 0x100 i32.ge_u if local.get $before local.set $p br 2 end
        {self.write_byte()}"""
        text = f"{self.read(source)} {self.write_utf16()}"
        double = f"{t}.const 1 {t}.shl"
        from_ = f"local.get $start local.get $i {t}.add"
        to = f"local.get $start local.get $i {double} {t}.add"
        return f"""{self._end(unit)} {self._new(2, "local.get $units")}
        local.get $start local.set $q
        {self.while_text(narrow, block)}
        {self._used()}
        local.get $p local.get $end {self.s}.ge_u
        if (result {t} {t})
        local.get $units local.set $worst {self._shrink(2)} {self._result("local.get $used")}
        else local.get $units i64.const 1 i64.shl local.set $worst {more}
        {inflated} local.set $i
        block loop local.get $i {t}.eqz br_if 1
        local.get $i {t}.const 16 {t}.ge_u
        if local.get $i {t}.const 16 {t}.sub local.set $i {from_} v128.load {memory} local.set $v
        {to} local.get $v i16x8.extend_high_i8x16_u v128.store {memory} offset=16
        {to} local.get $v i16x8.extend_low_i8x16_u v128.store {memory} br 1 end
        local.get $i {t}.const 1 {t}.sub local.set $i
        {to} {from_} i32.load8_u {memory} i32.store16 {memory} br 0 end end
        local.get $start {inflated} {double} {t}.add local.set $q
        {self.while_text(text, self.to_utf16_block(source))}
        {self._used()} {self._shrink(2)}
        {self._tagged("local.get $used i64.const 1 i64.shr_u")} end"""
