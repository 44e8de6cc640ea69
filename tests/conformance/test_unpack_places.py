"""The whole corpus through a store, and in a user namespace."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend import StoreOptions, open_store
from drivers.errors import ArchiveError, UnpackFailedError
from tests.support import hostile
from tests.support.gotools import Roots
from tests.support.hostilecases import CASES
from tests.support.unpacking import DRIVERS, Box

pytestmark = pytest.mark.root

PROJECT = Path(__file__).parents[2]
IN_NAMESPACE = """
import json, os, sys
from pathlib import Path
from drivers.archive.unpack import UnpackOptions
from drivers.errors import ArchiveError, UnpackFailedError
from tests.support import hostile
from tests.support.hostilecases import CASES
from tests.support.unpacking import Box, unpack
OPTIONS = UnpackOptions(rootless=True, ignore_chown_errors=True, xattr_prefix=b"user.overlay.")
whiteouts, found = sys.argv[2], {}
for number, case in enumerate(CASES):
    base = Path(sys.argv[1], str(number))
    base.mkdir()
    box, words = Box(base), ""
    try:
        for members in (case.lower if whiteouts == "remove" else (), case.members):
            data = hostile.archive(members, os.fsencode(box.outside))
            unpack(box.root, data, whiteouts, OPTIONS)
    except (ArchiveError, UnpackFailedError) as error:
        words = str(error)
    found[case.name] = (box.is_intact(), words)
print(json.dumps(found))
"""
OTHERWISE_IN_NAMESPACE = {"hard link to a device", "attribute on a link", "access lists"}
"""The device is left out, and so is the attribute that the kernel refuses; it has no user 5."""


@pytest.mark.overlay
@pytest.mark.slow
@pytest.mark.parametrize("whiteouts", DRIVERS)
def test_a_store_has_a_layer_for_each_good_archive_and_nothing_of_a_bad_one(
    whiteouts: str, tmp_path: Path, roots: Roots
) -> None:
    box = Box(tmp_path)
    outside = os.fsencode(box.outside)
    driver = DRIVERS[whiteouts]
    options = StoreOptions(
        graph_root=os.fspath(roots.graph), run_root=os.fspath(roots.run), driver=driver
    )
    parents: dict[bytes, str] = {}
    expected = set()
    with open_store(options) as store:
        for case in CASES:
            lower = hostile.archive(case.lower, outside) if case.lower else b""
            if lower and lower not in parents:
                parents[lower] = store.layers.put(io.BytesIO(lower)).id
                expected.add(parents[lower])
            data = io.BytesIO(hostile.archive(case.members, outside))
            if case.words(whiteouts):
                with pytest.raises((ArchiveError, UnpackFailedError), match=case.words(whiteouts)):
                    store.layers.put(data, parent=parents.get(lower))
            else:
                expected.add(store.layers.put(data, parent=parents.get(lower)).id)
        assert {layer.id for layer in store.snapshot().layers} == expected
        assert set(store.driver.list_layers()) == expected
    assert box.is_intact()
    left = {"staging", "tempdirs"} & set(os.listdir(roots.graph / driver))
    for name in left:
        assert os.listdir(roots.graph / driver / name) == []


@pytest.mark.parametrize("whiteouts", DRIVERS)
def test_the_corpus_stays_inside_in_a_user_namespace(whiteouts: str, tmp_path: Path) -> None:
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", IN_NAMESPACE]
    done = subprocess.run(
        [*command, str(tmp_path), whiteouts],
        cwd=PROJECT,
        capture_output=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert len(found) == len(CASES)
    assert [name for name, (intact, _) in found.items() if not intact] == []
    otherwise = {c.name for c in CASES if bool(found[c.name][1]) != bool(c.words(whiteouts))}
    assert otherwise == OTHERWISE_IN_NAMESPACE
