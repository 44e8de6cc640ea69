"""Which build step made which layer of an image (pure).

Used by: fusefs.nodes.image. Source of the format: the image configuration of Docker and OCI, whose
``history`` lists steps oldest first; steps with ``empty_layer`` made no layer.
"""

import json
from collections.abc import Sequence


def layer_steps(configuration: bytes, layers: int) -> Sequence[str]:
    """Return for each of *layers* layers, base first, the command that made it; "" if unknown.

    A configuration that cannot be read, or whose history does not fit, makes nothing fail: the
    steps that can be told are told. Layers were added at the end, so a history that is too short
    (a base that was imported without one) belongs to the last layers.
    """
    steps = [_command(step) for step in _history(configuration) if not step.get("empty_layer")]
    if len(steps) > layers:
        return [""] * layers
    return [""] * (layers - len(steps)) + steps


def _history(configuration: bytes) -> list[dict[str, object]]:
    try:
        document = json.loads(configuration)
    except (ValueError, RecursionError):
        return []
    history = document.get("history") if isinstance(document, dict) else None
    return [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []


def _command(step: dict[str, object]) -> str:
    for member in ("created_by", "comment"):
        text = step.get(member)
        if isinstance(text, str) and text.strip():
            return " ".join(text.split("\n")).strip()
    return ""
