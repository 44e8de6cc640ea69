"""Layers as bytes on disk: directories, diffs, ID mapping, mounts, system calls.

Used by: backend (through drivers.protocol, drivers.errors and drivers.registry) and, for
mount calls only, the top of fusefs.
Knows nothing of: images, containers, JSON records, locks of the store, event loops.
"""
