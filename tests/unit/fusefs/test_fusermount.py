"""The helper of FUSE, where it does not do its work."""

from pathlib import Path

import pytest

from fusefs import fusermount
from fusefs.fusermount import HelperError


def test_a_helper_that_never_ends_is_an_error_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "helper"
    helper.write_text("#!/bin/sh\nexec sleep 60\n")
    helper.chmod(0o755)
    monkeypatch.setattr(fusermount, "_PROGRAM", str(helper))
    monkeypatch.setattr(fusermount, "_SECONDS", 0.1)
    with pytest.raises(HelperError, match="does not answer"):
        fusermount.unmount("/nowhere")
