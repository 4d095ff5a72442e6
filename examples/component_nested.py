"""A function that is exported by an instance which a component exports.

Prints:

    called by an index of the component
    called by an index of the instance
    called by walking the exports
"""

from asyncwasm import Engine, Store
from asyncwasm.component import Component, Linker

engine = Engine()
component = Component(
    engine,
    """
    (component
        (core module $m
            (func (export "f"))
        )
        (core instance $i (instantiate $m))
        (func $f
            (canon lift (core func $i "f")))

        (instance $i
            (export "f" (func $f)))
        (export "i" (instance $i))
    )
    """,
)

# First look up the exported instance, then use that to look up the exported function.
_, instance_index = component.export_index(None, "i")
_, func_index = component.export_index(instance_index, "f")

# Then use `func_index` at run time.
store = Store(engine)
instance = Linker(engine).instantiate(store, component)
func = instance.get_func(store, func_index)
func.call(store)
print("called by an index of the component")

# The instance itself can be asked for the indices as well.
instance_index = instance.get_export(store, None, "i")
func_index = instance.get_export(store, instance_index, "f")
func = instance.get_func(store, func_index)
func.call(store)
print("called by an index of the instance")

# And exports can be walked, one level after the other.
func = instance.exports(store).root().instance("i").func("f")
func.call(store)
print("called by walking the exports")
