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
from .faults import Fault
from .text import End, Module, trap, trap_if

_UTF8: Final = StringEncoding.UTF8
_UTF16: Final = StringEncoding.UTF16
_LATIN1_UTF16: Final = StringEncoding.LATIN1_UTF16


def string_function(module: Module, source: End, target: End) -> str:
    """The function that takes pointer and length of a string and gives them for the copy."""
    return _Strings(module, source, target).entry()


class _Strings:
    """Writes the functions for one direction.

    `s` and `t` are the types of addresses at the source and at the target.  A function for one
    encoding takes the address and the number of code units, without a tag, of text that is known
    to be in the memory; its result is a pointer and a length with a tag.
    """

    def __init__(self, module: Module, source: End, target: End) -> None:
        self.module = module
        self.source = source
        self.target = target
        self.s = source.pointer
        self.t = target.pointer
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

    def _step_p(self, size: str) -> str:
        return f"local.get $p {size} {self.s}.add local.set $p"

    def _step_q(self, size: str) -> str:
        return f"local.get $q {size} {self.t}.add local.set $q"

    def _read(self, encoding: str) -> str:
        """Set `$c` to the character at `$p`, and move on."""
        memory = self.source.memory
        one = self._step_p(f"{self.s}.const 1")
        if encoding == "latin1":
            return f"local.get $p i32.load8_u {memory} local.set $c {one}"
        if encoding == "utf8":
            load, decode, size = "i32.load8_u", self._decode_utf8(), 1
            plain = "local.get $c i32.const 0x80 i32.lt_u"
        else:
            load, decode, size = "i32.load16_u", self._decode_utf16(), 2
            plain = "local.get $c i32.const 0xf800 i32.and i32.const 0xd800 i32.ne"
        step = self.source.narrowed("local.get $step i64.const 32 i64.shr_u")
        return f"""local.get $p {load} {memory} local.set $c
        {plain}
        if {self._step_p(f"{self.s}.const {size}")}
        else local.get $p local.get $end call {decode} local.tee $step
        i32.wrap_i64 local.set $c {self._step_p(step)} end"""

    def _decode_utf8(self) -> str:
        """A function that gives the character, not of ASCII, at an address, and its size."""
        s, memory = self.s, self.source.memory

        def trail(place: int) -> str:
            return f"""local.get $p {s}.const {place} {s}.add local.get $end {s}.ge_u
            if {trap(Fault.UTF8)} end
            local.get $p i32.load8_u {memory} offset={place} local.tee $b
            i32.const 0xc0 i32.and i32.const 0x80 i32.ne if {trap(Fault.UTF8)} end
            local.get $c i32.const 6 i32.shl local.get $b i32.const 0x3f i32.and i32.or
            local.set $c"""

        def sequence(size: int, mask: int, least: int) -> str:
            trails = "\n".join(trail(place) for place in range(1, size))
            return f"""local.get $b i32.const {mask} i32.and local.set $c {trails}
            {trap_if(f"local.get $c i32.const {least} i32.lt_u", Fault.UTF8)}
            i64.const {size} local.set $size"""

        return self.module.helper(
            f"utf8.{self.source.name}",
            lambda: (
                f"""(param $p {s}) (param $end {s}) (result i64)
            (local $b i32) (local $c i32) (local $size i64)
            local.get $p i32.load8_u {memory} local.set $b
            {trap_if("local.get $b i32.const 0xc2 i32.lt_u", Fault.UTF8)}
            {trap_if("local.get $b i32.const 0xf4 i32.gt_u", Fault.UTF8)}
            local.get $b i32.const 0xe0 i32.lt_u
            if {sequence(2, 0x1F, 0x80)} else
            local.get $b i32.const 0xf0 i32.lt_u
            if {sequence(3, 0x0F, 0x800)}
            {trap_if("local.get $c i32.const 0xf800 i32.and i32.const 0xd800 i32.eq", Fault.UTF8)}
            else {sequence(4, 0x07, 0x10000)}
            {trap_if("local.get $c i32.const 0x10ffff i32.gt_u", Fault.UTF8)}
            end end
            local.get $c i64.extend_i32_u local.get $size i64.const 32 i64.shl i64.or"""
            ),
        )

    def _decode_utf16(self) -> str:
        """A function that gives the character of a surrogate pair at an address, and its size."""
        s, memory = self.s, self.source.memory
        return self.module.helper(
            f"utf16.{self.source.name}",
            lambda: (
                f"""(param $p {s}) (param $end {s}) (result i64) (local $a i32) (local $b i32)
            local.get $p i32.load16_u {memory} local.set $a
            {trap_if("local.get $a i32.const 0xdc00 i32.ge_u", Fault.UTF16)}
            {trap_if(f"local.get $p {s}.const 2 {s}.add local.get $end {s}.ge_u", Fault.UTF16)}
            local.get $p i32.load16_u {memory} offset=2 local.tee $b
            i32.const 0xfc00 i32.and i32.const 0xdc00 i32.ne if {trap(Fault.UTF16)} end
            local.get $a i32.const 0x3ff i32.and i32.const 10 i32.shl
            local.get $b i32.const 0x3ff i32.and i32.or i32.const 0x10000 i32.add
            i64.extend_i32_u i64.const {4 << 32} i64.or"""
            ),
        )

    def _write_utf8(self) -> str:
        """Store `$c`, which is not of ASCII, at `$q`, and move on."""
        t, memory = self.t, self.target.memory

        def byte(place: int, shift: int, mark: int, mask: int) -> str:
            return f"""local.get $q local.get $c i32.const {shift} i32.shr_u
            i32.const {mask} i32.and i32.const {mark} i32.or i32.store8 {memory} offset={place}"""

        def sequence(size: int, mark: int) -> str:
            first = byte(0, 6 * (size - 1), mark, 0x7F >> size)
            rest = [byte(i, 6 * (size - 1 - i), 0x80, 0x3F) for i in range(1, size)]
            return f"{first} {' '.join(rest)} {t}.const {size}"

        function = self.module.helper(
            f"to-utf8.{self.target.name}",
            lambda: (
                f"""(param $q {t}) (param $c i32) (result {t})
            local.get $c i32.const 0x800 i32.lt_u
            if (result {t}) {sequence(2, 0xC0)} else
            local.get $c i32.const 0x10000 i32.lt_u
            if (result {t}) {sequence(3, 0xE0)} else {sequence(4, 0xF0)} end end"""
            ),
        )
        return self._step_q(f"local.get $q local.get $c call {function}")

    def _write_utf16(self) -> str:
        """Store `$c` at `$q`, and move on."""
        t, memory = self.t, self.target.memory
        function = self.module.helper(
            f"to-utf16.{self.target.name}",
            lambda: (
                f"""(param $q {t}) (param $c i32)
            local.get $c i32.const 0x10000 i32.sub local.set $c
            local.get $q local.get $c i32.const 10 i32.shr_u i32.const 0xd800 i32.or
            i32.store16 {memory}
            local.get $q local.get $c i32.const 0x3ff i32.and i32.const 0xdc00 i32.or
            i32.store16 {memory} offset=2"""
            ),
        )
        return f"""local.get $c i32.const 0x10000 i32.lt_u
        if local.get $q local.get $c i32.store16 {memory} {self._step_q(f"{t}.const 2")}
        else local.get $q local.get $c call {function} {self._step_q(f"{t}.const 4")} end"""

    def _write_byte(self) -> str:
        one = self._step_q(f"{self.t}.const 1")
        return f"local.get $q local.get $c i32.store8 {self.target.memory} {one}"

    def _while_text(self, body: str, block: str = "") -> str:
        """Repeat until the text ends; `body` leaves early with `br 1`, and ends with its stack.

        `block` takes several characters at once, where it can, and then starts over.
        """
        return f"""block loop local.get $p local.get $end {self.s}.ge_u br_if 1
        {block} {body} br 0 end end"""

    # --- many characters at once -------------------------------------------------------------

    def _block(self, size: int, plain: str, take: str, step: int) -> str:
        """Take `size` bytes if there are so many and `plain` gives 1 for them.

        `$v` and, if there are 32, `$w` have them.  `take` stores what they become, `step` bytes.
        """
        s, memory = self.s, self.source.memory
        more = f"local.get $p v128.load {memory} offset=16 local.set $w" if size == 32 else ""
        forward = self._step_q(f"{self.t}.const {step}") if step else ""
        return f"""local.get $end local.get $p {s}.sub {s}.const {size} {s}.ge_u
        if local.get $p v128.load {memory} local.set $v {more} {plain}
        if {take} {self._step_p(f"{s}.const {size}")} {forward} br 2 end end"""

    def _store(self, value: str, offset: int = 0) -> str:
        return f"local.get $q {value} v128.store {self.target.memory} offset={offset}"

    def _none_set(self, value: str, mask: int) -> str:
        """Whether no lane of 16 bits in `value` has any bit of `mask`."""
        lanes = f"v128.const i16x8 {' '.join([f'{mask:#x}'] * 8)}"
        return f"{value} {lanes} v128.and v128.any_true i32.eqz"

    def _bytes_to_utf16(self, source: str) -> str:
        """16 bytes, each of which is a character."""
        ascii = "local.get $v i8x16.bitmask i32.eqz" if source == "utf8" else "i32.const 1"
        low = self._store("local.get $v i16x8.extend_low_i8x16_u")
        high = self._store("local.get $v i16x8.extend_high_i8x16_u", 16)
        return self._block(16, ascii, f"{low} {high}", 32)

    def _bytes_to_bytes(self) -> str:
        """16 bytes of ASCII."""
        ascii = "local.get $v i8x16.bitmask i32.eqz"
        return self._block(16, ascii, self._store("local.get $v"), 16)

    def _units_to_bytes(self, mask: int) -> str:
        """16 units of UTF-16 that have no bit of `mask`."""
        small = self._none_set("local.get $v local.get $w v128.or", mask)
        narrow = self._store("local.get $v local.get $w i8x16.narrow_i16x8_u")
        return self._block(32, small, narrow, 16)

    def _units_to_units(self, take: str, step: int) -> str:
        """8 units of UTF-16 without a surrogate."""
        high = f"v128.const i16x8 {' '.join(['0xf800'] * 8)}"
        surrogate = f"v128.const i16x8 {' '.join(['0xd800'] * 8)}"
        none = f"local.get $v {high} v128.and {surrogate} i16x8.eq v128.any_true i32.eqz"
        return self._block(16, none, take, step)

    def _to_utf16_block(self, source: str) -> str:
        if source == "utf16":
            return self._units_to_units(self._store("local.get $v"), 16)
        return self._bytes_to_utf16(source)

    # --- whole strings -----------------------------------------------------------------------

    def _copy_utf8(self, source: str) -> str:
        s = self.s
        step = self.source.narrowed("local.get $step i64.const 32 i64.shr_u")
        ascii = "local.get $v local.get $w v128.or i8x16.bitmask i32.eqz"
        body = f"""local.get $p i32.load8_u {self.source.memory} i32.const 0x80 i32.lt_u
        if {self._step_p(f"{s}.const 1")}
        else local.get $p local.get $end call {self._decode_utf8()} local.set $step
        {self._step_p(step)} end"""
        return f"""{self._end(1)} local.get $p local.set $before
        {self._while_text(body, self._block(32, ascii, "", 0))}
        local.get $before local.set $p
        {self._new(1, "local.get $units")} {self._copy("local.get $units")}
        {self._result("local.get $units")}"""

    def _validate_utf16(self) -> str:
        """Read all of the text, leaving in `$worst` what bits any character has set."""
        body = f"""{self._read("utf16")}
        local.get $worst local.get $c i64.extend_i32_u i64.or local.set $worst"""
        collect = "local.get $set local.get $v v128.or local.set $set"
        wide = self._none_set("local.get $set", 0xFF00)
        return f"""{self._end(2)} local.get $p local.set $before
        {self._while_text(body, self._units_to_units(collect, 0))}
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
        text = f"{self._read(source)} {self._write_utf16()}"
        body = f"""{self._end(1)} {self._new(2, "local.get $worst")}
        local.get $start local.set $q
        {self._while_text(text, self._bytes_to_utf16(source))}"""
        worst = "local.get $units i64.const 1 i64.shl local.set $worst"
        if source == "latin1":
            return f"{worst} {body} {self._result('local.get $units')}"
        return f"""{worst} {body} {self._used()} {self._shrink(2)}
        {self._result("local.get $used i64.const 1 i64.shr_u")}"""

    def _to_utf8(self, source: str) -> str:
        """From UTF-16 or Latin-1, in the hope that it is ASCII."""
        t = self.t
        if source == "latin1":
            unit, load, factor, block = 1, "i32.load8_u", 2, self._bytes_to_bytes()
        else:
            unit, load, factor, block = 2, "i32.load16_u", 3, self._units_to_bytes(0xFF80)
        more = self._allocate("local.get $start", "local.get $units", 1, "local.get $worst")
        start = f"local.get $start {self.target.narrowed('local.get $used')} {t}.add"
        ascii = f"""local.get $p {load} {self.source.memory} local.tee $c
        i32.const 0x80 i32.ge_u br_if 1
        {self._step_p(f"{self.s}.const {unit}")} {self._write_byte()}"""
        text = f"""{self._read(source)} local.get $c i32.const 0x80 i32.lt_u
        if {self._write_byte()} else {self._write_utf8()} end"""
        return f"""{self._end(unit)} {self._new(1, "local.get $units")}
        local.get $start local.set $q
        {self._while_text(ascii, block)}
        local.get $p local.get $end {self.s}.ge_u
        if (result {t} {t}) {self._result("local.get $units")} else
        {self._used()}
        local.get $units i64.const {factor} i64.mul local.set $worst {more}
        {start} local.set $q
        {self._while_text(text, block)}
        {self._used()} {self._shrink(1)} {self._result("local.get $used")} end"""

    def _to_latin1(self, source: str) -> str:
        """From UTF-8 or UTF-16, in the hope that it is Latin-1."""
        t, memory = self.t, self.target.memory
        if source == "utf8":
            unit, block = 1, self._bytes_to_bytes()
        else:
            unit, block = 2, self._units_to_bytes(0xFF00)
        more = self._allocate("local.get $start", "local.get $units", 2, "local.get $worst")
        inflated = self.target.narrowed("local.get $used")
        narrow = f"""local.get $p local.set $before {self._read(source)}
        local.get $c i32.const 0x100 i32.ge_u if local.get $before local.set $p br 2 end
        {self._write_byte()}"""
        text = f"{self._read(source)} {self._write_utf16()}"
        double = f"{t}.const 1 {t}.shl"
        from_ = f"local.get $start local.get $i {t}.add"
        to = f"local.get $start local.get $i {double} {t}.add"
        return f"""{self._end(unit)} {self._new(2, "local.get $units")}
        local.get $start local.set $q
        {self._while_text(narrow, block)}
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
        {self._while_text(text, self._to_utf16_block(source))}
        {self._used()} {self._shrink(2)}
        {self._tagged("local.get $used i64.const 1 i64.shr_u")} end"""
