"""The store's command line: one module a verb, around a grammar and a table of verbs.

Used by: fusefs.cli, which adds ``mount`` and ``umount``. Knows nothing of: FUSE.
Values here and in backend.config are named tuples: making a frozen dataclass takes six times as
long, and a listing must be as quick as its interpreter allows.
"""
