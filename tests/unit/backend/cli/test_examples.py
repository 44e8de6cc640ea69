"""The example of each verb does what it says, on a store that has what the examples name."""

import io
import shlex
import shutil
import tarfile
from pathlib import Path

import pytest

from backend.cli.grammar import Verb
from fusefs.verbs import VERBS
from tests.support import ociimage
from tests.support.commandline import Storagefs
from tests.support.gotools import Roots

pytestmark = pytest.mark.root

ELSEWHERE = {
    "mount": "tests/mount mounts trees",
    "umount": "tests/mount mounts trees",
    "errors": "it needs a mounted tree",
    "applydiff-using-staging-dir": "it needs a setting: test_staging.py",
    "install-help": "it writes into the machine: test_installing.py",
    "unshare": "it needs user namespaces: test_unshare.py",
}
"""Verbs whose example cannot run here, and why."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a store of the vfs driver and the files of the examples."""
    base = tmp_path_factory.mktemp("examples")
    storagefs = at(base)
    (base / "state.json").write_text('{"state": 1}\n')
    with tarfile.open(base / "layer.tar", "w") as tar:
        info = tarfile.TarInfo("file")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"text"))
    (base / "layout").mkdir()
    ociimage.write_layout(base / "layout", [[ociimage.Entry("motd", b"hello")]])
    for words in (
        f"import -n localhost/demo:1 {base}/layout",
        f"import-layer -n base -f {base}/layer.tar",
        "create-layer -n top base",
        "create-image -n localhost/old:1 base",
        "create-container -n web localhost/demo:1",
        f"export localhost/demo:1 {base}/demo.tar",
    ):
        done = storagefs(*words.split())
        assert done.code == 0, done.err
    for kind, name in (("layer", "base"), ("image", "localhost/demo:1"), ("container", "web")):
        assert storagefs(f"set-{kind}-data", name, "state", stdin=b"{}").code == 0
    return base


def at(base: Path) -> Storagefs:
    """The command on the store in *base*."""
    return Storagefs(Roots(base / "graph", base / "run"))


@pytest.mark.parametrize(
    "verb", [verb for verb in VERBS if verb.name not in ELSEWHERE], ids=lambda verb: verb.name
)
def test_the_example_works(
    verb: Verb, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    shutil.copytree(template, here, symlinks=True)
    monkeypatch.chdir(here)

    done = at(here)(*shlex.split(verb.example))

    assert (done.code, done.err) == (0, b"")
