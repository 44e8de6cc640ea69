import errno

import pytest

from fusefs.handles import HandleTable


def test_a_number_is_good_until_it_is_removed_and_never_used_again() -> None:
    table: HandleTable[str] = HandleTable()
    first = table.add("a")

    assert table.get(first) == "a"
    assert table.remove(first) == "a"
    assert len(table) == 0
    second = table.add("b")
    assert second != first
    for use in (table.get, table.remove):
        with pytest.raises(OSError, match="not open") as refused:
            use(first)
        assert refused.value.errno == errno.EBADF
    assert table.all() == ["b"]
