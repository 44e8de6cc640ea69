"""What a person is told whose overlay layer has lost a part: the part, and how to get it back."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backend import open_store
from backend.model.findings import Depth
from drivers.errors import LayerDirectoryError, MountFailedError
from tests.support import smallstore
from tests.support.gotools import Roots
from tests.support.smallstore import BASE, TOP

pytestmark = [pytest.mark.root, pytest.mark.overlay]

AGAIN = "remove the layer and pull or build its image again"
REPAIR = "storagefs repair --apply writes it again"


def _no_content(home: Path, web: str) -> Path:
    del web
    (home / BASE / "diff").rename(home / BASE / "elsewhere")
    return home / BASE / "diff"


def _content_is_a_file(home: Path, web: str) -> Path:
    _no_content(home, web).write_bytes(b"")
    return home / BASE / "diff"


def _no_place_to_work(home: Path, web: str) -> Path:
    (home / web / "work").rmdir()
    return home / web / "work"


def _chain_of_zeros(home: Path, web: str) -> Path:
    (home / web / "lower-layers").unlink(missing_ok=True)
    (home / web / "lower").write_bytes(bytes(40))
    return home / web / "lower"


def _link_elsewhere(home: Path, web: str) -> Path:
    del web
    link = home / "l" / (home / TOP / "link").read_text()
    link.unlink()
    link.symlink_to("/etc")
    return link


@pytest.mark.parametrize(
    ("damage", "remedy"),
    [
        (_no_content, AGAIN),
        (_content_is_a_file, AGAIN),
        (_no_place_to_work, "make an empty directory there"),
        (_chain_of_zeros, REPAIR),
        (_link_elsewhere, REPAIR),
    ],
)
def test_a_mount_names_the_part_that_is_lost(
    roots: Roots, damage: Callable[[Path, str], Path], remedy: str
) -> None:
    smallstore.make(roots)
    with open_store(smallstore.options(roots)) as store:
        web = store.containers.find("web").layer
        lost = damage(Path(store.driver.home), web)
        with pytest.raises(LayerDirectoryError) as told:
            store.mounts.mount("web")
        assert str(told.value).count(str(lost)) == 1
        assert told.value.remedy == remedy
        if remedy == REPAIR:
            store.repair(store.plan_repair(store.check(Depth.RECORDS)).steps)
            store.mounts.mount("web")
            store.mounts.unmount("web")


def test_the_repair_of_a_layer_cuts_none_above_it_off_from_those_below(roots: Roots) -> None:
    smallstore.make(roots)
    with open_store(smallstore.options(roots)) as store:
        home, web = Path(store.driver.home), store.containers.find("web").layer
    kept = (home / web / "lower").read_bytes()
    for name in ("lower", "lower-layers"):
        (home / TOP / name).unlink(missing_ok=True)
    with open_store(smallstore.options(roots)) as store:
        steps = store.plan_repair(store.check(Depth.RECORDS)).steps
        assert not [done for done in store.repair(steps) if done.error]
        assert store.check(Depth.RECORDS).sound
    assert (home / web / "lower").read_bytes() == kept


def test_a_mount_that_the_kernel_refuses_names_the_options(roots: Roots) -> None:
    smallstore.make(roots)
    options = smallstore.options(roots)._replace(
        driver_options=("overlay.mountopt=nodev,nonsense",)
    )
    with (
        open_store(options) as store,
        pytest.raises(MountFailedError, match=r"\(with the options .*nonsense"),
    ):
        store.mounts.mount("web")
