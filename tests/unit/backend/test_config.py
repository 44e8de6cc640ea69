"""Which files, variables and flags decide about a store."""

from pathlib import Path

import pytest

from backend.config import ProcessEnvironment, load_options
from backend.errors import ConfigError
from drivers.idmap.maps import IDMap


class Machine:
    """Configuration directories of a machine and a user, under one temporary directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.usr = root / "usr"
        self.etc = root / "etc"
        self.home = root / "home"
        self.home.mkdir()

    def write(self, path: str, text: str) -> str:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return str(file)

    def environment(self, *, uid: int = 0, **variables: str) -> ProcessEnvironment:
        return ProcessEnvironment(
            uid=uid,
            variables={"HOME": str(self.home), **variables},
            system_directories=(str(self.usr), str(self.etc)),
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def storage(**values: str) -> str:
    return "[storage]\n" + "".join(f'{key} = "{value}"\n' for key, value in values.items())


def test_without_any_file_root_gets_the_built_in_places(machine: Machine) -> None:
    options = load_options(environment=machine.environment())

    assert options.graph_root == "/var/lib/containers/storage"
    assert options.run_root == "/run/containers/storage"
    assert options.driver == ""
    assert options.sync == "filesystem"
    assert options.origins["graph_root"] == "built-in default"


def test_the_first_main_file_counts_alone(machine: Machine) -> None:
    machine.write("usr/storage.conf", storage(graphroot="/usr-graph", runroot="/usr-run"))
    etc = machine.write("etc/storage.conf", storage(graphroot="/etc-graph"))

    options = load_options(environment=machine.environment())

    assert options.graph_root == "/etc-graph"
    assert options.origins["graph_root"] == etc
    assert options.run_root == "/run/containers/storage"


def test_the_users_file_comes_first_for_root_too(machine: Machine) -> None:
    machine.write("etc/storage.conf", storage(graphroot="/etc-graph"))
    machine.write("home/.config/containers/storage.conf", storage(graphroot="/user-graph"))
    machine.write("xdg/containers/storage.conf", storage(graphroot="/xdg-graph"))

    assert load_options(environment=machine.environment()).graph_root == "/user-graph"
    xdg = machine.environment(XDG_CONFIG_HOME=str(machine.root / "xdg"))
    assert load_options(environment=xdg).graph_root == "/xdg-graph"


def test_drop_ins_are_read_by_name_and_the_strongest_directory_wins(machine: Machine) -> None:
    machine.write("etc/storage.conf", storage(driver="vfs", graphroot="/main"))
    machine.write("usr/storage.conf.d/50-b.conf", storage(driver="overlay", graphroot="/hidden"))
    strong = machine.write("etc/storage.conf.d/50-b.conf", storage(driver="btrfs"))
    machine.write("home/.config/containers/storage.conf.d/10-a.conf", storage(driver="zfs"))
    machine.write("etc/storage.conf.d/90-c.txt", storage(driver="not read"))

    options = load_options(environment=machine.environment())

    assert options.driver == "btrfs"
    assert options.origins["driver"] == strong
    assert options.graph_root == "/main"


def test_root_and_others_have_drop_ins_of_their_own(machine: Machine) -> None:
    machine.write("etc/storage.rootful.conf.d/a.conf", storage(graphroot="/rootful"))
    machine.write("etc/storage.rootless.conf.d/a.conf", storage(graphroot="/rootless"))
    machine.write("etc/storage.rootless.conf.d/1000/b.conf", storage(graphroot="/of-1000"))
    run = {"XDG_RUNTIME_DIR": str(machine.root)}

    def graph_root(uid: int) -> str:
        return load_options(environment=machine.environment(uid=uid, **run)).graph_root

    assert graph_root(0) == "/rootful"
    assert graph_root(1000) == "/of-1000"
    assert graph_root(1001) == "/rootless"


def test_one_named_file_silences_the_others(machine: Machine) -> None:
    machine.write("etc/storage.conf", storage(driver="vfs"))
    machine.write("etc/storage.conf.d/a.conf", storage(driver="zfs"))
    named = machine.write("named.conf", storage(graphroot="/named"))

    options = load_options(environment=machine.environment(CONTAINERS_STORAGE_CONF=named))

    assert (options.graph_root, options.driver) == ("/named", "")


def test_the_override_is_read_last_also_after_a_named_file(machine: Machine) -> None:
    named = machine.write("named.conf", storage(graphroot="/named", runroot="/run-named"))
    last = machine.write("last.conf", storage(graphroot="/last"))
    environment = machine.environment(
        CONTAINERS_STORAGE_CONF=named, CONTAINERS_STORAGE_CONF_OVERRIDE=last
    )

    options = load_options(environment=environment)

    assert (options.graph_root, options.run_root) == ("/last", "/run-named")
    assert options.origins["graph_root"] == last


@pytest.mark.parametrize("name", ["CONTAINERS_STORAGE_CONF", "CONTAINERS_STORAGE_CONF_OVERRIDE"])
def test_a_named_file_that_is_missing_is_an_error_that_names_both(
    machine: Machine, name: str
) -> None:
    missing = str(machine.root / "missing.conf")

    with pytest.raises(ConfigError) as raised:
        load_options(environment=machine.environment(**{name: missing}))

    assert missing in str(raised.value)
    assert name in str(raised.value)
    assert name in raised.value.remedy


def test_a_named_bad_file_is_an_error_even_if_flags_decide_all(machine: Machine) -> None:
    bad = machine.write("bad.conf", "[storage")
    environment = machine.environment(CONTAINERS_STORAGE_CONF=bad)

    with pytest.raises(ConfigError, match=bad):
        load_options(graph_root="/g", run_root="/r", environment=environment)


def test_a_bad_file_that_has_nothing_to_say_is_in_nobodys_way(machine: Machine) -> None:
    bad = machine.write("etc/storage.conf", "[storage")
    environment = machine.environment()

    assert load_options(graph_root="/g", run_root="/r", environment=environment).run_root == "/r"
    with pytest.raises(ConfigError, match=bad):
        load_options(graph_root="/g", environment=environment)


def test_variables_win_over_files(machine: Machine) -> None:
    machine.write(
        "etc/storage.conf",
        storage(driver="vfs") + '[storage.options.overlay]\nmountopt = "nodev"\n',
    )
    environment = machine.environment(STORAGE_DRIVER="overlay2", STORAGE_OPTS="overlay.size=1,.x=2")

    options = load_options(environment=environment)

    assert options.driver == "overlay"
    assert options.driver_options == ("overlay.size=1", ".x=2")
    assert options.origins["driver"] == "STORAGE_DRIVER"
    assert options.origins["driver_options"] == "STORAGE_OPTS"


def test_empty_storage_opts_remove_the_options_of_files(machine: Machine) -> None:
    machine.write(
        "etc/storage.conf",
        storage(driver="overlay") + '[storage.options.overlay]\nmountopt = "nodev"\n',
    )

    with_file = load_options(environment=machine.environment())
    without = load_options(environment=machine.environment(STORAGE_OPTS=""))

    assert with_file.driver_options == ("overlay.mountopt=nodev",)
    assert without.driver_options == ()


def test_one_explicit_root_silences_driver_and_options_but_not_the_other_root(
    machine: Machine,
) -> None:
    machine.write(
        "etc/storage.conf",
        storage(driver="vfs", graphroot="/file-graph", runroot="/file-run")
        + '[storage.options]\nmountopt = "nodev"\n',
    )
    environment = machine.environment(STORAGE_DRIVER="zfs", STORAGE_OPTS="zfs.a=b")

    options = load_options(run_root="/r", environment=environment)

    assert (options.graph_root, options.run_root) == ("/file-graph", "/r")
    assert (options.driver, options.driver_options) == ("", ())


def test_image_store_and_transient_do_not_silence_the_files(machine: Machine) -> None:
    machine.write("etc/storage.conf", storage(driver="vfs"))

    options = load_options(image_store="/i", transient=True, environment=machine.environment())

    assert (options.driver, options.image_store, options.transient) == ("vfs", "/i", True)


def test_relative_roots_become_absolute_and_keep_their_symlinks(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.root / "link").symlink_to("etc")
    monkeypatch.chdir(machine.root)

    options = load_options(graph_root="link/g", run_root="r", environment=machine.environment())

    assert options.graph_root == str(machine.root / "link" / "g")
    assert options.run_root == str(machine.root / "r")


def test_paths_are_expanded_and_what_exists_is_resolved(machine: Machine) -> None:
    (machine.root / "data").mkdir()
    (machine.root / "link").symlink_to("data")
    machine.write(
        "etc/storage.conf",
        storage(graphroot=f"{machine.root}/$WHERE", runroot="/run/$UID/${NONE}x/../y"),
    )

    options = load_options(environment=machine.environment(uid=7, WHERE="link"))

    assert options.graph_root == str(machine.root / "data")
    assert options.run_root == "/run/7/y"


def test_options_of_files_come_in_the_go_tools_order(machine: Machine) -> None:
    machine.write(
        "etc/storage.conf",
        """
        [storage]
        driver = "overlay"
        [storage.options]
        mountopt = "nodev"
        additionalimagestores = ["/a", "/b"]
        additionallayerstores = ["/l:ref"]
        ignore_chown_errors = "true"
        [storage.options.overlay]
        mountopt = "nodev,metacopy=on"
        sync = "none"
        [storage.options.zfs]
        fsname = "tank"
        """,
    )

    options = load_options(environment=machine.environment())

    assert options.driver_options == (
        "overlay.imagestore=/a",
        "overlay.imagestore=/b",
        "overlay.additionallayerstore=/l:ref",
        "overlay.ignore_chown_errors=true",
        "overlay.mountopt=nodev",
        "overlay.mountopt=nodev,metacopy=on",
    )
    assert options.sync == "none"


def test_a_user_gets_places_of_their_own(machine: Machine) -> None:
    machine.write(
        "usr/storage.conf",
        storage(
            driver="overlay",
            graphroot="/var/lib/containers/storage",
            runroot="/run/containers/storage",
        ),
    )
    runtime = machine.root / "runtime"
    runtime.mkdir()

    options = load_options(environment=machine.environment(uid=1000, XDG_RUNTIME_DIR=str(runtime)))

    assert options.graph_root == str(machine.home / ".local/share/containers/storage")
    assert options.run_root == str(runtime / "containers")
    assert options.rootless


def test_rootless_storage_path_counts_for_users_only(machine: Machine) -> None:
    machine.write("etc/storage.conf", storage(rootless_storage_path="/srv/$UID"))
    environment = machine.environment(uid=1000, XDG_RUNTIME_DIR=str(machine.root))

    assert load_options(environment=environment).graph_root == "/srv/1000"
    assert load_options(environment=machine.environment()).graph_root.startswith("/var/lib")


def test_without_a_runtime_directory_a_private_one_is_made(machine: Machine) -> None:
    environment = machine.environment(uid=424242, TMPDIR=str(machine.root))
    made = machine.root / "storage-run-424242"

    assert load_options(environment=environment).run_root == str(made / "containers")
    assert made.stat().st_mode & 0o777 == 0o700
    assert load_options(environment=environment).run_root == str(made / "containers")


def test_a_runtime_directory_that_others_may_write_to_is_refused(machine: Machine) -> None:
    (machine.root / "storage-run-424242").mkdir()
    (machine.root / "storage-run-424242").chmod(0o777)

    with pytest.raises(ConfigError) as raised:
        load_options(environment=machine.environment(uid=424242, TMPDIR=str(machine.root)))

    assert f"remove {machine.root}/storage-run-424242" in raised.value.remedy


def test_an_image_store_that_is_the_graph_root_is_refused(machine: Machine) -> None:
    with pytest.raises(ConfigError, match="is the graph root itself"):
        load_options(graph_root="/g", image_store="/g", environment=machine.environment())


def test_a_sync_mode_of_the_command_line_is_no_option_of_the_driver(machine: Machine) -> None:
    words = ["overlay.mountopt=nodev", "overlay.sync=none"]
    options = load_options(driver_options=words, environment=machine.environment())
    assert options.sync == "none"
    assert options.driver_options == ("overlay.mountopt=nodev",)


def test_an_unknown_sync_mode_is_refused(machine: Machine) -> None:
    with pytest.raises(ConfigError, match="sync"):
        load_options(driver_options=["overlay.sync=often"], environment=machine.environment())


def test_maps_for_layers_without_a_parent_are_read_from_the_file(machine: Machine) -> None:
    etc = machine.write(
        "etc/storage.conf",
        '[storage.options]\nremap-uids = "0:1000:10:10:5000:5"\nremap-gids = "0:2000:10"\n',
    )
    options = load_options(environment=machine.environment())

    assert options.uid_map == (IDMap(0, 1000, 10), IDMap(10, 5000, 5))
    assert options.gid_map == (IDMap(0, 2000, 10),)
    assert options.origins["uid_map"] == etc


def test_a_map_that_is_none_names_the_file_and_the_key(machine: Machine) -> None:
    etc = machine.write("etc/storage.conf", '[storage.options]\nremap-uids = "0:1000"\n')

    with pytest.raises(ConfigError, match=r"remap-uids.*'0:1000'") as refused:
        load_options(environment=machine.environment())

    assert refused.value.origin == etc
    assert "0:100000:65536" in refused.value.remedy


def test_a_variable_keeps_layers_from_being_shown_under_other_ids(machine: Machine) -> None:
    name = "_CONTAINERS_OVERLAY_DISABLE_IDMAP"

    assert load_options(environment=machine.environment()).id_shifting
    assert not load_options(environment=machine.environment(**{name: "yes"})).id_shifting


def test_a_users_subordinate_ids_are_looked_up_by_name_or_number(machine: Machine) -> None:
    given = {"XDG_RUNTIME_DIR": str(machine.root)}

    named = load_options(environment=machine.environment(uid=1000, USER="me", **given))
    assert named.rootless_user == "me"
    assert load_options(environment=machine.environment(uid=1000, **given)).rootless_user == "1000"
