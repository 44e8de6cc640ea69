"""Archives beside the Go tools: the same tar-split, digests and owners, or a refusal."""

import base64
import gzip
import io
import json
import os
import random
import resource
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drivers.archive.apply import Applied, apply
from drivers.archive.reassemble import reassemble
from drivers.archive.unpack import Unpacker, UnpackOptions
from drivers.errors import ArchiveError
from drivers.protocol import Whiteouts
from tests.support import process, tars
from tests.support.gotools import GoTools, Roots
from tests.support.tars import END, GNU, V7, Recorder, extended, file, header, record

pytestmark = [pytest.mark.root, pytest.mark.gotools]

FORMATS = ["v7", "oldgnu", "gnu", "ustar", "pax"]


@dataclass(frozen=True, slots=True)
class GoLayer:
    """What the Go tool made of an archive, with the vfs driver."""

    record: dict[str, Any]
    lines: list[bytes]
    tar_split: Path
    directory: Path


def imported(go: GoTools, path: Path) -> GoLayer | None:
    """The layer of *path*; None if the Go tool refuses it."""
    done = go.run("containers-storage", "import-layer", "--file", str(path), check=False)
    if done.returncode != 0:
        return None
    layer = done.stdout.split()[0].decode()
    layers = go.roots.graph / "vfs-layers"
    records = json.loads((layers / "layers.json").read_text())
    tar_split = layers / f"{layer}.tar-split.gz"
    return GoLayer(
        next(kept for kept in records if kept["id"] == layer),
        gzip.decompress(tar_split.read_bytes()).splitlines(),
        tar_split,
        go.roots.graph / "vfs" / "dir" / layer,
    )


def ours(data: bytes) -> tuple[Applied, list[bytes]]:
    tar_split = io.BytesIO()
    known = apply(io.BytesIO(data), Recorder(), tar_split)
    return known, gzip.decompress(tar_split.getvalue()).splitlines()


def agrees(known: Applied, kept: dict[str, Any]) -> bool:
    return known == Applied(
        kept["compressed-diff-digest"],
        kept.get("compressed-size", 0),
        kept["diff-digest"],
        kept.get("diff-size", 0),
        kept.get("compression", 0),
        tuple(kept.get("uidset", ())),
        tuple(kept.get("gidset", ())),
    )


def tree(root: Path) -> Path:
    """Everything that one directory can hold and tar can archive in one format or another."""
    deep = root / "deep" / ("d" * 80) / ("e" * 60)
    deep.mkdir(parents=True)
    (deep / ("f" * 90)).write_bytes(b"deep\n" * 300)
    (root / "empty").write_bytes(b"")
    (root / "block").write_bytes(b"x" * 512)
    (root / "hello").write_text("hello\n")
    os.link(root / "hello", root / "hello again")
    (root / "link").symlink_to("hello")
    (root / "odd <&> \"'\\\n\t").write_text("odd")
    (root / "größe €").write_text("ü")
    os.mkfifo(root / "fifo")
    os.mknod(root / "device", 0o20600, os.makedev(1, 3))
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe")).write_text("no UTF-8")
    os.chown(root / "empty", 1000, 100)
    os.utime(root / "block", ns=(1, 1_600_000_000_123_456_789))
    (root / ".wh.gone").write_bytes(b"")
    os.chown(root / ".wh.gone", 77, 77)
    return root


@pytest.mark.parametrize("form", FORMATS)
def test_what_gnu_tar_writes_gives_the_same_lines_and_record(
    form: str, tmp_path: Path, go_vfs: GoTools
) -> None:
    source, path = tree(tmp_path / "tree"), tmp_path / "tree.tar"
    command = ["tar", "-C", str(source), f"--format={form}", "-cf", str(path), "."]
    process.run(command, check=form not in {"v7", "ustar"})
    theirs = imported(go_vfs, path)
    assert theirs
    known, lines = ours(path.read_bytes())
    assert lines == theirs.lines
    assert agrees(known, theirs.record)


@pytest.mark.parametrize("program", ["gzip", "bzip2", "xz", "zstd"])
def test_a_compressed_archive_gives_the_same_lines_and_record(
    program: str, tmp_path: Path, go_vfs: GoTools
) -> None:
    source, path = tree(tmp_path / "tree"), tmp_path / "tree.tar"
    command = ["tar", "-C", str(source), "-cf", "-", "."]
    plain = process.run(command).stdout
    path.write_bytes(process.run([program, "-c"], stdin=plain).stdout)
    theirs = imported(go_vfs, path)
    assert theirs
    known, lines = ours(path.read_bytes())
    assert joined(lines) == joined(theirs.lines)
    assert agrees(known, theirs.record)


ODD = {
    "nothing": b"",
    "only the end": END,
    "no end": file(b"f", b"x" * 600),
    "half an end": file(b"f", b"x") + bytes(512),
    "global header": extended(record(b"comment", b"c"), record(b"path", b"p"), type=b"g")
    + file(b"f", uid=3)
    + END,
    "the oldest directory": header(name=b"d/", type=b"\0", magic=V7, size=600) + END,
    "a directory and a link with a size": header(name=b"d", type=b"5", size=9)
    + header(name=b"l", type=b"2", linkname=b"d", size=9)
    + END,
    "old Go": header(name=b"g", magic=GNU, prefix=b"some") + END,
    "star": header(prefix=b"p".ljust(131, b"\0") + b"00000000017\0", trailer=b"tar\0") + END,
    "base 256": header(uid=b"\x80" + (70_000).to_bytes(7, "big"), mtime=b"\xff" * 12) + END,
    "two extended headers": extended(record(b"path", b"one"), record(b"uid", b"4"))
    + extended(record(b"gid", b"4"))
    + file(b"f", b"x")
    + END,
    "a long name before a record": file(b"L", b"long\0", type=b"L", magic=GNU)
    + extended(record(b"path", b"record"))
    + file(b"f", b"x")
    + END,
    "the size of a record": extended(record(b"size", b"3")) + header() + tars.padded(b"abc") + END,
    "no UTF-8": file(b"\xff<\xfe", b"x") + file("\u2028&".encode()) + END,
}
"""What no tar program writes, below 10 KiB: there the Go tool cuts what follows the end."""


@pytest.mark.parametrize("name", ODD)
def test_odd_archives_give_the_same_lines_and_record(
    name: str, tmp_path: Path, go_vfs: GoTools
) -> None:
    path = tmp_path / "odd.tar"
    path.write_bytes(ODD[name])
    theirs = imported(go_vfs, path)
    assert theirs
    known, lines = ours(ODD[name])
    assert lines == theirs.lines
    assert agrees(known, theirs.record)


REFUSED = {
    "duplicates": file(b"a") + file(b"./a") + END,
    "two global headers": extended(type=b"g") + file(b"f") + extended(type=b"g") + END,
    "cut content": file(b"f", b"x" * 2000)[:1500],
    "cut header": file(b"f")[:300],
    "zeros in between": file(b"f") + bytes(512) + file(b"g") + END,
    "a wrong checksum": file(b"f")[:-1] + b"x" + END,
    "a negative size": header(size=b"\xff" * 12) + END,
    "a record of a wrong length": extended(b"99 a=b\n") + file(b"f") + END,
    "a record that is no number": extended(record(b"uid", b"1_0")) + file(b"f") + END,
    "an old sparse file": header(type=b"S", magic=GNU) + END,
    "cut gzip": gzip.compress(file(b"f", os.urandom(5000)) + END)[:4000],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_go_tools_refuse_is_refused(name: str, tmp_path: Path, go_vfs: GoTools) -> None:
    path = tmp_path / "bad.tar"
    path.write_bytes(REFUSED[name])
    assert imported(go_vfs, path) is None
    with pytest.raises(ArchiveError):
        ours(REFUSED[name])


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_layers_of_the_go_tools_come_back_bit_for_bit(
    form: str, tmp_path: Path, go_vfs: GoTools
) -> None:
    source, path = tree(tmp_path / "tree"), tmp_path / "tree.tar"
    process.run(["tar", "-C", str(source), f"--format={form}", "-cf", str(path), "."])
    theirs = imported(go_vfs, path)
    assert theirs
    root = os.fsencode(theirs.directory)

    def open_file(name: bytes) -> int:
        return os.open(os.path.join(root, name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    with theirs.tar_split.open("rb") as stored:
        assert b"".join(reassemble(stored, open_file)) == path.read_bytes()


@pytest.fixture(scope="module")
def debian_layer(debian_store: Roots, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The lowest layer of the Debian image, compressed with gzip."""
    contents = (debian_store.graph / "overlay").glob("*/diff")
    content = max(contents, key=lambda diff: len(list(diff.rglob("*"))))
    path = tmp_path_factory.mktemp("debian") / "layer.tar"
    process.run(["tar", "-C", str(content), "--xattrs", "-cf", str(path), "."])
    process.run(["gzip", "-1", str(path)])
    yield path.with_suffix(".tar.gz")
    path.with_suffix(".tar.gz").unlink()


@pytest.mark.debian_image
@pytest.mark.slow
def test_a_debian_layer_gives_the_same_lines_and_record(
    go_vfs: GoTools, debian_layer: Path
) -> None:
    theirs = imported(go_vfs, debian_layer)
    assert theirs
    known, lines = ours(debian_layer.read_bytes())
    assert lines == theirs.lines
    assert agrees(known, theirs.record)


@pytest.mark.debian_image
@pytest.mark.slow
def test_a_debian_layer_takes_no_more_processor_time_than_the_go_tools(
    tmp_path: Path, go: GoTools, debian_layer: Path
) -> None:
    def of_children() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    start = time.process_time()
    with (
        debian_layer.open("rb") as source,
        Unpacker(root, whiteouts=Whiteouts.OVERLAY, options=UnpackOptions()) as sink,
    ):
        apply(source, sink, io.BytesIO())
    mine = time.process_time() - start
    os.close(root)
    before = of_children()
    go.storage("import-layer", "--file", str(debian_layer))
    theirs = of_children() - before
    go.shutdown()
    assert mine <= theirs


def mutated(chance: random.Random) -> bytes:
    """A small archive with a few changes that keep most checksums right."""
    form = chance.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    names = chance.sample(["a", "dir/", "n" * 120 if form != tarfile.USTAR_FORMAT else "n", "ü"], 3)
    data = bytearray(
        tars.archive(
            form,
            *(
                (
                    name,
                    None
                    if name.endswith("/")
                    else chance.randbytes(chance.choice([0, 1, 512, 900])),
                    {"mtime": chance.randrange(2**31), "uid": chance.randrange(2**21)},
                )
                for name in names
            ),
        )
    )
    for _ in range(chance.randrange(1, 4)):
        blocks = [
            at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"
        ]
        at = chance.choice(blocks or [0])
        match chance.randrange(5):
            case 0:
                place = chance.choice([0, 100, 108, 116, 124, 136, 156, 257, 263, 329, 345, 508])
                data[at + place] = chance.choice(b"\0 017\x80\xffAxgLK/")
            case 1:
                field = chance.choice([108, 116, 124, 136])
                data[at + field : at + field + 8] = chance.choice(
                    [
                        b"\x80" + bytes(7),
                        b"\xff" * 8,
                        b" " * 8,
                        bytes(8),
                        b"7777777\0",
                        b"  12 \0zz",
                    ]
                )
            case 2:
                del data[chance.randrange(len(data)) :]
            case 3:
                where = chance.randrange(0, len(data) + 1, 512)
                data[where:where] = data[at : at + 512 * chance.choice([1, 2])]
            case _:
                data[at + 156] = chance.choice(b"\x000125xgLK")
        if at + 512 <= len(data):
            data[at : at + 512] = tars.with_checksum(bytes(data[at : at + 512]))
    return bytes(data)


def joined(lines: list[bytes]) -> list[tuple[Any, ...]]:
    """The lines as values; how raw bytes are cut at the end depends on the size of reads."""
    kept: list[tuple[Any, ...]] = []
    for line in lines:
        value = json.loads(line)
        if value["type"] == 2:
            raw = base64.b64decode(value["payload"])
            if kept and kept[-1][0] == 2:
                raw = kept.pop()[1] + raw
            kept.append((2, raw))
        else:
            kept.append(
                (1, value.get("name"), value.get("name_raw"), value.get("size"), value["payload"])
            )
    return kept


def test_changed_archives_are_seen_as_the_go_tools_see_them_or_refused(
    tmp_path: Path, go_vfs: GoTools
) -> None:
    chance, path, compared = random.Random(20261122), tmp_path / "changed.tar", 0
    for _ in range(40):
        data = mutated(chance)
        path.write_bytes(data)
        theirs = imported(go_vfs, path)
        try:
            known, lines = ours(data)
        except ArchiveError:
            continue
        if theirs and not is_cut_in_padding(lines, theirs.lines):
            assert joined(lines) == joined(theirs.lines), data
            assert agrees(known, theirs.record)
            compared += 1
    assert compared > 8


def is_cut_in_padding(lines: list[bytes], theirs: list[bytes]) -> bool:
    """Whether the last file's padding is cut: the Go tools forget it, and so the layer's end."""
    mine = joined(lines)
    return mine[:-1] == joined(theirs)[:-1] and 0 < len(mine[-1][1]) < 512
