"""User namespaces whose IDs the store chooses."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backend import InvalidValueError, Store, StoreOptions, open_store
from backend.api import userns
from backend.api.userns import AutoUserNs
from backend.errors import NoAvailableIDsError
from backend.model.records import Container
from drivers.errors import IDMapError
from drivers.idmap.maps import IDMap
from drivers.idmap.subids import sub_ids

pytestmark = pytest.mark.root

Give = Callable[[str], None]


@pytest.fixture
def give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Give:
    """Write what takes the place of /etc/subuid and /etc/subgid."""
    monkeypatch.setattr(userns, "sub_ids", partial(sub_ids, directory=str(tmp_path)))

    def write(text: str) -> None:
        (tmp_path / "subuid").write_text(text)
        (tmp_path / "subgid").write_text(text)

    return write


@pytest.fixture
def image(store: Store) -> Path:
    """The root of an image with the name img."""
    layer = store.layers.create(writable=False)
    store.images.create(names=["img"], layer=layer.id)
    return Path(store.driver.diff_directory(layer.id))


def automatic(store: Store, image: str | None = "img", **wanted: Any) -> Container:
    return store.containers.create(image=image, auto_userns=AutoUserNs(**wanted))


def test_each_container_gets_the_lowest_ids_that_are_free(
    store: Store, image: Path, give: Give
) -> None:
    give("containers:100000:3000\n")
    first, second = automatic(store), automatic(store)
    assert first.uid_map == first.gid_map == (IDMap(0, 100_000, 1024),)
    assert second.uid_map == (IDMap(0, 101_024, 1024),)
    with pytest.raises(NoAvailableIDsError) as refused:
        automatic(store)
    assert (refused.value.kind, refused.value.wanted, refused.value.free) == ("user", 1024, 952)
    assert len(store.snapshot().containers) == 2
    store.containers.delete(first.id)
    assert automatic(store).uid_map == (IDMap(0, 100_000, 1024),)


def test_ids_in_several_pieces_make_one_namespace(store: Store, image: Path, give: Give) -> None:
    give("containers:100000:1000\ncontainers:200000:1000\n")
    explicit = (IDMap(0, 100_100, 50),)
    store.containers.create(image="img", uid_map=explicit, gid_map=explicit)
    made = automatic(store, size=1200)
    pieces = (IDMap(0, 100_000, 100), IDMap(100, 100_150, 850), IDMap(950, 200_000, 250))
    assert made.uid_map == made.gid_map == pieces


def test_additional_maps_take_their_ids_out_of_both_sides(
    store: Store, image: Path, give: Give
) -> None:
    give("containers:100000:5000\n")
    own = (IDMap(10, 100_005, 2),)
    made = automatic(store, size=100, additional_uid_map=own)
    assert made.uid_map == (
        IDMap(0, 100_000, 5),
        IDMap(5, 100_007, 5),
        IDMap(12, 100_012, 88),
        *own,
    )
    assert made.gid_map == (IDMap(0, 100_000, 100),)


def test_the_image_decides_about_the_size(store: Store, image: Path, give: Give) -> None:
    give("containers:100000:200000\n")
    (image / "etc").mkdir()
    (image / "etc/passwd").write_text("x:x:4999:30::\n")
    assert automatic(store).uid_map[0].size == 5000
    assert automatic(store, size=700).uid_map[0].size == 700
    assert automatic(store, initial_size=6000).uid_map[0].size == 6000
    (image / "etc/passwd").write_text("x:x:70000:30::\n")
    with pytest.raises(InvalidValueError, match=r"70001.*65536"):
        automatic(store)
    assert automatic(store, size=70001).uid_map[0].size == 70001


def test_a_container_on_nothing_has_the_smallest_size(store: Store, give: Give) -> None:
    give("containers:100000:5000\n")
    assert automatic(store, image=None).uid_map[0].size == 1024


def test_owners_in_the_image_s_layers_count(options: StoreOptions, give: Give) -> None:
    give("containers:100000:200000\n")
    with open_store(options) as store:
        layer = store.layers.create(writable=False)
        store.images.create(names=["img"], layer=layer.id)
    path = Path(options.graph_root, f"{options.driver}-layers", "layers.json")
    path.write_text(path.read_text().replace("}]", ',"uidset":[0,2000],"gidset":[3000]}]'))
    with open_store(options) as store:
        assert automatic(store).uid_map[0].size == 3001


def test_storage_conf_says_whose_ids_and_how_many(options: StoreOptions, give: Give) -> None:
    give("containers:100000:5000\nother:500000:5000\n")
    set_ = options._replace(
        root_auto_userns_user="other", auto_userns_min_size=10, auto_userns_max_size=20
    )
    with open_store(set_) as store:
        made = automatic(store, image=None)
        assert made.uid_map == (IDMap(0, 500_000, 10),)
        with pytest.raises(InvalidValueError):
            automatic(store, image=None, initial_size=21)


def test_without_subordinate_ids_the_file_and_the_user_are_named(store: Store, give: Give) -> None:
    give("someone:100000:5000\n")
    with pytest.raises(IDMapError, match="'containers'") as refused:
        automatic(store, image=None)
    assert "root-auto-userns-user" in refused.value.remedy
    assert len(store.snapshot().layers) == 0


def test_in_a_user_s_own_namespace_ids_start_at_one(options: StoreOptions, give: Give) -> None:
    give("1000:300000:3000\nroot:1:1\n")
    with open_store(options._replace(rootless=True, rootless_user="1000")) as store:
        available = userns._available(store._shop)
        assert [ids.intervals for ids in available] == [((1, 3001),)] * 2


def test_files_of_namespaces_of_their_own_belong_to_their_ids(
    store: Store, image: Path, give: Give
) -> None:
    give("containers:100000:5000\n")
    (image / "file").write_text("x")
    for number in range(2):
        container = automatic(store)
        place = Path(store.mounts.mount(container.id))
        assert (place / "file").stat().st_uid == 100_000 + 1024 * number
        store.mounts.unmount(container.id)
