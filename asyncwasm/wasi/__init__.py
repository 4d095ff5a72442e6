"""WASI hosts: what a guest may reach of the world outside, and how it asks for it.

Capabilities live in `asyncwasm.wasi.host`, once, whatever WASI version asks for them; a package
for each version adapts them to its functions and error numbers.  Nothing is ambient: what a
guest was not given does not exist for it.
"""
