"""Characters of strings: reading and writing them in each encoding, one by one or many at once."""

from __future__ import annotations

from .faults import Fault
from .text import End, Module, trap, trap_if


class Characters:
    """Writes code for the characters of strings in one direction.

    `s` and `t` are the types of addresses at the source and at the target.  The code is for
    functions with the locals `$p` and `$end`, where reading is and has to stop, `$q`, where writing
    is, `$c` for a character, `$step`, `$v` and `$w`.
    """

    def __init__(self, module: Module, source: End, target: End) -> None:
        self.module = module
        self.source = source
        self.target = target
        self.s = source.pointer
        self.t = target.pointer

    def step_p(self, size: str) -> str:
        """Move on in the source."""
        return f"local.get $p {size} {self.s}.add local.set $p"

    def step_q(self, size: str) -> str:
        """Move on in the target."""
        return f"local.get $q {size} {self.t}.add local.set $q"

    def read(self, encoding: str) -> str:
        """Set `$c` to the character at `$p`, and move on."""
        memory = self.source.memory
        one = self.step_p(f"{self.s}.const 1")
        if encoding == "latin1":
            return f"local.get $p i32.load8_u {memory} local.set $c {one}"
        if encoding == "utf8":
            load, decode, size = "i32.load8_u", self.decode_utf8(), 1
            plain = "local.get $c i32.const 0x80 i32.lt_u"
        else:
            load, decode, size = "i32.load16_u", self._decode_utf16(), 2
            plain = "local.get $c i32.const 0xf800 i32.and i32.const 0xd800 i32.ne"
        step = self.source.narrowed("local.get $step i64.const 32 i64.shr_u")
        return f"""local.get $p {load} {memory} local.set $c
        {plain}
        if {self.step_p(f"{self.s}.const {size}")}
        else local.get $p local.get $end call {decode} local.tee $step
        i32.wrap_i64 local.set $c {self.step_p(step)} end"""

    def decode_utf8(self) -> str:
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

    def write_utf8(self) -> str:
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
        return self.step_q(f"local.get $q local.get $c call {function}")

    def write_utf16(self) -> str:
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
        if local.get $q local.get $c i32.store16 {memory} {self.step_q(f"{t}.const 2")}
        else local.get $q local.get $c call {function} {self.step_q(f"{t}.const 4")} end"""

    def write_byte(self) -> str:
        """Store `$c` as a byte at `$q`, and move on."""
        one = self.step_q(f"{self.t}.const 1")
        return f"local.get $q local.get $c i32.store8 {self.target.memory} {one}"

    def while_text(self, body: str, block: str = "") -> str:
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
        forward = self.step_q(f"{self.t}.const {step}") if step else ""
        return f"""local.get $end local.get $p {s}.sub {s}.const {size} {s}.ge_u
        if local.get $p v128.load {memory} local.set $v {more} {plain}
        if {take} {self.step_p(f"{s}.const {size}")} {forward} br 2 end end"""

    def store(self, value: str, offset: int = 0) -> str:
        """Store the vector that `value` gives at `$q`."""
        return f"local.get $q {value} v128.store {self.target.memory} offset={offset}"

    def none_set(self, value: str, mask: int) -> str:
        """Whether no lane of 16 bits in `value` has any bit of `mask`."""
        lanes = f"v128.const i16x8 {' '.join([f'{mask:#x}'] * 8)}"
        return f"{value} {lanes} v128.and v128.any_true i32.eqz"

    def bytes_to_utf16(self, source: str) -> str:
        """16 bytes, each of which is a character."""
        ascii = "local.get $v i8x16.bitmask i32.eqz" if source == "utf8" else "i32.const 1"
        low = self.store("local.get $v i16x8.extend_low_i8x16_u")
        high = self.store("local.get $v i16x8.extend_high_i8x16_u", 16)
        return self._block(16, ascii, f"{low} {high}", 32)

    def bytes_to_bytes(self) -> str:
        """16 bytes of ASCII."""
        ascii = "local.get $v i8x16.bitmask i32.eqz"
        return self._block(16, ascii, self.store("local.get $v"), 16)

    def units_to_bytes(self, mask: int) -> str:
        """16 units of UTF-16 that have no bit of `mask`."""
        small = self.none_set("local.get $v local.get $w v128.or", mask)
        narrow = self.store("local.get $v local.get $w i8x16.narrow_i16x8_u")
        return self._block(32, small, narrow, 16)

    def units_to_units(self, take: str, step: int) -> str:
        """8 units of UTF-16 without a surrogate."""
        high = f"v128.const i16x8 {' '.join(['0xf800'] * 8)}"
        surrogate = f"v128.const i16x8 {' '.join(['0xd800'] * 8)}"
        none = f"local.get $v {high} v128.and {surrogate} i16x8.eq v128.any_true i32.eqz"
        return self._block(16, none, take, step)

    def to_utf16_block(self, source: str) -> str:
        if source == "utf16":
            return self.units_to_units(self.store("local.get $v"), 16)
        return self.bytes_to_utf16(source)
