"""SELinux labels of containers: what options make of the policy's."""

import pytest

from backend.errors import InvalidValueError
from backend.model.labels import Labels, choose_labels, level_of

POLICY = Labels("system_u:system_r:container_t:s0", "system_u:object_r:container_file_t:s0")
PLAIN = Labels("system_u:system_r:container_t", "system_u:object_r:container_file_t")


def chosen(*options: str, used: tuple[str, ...] = (), start: int = 1) -> Labels:
    return choose_labels(options, POLICY, used, start)


def test_process_and_files_get_one_level_that_nobody_has() -> None:
    process, files = chosen()
    assert process == "system_u:system_r:container_t:s0:c0,c1"
    assert files == "system_u:object_r:container_file_t:s0:c0,c1"
    assert level_of(chosen(used=("s0:c0,c1", "s0:c0,c2")).files) == "s0:c0,c3"


@pytest.mark.parametrize("start", [0, 1023, 1024, 1024**2 - 1, 1024 * 1022 + 1022, 2**32 - 1])
def test_wherever_the_search_begins_the_categories_are_two_in_order(start: int) -> None:
    first, second = (int(one[1:]) for one in level_of(chosen(start=start).files)[3:].split(","))
    assert 0 <= first < second < 1024
    assert (first, second) != (1022, 1023)


def test_when_every_pair_is_in_use_that_is_said() -> None:
    class Everything(tuple[str]):
        __slots__ = ()

        def __contains__(self, level: object) -> bool:
            return True

    with pytest.raises(InvalidValueError, match="in use"):
        choose_labels((), POLICY, Everything(), 77)


def test_options_change_their_parts_and_the_files_follow_in_user_and_level() -> None:
    process, files = chosen("user:u", "role:r", "type:t", "level:s0:c5,c9", "filetype:ft")
    assert (process, files) == ("u:r:t:s0:c5,c9", "u:object_r:ft:s0:c5,c9")


def test_without_separation_the_processes_have_no_label_and_files_the_privileged_level() -> None:
    assert chosen("type:t", "disable") == ("", "system_u:object_r:container_file_t:s0:c1022,c1023")


@pytest.mark.parametrize(
    "option", ["", "nonsense", "nested", "nested:1", "Type:t", "disable:", ":"]
)
def test_unknown_options_are_refused_with_those_that_there_are(option: str) -> None:
    with pytest.raises(InvalidValueError, match="bad label option") as caught:
        chosen(option)
    assert "filetype" in caught.value.remedy


def test_a_policy_without_levels_or_without_containers_gives_none() -> None:
    assert choose_labels((), PLAIN, (), 1) == PLAIN
    assert choose_labels(("type:t",), Labels(POLICY.process, ""), (), 1) == Labels()


def test_a_policy_that_is_no_label_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="user:role"):
        choose_labels((), Labels("container_t", "x"), (), 1)
