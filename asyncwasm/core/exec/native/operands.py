"""The operands and locals of a function that is translated, and who owns references among them.

An operand that is a reference is one of three things: counted, and then noted in a *root*, a stack
slot for that height of the operand stack; borrowed from the local that it was read from, until
that is assigned; or kept alive by the instance anyway.  Roots and locals hold null unless they hold
a counted reference, so that whoever leaves the function in the middle releases them all.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from asyncwasm.core.types import ValType

from .emit import ZEROS, Emitter, ir_type
from .known import Known
from .opaque import fence
from .refs import NULL, REF, keep, release

Slots = list[tuple[str, str]]


class Operand(NamedTuple):
    """An IR value on the operand stack; `i1` stands for the i32 0 or 1.

    A counted reference has its root as its `owner`, a borrowed one the number of its local.
    """

    ty: str
    value: str
    owner: str | int | None = None


class Operands:
    """The operand stack and the locals of one function.

    `out` is where IR goes.  Lowerings pop operands, which are of the types that validation proved,
    and push results.
    """

    def __init__(self) -> None:
        self.out: Final = Emitter()
        self.stack: Final[list[Operand]] = []
        self.locals: Final[Slots] = []
        self.roots: Final[list[str]] = []
        # See `opaque`: vectors that arithmetic on floats gave, those that were loaded, and whether
        # there may be integers in memory that LLVM knows.
        self.computed: Final[set[str]] = set()
        self.loaded: Final[set[str]] = set()
        self.stores_integers = False
        self.known: Final = Known()
        self.out.on_meeting = self.known.forget

    # Values ----------------------------------------------------------------------------------

    def push(self, ty: str, value: str) -> None:
        """Push an IR value of IR type `ty`; a reference must be one that stays alive anyway."""
        self.stack.append(Operand(ty, value))

    def push_condition(self, value: str) -> None:
        """Push an i1 that stands for the i32 0 or 1."""
        self.stack.append(Operand("i1", value))

    def pop(self) -> str:
        """Pop a value that is no reference."""
        ty, value, _ = self.stack.pop()
        if ty == "i1":
            return self.out.op(f"zext i1 {value} to i32")
        return value

    def pop_many(self, count: int) -> list[str]:
        """Pop `count` values that are no references, the first pushed first."""
        values = [self.pop() for _ in range(count)]
        return values[::-1]

    def pop_condition(self) -> str:
        """Pop an i32 as an i1 that is true unless it is 0."""
        ty, value, _ = self.stack.pop()
        return value if ty == "i1" else self.out.op(f"icmp ne i32 {value}, 0")

    # References ------------------------------------------------------------------------------

    def push_counted(self, value: str) -> None:
        """Push a reference whose count goes along."""
        height = len(self.stack)
        while len(self.roots) <= height:
            self.roots.append(self._slot("r"))
        root = self.roots[height]
        self.out.do(f"store {REF} {value}, ptr {root}")
        self.stack.append(Operand(REF, value, root))

    def _slot(self, hint: str) -> str:
        slot = self.out.alloca(REF, hint)
        self.out.allocas.append(f"  store {REF} {NULL}, ptr {slot}")
        return slot

    def as_value(self, operand: Operand) -> str:
        """The value of an operand, which keeps its reference if it is one."""
        if operand.ty == "i1":
            return self.out.op(f"zext i1 {operand.value} to i32")
        return operand.value

    def take(self, operand: Operand) -> str:
        """The value of an operand that was popped, counted if it is a reference."""
        ty, value, owner = operand
        if isinstance(owner, str):
            self.out.do(f"store {REF} {NULL}, ptr {owner}")
        elif ty == REF and value != NULL:
            keep(self.out, value)
        return self.as_value(operand)

    def give_up(self, operand: Operand) -> None:
        """Release an operand that was popped."""
        if isinstance(operand.owner, str):
            self.out.do(f"store {REF} {NULL}, ptr {operand.owner}")
            release(self.out, operand.value)

    def pop_taken(self, types: tuple[ValType, ...]) -> Slots:
        """Pop values of these types, the first pushed first; references are counted."""
        operands = [self.stack.pop() for _ in types][::-1]
        return [
            (ir_type(ty), self.take(operand)) for ty, operand in zip(types, operands, strict=True)
        ]

    def push_result(self, ty: ValType, value: str) -> None:
        """Push a value; a reference is counted."""
        if ir_type(ty) == REF:
            self.push_counted(value)
        else:
            self.push(ir_type(ty), value)

    def settle(self, local: int | None = None) -> None:
        """Count operands that are borrowed, from one local or from any.

        Done before the local changes, and before blocks, in which it may change on some ways
        only.
        """
        for height, (ty, value, owner) in enumerate(self.stack):
            if isinstance(owner, int) and local in (None, owner):
                keep(self.out, value)
                above = self.stack[height:]
                del self.stack[height:]
                self.push_counted(value)
                self.stack.extend(above[1:])
            assert ty == REF or owner is None

    # Locals ----------------------------------------------------------------------------------

    def add_local(self, ty: ValType, value: str | None) -> None:
        """Add a local that starts with `value`, or with its type's default."""
        name = ir_type(ty)
        if name == REF:
            slot = self._slot("l")
            if value is not None:
                self.out.allocas.append(f"  store {REF} {value}, ptr {slot}")
        else:
            slot = self.out.alloca(name, "l")
            if value is None:
                value = ZEROS[name]
                if name in ("float", "double"):
                    value = self.out.op(fence(name, value))
            self.out.do(f"store {name} {value}, ptr {slot}")
        self.locals.append((name, slot))

    def get_local(self, index: int) -> None:
        """Push the value of a local."""
        ty, slot = self.locals[index]
        value = self.known.locals.get(index)
        if value is None:
            value = self.out.op(f"load {ty}, ptr {slot}")
            if ty != REF:
                self.known.locals[index] = value
        self.stack.append(Operand(ty, value, index if ty == REF else None))

    def set_local(self, index: int) -> None:
        """Pop a value into a local."""
        ty, slot = self.locals[index]
        if ty != REF:
            value = self.pop()
            self.known.set(index, value)
            self.out.do(f"store {ty} {value}, ptr {slot}")
            return
        value = self.take(self.stack.pop())
        self.settle(index)
        old = self.out.op(f"load {ty}, ptr {slot}")
        self.out.do(f"store {ty} {value}, ptr {slot}")
        release(self.out, old)

    def release_locals(self) -> None:
        """Release all locals, on the way out."""
        for ty, slot in self.locals:
            if ty == REF:
                release(self.out, self.out.op(f"load {ty}, ptr {slot}"))

    # Values that blocks pass -----------------------------------------------------------------

    def slots(self, types: tuple[ValType, ...]) -> Slots:
        """Stack slots for values of these types."""
        return [(ir_type(ty), self.out.alloca(ir_type(ty))) for ty in types]

    def store(self, slots: Slots) -> None:
        """Store the topmost values, which stay on the stack, into slots; counts go along."""
        if slots:
            for (ty, slot), operand in zip(slots, self.stack[-len(slots) :], strict=True):
                self.out.do(f"store {ty} {self.take(operand)}, ptr {slot}")

    def fill(self, slots: Slots) -> None:
        """Pop the topmost values into slots."""
        self.store(slots)
        del self.stack[len(self.stack) - len(slots) :]

    def load(self, slots: Slots) -> None:
        """Push what slots hold."""
        for ty, slot in slots:
            value = self.out.op(f"load {ty}, ptr {slot}")
            if ty == REF:
                self.push_counted(value)
            else:
                self.push(ty, value)
