"""Random valid modules as text, for comparing engines.

Programs end: every loop counts a global down and returns when it is used up.  Floats are made
canonical where their bits could be seen, so that results are the same everywhere.
"""

from __future__ import annotations

import random

INTS = ("i32", "i64")
TYPES = ("i32", "i64", "f32", "f64")
FUEL = 400

_BINARY = "add sub mul and or xor shl shr_s shr_u rotl rotr".split()
_DIVIDE = "div_s div_u rem_s rem_u".split()
_COMPARE = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split()
_FLOAT_BINARY = "add sub mul div min max copysign".split()
_FLOAT_UNARY = "abs neg ceil floor trunc nearest sqrt".split()
_FLOAT_COMPARE = "eq ne lt gt le ge".split()
_CONSTANTS = {
    "i32": [0, 1, 2, 3, 7, 8, 31, 32, 255, 65535, -1, -2, -8, 2**31 - 1, -(2**31), 12345],
    "i64": [0, 1, 2, 5, 63, 64, 2**31, 2**32, -1, -7, 2**63 - 1, -(2**63), 99999999999],
    "f32": ["0", "-0", "1", "-1.5", "1e10", "-1e30", "nan", "inf", "0.1", "3e-40"],
    "f64": ["0", "-0", "1", "-2.5", "1e100", "nan", "-inf", "0.1", "4294967296.5", "5e-324"],
}
_LOADS = {
    "i32": "load load8_u load8_s load16_u load16_s".split(),
    "i64": "load load8_u load8_s load16_u load16_s load32_u load32_s".split(),
    "f32": ["load"],
    "f64": ["load"],
}
_STORES = {
    "i32": "store store8 store16".split(),
    "i64": "store store8 store16 store32".split(),
    "f32": ["store"],
    "f64": ["store"],
}


class Label:
    def __init__(self, types: list[str]) -> None:
        self.types = types


class Generator:
    """One module from one seed: a few functions, a memory, a table and some globals."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.locals: list[str] = []
        self.labels: list[Label] = []
        self.results: list[str] = []
        self.signatures: list[tuple[list[str], list[str]]] = []
        self.current = 0
        self.budget = 0

    def module(self) -> str:
        rnd = self.random
        count = rnd.randint(1, 4)
        for _ in range(count):
            params = [rnd.choice(TYPES) for _ in range(rnd.randint(0, 4))]
            results = [rnd.choice(TYPES) for _ in range(rnd.choice((0, 1, 1, 1, 2, 3)))]
            self.signatures.append((params, results))
        out = ["(module", '(memory (export "memory") 1 2)']
        out.append(f"(table funcref (elem {' '.join(f'$f{i}' for i in range(count))}))")
        out.append(f'(global $fuel (export "fuel") (mut i32) (i32.const {FUEL}))')
        out += [
            f'(global $g{ty} (export "g{ty}") (mut {ty}) ({ty}.const {rnd.choice(_CONSTANTS[ty])}))'
            for ty in INTS
        ]
        out.append('(data (i32.const 0) "\\01\\ff\\80\\7f hello, world \\00\\00\\f0\\ff")')
        for i, (params, results) in enumerate(self.signatures):
            out.append(f"(type $t{i} (func {_list('param', params)} {_list('result', results)}))")
        for i in range(count):
            out += self.function(i)
        out.append(")")
        return "\n".join(out)

    def function(self, index: int) -> list[str]:
        params, results = self.signatures[index]
        rnd = self.random
        extra = [rnd.choice(TYPES) for _ in range(rnd.randint(1, 5))]
        self.current = index
        self.locals = params + extra
        self.results = results
        self.labels = [Label(results)]
        self.lines = []
        self.budget = rnd.choice((20, 60, 150, 400, 1000))
        self.statements(rnd.randint(1, 6), 0)
        for ty in results:
            self.visible(ty)
        head = f'(func $f{index} (export "f{index}") {_list("param", params)} '
        head += f"{_list('result', results)} {_list('local', extra)}"
        return [head, *self.lines, ")"]

    def emit(self, text: str) -> None:
        self.lines.append(text)
        self.budget -= 1

    # -- statements: leave the stack as it is -------------------------------------------------

    def statements(self, count: int, depth: int) -> bool:
        """Some statements; False if the last one does not come back."""
        return all(self.statement(depth) for _ in range(count))

    def statement(self, depth: int) -> bool:
        rnd = self.random
        if self.budget < 0 or depth > 9:
            self.assign()
            return True
        choice = rnd.random()
        if choice < 0.28:
            self.assign()
        elif choice < 0.36:
            self.store(depth)
        elif choice < 0.41:
            ty = rnd.choice(INTS)
            self.value(ty, depth + 1)
            self.emit(f"global.set $g{ty}")
        elif choice < 0.58:
            self.construct([], depth)
        elif choice < 0.63:
            ty = rnd.choice(TYPES)
            self.value(ty, depth + 1)
            self.emit("drop")
        elif choice < 0.80:
            self.conditional_branch(depth)
        elif choice < 0.85 and depth:
            self.table(depth)
            return False
        elif choice < 0.89 and depth:
            label = rnd.randrange(len(self.labels))
            for ty in self.labels[-1 - label].types:
                self.visible(ty)
            self.emit(rnd.choice([f"br {label}"]))
            return False
        elif choice < 0.90 and depth:
            for ty in self.results:
                self.visible(ty)
            self.emit("return")
            return False
        elif choice < 0.94:
            self.call(None, depth)
        elif choice < 0.95:
            self.emit("i32.const 1\n memory.grow\n drop")
        elif choice < 0.96:
            for _ in range(3):
                self.emit(f"i32.const {rnd.choice((0, 5, 100, 65000, 65536))}")
            self.emit(rnd.choice(("memory.fill", "memory.copy")))
        else:
            self.switch(depth)
        return True

    def assign(self) -> None:
        index = self.random.randrange(len(self.locals))
        self.value(self.locals[index], 3)
        self.emit(f"local.set {index}")

    def store(self, depth: int) -> None:
        ty = self.random.choice(TYPES)
        self.address(depth)
        self.visible(ty, depth + 1)
        offset = self.random.choice((0, 0, 1, 4, 8, 100, 65530))
        self.emit(f"{ty}.{self.random.choice(_STORES[ty])} offset={offset}")

    def address(self, depth: int) -> None:
        rnd = self.random
        choice = rnd.random()
        if choice < 0.3:
            self.emit(f"i32.const {rnd.choice((0, 4, 8, 12, 13, 1024, 65528, 65532, 65535))}")
        else:
            self.value("i32", depth + 2)
            self.emit(f"i32.const {rnd.choice((255, 1023, 4095))}")
            self.emit("i32.and")
            if choice < 0.7:
                self.emit(f"i32.const {rnd.choice((1, 2, 3, 4))}")
                self.emit("i32.shl")
            if choice < 0.5:
                self.emit(f"i32.const {rnd.choice((1, 16, 1024))}")
                self.emit("i32.add")

    def conditional_branch(self, depth: int) -> None:
        label = self.random.randrange(len(self.labels))
        types = self.labels[-1 - label].types
        for ty in types:
            self.visible(ty, depth + 1)
        self.condition(depth + 1)
        self.emit(f"br_if {label}")
        for _ in types:
            self.emit("drop")

    def table(self, depth: int) -> None:
        rnd = self.random
        default = rnd.randrange(len(self.labels))
        types = self.labels[-1 - default].types
        same = [i for i in range(len(self.labels)) if self.labels[-1 - i].types == types]
        targets = [rnd.choice(same) for _ in range(rnd.choice((0, 1, 2, 3, 5, 9)))]
        for ty in types:
            self.visible(ty, depth + 1)
        self.value("i32", depth + 2)
        if rnd.random() < 0.7:
            self.emit("i32.const 7\n i32.and")
        self.emit(f"br_table {' '.join(map(str, [*targets, default]))}")

    def switch(self, depth: int) -> None:
        """The shape that compilers give to a switch."""
        rnd = self.random
        cases = rnd.randint(2, 7)
        for _ in range(cases + 1):
            self.emit("block")
            self.labels.append(Label([]))
        if rnd.random() < 0.3:
            self.statement(depth + 2)
        self.value("i32", depth + 2)
        self.emit(f"i32.const {rnd.choice((3, 7))}\n i32.and")
        targets = list(range(cases))
        if rnd.random() < 0.6:
            plain = [i for i in range(len(self.labels)) if not self.labels[-1 - i].types]
            targets = [rnd.choice((rnd.choice(plain), t, t)) for t in targets]
        self.emit(f"br_table {' '.join(map(str, [*targets, cases]))}")
        for i in range(cases):
            self.emit("end")
            self.labels.pop()
            if self.statements(rnd.randint(0, 2), depth + 1) and rnd.random() < 0.6:
                plain = [i for i in range(len(self.labels)) if not self.labels[-1 - i].types]
                self.emit(f"br {rnd.choice((cases - 1 - i, rnd.choice(plain)))}")
        self.emit("end")
        self.labels.pop()

    # -- constructs: push `results` -----------------------------------------------------------

    def construct(self, results: list[str], depth: int) -> None:
        rnd = self.random
        params = [rnd.choice(TYPES) for _ in range(rnd.choice((0, 0, 0, 0, 1, 2)))]
        kind = rnd.choice(("block", "block", "loop", "if", "if"))
        for ty in params:
            self.value(ty, depth + 2)
        signature = f"{_list('param', params)} {_list('result', results)}"
        if kind == "if":
            self.condition(depth + 1)
        self.emit(f"{kind} {signature}")
        self.labels.append(Label(params if kind == "loop" else results))
        if kind == "loop":
            self.count_down()
        self.arm(params, results, depth)
        if kind == "if" and (results != params or rnd.random() < 0.6):
            self.emit("else")
            self.arm(params, results, depth)
        self.labels.pop()
        self.emit("end")

    def count_down(self) -> None:
        self.emit("global.get $fuel\n i32.const 1\n i32.sub\n global.set $fuel")
        self.emit("global.get $fuel\n i32.const 0\n i32.lt_s\n if")
        for ty in self.results:
            self.emit(f"{ty}.const 0")
        self.emit("return\n end")

    def arm(self, params: list[str], results: list[str], depth: int) -> None:
        rnd = self.random
        # Parameters go into locals, or are dropped, or stay under what is done first.
        if rnd.random() < 0.3 and not self.statements(1, depth + 1):
            return
        for ty in reversed(params):
            places = [i for i, local in enumerate(self.locals) if local == ty]
            if places and rnd.random() < 0.7:
                self.emit(f"local.set {rnd.choice(places)}")
            else:
                self.emit("drop")
        if not self.statements(rnd.randint(0, 3), depth + 1):
            return
        for ty in results:
            self.visible(ty, depth + 1)
            if rnd.random() < 0.2 and not self.statements(1, depth + 1):
                return

    def call(self, wanted: str | None, depth: int) -> bool:
        """A call to an earlier function, or (rarely) to this one; True if it pushed `wanted`."""
        rnd = self.random
        choices = [
            i
            for i in range(self.current + (rnd.random() < 0.2))
            if wanted is None or self.signatures[i][1] == [wanted]
        ]
        if not choices:
            if wanted is None:
                self.assign()
            return False
        callee = rnd.choice(choices)
        params, results = self.signatures[callee]
        for ty in params:
            self.value(ty, depth + 2)
        if callee == self.current:
            self.count_down()
        if rnd.random() < 0.3:
            self.emit(f"i32.const {rnd.choice((callee, callee, callee, 0, 9))}")
            self.emit(f"call_indirect (type $t{callee})")
        else:
            self.emit(f"call $f{callee}")
        if wanted is None:
            for _ in results:
                self.emit("drop")
        return True

    # -- values: push one ---------------------------------------------------------------------

    def condition(self, depth: int) -> None:
        if self.random.random() < 0.7:
            self.comparison(depth)
        else:
            self.value("i32", depth + 1)

    def comparison(self, depth: int) -> None:
        rnd = self.random
        ty = rnd.choice((*INTS, *TYPES))
        if rnd.random() < 0.2:
            ty = rnd.choice(INTS)
            self.value(ty, depth + 1)
            self.emit(f"{ty}.eqz")
            return
        self.value(ty, depth + 1)
        self.value(ty, depth + 2)
        self.emit(f"{ty}.{rnd.choice(_COMPARE if ty in INTS else _FLOAT_COMPARE)}")

    def visible(self, ty: str, depth: int = 2) -> None:
        """A value whose bits may be looked at."""
        self.value(ty, depth)
        if ty in INTS:
            return
        # A NaN becomes zero.
        place = next((i for i, local in enumerate(self.locals) if local == ty), None)
        if place is None:
            self.emit(f"drop\n {ty}.const 1")
        else:
            self.emit(f"local.tee {place}\n {ty}.const 0\n local.get {place}\n local.get {place}")
            self.emit(f"{ty}.eq\n select")

    def value(self, ty: str, depth: int) -> None:
        rnd = self.random
        choice = rnd.random()
        if self.budget < 0 or depth > 8 or choice < 0.12:
            self.emit(f"{ty}.const {rnd.choice(_CONSTANTS[ty])}")
            return
        places = [i for i, local in enumerate(self.locals) if local == ty]
        if choice < 0.38 and places:
            self.emit(f"local.get {rnd.choice(places)}")
        elif choice < 0.43 and places:
            self.value(ty, depth + 1)
            self.emit(f"local.tee {rnd.choice(places)}")
        elif choice < 0.49:
            self.address(depth)
            offset = rnd.choice((0, 0, 1, 3, 4, 8, 16, 65530))
            self.emit(f"{ty}.{rnd.choice(_LOADS[ty])} offset={offset}")
        elif choice < 0.53:
            self.value(ty, depth + 1)
            self.value(ty, depth + 1)
            self.condition(depth + 1)
            self.emit("select")
        elif choice < 0.60:
            self.construct([ty], depth)
        elif choice < 0.63:
            if not self.call(ty, depth):
                self.emit(f"{ty}.const {rnd.choice(_CONSTANTS[ty])}")
        elif choice < 0.66:
            # A value that waits on the stack while statements run.
            self.value(ty, depth + 1)
            if not self.statements(1, depth + 1):
                self.emit("unreachable")
        elif choice < 0.68 and ty in INTS:
            self.emit(f"global.get $g{ty}")
        elif ty in INTS:
            self.integer(ty, depth)
        else:
            self.float(ty, depth)

    def integer(self, ty: str, depth: int) -> None:
        rnd = self.random
        choice = rnd.random()
        if choice < 0.60:
            self.value(ty, depth + 1)
            self.value(ty, depth + 1)
            self.emit(f"{ty}.{rnd.choice(_BINARY)}")
        elif choice < 0.66:
            self.value(ty, depth + 1)
            self.value(ty, depth + 1)
            if rnd.random() < 0.7:
                self.emit(f"{ty}.const {rnd.choice((1, 2, 3, 7, 16, -3))}\n {ty}.or")
            self.emit(f"{ty}.{rnd.choice(_DIVIDE)}")
        elif choice < 0.74:
            self.value(ty, depth + 1)
            self.emit(f"{ty}.{rnd.choice(('clz', 'ctz', 'popcnt', 'extend8_s', 'extend16_s'))}")
        elif choice < 0.82 and ty == "i32":
            self.comparison(depth)
        elif choice < 0.90:
            self.value("i64" if ty == "i32" else "i32", depth + 1)
            self.emit("i32.wrap_i64" if ty == "i32" else f"i64.extend_i32_{rnd.choice('su')}")
        elif choice < 0.94:
            source = rnd.choice(("f32", "f64"))
            self.value(source, depth + 1)
            trunc = "trunc" if rnd.random() < 0.1 else "trunc_sat"
            self.emit(f"{ty}.{trunc}_{source}_{rnd.choice('su')}")
        elif choice < 0.97:
            source = "f32" if ty == "i32" else "f64"
            self.visible(source, depth + 1)
            self.emit(f"{ty}.reinterpret_{source}")
        else:
            self.emit(f"memory.size{'' if ty == 'i32' else chr(10) + ' i64.extend_i32_u'}")

    def float(self, ty: str, depth: int) -> None:
        rnd = self.random
        choice = rnd.random()
        if choice < 0.5:
            operation = rnd.choice(_FLOAT_BINARY)
            self.value(ty, depth + 1)
            if operation == "copysign":
                self.visible(ty, depth + 1)
            else:
                self.value(ty, depth + 1)
            self.emit(f"{ty}.{operation}")
        elif choice < 0.7:
            self.value(ty, depth + 1)
            self.emit(f"{ty}.{rnd.choice(_FLOAT_UNARY)}")
        elif choice < 0.85:
            source = rnd.choice(INTS)
            self.value(source, depth + 1)
            self.emit(f"{ty}.convert_{source}_{rnd.choice('su')}")
        elif choice < 0.93:
            self.value("f64" if ty == "f32" else "f32", depth + 1)
            self.emit("f32.demote_f64" if ty == "f32" else "f64.promote_f32")
        else:
            source = "i32" if ty == "f32" else "i64"
            self.value(source, depth + 1)
            self.emit(f"{ty}.reinterpret_{source}")


def _list(word: str, types: list[str]) -> str:
    return f"({word} {' '.join(types)})" if types else ""


class ControlGenerator:
    """A module with one function that is nothing but control flow.

    `run(seed)` returns a hash over the marks that it passes; conditions are bits of a random
    number that it keeps.
    """

    def __init__(self, seed: int, size: int = 40) -> None:
        self.random = random.Random(seed)
        self.size = size
        self.marks = 0
        self.lines: list[str] = []
        # The number of values that a branch to the label takes.
        self.labels: list[int] = []

    def module(self) -> str:
        self.labels = [1]
        if self.items(0):
            self.lines.append("global.get $hash")
        body = "\n".join(self.lines)
        return f"""(module
            (global $hash (mut i32) (i32.const 0))
            (global $state (mut i32) (i32.const 0))
            (global $fuel (mut i32) (i32.const 0))
            (func $next (result i32)
                (global.set $state (i32.add
                    (i32.mul (global.get $state) (i32.const 1664525)) (i32.const 1013904223)))
                (i32.shr_u (global.get $state) (i32.const 13)))
            (func $mark (param i32)
                (global.set $hash (i32.add
                    (i32.mul (global.get $hash) (i32.const 31)) (local.get 0))))
            (func (export "run") (param i32) (result i32) (local $a i32) (local $b i32)
                (global.set $state (local.get 0))
                (global.set $hash (i32.const 0))
                (global.set $fuel (i32.const 200))
                {body}))"""

    def emit(self, text: str) -> None:
        self.lines.append(text)

    def mark(self) -> None:
        self.marks += 1
        self.emit(f"(call $mark (i32.const {self.marks}))")

    def random_bits(self, mask: int) -> None:
        self.emit(f"(i32.and (call $next) (i32.const {mask}))")

    def value(self) -> None:
        """Push a value: something that depends on what ran, or a local."""
        choice = self.random.random()
        if choice < 0.4:
            self.emit("(global.get $hash)")
        elif choice < 0.7:
            self.emit(f"(local.get {self.random.choice('012')})")
        else:
            self.emit(f"(i32.const {self.random.randint(0, 99)})")

    def items(self, depth: int) -> bool:
        """Write some items; False if control does not reach their end."""
        return all(self.item(depth) for _ in range(self.random.choice((0, 1, 1, 2, 2, 3, 4))))

    def item(self, depth: int) -> bool:
        rnd = self.random
        self.size -= 1
        choice = rnd.random()
        if self.size < 0 or depth > 14:
            choice *= 0.5
        if choice < 0.15:
            self.mark()
        elif choice < 0.22:
            self.value()
            self.emit(f"(local.set {rnd.choice('012')})")
        elif choice < 0.42:
            label = rnd.randrange(len(self.labels))
            values = self.labels[-1 - label]
            for _ in range(values):
                self.value()
            self.random_bits(rnd.choice((1, 3, 3)))
            if rnd.random() < 0.4:
                self.emit("i32.eqz")
            self.emit(f"br_if {label}")
            self.emit("drop\n" * values)
        elif choice < 0.46 and depth:
            label = rnd.randrange(len(self.labels))
            for _ in range(self.labels[-1 - label]):
                self.value()
            self.emit(f"br {label}")
            return False
        elif choice < 0.50 and depth:
            self.table()
            return False
        elif choice < 0.62:
            self.construct("block", depth)
        elif choice < 0.74:
            self.construct("loop", depth)
        elif choice < 0.88:
            self.construct("if", depth)
        else:
            self.switch(depth)
        return True

    def table(self) -> None:
        rnd = self.random
        values = rnd.choice(self.labels)
        same = [i for i in range(len(self.labels)) if self.labels[-1 - i] == values]
        for _ in range(values):
            self.value()
        self.random_bits(7)
        labels = [rnd.choice(same) for _ in range(rnd.choice((1, 2, 4, 8)))]
        self.emit(f"br_table {' '.join(map(str, labels))}")

    def construct(self, kind: str, depth: int) -> None:
        rnd = self.random
        params, results = rnd.choice(((0, 0), (0, 0), (0, 0), (0, 1), (1, 0), (1, 1), (2, 1)))
        for _ in range(params):
            self.value()
        if kind == "if":
            self.random_bits(1)
        word = _list("param", ["i32"] * params) + _list("result", ["i32"] * results)
        self.emit(f"{kind} {word}")
        self.labels.append(params if kind == "loop" else results)
        if kind == "loop":
            self.emit("(global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))")
            self.emit("(if (i32.eqz (global.get $fuel)) (then (return (global.get $hash))))")
        self.arm(params, results, depth)
        if kind == "if" and (params != results or rnd.random() < 0.6):
            self.emit("else")
            self.arm(params, results, depth)
        self.labels.pop()
        self.emit("end")
        if results:
            self.emit(rnd.choice(("call $mark", "local.set 1", "drop")))

    def arm(self, params: int, results: int, depth: int) -> None:
        for _ in range(params):
            self.emit(f"(local.set {self.random.choice('012')})")
        if not self.items(depth + 1):
            return
        for _ in range(results):
            self.value()
            if self.random.random() < 0.2 and not self.items(depth + 1):
                return

    def switch(self, depth: int) -> None:
        rnd = self.random
        cases = rnd.randint(2, 7)
        for _ in range(cases + 1):
            self.emit("block")
            self.labels.append(0)
            if rnd.random() < 0.1 and not self.item(depth + 2):
                self.emit("unreachable")
        self.random_bits(7)
        plain = [i for i, values in enumerate(reversed(self.labels)) if not values]
        targets = [rnd.choice((i, i, rnd.choice(plain))) for i in range(cases)]
        self.emit(f"br_table {' '.join(map(str, [*targets, cases]))}")
        for i in range(cases):
            self.emit("end")
            self.labels.pop()
            self.mark()
            if self.items(depth + 2) and rnd.random() < 0.6:
                plain = [i for i, values in enumerate(reversed(self.labels)) if not values]
                self.emit(f"br {rnd.choice((cases - 1 - i, rnd.choice(plain)))}")
        self.emit("end")
        self.labels.pop()
