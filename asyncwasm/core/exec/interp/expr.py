"""Python expressions as the translator holds them on its symbolic operand stack.

An `Expr` is source text plus the facts that let the translator place and simplify it: what it
reads, whether evaluating it can trap, and, for integers, an interval that holds its value.

Integer text need not be canonical.  `bits` is the width of the WebAssembly value; the text's
value is congruent to it modulo 2**bits and lies in `lo … hi`.  It is canonical (what the
raw-value convention asks for) when that interval is inside `0 … 2**bits - 1`; masking is put
off until something needs that.
"""

from __future__ import annotations

from typing import Any, Final

# What evaluating an expression depends on or does, beyond reading its variables.
PURE: Final = 0
TRAPS: Final = 1  # it can trap
READS: Final = 2  # it reads state that a call or a store can change (memory, globals, objects)

# A trapping operation starts a source line of its own, inside brackets, so that the line number
# of a Python traceback names the instruction.  In expression text the new line is written as
# this mark, the instruction's offset, and `MARK_END`; `source.Source` turns it into a line.
MARK: Final = "\x01"
MARK_END: Final = "\x02"

MASK32: Final = 0xFFFFFFFF
MASK64: Final = 0xFFFFFFFFFFFFFFFF
# Sums of a 64-bit address and offset are integers of 128 bits.
MASKS: Final = {32: MASK32, 64: MASK64, 128: (1 << 128) - 1}

# Deeper expressions are split: Python's parser and compiler recurse over them.
MAX_DEPTH: Final = 32


class Expr:
    """One symbolic value.  Immutable by convention; made by the functions below and by `Body`.

    * `text` is the source; `atomic` says that it needs no brackets inside another expression;
    * `simple` says that it is a variable or a literal, so repeating it costs nothing;
    * `locals` and `temps` are bit sets of the variables it reads (`l3`, `t3`);
    * `effects` combines `TRAPS` and `READS`;
    * `bits` is 32 or 64 for integers and 0 for everything else; `lo`, `hi` and `zeros` (how many
      low bits are known to be zero) hold for integers;
    * `scaled` is `(base, n)` where the value is `base << n` modulo 2**bits, if that is known;
    * `true` and `false` are the texts of a condition and of its negation where the value is the
      0 or 1 of a comparison, else None.
    """

    __slots__ = (
        "atomic",
        "bits",
        "depth",
        "effects",
        "false",
        "hi",
        "lo",
        "locals",
        "scaled",
        "simple",
        "temps",
        "text",
        "true",
        "zeros",
    )

    def __init__(
        self,
        text: str,
        *,
        atomic: bool = False,
        simple: bool = False,
        locals: int = 0,
        temps: int = 0,
        effects: int = PURE,
        depth: int = 0,
        bits: int = 0,
        lo: int = 0,
        hi: int = -1,
        zeros: int = 0,
        true: str | None = None,
        false: str | None = None,
    ) -> None:
        self.text = text
        self.atomic = atomic or simple
        self.simple = simple
        self.locals = locals
        self.temps = temps
        self.effects = effects
        self.depth = depth
        self.bits = bits
        self.lo = lo
        self.hi = hi if hi >= lo else MASKS.get(bits, -1)
        self.zeros = zeros
        self.true = true
        self.false = false
        self.scaled: tuple[Expr, int] | None = None

    def with_bits(self, bits: int) -> Expr:
        """The same text taken as an integer of another width."""
        if self.bits == bits:
            return self
        return Expr(
            self.text,
            atomic=self.atomic,
            simple=self.simple,
            locals=self.locals,
            temps=self.temps,
            effects=self.effects,
            depth=self.depth,
            bits=bits,
            lo=self.lo,
            hi=self.hi,
            zeros=min(self.zeros, bits),
            true=self.true,
            false=self.false,
        )

    @property
    def operand(self) -> str:
        """The text as an operand of another operator."""
        return self.text if self.atomic else f"({self.text})"

    @property
    def is_canonical(self) -> bool:
        """Whether the text's value already follows the raw-value convention."""
        return not self.bits or (self.lo >= 0 and self.hi <= MASKS[self.bits])

    @property
    def constant(self) -> int | None:
        """The value of an integer literal, else None."""
        return self.lo if self.simple and self.bits and self.lo == self.hi else None

    @property
    def condition(self) -> tuple[str, str]:
        """Texts that test for non-zero and for zero.  For canonical expressions."""
        if self.true is not None and self.false is not None:
            return self.true, self.false
        return self.operand, f"not {self.operand}"

    def __repr__(self) -> str:
        return f"<Expr {self.text}>"


def integer(value: int, bits: int) -> Expr:
    """The literal for an integer of `bits` bits, signed or unsigned."""
    value &= MASKS[bits]
    zeros = (value & -value).bit_length() - 1 if value else bits
    return Expr(str(value), simple=True, bits=bits, lo=value, hi=value, zeros=zeros)


def merge(text: str, *operands: Expr, **facts: Any) -> Expr:
    """An expression whose text is built from `operands`, each used once and in order."""
    reads = temps = effects = depth = 0
    for operand in operands:
        reads |= operand.locals
        temps |= operand.temps
        effects |= operand.effects
        if operand.depth > depth:
            depth = operand.depth
    return Expr(text, locals=reads, temps=temps, effects=effects, depth=depth + 1, **facts)


def test(true: str, false: str, *operands: Expr) -> Expr:
    """An `i32` that is 1 if `true` holds and 0 if `false` does, built from `operands`."""
    return merge(f"1 if {true} else 0", *operands, bits=32, lo=0, hi=1, true=true, false=false)


def canonical(expr: Expr) -> Expr:
    """The same value, masked if that is needed."""
    if expr.is_canonical:
        return expr
    mask = MASKS[expr.bits]
    if expr.lo == expr.hi:
        return integer(expr.lo, expr.bits)
    result = merge(f"{expr.operand} & {mask}", expr, bits=expr.bits, zeros=expr.zeros)
    result.scaled = expr.scaled
    return result
