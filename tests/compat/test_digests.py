"""Layers keep their digests from one kind of tool to the other, whatever is in them."""

import gzip
import io
import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from backend import Store, open_store
from drivers.archive.compression import Compression
from drivers.errors import ArchiveError
from tests.support import debian, dirimage, process, smallstore, tars
from tests.support.gotools import GoTools, Roots
from tests.support.hostile import BLOCK, CHAR, DIR, FIFO, HARD, LINK, Member, archive
from tests.support.hostilecases import CASES
from tests.support.hostilemetadata import XATTRS
from tests.support.layertars import BASE, TOP, zstd
from tests.support.tars import END, GNU, USTAR, V7, extended, file, header, record

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.gotools]

_LONG = "/".join(["n" * 120, "o" * 200, "p" * 250])
_ABOVE = [
    Member(b"d", DIR, mode=0o755),
    Member(b"d/old", data=b"old"),
    Member(b"d/e", DIR, mode=0o700),
    Member(b"d/e/older", data=b"older"),
    Member(b"f", data=b"file"),
    Member(b"g", data=b"gone"),
]


def _xattrs() -> bytes:
    """Every attribute that either tool takes, in one archive: each case in its own directory."""
    cases = [case for case in XATTRS if not (case.refused or case.differs)]
    members = [
        replace(one, name=b"%d/%s" % (number, one.name))
        for number, case in enumerate(cases)
        for one in (Member(b"", DIR, mode=0o755), *case.members)
    ]
    assert len(members) > 10
    return archive(members)


def _kinds_of_files() -> bytes:
    return archive(
        [
            Member(b"dev", DIR, mode=0o1777),
            Member(b"dev/null", CHAR, device=(1, 3), mode=0o666),
            Member(b"dev/loop", BLOCK, device=(7, 300), mode=0o660, gid=6),
            Member(b"dev/large", BLOCK, device=(4095, 2**20 - 1)),
            Member(b"pipe", FIFO, mode=0o600, uid=7),
            Member(b"link", LINK, link=b"/absolute/and/nowhere", uid=3, mtime=5),
            Member(b"set", mode=0o6755, data=b"#!", uid=5, gid=6),
            Member(b"sticky", mode=0o1644),
            Member(b"locked", DIR, mode=0),
            Member(b"locked/inside", mode=0, data=b"x"),
            Member(b"\xce\xb1", data=b"UTF-8"),
            Member(b"early", mtime=0),
            Member(b"late", mtime=2**34),
            Member(b"split", pax={b"mtime": b"1600000000.123456789", b"comment": b"c"}),
            Member(b"lar ge\n\"'\\", data=bytes(range(256)) * 4096),
        ]
    )


def _long(form: int) -> bytes:
    return tars.archive(
        form,
        (_LONG, None, {}),
        (_LONG + "/f", b"x" * 700, {}),
        ("l", b"", {"type": tarfile.SYMTYPE, "linkname": "t/" * 180 + "t"}),
        ("h", b"", {"type": tarfile.LNKTYPE, "linkname": _LONG + "/f"}),
    )


def _with_records() -> bytes:
    """Every record of an extended header that says something else than the header behind it."""
    return (
        extended(record(b"comment", b"for all"), type=b"g")
        + extended(
            *(record(b"path", b"d/" + b"r" * 200), record(b"size", b"3"), record(b"uid", b"70000")),
            *(record(b"gid", b"5"), record(b"mtime", b"1.5"), record(b"uname", b"me")),
            *(record(b"atime", b"2.25"), record(b"ctime", b"3"), record(b"VENDOR.x", b"y\0z")),
        )
        + header(name=b"short")
        + tars.padded(b"abc")
        + END
    )


def _no_text() -> bytes:
    return (
        file(b"\xff<\xfe", b"x")
        + header(name=b"d\x80/", type=b"5")
        + header(name=b"d\x80/l", type=b"2", linkname=b"\xc3\x28")
        + header(name=b"h", type=b"1", linkname=b"\xff<\xfe")
        + file(b"././@LongLink", b"\xfd" * 150 + b"\0", type=b"L", magic=GNU)
        + file(b"\xfd" * 100, b"long", magic=GNU)
        + END
    )


def _across() -> bytes:
    """Hard links from one directory to others, some of which come without being mentioned."""
    names = [b"a/b/c/two", b"z", b"q/r/three", b"b/four"]
    return archive(
        [
            Member(b"a", DIR, mode=0o711),
            Member(b"a/one", data=b"content" * 100, mode=0o640, uid=4),
            Member(b"b", DIR, mode=0o755),
            *(Member(name, HARD, link=b"a/one", mode=0o640, uid=4) for name in names),
            Member(b"s", LINK, link=b"a/one"),
            Member(b"b/s", HARD, link=b"s"),
            Member(b"a/n", CHAR, device=(1, 3)),
            Member(b"b/n", HARD, link=b"a/n"),
        ]
    )


KINDS: dict[str, Sequence[bytes]] = {
    "attributes": [_xattrs()],
    "kinds of files": [_kinds_of_files()],
    "ustar": [
        file(b"n" * 100, b"x", prefix=b"p" * 155, magic=USTAR)
        + file(b"u", uid=0o7777777, gid=0o7777777)
        + END
    ],
    "v7": [header(name=b"d/", type=b"\0", magic=V7) + file(b"d/f", b"v7", magic=V7) + END],
    "GNU": [
        file(b"f", b"x" * 513, magic=GNU, uid=b"\x80" + (70_000).to_bytes(7, "big")) + bytes(10240)
    ],
    "records": [_with_records()],
    "long names of GNU": [_long(tarfile.GNU_FORMAT)],
    "long names in records": [_long(tarfile.PAX_FORMAT)],
    "names that are no text": [_no_text()],
    "hard links across directories": [_across()],
    "nothing": [END, archive([Member(b"f", data=b"x")]), END, tars.archive(tarfile.PAX_FORMAT)],
    "ten thousand entries": [
        archive(
            [
                Member(b"d", DIR, mode=0o755),
                *(
                    Member(b"d/entry-%05d" % number, data=b"%d" % number)
                    for number in range(10_000)
                ),
            ]
        )
    ],
    "opaque directories and whiteouts": [
        archive(_ABOVE),
        archive(
            [
                Member(b"d", DIR, mode=0o755),
                Member(b"d/.wh..wh..opq", uid=3),
                Member(b"d/new"),
                Member(b".wh.f", uid=5, gid=6, mtime=7),
                Member(b".wh.never"),
                Member(b"n/.wh.y"),
            ]
        ),
        archive([Member(b"d", DIR), Member(b"d/x"), Member(b"d/.wh..wh..opq"), Member(b"f")]),
        archive([Member(b".wh.d"), Member(b".wh.g"), Member(b"g.d", DIR)]),
    ],
    "compressed": [gzip.compress(BASE, mtime=0), zstd(TOP)],
}
LARGE = ["ten thousand entries"]
GO_GIVES_NONE = ["directory with content"]
"""Archives that the Go tools take, but fail to give back."""
PLAIN = {"compressed": [BASE, TOP]}


def opened(go: GoTools) -> Store:
    return open_store(smallstore.options(go.roots, go.driver))


def computed(store: Store, image: str) -> list[str]:
    """Digests of the archives that our own library gives of an image's layers, lowest first."""
    found = []
    for layer in store.snapshot().layers.chain(store.images.find(image).layer):
        digest = sha256()
        with store.layers.diff(layer.id, compression=Compression.NONE) as archive:
            for piece in archive:
                digest.update(piece)
        found.append(f"sha256:{digest.hexdigest()}")
    return found[::-1]


def check_either_way(go: GoTools, source: Path, scratch: Path) -> str:
    """What we store skopeo exports, and what skopeo stores we export; the ID of both images."""
    expected = dirimage.diff_ids(source)
    with opened(go) as store:
        (ours,) = store.import_images(str(source))
        assert computed(store, ours.id) == expected
        go.skopeo("copy", "-q", go.image(f"@{ours.id}"), f"dir:{scratch / 'by-skopeo'}")
        assert dirimage.layer_digests(scratch / "by-skopeo") == expected
        store.images.delete(ours.id)
        assert store.snapshot().layers.records == ()
        go.skopeo("copy", "-q", f"dir:{source}", go.image("localhost/theirs:1"))
        assert computed(store, "localhost/theirs:1") == expected
        store.export_images(["localhost/theirs:1"], str(scratch / "by-us"), form="oci")
        layout = f"oci:{scratch / 'by-us'}:localhost/theirs:1"
        process.run(["skopeo", "copy", "-q", layout, f"dir:{scratch / 'again'}"])
        assert dirimage.layer_digests(scratch / "again") == expected
        assert store.images.find("localhost/theirs:1").id == ours.id
    return ours.id


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in LARGE])
def test_a_layer_has_the_same_digest_whoever_stores_and_whoever_exports_it(
    kind: str, driver: str, roots: Roots, tmp_path: Path
) -> None:
    made = dirimage.write(tmp_path / "source", KINDS[kind], PLAIN.get(kind))
    assert check_either_way(GoTools(roots, driver), tmp_path / "source", tmp_path) == made


@pytest.mark.parametrize("kind", LARGE)
def test_a_large_layer_has_the_same_digest_as_well(kind: str, go: GoTools, tmp_path: Path) -> None:
    made = dirimage.write(tmp_path / "source", KINDS[kind])
    assert check_either_way(go, tmp_path / "source", tmp_path) == made


@pytest.mark.debian_image
@pytest.mark.slow
def test_a_debian_root_file_system_has_the_same_digests(
    debian_store: Roots, roots: Roots, tmp_path: Path
) -> None:
    buildah, go = GoTools(debian_store), GoTools(roots)
    config = buildah.skopeo("inspect", "--config", "--raw", buildah.image(debian.IMAGE))
    expected = json.loads(config)["rootfs"]["diff_ids"]
    assert len(expected) == 3
    with opened(buildah) as store:
        store.export_images([debian.IMAGE], str(tmp_path / "by-us"), form="oci")
    with opened(go) as store:
        (image,) = store.import_images(str(tmp_path / "by-us"))
    go.skopeo("copy", "-q", go.image(f"@{image.id}"), f"dir:{tmp_path / 'by-skopeo'}")
    assert dirimage.layer_digests(tmp_path / "by-skopeo") == expected


def plain(store: Store, layer: str) -> bytes:
    with store.layers.diff(layer, compression=Compression.NONE) as archive:
        return b"".join(archive)


def test_odd_archives_come_back_exactly_whoever_stores_and_whoever_gives_them(
    go: GoTools,
) -> None:
    accepted = 0
    with opened(go) as store:
        for case in CASES:
            tar, lower = archive(case.members), ""
            if case.differs or case.words("overlay") or case.name in GO_GIVES_NONE:
                continue
            if case.lower:
                lower = store.layers.put(io.BytesIO(archive(case.lower))).id
            ours = store.layers.put(io.BytesIO(tar), parent=lower or None).id
            assert go.run("containers-storage", "diff", "-u", ours).stdout == tar, case.name
            theirs = go.run("containers-storage", "import-layer", lower, stdin=tar).stdout
            assert plain(store, theirs.split()[0].decode()) == tar, case.name
            accepted += 1
    assert accepted > 50


@pytest.fixture
def holes(tmp_path: Path) -> Path:
    """A directory with a file that is mostly holes."""
    where = tmp_path / "tree"
    where.mkdir()
    with (where / "holes").open("wb") as written:
        for offset in (0, 1 << 20, 3 << 20):
            os.pwrite(written.fileno(), b"data" * 1024, offset)
        written.truncate(4 << 20)
    return where


@pytest.mark.parametrize(
    "form",
    ["--format=gnu", *(f"--format=pax --sparse-version={n}" for n in ("0.0", "0.1", "1.0"))],
)
def test_a_sparse_archive_is_refused_and_leaves_nothing(
    form: str, holes: Path, roots: Roots, tmp_path: Path
) -> None:
    tar = process.run(["tar", "-C", str(holes), "--sparse", *form.split(), "-cf", "-", "."]).stdout
    assert len(tar) < 1 << 20, "the holes are not in it"
    dirimage.write(tmp_path / "source", [tar])
    with opened(GoTools(roots)) as store:
        with pytest.raises(ArchiveError, match="sparse"):
            store.import_images(str(tmp_path / "source"))
        assert store.snapshot().layers.records == ()
        assert store.layers.driver_layers() == []
