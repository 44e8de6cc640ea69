"""Archives of images whose records contradict each other."""

from pathlib import Path

import pytest

from backend import Store, open_store
from backend.codec import gojson
from backend.errors import DamagedError
from tests.support import ociimage

pytestmark = pytest.mark.root


@pytest.mark.timeout(30)
def test_a_layer_that_stands_on_itself_is_damage(store: Store, tmp_path: Path) -> None:
    layers = [[ociimage.Entry("low", b"1")], [ociimage.Entry("high", b"2")]]
    ociimage.write_layout(tmp_path / "layout", layers)
    (image,) = store.import_images(str(tmp_path / "layout"))
    top = store.layers.find(str(image.layer))
    records = Path(top.location)
    known = gojson.decode(records.read_bytes())
    for record in known:
        if record["id"] == top.parent:
            record["parent"] = top.id
    records.write_bytes(gojson.encode(known))

    with open_store(store.options) as again, pytest.raises(DamagedError, match="not those it list"):
        again.export_images([image.id], str(tmp_path / "archive"))
    assert not (tmp_path / "archive").exists()
