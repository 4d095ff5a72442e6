"""The concurrent runtime of components, one module for each notion of the Canonical ABI.

All of it is synchronous: a guest thread that blocks leaves its fiber, and whoever resumes it next
goes on from there.  What waits for the event loop is in the modules that drive a store.
"""
