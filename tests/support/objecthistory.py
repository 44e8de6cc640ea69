"""What images and containers go through with ID maps and a second store, up to a chosen stop.

Used by: tests of what a stop leaves. ``python -m tests.support.objecthistory BASE DRIVER STOP``;
see tests.support.storehistory.
"""

import os
import sys

from backend import Store, StoreOptions, open_store
from drivers.idmap.maps import IDMap
from tests.support import storehistory

MAP = (IDMap(0, 1000, 100),)
ITEMS = (("manifest", b"{}", None), ("config", b"c", None))


def options(base: str | os.PathLike[str], driver: str) -> StoreOptions:
    """A store below *base* that reads another one there."""
    shared = f"{driver}.imagestore={os.fspath(base)}/shared"
    return storehistory.options(base, driver)._replace(driver_options=(shared,))


def make(base: str, driver: str) -> None:
    """The store that is only read, with one image; and an image with a file in the other."""
    shared = StoreOptions(f"{base}/shared", f"{base}/run-shared", driver=driver, sync="none")
    with open_store(shared) as store:
        store.images.create(id="f" * 64, names=["far"], big_data=ITEMS)
    with open_store(options(base, driver)) as store:
        layer = store.layers.create(names=["base"], writable=False)
        with open(os.path.join(store.driver.diff_directory(layer.id), "file"), "w") as file:
            file.write("x")
        store.images.create(names=["i"], layer="base", big_data=ITEMS)


def everything(store: Store) -> None:
    """Every verb that takes several steps."""
    store.containers.create(
        names=["c"], image="i", uid_map=MAP, gid_map=MAP, big_data=[("d", b"1")]
    )
    store.images.add_names("far", ["near"])
    store.images.directory("near")
    store.delete("c")
    store.images.delete("i")
    store.delete("near")
    store.images.create(id="f" * 64, names=["again"], big_data=[("more", b"m", None)])


if __name__ == "__main__":
    make(sys.argv[1], sys.argv[2])
    with open_store(options(sys.argv[1], sys.argv[2])) as opened:
        storehistory.die_at(int(sys.argv[3]))
        everything(opened)
