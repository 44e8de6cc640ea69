"""``health``: whether an object has what its record promises, from records and directories only.

Used by: the directories of layers, images and containers. Reads no content.
"""

from backend.model.records import Container, Image, Layer
from drivers.ids import LayerID
from fusefs.nodes.context import TreeContext


def layer_health(context: TreeContext, layer: Layer) -> str:
    """``ok``, ``incomplete`` or ``damaged: REASON``."""
    if layer.incomplete:
        return "incomplete"
    return _known_problem(context, "layer", layer.id) or _layer_damage(context, layer)


def image_health(context: TreeContext, image: Image) -> str:
    """The same; an image is as well as the layers that it stands on."""
    known = _known_problem(context, "image", image.id)
    if known or image.layer is None:
        return known or "ok"
    return _chain_health(context, image.layer)


def container_health(context: TreeContext, container: Container) -> str:
    """The same; a container is as well as its own layer and those below."""
    known = _known_problem(context, "container", container.id)
    return known or _chain_health(context, container.layer)


def _chain_health(context: TreeContext, top: LayerID) -> str:
    layers = context.records().layers
    if top not in layers:
        return f"damaged: {layers.unread or f'layer {top} is not known'}"
    for layer in layers.chain(top):
        health = layer_health(context, layer)
        if health != "ok":
            return health if layer.id == top else f"damaged: layer {layer.id} is {health}"
    return "ok"


def _known_problem(context: TreeContext, kind: str, identifier: str) -> str:
    for problem in context.records().problems:
        if problem.kind == kind and problem.id == identifier:
            return f"damaged: {problem.reason}"
    return ""


def _layer_damage(context: TreeContext, layer: Layer) -> str:
    if layer.parent and layer.parent not in context.records().layers:
        return f"damaged: parent {layer.parent} is not known"
    driver = context.store.driver
    if not driver.exists(layer.id):
        return f"damaged: {driver.home}/{layer.id} is missing"
    return "ok"
