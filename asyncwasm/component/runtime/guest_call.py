"""`canon lower` of a function that another component instance lifts.

The values are lifted to Python's and lowered again, unless all are plain numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.component.abi import MAX_FLAT_PARAMS
from asyncwasm.component.types import Primitive
from asyncwasm.errors import ThrownException, Trap, TrapCode

from ..concurrency.lower import lower_guest
from .context import GuestContext
from .options import adapter_options, is_by_pointer
from .task import CallScope

if TYPE_CHECKING:
    from asyncwasm.component.compile.program import GuestCall

    from .instance import InstanceData

# Types whose values are the same on both sides: nothing is checked and nothing lost.
_NUMBERS: Final = frozenset(
    (Primitive.S32, Primitive.U32, Primitive.S64, Primitive.U64, Primitive.F32, Primitive.F64)
)


def guest_call(data: InstanceData, trampoline: GuestCall) -> Callable[..., Any]:
    """The function of another instance, on raw values."""
    callee = trampoline.callee
    outer, inner = trampoline.options, callee.options
    caller, target = data.instances[outer.instance], data.instances[inner.instance]
    ty = trampoline.type
    if not target.plain:
        return lower_guest(data, trampoline)
    func = data.func(callee.core)
    post = None if inner.post_return is None else data.funcs[inner.post_return]
    result = ty.result
    types = tuple(t for _, t in ty.params) + (() if result is None else (result,))
    state = data.state
    outer_abi, inner_abi = adapter_options(outer, inner), adapter_options(inner, outer)
    by_pointer = is_by_pointer(result, outer_abi)

    if _NUMBERS.issuperset(types) and len(types) <= MAX_FLAT_PARAMS and post is None:

        def number_call(*flat: Any) -> Any:
            if not caller.may_leave:
                caller.check_leave()
            try:
                return func.fn(*flat)
            except ThrownException:
                raise Trap(TrapCode.UNCAUGHT_EXCEPTION) from None

        def number_call_of_its_own(*flat: Any) -> Any:
            thread = target.enter()
            raw = number_call(*flat)
            target.leave(thread)
            return raw

        return number_call_of_its_own if target.stores else number_call

    abi = data.component.abi
    lift_params = abi.lift_params(ty.params, outer_abi)
    lower_params = abi.lower_params(ty.params, inner_abi)
    lift_result = abi.lift_result(result, inner_abi)
    lower_result = abi.lower_result(result, outer_abi)

    def full_call(*flat: Any) -> Any:
        if not caller.may_leave:
            caller.check_leave()
        lent = CallScope()
        outside = GuestContext(caller, outer, lent)
        args = lift_params(outside, flat)
        thread = target.enter()
        task = thread.task
        inside = GuestContext(target, inner, task)
        raw_args = lower_params(inside, args)
        try:
            raw = func.fn(*raw_args)
            value = lift_result(inside, raw)
            task.check_borrows()
            state.current = task.caller
            lowered = lower_result(outside, value, flat[-1] if by_pointer else None)
            if post is not None:
                state.current = thread
                target.may_leave = False
                post.fn() if raw is None else post.fn(raw)
                target.may_leave = True
        except ThrownException:
            raise Trap(TrapCode.UNCAUGHT_EXCEPTION) from None
        target.leave(thread)
        lent.release()
        return lowered

    return full_call
