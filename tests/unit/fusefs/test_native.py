"""What goes wrong with native mounts ends none of the tree that they are offered on."""

import errno
import os
from pathlib import Path

import pytest
import trio

from backend import StoreOptions, open_store
from drivers.linux import mountinfo
from fusefs.heldmounts import HeldMounts
from fusefs.native import NativeMounts
from fusefs.nodes.content import Content
from fusefs.nodes.guard import DeletionGuard
from fusefs.nodes.identity import Looks
from fusefs.offload import Offload
from fusefs.options import MountOptions


def test_no_free_descriptor_for_the_table_of_mounts_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(path: str = "") -> list[mountinfo.MountEntry]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    monkeypatch.setattr(mountinfo, "read", failing)
    mount = MountOptions(where=str(tmp_path), idle_seconds=0.1)

    async def run() -> bool:
        offload, guard = Offload(), DeletionGuard()
        content = Content(store, held, guard, can_mount=True, read_only=False, looks=Looks())
        native = NativeMounts(
            content, held, mount, offload, guard, enabled=True, path_of=lambda _: ""
        )
        native.mounted("0:1")
        with trio.move_on_after(0.3) as waited:
            await native.run()
        offload.close()
        return waited.cancelled_caught

    options = StoreOptions(str(tmp_path / "graph"), str(tmp_path / "run"), driver="vfs")
    with open_store(options) as store:
        held = HeldMounts(store, options.run_root)
        assert trio.run(run)
    assert "Too many open files" in caplog.text
