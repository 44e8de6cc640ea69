"""What is pending is renamed only while it is, and never over another."""

import pytest

from fusefs.nodes.pending import Pending, PendingContainer


def test_one_that_was_bound_meanwhile_cannot_be_renamed() -> None:
    with pytest.raises(FileNotFoundError):
        Pending().rename_container("web", "db")


def test_a_name_that_was_taken_meanwhile_stays_with_its_owner() -> None:
    pending = Pending()
    web, db = (PendingContainer(id=name, names=(name,)) for name in ("web", "db"))
    pending.add_container("web", web)
    pending.add_container("db", db)
    with pytest.raises(FileExistsError):
        pending.rename_container("web", "db")
    assert pending.containers() == {"web": web, "db": db}
