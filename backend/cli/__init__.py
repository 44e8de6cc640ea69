"""The store's command line: one module a verb, around a grammar and a table of verbs.

Used by: fusefs.cli, which adds ``mount`` and ``umount``. Knows nothing of: FUSE.
"""
