"""Options of the overlay driver, and what becomes of mount options."""

import pytest

from drivers.errors import DriverOptionError
from drivers.linux import mount
from drivers.overlay.mountdata import OverlayMount, split_options
from drivers.overlay.options import OverlayOptions, parse_options


def test_every_known_option_is_read() -> None:
    found = parse_options(
        (
            ("mountopt", "nodev,metacopy=on"),
            ("imagestore", "/a,/b"),
            ("additionalimagestore", "/c"),
            ("skip_mount_home", "true"),
            ("ignore_chown_errors", "0"),
            ("force_mask", "shared"),
            ("size", "10G"),
            ("override_kernel_check", "1"),
        )
    )
    assert found == OverlayOptions(
        mount_options=("nodev", "metacopy=on"),
        image_stores=("/a", "/b", "/c"),
        skip_mount_home=True,
        force_mask=0o755,
        size="10G",
    )


def test_the_last_of_several_wins() -> None:
    assert parse_options((("mountopt", "nodev"), ("mountopt", "ro"))).mount_options == ("ro",)


@pytest.mark.parametrize(
    ("key", "value"),
    [("nonsense", ""), ("use_composefs", "maybe"), ("force_mask", "8"), ("imagestore", "a")],
)
def test_what_cannot_be_understood_is_refused_by_name(key: str, value: str) -> None:
    with pytest.raises(DriverOptionError, match=key):
        parse_options(((key, value),))


def test_flags_are_split_from_what_is_overlays_own_and_the_last_wins() -> None:
    flags, rest = split_options(["nodev", "ro", "metacopy=on", "rw", "noatime", "", "volatile"])
    assert flags == mount.MS_NODEV | mount.MS_NOATIME
    assert rest == ("metacopy=on", "volatile")


def test_both_languages_say_the_same() -> None:
    overlay = OverlayMount(
        lowers=("/a", "/b"),
        upper="/u",
        work="/w",
        flags=mount.MS_NODEV,
        options=("metacopy=on", "volatile"),
        label="system_u:object_r:c1,c2",
    )
    assert overlay.data() == (
        "lowerdir=/a:/b,upperdir=/u,workdir=/w,metacopy=on,volatile,"
        'context="system_u:object_r:c1,c2"'
    )
    assert overlay.settings() == [
        ("lowerdir+", "/a"),
        ("lowerdir+", "/b"),
        ("upperdir", "/u"),
        ("workdir", "/w"),
        ("metacopy", "on"),
        ("volatile", None),
        ("context", "system_u:object_r:c1,c2"),
    ]
    assert overlay.attributes() == mount.MOUNT_ATTR_NODEV
    assert not overlay.has_separators()


def test_a_mount_without_an_upper_directory_is_read_only() -> None:
    overlay = OverlayMount(lowers=("/a", "/b"), flags=mount.MS_RDONLY)
    assert overlay.data() == "lowerdir=/a:/b"
    assert ("ro", None) in overlay.settings()
    assert overlay.attributes() == mount.MOUNT_ATTR_RDONLY


@pytest.mark.parametrize("path", ["/a:b", "/a,b", "/a\\b", '/a"b'])
def test_separators_in_paths_are_seen(path: str) -> None:
    assert OverlayMount(lowers=(path, "/b")).has_separators()
    assert OverlayMount(lowers=("/b",), upper=path, work="/w").has_separators()


@pytest.mark.parametrize(
    "option", ["upperdir=/etc", "nodev,lowerdir=/etc", "workdir", "datadir+=/x"]
)
def test_mount_options_cannot_name_directories(option: str) -> None:
    with pytest.raises(DriverOptionError, match="directories"):
        split_options(["nosuid", option])
