"""The objects of a running program: engines, stores, instances and what they own.

One module for each noun of the embedding interface.  Never heard of instructions.
"""
