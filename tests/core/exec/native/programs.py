"""A Hypothesis strategy for valid modules, over the whole instruction table.

A module is decoded from a string of bytes: each choice takes the next one, and the simplest
way when there are no more, so that shorter and smaller strings give simpler programs and
Hypothesis can shrink what it finds.

The export `run` takes the number of a function and an i32, an i64 and an f64 to call it with.  It
terminates, throws nothing, and leaves what it computes in memory, together with all globals.  NaNs
that arithmetic gives are made the same before anything can tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from asyncwasm.core.isa.features import Feature
from asyncwasm.core.isa.table import TABLE, Row

NUMBERS: Final = ("i32", "i64", "f32", "f64", "v128")
REFS: Final = ("(ref null $s)", "(ref null $a)", "anyref", "(ref null $t)")
TYPES: Final = (*NUMBERS, *REFS)
PARAMS: Final = ("i32", "i64", "f64")
RESULTS_AT: Final = 1024
# What runs deterministically in Wasmtime by default, too.
_EXCLUDED: Final = (Feature.RELAXED_SIMD, Feature.WIDE_ARITHMETIC, Feature.THREADS)
_SHAPES: Final = {"f32x4": "i32x4", "f64x2": "i64x2"}


def _usable() -> dict[tuple[str, ...], list[Row]]:
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in TABLE:
        if row.params is None or row.results is None or row.feature in _EXCLUDED:
            continue
        if row.family not in ("numeric", "simd", "memory", "simd_memory"):
            continue
        if row.name in ("memory.grow", "memory.init", "data.drop", "memory.copy", "memory.fill"):
            continue
        found.setdefault(row.results, []).append(row)
    return found


ROWS: Final = _usable()
_STORES: Final = ROWS[()]


class Choices:
    """Choices that a string of bytes makes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def empty(self) -> bool:
        return self._at >= len(self._data)

    def below(self, count: int) -> int:
        """A number below `count`; 0 is the simplest."""
        size = 1 if count <= 256 else 2
        taken = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(taken, "little") % count

    def pick(self, items):
        return items[self.below(len(items))]


INTEGERS: Final = (
    0, 1, 2, -1, 3, 7, 8, 31, 32, 33, 63, 64, 127, 128, 255, 256, 1000, 0x7FFF, 0x8000, 0xFFFF,
    0x10000, 0x7FFFFFFF, -0x80000000, 0x3F800000, 0x7FC00000,
)  # fmt: skip
FLOATS: Final = (
    "0", "1", "-0", "-1", "0.5", "-2.5", "1e10", "-3e9", "2147483648", "1e-40", "inf", "-inf",
    "nan", "9223372036854775808", "4294967296",
)  # fmt: skip


@dataclass
class Function:
    """A function that later ones may call."""

    name: str
    params: tuple[str, ...]
    result: str


class Writer:
    """Writes the text of one module."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.functions: list[Function] = []
        self.texts: list[str] = []
        self.locals: list[str] = []
        self.labels: list[tuple[str, str | None]] = []
        self.result = ""
        self.names = 0
        self.budget = 0

    def fresh(self, hint: str) -> str:
        self.names += 1
        return f"${hint}{self.names}"

    # Expressions ---------------------------------------------------------------------------

    def expression(self, ty: str, depth: int) -> str:
        """An expression of a type."""
        self.budget -= 1
        if depth <= 0 or self.budget <= 0 or self.choices.empty:
            return self.leaf(ty)
        ways = (
            self.leaf, self.local, self.operation, self.operation, self.operation, self.operation,
            self.call, self.block, self.conditional, self.select, self.global_, self.tee,
            self.guarded,
        )  # fmt: skip
        return self.choices.pick(ways)(ty, depth - 1)

    def leaf(self, ty: str, depth: int = 0) -> str:
        choices = self.choices
        if ty in ("i32", "i64"):
            return f"({ty}.const {choices.pick(INTEGERS)})"
        if ty in ("f32", "f64"):
            return f"({ty}.const {choices.pick(FLOATS)})"
        if ty == "v128":
            values = [choices.pick(INTEGERS) for _ in range(4)]
            return f"(v128.const i32x4 {' '.join(map(str, values))})"
        return self.local(ty)

    def local(self, ty: str, depth: int = 0) -> str:
        numbers = [n for n, found in enumerate(self.locals) if found == ty]
        return f"(local.get {self.choices.pick(numbers)})"

    def tee(self, ty: str, depth: int) -> str:
        numbers = [n for n, found in enumerate(self.locals) if found == ty]
        return f"(local.tee {self.choices.pick(numbers)} {self.expression(ty, depth)})"

    def global_(self, ty: str, depth: int) -> str:
        return f"(global.get $g{TYPES.index(ty)})"

    def operation(self, ty: str, depth: int) -> str:
        if ty not in NUMBERS:
            return self.reference(ty, depth)
        if ty == "i32" and self.choices.below(4) == 0:
            return self.question(depth)
        return self.canonical(ty, self.row(self.choices.pick(ROWS[(ty,)]), depth))

    def row(self, row: Row, depth: int) -> str:
        choices = self.choices
        immediates = []
        for kind in row.immediates:
            if kind == "memarg":
                far = choices.below(32) == 31
                offset = choices.pick((65530, 4294967295) if far else (0, 1, 8, 100))
                immediates.append(f"offset={offset}")
            elif kind == "lane":
                immediates.append(str(choices.below(row.lanes)))
            elif kind == "lanes16":
                immediates += [str(choices.below(32)) for _ in range(16)]
        assert row.params is not None
        operands = [self.operand(param, depth) for param in row.params]
        return f"({' '.join([row.name, *immediates, *operands])})"

    def operand(self, param: str, depth: int) -> str:
        if param != "addr":
            return self.expression(param, depth)
        # Mostly within bounds, and not where results are.
        value = self.expression("i32", depth)
        return value if self.choices.below(32) == 31 else f"(i32.and {value} (i32.const 1023))"

    def canonical(self, ty: str, text: str) -> str:
        """The value, with all NaNs made the same if arithmetic may have given it."""
        name = text[1:].split()[0]
        if any(part in name for part in ("load", "const", "reinterpret")):
            return text
        if ty in ("f32", "f64"):
            return f"(call $canonical_{ty} {text})"
        shape = name.partition(".")[0]
        if ty == "v128" and shape in _SHAPES:
            return f"(call $canonical_{shape} {text})"
        return text

    def select(self, ty: str, depth: int) -> str:
        first, second = self.expression(ty, depth), self.expression(ty, depth)
        kind = "" if ty in NUMBERS else f" (result {ty})"
        return f"(select{kind} {first} {second} {self.expression('i32', depth)})"

    def call(self, ty: str, depth: int) -> str:
        callees = [function for function in self.functions if function.result == ty]
        if not callees:
            return self.operation(ty, depth)
        callee = self.choices.pick(callees)
        operands = " ".join(self.expression(param, depth) for param in callee.params)
        signature = f"(param {' '.join(callee.params)}) (result {ty})"
        index = self.functions.index(callee)
        match self.choices.below(4):
            case 0:
                at = f"(i32.add (i32.const {index}) (i32.const 0))"
                return f"(call_indirect $table {signature} {operands} {at})"
            case 1:
                # Perhaps not there, perhaps of another type.
                rarely = self.choices.below(16) == 15
                at = f"(i32.and {self.expression('i32', 0)} (i32.const 15))"
                at = at if rarely else f"(i32.const {index})"
                return f"(call_indirect $table {signature} {operands} {at})"
            case 2:
                ref = f"(ref.func {callee.name})"
                return f"(call_ref $type{index} {operands} {ref})"
            case _:
                return f"(call {callee.name} {operands})"

    # Control -------------------------------------------------------------------------------

    def block(self, ty: str, depth: int) -> str:
        label = self.fresh("b")
        self.labels.append((label, ty))
        body = self.statements(depth)
        value = self.expression(ty, depth)
        if self.choices.below(2):
            condition = self.expression("i32", depth)
            value = f"(br_if {label} {value} {condition})"
        self.labels.pop()
        return f"(block {label} (result {ty}) {body} {value})"

    def conditional(self, ty: str, depth: int) -> str:
        condition = self.expression("i32", depth)
        arms = []
        for _ in range(2):
            body = self.statements(depth)
            arms.append(f"{body} {self.leave(depth) or self.expression(ty, depth)}")
        return f"(if (result {ty}) {condition} (then {arms[0]}) (else {arms[1]}))"

    def leave(self, depth: int) -> str | None:
        """Code that ends here, sometimes."""
        if self.choices.below(8) != 7:
            return None
        match self.choices.below(5):
            case 0:
                return "(unreachable)"
            case 1:
                return f"(return {self.expression(self.result, depth)})"
            case 2:
                return self.throw(depth)
            case 3:
                callees = [f for f in self.functions if f.result == self.result]
                if callees:
                    callee = self.choices.pick(callees)
                    operands = " ".join(self.expression(param, depth) for param in callee.params)
                    return f"(return_call {callee.name} {operands})"
                return "(unreachable)"
            case _:
                label, ty = self.choices.pick(self.labels) if self.labels else ("", None)
                if not label:
                    return "(unreachable)"
                return f"(br {label} {self.expression(ty, depth) if ty else ''})"

    def throw(self, depth: int) -> str:
        if self.choices.below(2):
            return f"(throw $e {self.expression('i32', depth)} {self.expression('f64', depth)})"
        return f"(throw $r {self.expression(REFS[0], depth)})"

    def guarded(self, ty: str, depth: int) -> str:
        """Something that is executed with handlers around it."""
        end, caught, other = self.fresh("end"), self.fresh("caught"), self.fresh("other")
        body = self.statements(depth)
        value = self.expression(ty, depth)
        instead, last = self.expression(ty, depth), self.expression(ty, depth)
        return f"""(block {end} (result {ty})
          (block {other}
            (block {caught} (result i32 f64)
              (br {end} (try_table (result {ty}) (catch $e {caught}) (catch_all {other})
                {body} {value})))
            (drop) (local.set $i32)
            (br {end} {instead}))
          {last})"""

    def statements(self, depth: int) -> str:
        count = self.choices.below(4)
        return " ".join(self.statement(depth - 1) for _ in range(count))

    def statement(self, depth: int) -> str:
        if depth <= 0 or self.budget <= 0:
            return "(nop)"
        choices = self.choices
        match choices.below(9):
            case 0:
                number = choices.below(len(self.locals))
                return f"(local.set {number} {self.expression(self.locals[number], depth)})"
            case 1:
                number = choices.below(len(TYPES))
                return f"(global.set $g{number} {self.expression(TYPES[number], depth)})"
            case 2:
                return self.row(choices.pick(_STORES), depth)
            case 3:
                return self.loop(depth)
            case 4:
                return f"(drop {self.expression(choices.pick(TYPES), depth)})"
            case 5:
                return self.switch(depth)
            case 6:
                return self.bulk(depth)
            case 7:
                return self.assignment(depth)
            case _:
                condition = self.expression("i32", depth)
                body = self.statements(depth)
                return f"(if {condition} (then {body} {self.leave(depth) or ''}))"

    def loop(self, depth: int) -> str:
        label, end = self.fresh("l"), self.fresh("x")
        self.labels.append((end, None))
        body = self.statements(depth)
        self.labels.pop()
        condition = self.expression("i32", depth)
        return f"""(block {end} (loop {label}
          (br_if {end} (i32.eqz (global.get $fuel)))
          (global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))
          {body} (br_if {label} {condition})))"""

    def switch(self, depth: int) -> str:
        labels = [self.fresh("w") for _ in range(1 + self.choices.below(3))]
        targets = " ".join(self.choices.pick(labels) for _ in range(1 + self.choices.below(4)))
        text = f"(br_table {targets} {self.expression('i32', depth)})"
        for label in labels:
            text = f"(block {label} {text}) {self.statement(depth - 1)}"
        return text

    def bulk(self, depth: int) -> str:
        place, size = "(i32.and {} (i32.const 15))", "(i32.and {} (i32.const 15))"
        places = [place.format(self.expression("i32", depth)) for _ in range(2)]
        length = size.format(self.expression("i32", depth))
        match self.choices.below(5):
            case 0:
                return f"(memory.fill {' '.join(places)} {length})"
            case 1:
                return f"(memory.copy {' '.join(places)} {length})"
            case 2:
                return f"(memory.init $d {' '.join(places)} {length})"
            case 3:
                value = self.expression("i32", depth)
                return f"(array.fill $a {self.some(REFS[1], depth)} {places[0]} {value} {length})"
            case _:
                arrays = [self.some(REFS[1], depth) for _ in range(2)]
                return (
                    f"(array.copy $a $a {arrays[0]} {places[0]} {arrays[1]} {places[1]} {length})"
                )

    # References ----------------------------------------------------------------------------

    def reference(self, ty: str, depth: int) -> str:
        choices = self.choices
        struct, array, anything, function = REFS
        if ty == struct:
            match choices.below(4):
                case 0:
                    return "(ref.null $s)"
                case 1:
                    values = (self.expression(t, depth) for t in ("i32", "i64", "f32", struct))
                    return f"(struct.new $s {' '.join(values)} {self.expression(anything, depth)})"
                case 2:
                    return f"(struct.get $s 3 {self.some(struct, depth)})"
                case _:
                    return f"(call $as_s {self.expression(anything, depth)})"
        if ty == array:
            length = f"(i32.and {self.expression('i32', depth)} (i32.const 31))"
            match choices.below(4):
                case 0:
                    return "(ref.null $a)"
                case 1:
                    return f"(array.new $a {self.expression('i32', depth)} {length})"
                case 2:
                    return f"(array.new_data $a $d {self.expression('i32', 0)} {length})"
                case _:
                    values = (self.expression("i32", depth) for _ in range(2))
                    return f"(array.new_fixed $a 2 {' '.join(values)})"
        if ty == anything:
            match choices.below(4):
                case 0:
                    return f"(ref.i31 {self.expression('i32', depth)})"
                case 1:
                    return self.expression(struct, depth)
                case 2:
                    return self.expression(array, depth)
                case _:
                    return f"(struct.get $s 4 {self.some(struct, depth)})"
        assert ty == function
        at = f"(i32.and {self.expression('i32', depth)} (i32.const 7))"
        return choices.pick(("(ref.null $t)", "(ref.func $callee)", f"(table.get $funcs {at})"))

    def some(self, ty: str, depth: int) -> str:
        """A reference that is rarely null."""
        value = self.expression(ty, depth)
        if self.choices.below(32) == 31:
            return value
        return f"(call ${'some_s' if ty == REFS[0] else 'some_a'} {value})"

    def question(self, depth: int) -> str:
        """An i32 that is found out from references."""
        choices = self.choices
        struct, array, anything, function = REFS
        some = self.expression(choices.pick(REFS), depth)
        match choices.below(9):
            case 0:
                return f"(ref.is_null {some})"
            case 1:
                kind = choices.pick(("i31", "eq", "struct", "null $s", "$a", "null array", "none"))
                return f"(ref.test (ref {kind}) {self.expression(anything, depth)})"
            case 2:
                return f"(struct.get $s 0 {self.some(struct, depth)})"
            case 3:
                index = f"(i32.and {self.expression('i32', depth)} (i32.const 31))"
                sign = choices.pick("su")
                return f"(array.get_{sign} $a {self.some(array, depth)} {index})"
            case 4:
                return f"(array.len {self.some(array, depth)})"
            case 5:
                pair = (self.expression(choices.pick(REFS[:2]), depth) for _ in range(2))
                return f"(ref.eq {' '.join(pair)})"
            case 6:
                value = self.expression("i32", depth)
                callee = f"(call $some_t {self.expression(function, depth)})"
                return f"(call_ref $t {value} {callee})"
            case 7:
                sign = choices.pick("su")
                cast = f"(call $as_i31 {self.expression(anything, depth)})"
                return f"(i31.get_{sign} {cast})"
            case _:
                label, fallen = self.fresh("n"), self.expression("i32", depth)
                return f"""(block {label} (result i32)
                  (br {label} (struct.get $s 0 (block $inner{label[1:]} (result (ref $s))
                    (br_on_cast $inner{label[1:]} anyref (ref $s)
                      {self.expression(anything, depth)})
                    (drop) (br {label} {fallen})))))"""

    def assignment(self, depth: int) -> str:
        """A reference is put somewhere, or something into what one refers to."""
        struct, array, anything, function = REFS
        match self.choices.below(5):
            case 0:
                return (
                    f"(struct.set $s 3 {self.some(struct, depth)} {self.expression(struct, depth)})"
                )
            case 1:
                return (
                    f"(struct.set $s 4 {self.some(struct, depth)} "
                    f"{self.expression(anything, depth)})"
                )
            case 2:
                index = f"(i32.and {self.expression('i32', depth)} (i32.const 31))"
                value = self.expression("i32", depth)
                return f"(array.set $a {self.some(array, depth)} {index} {value})"
            case 3:
                at = f"(i32.and {self.expression('i32', depth)} (i32.const 7))"
                return f"(table.set $funcs {at} {self.expression(function, depth)})"
            case _:
                return (
                    f"(struct.set $s 1 {self.some(struct, depth)} {self.expression('i64', depth)})"
                )

    # Functions -----------------------------------------------------------------------------

    def function(self, number: int) -> None:
        choices = self.choices
        params = tuple(choices.pick(TYPES) for _ in range(choices.below(7)))
        self.result = choices.pick(TYPES)
        self.locals = [*params, *TYPES, "i32"]
        self.labels = []
        self.budget = 60
        body = self.statements(4)
        value = self.expression(self.result, 4)
        if number and choices.below(4) == 3:
            callees = [f for f in self.functions if f.result == self.result]
            if callees:
                callee = choices.pick(callees)
                operands = " ".join(self.expression(param, 2) for param in callee.params)
                index = self.functions.index(callee)
                value = choices.pick(
                    (
                        f"(return_call {callee.name} {operands})",
                        f"(return_call_ref $type{index} {operands} (ref.func {callee.name}))",
                        f"(return_call_indirect $table (type $type{index}) {operands} "
                        f"(i32.const {index}))",
                    )
                )
        name = f"$f{number}"
        listed = " ".join(f"(param {ty})" for ty in params)
        made = f"(func {name} (type $type{number}) {listed} (result {self.result})"
        names = " ".join(f"(local {ty})" for ty in TYPES)
        self.texts.append(f"{made} {names} (local $i32 i32) {body} {value})")
        self.functions.append(Function(name, params, self.result))

    def export(self, number: int) -> str:
        """A function that calls `$f<number>` and leaves everything in memory."""
        function = self.functions[number]
        given = {"i32": 0, "i64": 1, "f64": 2}
        operands = []
        for ty in function.params:
            if ty in given:
                operands.append(f"(local.get {given[ty]})")
            elif ty == "f32":
                operands.append("(call $canonical_f32 (f32.demote_f64 (local.get 2)))")
            elif ty == "v128":
                operands.append("(i64x2.splat (local.get 1))")
            elif ty == "anyref":
                operands.append("(ref.i31 (local.get 0))")
            else:
                operands.append("(ref.null none)" if ty != REFS[3] else "(ref.func $callee)")
        call = f"(call {function.name} {' '.join(operands)})"
        kept = self.keep(function.result, call, RESULTS_AT)
        rest = " ".join(
            self.keep(ty, f"(global.get $g{n})", RESULTS_AT + 16 * (n + 1))
            for n, ty in enumerate(TYPES)
        )
        return f"""(func $run{number} (param i32 i64 f64)
          (global.set $fuel (i32.const 40))
          (block $all (try_table (catch_all $all) {kept}))
          {rest})"""

    def keep(self, ty: str, value: str, at: int) -> str:
        """Store what can be told of a value."""
        if ty in NUMBERS:
            return f"({ty}.store (i32.const {at}) {value})"
        if ty == REFS[3]:
            return f"(i32.store (i32.const {at}) (ref.is_null {value}))"
        return f"(i32.store (i32.const {at}) (call $describe {value}))"

    def module(self, count: int) -> str:
        """The module's text, with so many functions."""
        for number in range(count):
            self.function(number)
        exports = [self.export(number) for number in range(count)]
        # One function that calls them all, for all to be optimised together.
        calls = [
            f"(if (i32.eq (local.get 0) (i32.const {number})) (then "
            f"(call $run{number} (local.get 1) (local.get 2) (local.get 3))))"
            for number in range(count)
        ]
        types = []
        for number, function in enumerate(self.functions):
            params = " ".join(f"(param {ty})" for ty in function.params)
            types.append(f"(type $type{number} (func {params} (result {function.result})))")
        names = " ".join(function.name for function in self.functions)
        defaults = {"v128": "(v128.const i64x2 0 0)"}
        globals_ = []
        for number, ty in enumerate(TYPES):
            initial = f"({ty}.const 0)" if ty in NUMBERS else "(ref.null none)"
            if ty == REFS[3]:
                initial = "(ref.null nofunc)"
            globals_.append(f"(global $g{number} (mut {ty}) {defaults.get(ty, initial)})")
        new = "\n"
        return f"""(module
          (type $s (struct (field (mut i32)) (field (mut i64)) (field (mut f32))
            (field (mut (ref null $s))) (field (mut anyref))))
          (type $a (array (mut i8)))
          (type $t (func (param i32) (result i32)))
          {new.join(types)}
          (tag $e (param i32 f64)) (tag $r (param (ref null $s)))
          (memory (export "memory") 1)
          (global $fuel (mut i32) (i32.const 0))
          {new.join(globals_)}
          (table $table 32 32 funcref) (elem (table $table) (i32.const 0) func {names})
          (table $funcs 8 8 (ref null $t))
          (elem declare func $callee)
          (data $d "some bytes \\ff\\80\\7f that programs copy from here to there")
          (func $callee (type $t) (i32.mul (local.get 0) (i32.const 3)))
          {self.helpers()}
          {new.join(self.texts)}
          {new.join(exports)}
          (func (export "run") (param i32 i32 i64 f64)
            {new.join(calls)}))"""

    def helpers(self) -> str:
        texts = [
            f"""(func $canonical_{ty} (param {ty}) (result {ty})
              (select (local.get 0) ({ty}.const nan) ({ty}.eq (local.get 0) (local.get 0))))"""
            for ty in ("f32", "f64")
        ]
        for shape, integer in _SHAPES.items():
            nan = 0x7FC00000 if shape == "f32x4" else 0x7FF8 << 48
            lanes = " ".join([str(nan)] * (4 if shape == "f32x4" else 2))
            texts.append(f"""(func $canonical_{shape} (param v128) (result v128)
              (v128.bitselect (local.get 0) (v128.const {integer} {lanes})
                ({shape}.eq (local.get 0) (local.get 0))))""")
        # A few of these go wrong, and most give something to work on.
        texts.append("""
          (func $some_s (param (ref null $s)) (result (ref null $s))
            (block $null (return (br_on_null $null (local.get 0)))) (struct.new_default $s))
          (func $some_a (param (ref null $a)) (result (ref null $a))
            (if (result (ref null $a)) (ref.is_null (local.get 0))
              (then (array.new_default $a (i32.const 32))) (else (local.get 0))))
          (func $some_t (param (ref null $t)) (result (ref null $t))
            (block $some (result (ref $t))
              (br_on_non_null $some (local.get 0)) (ref.func $callee)))
          (func $as_s (param anyref) (result (ref null $s))
            (block $not (result anyref)
              (return (br_on_cast_fail $not anyref (ref null $s) (local.get 0))))
            (drop) (ref.null $s))
          (func $as_i31 (param anyref) (result (ref null i31))
            (if (result (ref null i31)) (ref.test (ref null i31) (local.get 0))
              (then (ref.cast (ref null i31) (local.get 0)))
              (else (ref.i31 (i32.const -5)))))""")
        texts.append("""(func $describe (param anyref) (result i32)
          (if (ref.is_null (local.get 0)) (then (return (i32.const -1))))
          (if (ref.test (ref i31) (local.get 0))
            (then (return (i31.get_s (ref.cast (ref i31) (local.get 0))))))
          (if (ref.test (ref $s) (local.get 0))
            (then (return (struct.get $s 0 (ref.cast (ref $s) (local.get 0))))))
          (array.len (ref.cast (ref array) (local.get 0))))""")
        return "\n".join(texts)


def modules(count: int) -> st.SearchStrategy[str]:
    """Texts of modules with `count` functions each."""
    return st.binary(max_size=160 * count).map(lambda data: Writer(Choices(data)).module(count))
