"""A function of a component, looked up by name and by an index that is looked up once.

Prints:

    called by name
    called by index
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
        (func (export "f")
            (canon lift (core func $i "f")))
    )
    """,
)

# Look up the function by name.
store = Store(engine)
instance = Linker(engine).instantiate(store, component)
func = instance.get_func(store, "f")
func.call(store)
print("called by name")

# The function can also be looked up by an index, found once for all instances.
_, export = component.export_index(None, "f")
func = instance.get_func(store, export)
func.call(store)
print("called by index")
