"""Copying gives back what it mounted."""

from pathlib import Path
from typing import Any

import pytest

from backend import Store
from backend.api.copying import copy
from backend.api.mounts import Mounts

pytestmark = pytest.mark.root


def test_a_target_is_mounted_only_while_something_is_copied(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    made = store.containers.create(names=("web",))

    store.copy([str(tmp_path / "file")], f"{made.layer}:/file")

    assert store.mounts.count(made.id) == 0
    assert (Path(store.driver.diff_directory(made.layer)) / "file").read_text() == "x"


class TakenAway(Mounts):
    """The real verbs; somebody takes each mount point away at the worst moment."""

    def mount(self, reference: str, **how: Any) -> str:
        return super().mount(reference, **how) + "/taken away"


def test_a_target_that_cannot_be_opened_is_unmounted_again(store: Store, tmp_path: Path) -> None:
    made = store.containers.create(names=("web",))
    mounts = TakenAway(store.mounts._shop)

    with pytest.raises(FileNotFoundError):
        copy(mounts._shop, mounts, [str(tmp_path)], f"{made.layer}:/", owner=None)

    assert store.mounts.count(made.id) == 0
