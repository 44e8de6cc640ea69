"""``storagefs status`` and ``version``.

Used by: backend.cli.command. Knows nothing of: drivers but what they tell about themselves.
"""

from collections.abc import Sequence

from backend.cli.request import Request
from backend.version import VERSION


def run(request: Request) -> int:
    """Show the roots and what the driver says. Probes and changes nothing."""
    with request.open_store() as store:
        options = store.options
        lines = [
            ("Root", options.graph_root),
            ("Run Root", options.run_root),
            ("Driver Name", store.driver.name),
            ("Driver Options", f"[{' '.join(options.driver_options)}]"),
            *store.driver.status(),
        ]
    return _show(request, lines)


def version(request: Request) -> int:
    """Show the version of this program; no store is needed."""
    return _show(request, [("Version", VERSION)])


def _show(request: Request, lines: Sequence[tuple[str, str]]) -> int:
    if request.json:
        request.output.json(lines)
    else:
        request.output.lines(f"{label}: {value}" for label, value in lines)
    return 0
