"""For how long the kernel may keep what it is told of the root of some content."""

import pytest

from backend.store import Store
from fusefs import reply
from fusefs.nodes.base import LONG
from fusefs.nodes.content import Content, ContentDirectory
from fusefs.nodes.guard import DeletionGuard

from .test_computed import NoHolder

pytestmark = pytest.mark.root


def timeout(directory: ContentDirectory) -> float:
    seconds: float = reply.entry(directory, directory.attributes()).attr_timeout
    return seconds


@pytest.mark.parametrize(("covered", "wanted"), [(False, LONG), (True, 0.0)])
def test_attributes_of_a_root_are_kept_once_they_are_its_own_and_nothing_may_cover_it(
    store: Store, *, covered: bool, wanted: float
) -> None:
    layer = store.layers.create(writable=False)
    content = Content(store, NoHolder(), DeletionGuard(), can_mount=True, covered=covered)
    try:
        directory = content.layer_rootfs(layer.id)
        assert isinstance(directory, ContentDirectory)
        assert timeout(directory) == 0, "nobody has looked at it"
        directory.view.root()
        assert timeout(directory) == wanted
        directory.view.close()
        assert timeout(directory) == 0
    finally:
        content.close()
