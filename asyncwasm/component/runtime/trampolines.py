"""Core functions made for canonical definitions: the ways out of a component instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from asyncwasm.component.compile.program import AlwaysTrap, Builtin, GuestCall, HostCall
from asyncwasm.core import Func
from asyncwasm.errors import Trap, TrapCode

from .builtins import builtin
from .fused import fused_call
from .guest_call import guest_call
from .host_call import host_call

if TYPE_CHECKING:
    from asyncwasm.component.compile.program import Trampoline

    from .instance import InstanceData


def make(data: InstanceData, trampoline: Trampoline) -> Func:
    """The core function of a trampoline."""
    fn: Callable[..., Any]
    match trampoline:
        case HostCall():
            fn = host_call(data, trampoline)
            name = data.imports[trampoline.import_index].name
        case GuestCall():
            fused = fused_call(data, trampoline)
            if fused is not None:
                return fused
            fn = guest_call(data, trampoline)
            name = "component call"
        case AlwaysTrap(instance=index):
            instance = data.instances[index]

            def fn(*flat: Any) -> Any:
                instance.check_leave()
                raise Trap(TrapCode.CANNOT_ENTER_COMPONENT)

            name = "component call"
        case Builtin():
            fn = builtin(data.instances[trampoline.options.instance], trampoline)
            name = trampoline.name
    return Func.make(data.store, trampoline.core_type, fn, name=name)
