"""The store's command line: one module a verb, around a grammar and a table of verbs.

Used by: fusefs.cli, which adds ``mount`` and ``umount``. Knows nothing of: FUSE.

A command is mostly its start, so these rules hold in all of backend and drivers. Values are named
tuples: a frozen dataclass takes ten times as long to make, and its module loads inspect and
tokenize. Modules that define some do without ``from __future__ import annotations``: a named tuple
compiles each annotation that is text. What every command loads compiles a pattern at its first
use, and what only some verbs need is imported by them.
"""
