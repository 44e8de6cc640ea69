"""``storagefs mounted``.

Used by: backend.cli.command. Knows nothing of: mount tables.
"""

from backend.cli.request import Request
from backend.codec import gojson
from backend.errors import StoreError


def run(request: Request) -> int:
    """Say which of the arguments are mounted; 1 if one of them is not known."""
    store = request.open_store()
    results: list[dict[str, object]] = []
    try:
        for reference in request.line.arguments:
            try:
                mounted, error = store.mounts.count(reference) > 0, ""
            except StoreError as refused:
                mounted, error = False, str(refused)
            results.append({"id": reference, "error": error, "mounted": mounted})
    finally:
        store.close()
    output = request.output
    if request.json:
        output.raw(gojson.encode_text(results, sort=False).encode("utf-8", "surrogateescape"))
    else:
        output.lines(f"{result['id']} mounted" for result in results if result["mounted"])
    failures = [str(result["error"]) for result in results if result["error"]]
    for failure in failures:
        output.error(f"mounted: {failure}", "storagefs containers lists what there is")
    return 1 if failures else 0
