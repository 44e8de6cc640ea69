"""storage.conf, the environment and flags, as StoreOptions.

Used by: the command line, fusefs, callers of the library. Only ``environment`` reads the process
environment; ``files`` reads files; ``resolve`` decides.
"""

from backend.config.environment import ProcessEnvironment, process_environment
from backend.config.resolve import load_options

__all__ = ["ProcessEnvironment", "load_options", "process_environment"]
