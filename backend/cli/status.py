"""``storagefs status``.

Used by: backend.cli.command. Knows nothing of: drivers but what they tell about themselves.
"""

from backend.cli.request import Request
from backend.codec import gojson


def run(request: Request) -> int:
    """Show the roots and what the driver says. Probes and changes nothing."""
    store = request.open_store()
    try:
        options = store.options
        lines = [
            ("Root", options.graph_root),
            ("Run Root", options.run_root),
            ("Driver Name", store.driver.name),
            ("Driver Options", f"[{' '.join(options.driver_options)}]"),
            *store.driver.status(),
        ]
    finally:
        store.close()
    if request.json:
        request.output.raw(gojson.encode(lines))
    else:
        request.output.lines(f"{label}: {value}" for label, value in lines)
    return 0
