"""The table of verbs (pure).

Used by: backend.cli.command, fusefs.verbs (adds its own), the tests of the documentation.
Knows nothing of: what the verbs do; their modules are imported when they are called.
"""

from typing import Final

from backend.cli.tables import content, listing, objects, upkeep

STORE_VERBS: Final = (*listing.VERBS, *objects.VERBS, *content.VERBS, *upkeep.VERBS)
