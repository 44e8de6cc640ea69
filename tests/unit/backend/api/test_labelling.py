"""Labels of new containers on a machine with SELinux: where the policy is read, and levels."""

import subprocess
import sys
from pathlib import Path

import pytest

from backend import open_store
from tests.support import smallstore
from tests.support.gotools import Roots

pytestmark = [pytest.mark.root, pytest.mark.overlay]

POLICY = """
# what containers are labelled as
process = "system_u:system_r:container_t:s0"
file = "system_u:object_r:container_file_t:s0"
"""
SCENERY = """
set -e
mount -t tmpfs none /sys/fs && mkdir /sys/fs/selinux && touch /sys/fs/selinux/enforce
mount -t tmpfs none "$1" && mkdir -p "$(dirname "$1/$2")"
printf '%s' "$3" >"$1/$2"
shift 3
exec "$@"
"""
PROJECT = Path(__file__).parents[4]
CODE = """
import sys
from backend import open_store
from tests.support import smallstore
from tests.support.gotools import Roots
from pathlib import Path
with open_store(smallstore.options(Roots(Path(sys.argv[1]), Path(sys.argv[2])))) as store:
    for number in range(3):
        store.containers.create(names=[f"c{number}"])
    store.containers.create(names=["own"], process_label="u:r:p:s0", mount_label="u:r:f:s0")
    store.containers.create(names=["open"], label_options=["disable"])
    store.containers.create(names=["typed"], label_options=["type:t", "filetype:ft"])
"""


def machine(directory: str, file: str, code: str, *arguments: str) -> str:
    """Run *code* with mounts of its own, which show SELinux and, as *file*, its policy."""
    words = ["unshare", "--mount", "sh", "-c", SCENERY, "sh", directory, file, POLICY]
    command = [*words, sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=True, timeout=60, cwd=PROJECT, stdout=subprocess.PIPE)
    return done.stdout.decode()


@pytest.fixture
def labels(roots: Roots) -> dict[str, tuple[str, str]]:
    """Labels of containers that were made on such a machine, process and files by name."""
    machine("/usr/share", "containers/selinux/contexts", CODE, str(roots.graph), str(roots.run))
    with open_store(smallstore.options(roots)) as store:
        found = {}
        for container in store.snapshot().containers:
            layer = store.layers.find(container.layer)
            process, files = (container.flags[flag] for flag in ("ProcessLabel", "MountLabel"))
            assert layer.mount_label == files
            found[container.names[0]] = process, files
        return found


def test_containers_get_labels_of_the_policy_with_a_level_each(
    labels: dict[str, tuple[str, str]],
) -> None:
    levels = set()
    for name in ("c0", "c1", "c2"):
        process, files = labels[name]
        assert process.startswith("system_u:system_r:container_t:s0:c")
        assert files.startswith("system_u:object_r:container_file_t:s0:c")
        assert process.split(":", 3)[3] == files.split(":", 3)[3]
        levels.add(files)
    assert len(levels) == 3
    assert labels["own"] == ("u:r:p:s0", "u:r:f:s0")
    assert labels["open"] == ("", "system_u:object_r:container_file_t:s0:c1022,c1023")
    assert labels["typed"][0].startswith("system_u:system_r:t:s0:c")
    assert labels["typed"][1].startswith("system_u:object_r:ft:s0:c")


def test_the_policy_that_is_configured_is_read_where_none_is_for_containers() -> None:
    code = (
        "import os; from drivers.linux import selinux\n"
        "print(selinux.container_labels())\n"
        "os.makedirs('/etc/selinux/strict/contexts')\n"
        "os.rename('/etc/policy', '/etc/selinux/strict/contexts/lxc_contexts')\n"
        "open('/etc/selinux/config', 'w').write('# which\\nSELINUXTYPE=strict\\n')\n"
        "print(selinux.container_labels())\n"
    )
    without, told = machine("/etc", "policy", code).splitlines()
    assert without == "('', '')"
    assert told == str(
        ("system_u:system_r:container_t:s0", "system_u:object_r:container_file_t:s0")
    )


def test_without_selinux_there_are_no_labels_whatever_is_asked_for(roots: Roots) -> None:
    if Path("/sys/fs/selinux/enforce").exists():
        pytest.skip("this machine has SELinux")
    with open_store(smallstore.options(roots)) as store:
        container = store.containers.create(label_options=["type:t"])
    assert (container.flags["ProcessLabel"], container.flags["MountLabel"]) == ("", "")
