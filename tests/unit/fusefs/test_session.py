"""What a session does by itself ends none of the tree that it serves."""

import errno
import os
from pathlib import Path

import pytest

from backend import StoreOptions, open_store
from fusefs.nodes.guard import ObjectKey
from fusefs.nodes.journal import Event
from fusefs.options import MountOptions
from fusefs.session import _Parts


def test_a_deleted_object_that_cannot_be_let_go_now_goes_when_it_is_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(key: ObjectKey) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), key.id)

    options = StoreOptions(str(tmp_path / "graph"), str(tmp_path / "run"), driver="vfs")
    with open_store(options) as store:
        parts = _Parts(store, MountOptions(where=str(tmp_path)))
        monkeypatch.setattr(parts._content, "let_go", failing)
        parts._let_go([Event(event="deleted", kind="container", id="c" * 64)], store.snapshot())
    assert "Too many open files" in caplog.text
