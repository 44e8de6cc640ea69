"""Sizes as a configuration writes them, and which options there are."""

import pytest

from drivers.btrfs.options import parse_options, size_of_container
from drivers.errors import DriverOptionError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("10G", 10 << 30),
        ("512 MiB", 512 << 20),
        ("1.5k", 1536),
        ("2tb", 2 << 40),
        ("1B", 1),
    ],
)
def test_a_size_is_bytes_or_multiples_of_1024(text: str, size: int) -> None:
    assert parse_options([("size", text)]).size == size


@pytest.mark.parametrize("text", ["", "G", "10X", "-1", "1..5", "0", "0.1", "1e3", "\u0661"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(DriverOptionError, match=r"btrfs\.size") as caught:
        parse_options([("size", text)])
    assert caught.value.remedy


def test_a_size_below_the_least_one_is_refused() -> None:
    assert parse_options([("size", "2G"), ("min_space", "1G")]).size == 2 << 30
    with pytest.raises(DriverOptionError, match="min_space"):
        parse_options([("size", "1G"), ("min_space", "2G")])


def test_the_least_size_alone_limits_nothing() -> None:
    assert parse_options([("min_space", "1G")]).size == 0
    with pytest.raises(DriverOptionError, match="min_space"):
        parse_options([("min_space", "much")])


@pytest.mark.parametrize("key", ["mountopt", "imagestore", "nonsense"])
def test_other_options_are_refused_by_name(key: str) -> None:
    with pytest.raises(DriverOptionError, match=f"btrfs.{key}"):
        parse_options([(key, "x")])


def test_a_container_may_have_a_size_of_its_own_within_the_least_one() -> None:
    options = parse_options([("size", "2G"), ("min_space", "1G")])
    assert size_of_container(options, {"SIZE": "1G"}) == 1 << 30
    assert size_of_container(options, {}) == 2 << 30
    with pytest.raises(DriverOptionError, match="min_space"):
        size_of_container(options, {"size": "1M"})
    with pytest.raises(DriverOptionError, match=r"btrfs\.inodes.*unknown"):
        size_of_container(options, {"size": "1G", "inodes": "5"})
