"""Containers with ID maps in the store of a user who is not root."""

import sys
from collections.abc import Iterator

import pytest

from tests.support import rootless

pytestmark = [pytest.mark.root, pytest.mark.rootless]

INSIDE = ("unshare", "--user", "--map-root-user", "--map-auto", "--mount")
"""A user namespace with all IDs of the user, as podman makes it."""

SCRIPT = """
import os, sys
from backend import open_store
from backend.api.userns import AutoUserNs
from backend.config import load_options
from drivers.idmap.maps import IDMap

home, driver = sys.argv[1:]
options = load_options(graph_root=home + "/g", run_root=home + "/r", driver=driver)
assert options.rootless, options
with open_store(options) as store:
    layer = store.layers.create(writable=False)
    base = store.driver.diff_directory(layer.id)
    os.chmod(base, 0o755)
    os.mkdir(base + "/etc")
    with open(base + "/etc/passwd", "w") as file:
        file.write("me:x:1999:7::\\n")
    os.chown(base + "/etc/passwd", 5, 6)
    store.images.create(names=["img"], layer=layer.id)
    given = (IDMap(0, 1, 100),)
    store.containers.create(names=["given"], image="img", uid_map=given, gid_map=given)
    made = store.containers.create(names=["auto"], image="img", auto_userns=AutoUserNs())
    print(*made.uid_map[0])
    for name in ("given", "auto"):
        place = store.mounts.mount(name)
        status = os.stat(place + "/etc/passwd")
        print(status.st_uid, status.st_gid)
        with open(place + "/new", "w") as file:
            file.write("x")
        store.mounts.unmount(name)
        print(store.containers.size(name))
        store.containers.delete(name)
    print(len(store.images.delete("img")), len(store.driver.list_layers()))
"""


@pytest.fixture
def user() -> Iterator[rootless.User]:
    with rootless.user() as made:
        yield made


@pytest.mark.parametrize("driver", ["vfs", "overlay"])
def test_a_user_makes_containers_with_maps_inside_the_own_namespace(
    user: rootless.User, driver: str
) -> None:
    done = user.run(*INSIDE, sys.executable, "-c", SCRIPT, str(user.home), driver)
    chosen, *owners, left = done.stdout.decode().splitlines()
    assert chosen == "0 101 2000"  # 0 is the user, the first hundred are given
    assert owners == ["6 7", "1", "106 107", "1"]
    assert left == "3 0"  # the layer and a copy for each set of owners
