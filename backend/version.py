"""The version of this program, said once: the build of the package reads it here too.

Used by: backend.cli.status, backend.cli.manual, fusefs.nodes.about, pyproject.toml.
Knows nothing of: anything else.
"""

from typing import Final

VERSION: Final = "0.1.0"
