"""Validation of function bodies: one pass that decodes and validates.

A loop does what most code consists of by itself, and leaves the rest, and everything that is
not as expected, to `step`.  It only ever accepts: an instruction is either found valid, and
its effect done, or the loop has changed nothing and `step` looks at it again.  So errors come
from one place, and the loop may be as terse as it must be to be fast.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Final

from asyncwasm.core.binary.cursor import require_val_type
from asyncwasm.core.binary.expressions import skip_expression
from asyncwasm.core.binary.immediates import read_val_type
from asyncwasm.core.binary.leb128 import read_u32
from asyncwasm.core.binary.limits import MAX_LOCALS, MAX_NESTING, check_limit
from asyncwasm.core.isa.features import Features
from asyncwasm.core.isa.table import TABLE
from asyncwasm.core.module import ModuleInfo
from asyncwasm.core.types import I32, I64, NumType, ValType
from asyncwasm.errors import MalformedError, ValidationError

from .body import Body, Frame
from .context import ModuleContext, Signature
from .instruction import step


def validate_function(info: ModuleInfo, index: int, features: Features) -> None:
    """Validate the body of function number `index` of the module, which is not an import.

    The module itself has been validated.  Raises `MalformedError`, `ValidationError` or
    `ResourceLimitError`; never suspends.
    """
    validate_body(ModuleContext(info, features), index)


def validate_body(module: ModuleContext, index: int) -> None:
    """As `validate_function`, for a module whose context is there already."""
    info = module.info
    span = info.bodies[index - info.imported_funcs]
    ty = info.funcs[index].func
    code = info.data[span.start : span.end]
    pos = 0
    try:
        locals, late, pos = _read_locals(module, code, ty.params)
        body = Body(module, code, ty.results, locals, late)
        body.pos = start = pos
        try:
            _run(body)
        except ValidationError:
            # What is malformed is not said to be invalid.
            with suppress(ValidationError):
                skip_expression(code, start, module.types)
            raise
        finally:
            pos = body.pos
    except (MalformedError, ValidationError) as error:
        place = span.start + (pos if error.offset is None else error.offset)
        raise type(error)(error.reason, offset=place) from None


def _read_locals(
    module: ModuleContext, code: bytes, params: tuple[ValType, ...]
) -> tuple[list[ValType | None], dict[int, ValType], int]:
    """`Body.locals` and `Body.late`, and where the code begins."""
    groups: list[tuple[int, ValType]] = []
    total = 0
    count, pos = read_u32(code, 0)
    for _ in range(count):
        start = pos
        size, pos = read_u32(code, pos)
        ty, pos = read_val_type(code, pos, module.types)
        require_val_type(module.features, ty, start)
        groups.append((size, ty))
        total += size
    if total >= 1 << 32:
        raise MalformedError("too many locals")
    check_limit(len(params) + total, MAX_LOCALS, "locals of a function")
    locals: list[ValType | None] = [*params]
    late: dict[int, ValType] = {}
    for size, ty in groups:
        if ty.is_defaultable:
            locals += [ty] * size
        else:
            late.update(dict.fromkeys(range(len(locals), len(locals) + size), ty))
            locals += [None] * size
    return locals, late, pos


# What the loop does with an opcode.  Written as numbers in the loop itself: a constant costs
# less to load there than a name.
_STEP: Final = 0
_BINARY: Final = 1
_LOAD: Final = 2
_STORE: Final = 3
_UNARY: Final = 4
_SKIP: Final = 5

# What the fifth and last byte of an `i32.const` may be: its upper bits all repeat the sign.
_LAST_OF_S32: Final = frozenset({*range(0x08), *range(0x78, 0x80)})


class _Plan:
    """By opcode byte, for one set of features: what to do, and the types and sizes needed."""

    def __init__(self, features: Features) -> None:
        self.action = [_STEP] * 256
        # I32 stands where a type is not asked for.
        self.operand: list[NumType] = [I32] * 256
        self.result: list[NumType] = [I32] * 256
        # For memory accesses the greatest alignment, for constants the size of the instruction.
        self.size = [0] * 256
        # Vector instructions without immediates, by the number after their prefix.
        self.vector: dict[int, Signature] = {}
        for row in TABLE:
            if row.params is None or row.results is None:
                continue
            if row.feature is not None and row.feature not in features:
                continue
            code = row.opcode
            if code > 0xFF:
                if row.prefix == 0xFD and row.params and not row.immediates:
                    params = [NumType(name) for name in row.params]
                    results = [NumType(name) for name in row.results]
                    self.vector[row.number] = len(params), [*params], [*results]
                continue
            match row.immediates:
                case ("memarg",) if row.results:
                    self._set(code, _LOAD, None, row.results[0], row.natural_align)
                case ("memarg",):
                    self._set(code, _STORE, row.params[1], None, row.natural_align)
                case ("f32",) | ("f64",):
                    bits = NumType(row.results[0]).bits
                    self._set(code, _SKIP, None, row.results[0], 1 + bits // 8)
                case () if len(row.params) == 2 and row.params[0] == row.params[1]:
                    self._set(code, _BINARY, row.params[0], row.results[0], 1)
                case () if len(row.params) == 1:
                    self._set(code, _UNARY, row.params[0], row.results[0], 1)

    def _set(
        self, code: int, action: int, operand: str | None, result: str | None, size: int
    ) -> None:
        self.action[code] = action
        if operand:
            self.operand[code] = NumType(operand)
        if result:
            self.result[code] = NumType(result)
        self.size[code] = size


_plan = lru_cache(maxsize=8)(_Plan)


def _run(body: Body) -> None:
    """Validate from `body.pos` to the end of the function."""
    module = body.module
    info = module.info
    plan = _plan(module.features)
    action, operand, result, size = plan.action, plan.operand, plan.result, plan.size
    address = info.memories[0].index_type.value_type if info.memories else None
    vector = plan.vector
    signatures = module.signatures
    globals = info.globals
    code = body.code
    vals = body.vals
    frames = body.frames
    locals = body.locals
    inits = body.inits
    push = vals.append
    pos = body.pos
    while True:
        try:
            while True:
                op = code[pos]
                if op == 0x20:  # local.get
                    index = code[pos + 1]
                    if index < 0x80:
                        ty = locals[index]
                        if ty is not None:
                            push(ty)
                            pos += 2
                            continue
                    else:
                        high = code[pos + 2]
                        if high < 0x80:
                            ty = locals[index + (high << 7) - 0x80]
                            if ty is not None:
                                push(ty)
                                pos += 3
                                continue
                elif op == 0x41:  # i32.const
                    if code[pos + 1] < 0x80:
                        pos += 2
                        push(I32)
                        continue
                    end = pos + 2
                    while code[end] >= 0x80:
                        end += 1
                    # Shorter numbers have no bits too many.
                    if end - pos < 5 or (end - pos == 5 and code[end] in _LAST_OF_S32):
                        pos = end + 1
                        push(I32)
                        continue
                elif todo := action[op]:
                    if todo == 1:
                        ty = operand[op]
                        if vals[-1] is ty and vals[-2] is ty:
                            del vals[-1]
                            vals[-1] = result[op]
                            pos += 1
                            continue
                    elif todo == 2:
                        if vals[-1] is address and code[pos + 1] <= size[op]:
                            if code[pos + 2] < 0x80:
                                pos += 3
                                vals[-1] = result[op]
                                continue
                            if code[pos + 3] < 0x80:
                                pos += 4
                                vals[-1] = result[op]
                                continue
                            if code[pos + 4] < 0x80:
                                pos += 5
                                vals[-1] = result[op]
                                continue
                            if code[pos + 5] < 0x80:
                                pos += 6
                                vals[-1] = result[op]
                                continue
                    elif todo == 3:
                        if (
                            vals[-1] is operand[op]
                            and vals[-2] is address
                            and code[pos + 1] <= size[op]
                        ):
                            if code[pos + 2] < 0x80:
                                pos += 3
                                del vals[-2:]
                                continue
                            if code[pos + 3] < 0x80:
                                pos += 4
                                del vals[-2:]
                                continue
                            if code[pos + 4] < 0x80:
                                pos += 5
                                del vals[-2:]
                                continue
                            if code[pos + 5] < 0x80:
                                pos += 6
                                del vals[-2:]
                                continue
                    elif todo == 4:
                        if vals[-1] is operand[op]:
                            vals[-1] = result[op]
                            pos += 1
                            continue
                    elif pos + size[op] < len(code):
                        pos += size[op]
                        push(result[op])
                        continue
                elif op == 0x0B:  # end
                    frame = frames[-1]
                    if frame.simple and vals[-1] is frame and not inits:
                        del vals[-1], frames[-1]
                        pos += 1
                        continue
                elif op == 0x21:  # local.set
                    index = code[pos + 1]
                    if index < 0x80:
                        if vals[-1] is locals[index]:
                            del vals[-1]
                            pos += 2
                            continue
                    else:
                        high = code[pos + 2]
                        if high < 0x80 and vals[-1] is locals[index + (high << 7) - 0x80]:
                            del vals[-1]
                            pos += 3
                            continue
                elif op == 0x22:  # local.tee
                    index = code[pos + 1]
                    if index < 0x80:
                        if vals[-1] is locals[index]:
                            pos += 2
                            continue
                    else:
                        high = code[pos + 2]
                        if high < 0x80 and vals[-1] is locals[index + (high << 7) - 0x80]:
                            pos += 3
                            continue
                elif op == 0x0D:  # br_if
                    index = code[pos + 1]
                    if index < 0x80 and vals[-1] is I32 and not frames[~index].label:
                        del vals[-1]
                        pos += 2
                        continue
                elif op == 0x10:  # call
                    index = code[pos + 1]
                    end = pos + 2
                    if index >= 0x80:
                        index, end = read_u32(code, pos + 1)
                    signature = signatures.get(index) or module.signature(index)
                    if signature:
                        count, params, results = signature
                        if not count:
                            pos = end
                            vals += results
                            continue
                        if vals[-count:] == params:
                            pos = end
                            vals[-count:] = results
                            continue
                elif op == 0x02 or op == 0x03:  # block, loop
                    if code[pos + 1] == 0x40 and len(frames) < MAX_NESTING:
                        frame = Frame("block", (), (), len(vals), len(inits))
                        frames.append(frame)
                        push(frame)
                        pos += 2
                        continue
                elif op == 0x04:  # if
                    if code[pos + 1] == 0x40 and vals[-1] is I32 and len(frames) < MAX_NESTING:
                        del vals[-1]
                        frame = Frame("if", (), (), len(vals), len(inits))
                        frames.append(frame)
                        push(frame)
                        pos += 2
                        continue
                elif op == 0x0C:  # br
                    index = code[pos + 1]
                    if index < 0x80 and not frames[~index].label:
                        frame = frames[-1]
                        del vals[frame.height + 1 :]
                        frame.unreachable = True
                        pos += 2
                        continue
                elif op == 0x1A:  # drop
                    if vals[-1] is not frames[-1]:
                        del vals[-1]
                        pos += 1
                        continue
                elif op == 0x42:  # i64.const
                    end = pos + 1
                    while code[end] >= 0x80:
                        end += 1
                    if end - pos < 10:
                        pos = end + 1
                        push(I64)
                        continue
                elif op == 0x1B:  # select
                    if vals[-1] is I32 and vals[-2] is vals[-3] and isinstance(vals[-2], NumType):
                        del vals[-2:]
                        pos += 1
                        continue
                elif op == 0x23:  # global.get
                    index = code[pos + 1]
                    if index < 0x80:
                        push(globals[index].content)
                        pos += 2
                        continue
                elif op == 0x24:  # global.set
                    index = code[pos + 1]
                    if index < 0x80:
                        global_ = globals[index]
                        if global_.mutable and vals[-1] is global_.content:
                            del vals[-1]
                            pos += 2
                            continue
                elif op == 0xFD:  # vectors
                    index = code[pos + 1]
                    end = pos + 2
                    if index >= 0x80:
                        index, end = read_u32(code, pos + 1)
                    effect = vector.get(index)
                    if effect:
                        count, params, results = effect
                        if vals[-count:] == params:
                            pos = end
                            vals[-count:] = results
                            continue
                pos = step(body, pos)
                if not frames:
                    return
        except IndexError:
            pos = step(body, pos)
            if not frames:
                return
