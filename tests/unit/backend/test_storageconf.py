"""Merging texts of storage.conf."""

import pytest

from backend.codec.storageconf import Settings, merge
from backend.errors import ConfigError


def merged(*texts: str) -> Settings:
    return merge((f"file{number}", text.encode()) for number, text in enumerate(texts, 1))


def value(settings: Settings, key: str) -> object:
    return settings.values[key].value


def test_a_later_file_wins_also_with_an_empty_value() -> None:
    settings = merged(
        '[storage]\ndriver = "overlay"\nrunroot = "/a"\ntransient_store = true',
        '[storage]\ndriver = ""\ntransient_store = false',
    )

    assert value(settings, "driver") == ""
    assert settings.values["driver"].origin == "file2"
    assert value(settings, "transient_store") is False
    assert settings.values["runroot"].origin == "file1"


def test_pull_options_merge_key_by_key() -> None:
    settings = merged(
        '[storage.options]\npull_options = {enable_partial_images = "true", use_hard_links = "a"}',
        '[storage.options.pull_options]\nuse_hard_links = "b"',
    )

    pull = {key: (s.value, s.origin) for key, s in settings.pull_options.items()}
    assert pull == {"enable_partial_images": ("true", "file1"), "use_hard_links": ("b", "file2")}


def test_a_list_is_replaced_by_a_later_one() -> None:
    settings = merged(
        '[storage.options]\nadditionalimagestores = ["/a"]',
        '[storage.options]\nadditionalimagestores = ["/b"]',
    )

    assert value(settings, "options.additionalimagestores") == ("/b",)


def test_append_sticks_until_it_is_switched_off() -> None:
    def texts(*lists: str) -> tuple[str, ...]:
        return tuple(f"[storage]\ndriver_priority = {items}" for items in lists)

    sticky = merged(*texts('["a"]', '["b", {append=true}]', '["c"]'))
    ended = merged(*texts('["a"]', '[{append=true}, "b"]', '[{append=false}, "c"]', '["d"]'))

    assert value(sticky, "driver_priority") == ("a", "b", "c")
    assert sticky.values["driver_priority"].origin == "file1, file2, file3"
    assert value(ended, "driver_priority") == ("d",)


@pytest.mark.parametrize(("written", "read"), [('"true"', "true"), ("true", "true"), ('"0"', "0")])
def test_string_booleans_are_read_from_either_spelling(written: str, read: str) -> None:
    settings = merged(f"[storage.options.overlay]\nskip_mount_home = {written}")

    assert value(settings, "options.overlay.skip_mount_home") == read


def test_a_switch_may_be_quoted() -> None:
    assert value(merged('[storage]\ntransient_store = "true"'), "transient_store") is True


def test_a_number_as_mode_becomes_octal_text() -> None:
    assert value(merged("[storage.options]\nforce_mask = 0o700"), "options.force_mask") == "700"


def test_unknown_keys_are_kept_aside_with_their_file() -> None:
    settings = merged('[storage]\ngraphrot = "/x"\n[storage.options.x]\na = "b"\n[other]')

    assert settings.unknown == (
        ("file1", "storage.graphrot"),
        ("file1", "storage.options.x"),
        ("file1", "other"),
    )
    assert settings.values == {}


def test_tables_of_former_drivers_are_no_surprise() -> None:
    assert merged("[storage.options.thinpool]\n[storage.options.aufs]").unknown == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[storage\n", "not valid TOML"),
        ("[storage]\ndriver = 1", "storage.driver"),
        ('[storage]\ndriver_priority = "overlay"', "storage.driver_priority"),
        ("[storage]\ndriver_priority = [1]", "storage.driver_priority"),
        ("[storage]\ndriver_priority = [{append=1}]", "storage.driver_priority"),
        ("[storage]\ndriver_priority = [{prepend=true}]", "storage.driver_priority"),
        ("[storage]\ntransient_store = 1", "storage.transient_store"),
        ("[storage.options]\nauto-userns-min-size = -1", "storage.options.auto-userns-min-size"),
        ("[storage.options]\npull_options = []", "storage.options.pull_options"),
        ("[storage.options]\npull_options = {a=1}", "storage.options.pull_options.a"),
    ],
)
def test_a_bad_value_names_file_key_and_remedy(text: str, names: str) -> None:
    with pytest.raises(ConfigError) as raised:
        merged(text)

    assert raised.value.origin == "file1"
    assert "file1" in str(raised.value)
    assert names in str(raised.value)
    assert raised.value.remedy


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ConfigError, match="bad file"):
        merge([("bad file", b'[storage]\ndriver = "\xff"')])
