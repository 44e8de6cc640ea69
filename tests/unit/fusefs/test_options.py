import pytest

from fusefs.options import MountOptionError, MountOptions, parse


def test_nothing_said_is_a_writable_mount_with_native_mounts_for_its_owner_only() -> None:
    options = parse("", "/mnt")

    assert options == MountOptions(where="/mnt")
    assert not options.read_only
    assert not options.allow_other
    assert options.native == "auto"


def test_options_of_every_kind_are_read() -> None:
    options = parse(
        "ro,allow_other,native=off,ids=host,symlinks=raw,idle=2.5,native_max=3,log=/x", "/m"
    )

    assert options == MountOptions(
        where="/m",
        read_only=True,
        allow_other=True,
        native="off",
        idle_seconds=2.5,
        native_max=3,
        log="/x",
    )


def test_the_last_word_wins() -> None:
    assert not parse("ro,rw", "/m").read_only
    assert parse("rw,ro", "/m").read_only


def test_what_fstab_has_for_others_is_accepted_and_means_nothing() -> None:
    text = (
        "noauto,user,nofail,_netdev,defaults,suid,dev,exec,x-systemd.automount,comment=a b,noatime"
    )

    assert parse(text, "/m") == MountOptions(where="/m")


def test_options_that_choose_the_store_are_kept_for_the_command_line() -> None:
    options = parse(r"store=/a\,b,runroot=/r", "/m")

    assert dict(options.store) == {"store": "/a,b", "runroot": "/r"}


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "native=perhaps",
        "ids=nobody",
        "native",
        "ro=1",
        "idle=soon",
        "idle=-1",
        "idle=nan",
        "native_max=1.5",
        "unknown=1",
        "store",
    ],
)
def test_what_is_not_understood_is_refused_with_the_list_of_what_is(text: str) -> None:
    with pytest.raises(MountOptionError) as refused:
        parse(f"ro,{text}", "/m")

    assert refused.value.option == text
    assert text in str(refused.value)
    for known in ("allow_other", "native=auto|off", "idle=", "store="):
        assert known in refused.value.remedy
