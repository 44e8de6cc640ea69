"""What people and their tools do to the mounted tree, step after step without a pause."""

import subprocess
from collections.abc import Callable

import pytest

from tests.support import smallstore
from tests.support.gotools import Roots
from tests.support.mounted import Mounted

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.fuse]

MountStore = Callable[..., Mounted]


@pytest.fixture
def tree(roots: Roots, mount_store: MountStore) -> Mounted:
    smallstore.make(roots)
    return mount_store(roots)


def shell(tree: Mounted, script: str) -> str:
    """What *script* prints, run at the root of the tree; errors fail the test."""
    command = ["sh", "-euc", script]
    done = subprocess.run(
        command, cwd=tree.where, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_values_written_before_a_container_exists_are_there_when_it_does(tree: Mounted) -> None:
    for name in ("p1", "p2", "p3"):
        shown = shell(
            tree,
            f"""mkdir containers/{name}; ls -l containers/{name} >/dev/null
            echo kept > containers/{name}/metadata
            ln -s ../../images/localhost/small:1 containers/{name}/image
            cat containers/{name}/metadata containers/{name}/names
            ls -l containers/{name} | grep -c names
            rmdir containers/{name}""",
        )
        assert shown == f"kept\n{name}\n1\n"
