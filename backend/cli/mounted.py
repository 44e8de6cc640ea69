"""``storagefs mounted``.

Used by: backend.cli.command. Knows nothing of: mount tables.
"""

from backend.cli.request import Request
from backend.codec import gojson
from backend.errors import UnknownObjectError


def run(request: Request) -> int:
    """Say which of the arguments are mounted; 1 if one of them is not known."""
    store = request.open_store()
    results: list[dict[str, object]] = []
    try:
        for reference in request.line.arguments:
            try:
                mounted, error = store.mounts.count(reference) > 0, ""
            except UnknownObjectError as unknown:
                mounted, error = False, f"{unknown.kind} not known"
            results.append({"id": reference, "error": error, "mounted": mounted})
    finally:
        store.close()
    output = request.output
    if request.json:
        output.raw(gojson.encode_text(results, sort=False).encode("utf-8", "surrogateescape"))
    else:
        output.lines(f"{result['id']} mounted" for result in results if result["mounted"])
    failed = [result for result in results if result["error"]]
    for result in failed:
        output.error(f"{result['id']}: {result['error']}", "see storagefs containers")
    return 1 if failed else 0
