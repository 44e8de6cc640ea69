"""What a writable directory must do, whoever shows it: run by test_posix.py on every subject."""

import errno
import os
import stat

import pytest

from tests.support.posixsubject import Subject, refuses

NOREPLACE, EXCHANGE = 1, 2
CREATE = os.O_CREAT | os.O_RDWR


def write(subject: Subject, path: bytes, data: bytes = b"", flags: int = 0) -> None:
    with subject.open(path, CREATE | flags) as file:
        if data:
            assert file.write(0, data) == len(data)


def read(subject: Subject, path: bytes) -> bytes:
    with subject.open(path, os.O_RDONLY) as file:
        return file.read(0, 1 << 20)


class PosixSuite:
    """Subclasses give a fixture ``subject``: an empty writable directory."""

    def test_a_new_file_is_there_with_what_was_written(self, subject: Subject) -> None:
        write(subject, b"f", b"hello")
        assert read(subject, b"f") == b"hello"
        facts = subject.facts(b"f")
        assert (facts.size, facts.nlink, stat.S_IMODE(facts.mode)) == (5, 1, 0o644)
        assert subject.names(b"") == [b"f"]

    def test_what_is_missing_is_enoent(self, subject: Subject) -> None:
        for attempt in (subject.facts, subject.unlink, subject.rmdir):
            with refuses(errno.ENOENT):
                attempt(b"none")
        with refuses(errno.ENOENT):
            subject.rename(b"none", b"other")
        with refuses(errno.ENOENT):
            read(subject, b"none")

    def test_what_exists_is_not_made_again(self, subject: Subject) -> None:
        write(subject, b"f")
        with refuses(errno.EEXIST):
            subject.mkdir(b"f")
        with refuses(errno.EEXIST):
            subject.symlink(b"x", b"f")
        with refuses(errno.EEXIST):
            subject.link(b"f", b"f")
        with refuses(errno.EEXIST):
            write(subject, b"f", flags=os.O_EXCL)

    def test_the_wrong_kind_of_removal_is_refused(self, subject: Subject) -> None:
        write(subject, b"f")
        subject.mkdir(b"d")
        with refuses(errno.ENOTDIR):
            subject.rmdir(b"f")
        with refuses(errno.EISDIR):
            subject.unlink(b"d")
        write(subject, b"d/f")
        with refuses(errno.ENOTEMPTY):
            subject.rmdir(b"d")

    def test_a_rename_moves_content_and_identity(self, subject: Subject) -> None:
        write(subject, b"a", b"a")
        number = subject.facts(b"a").ino
        subject.mkdir(b"d")
        subject.rename(b"a", b"d/b")
        assert read(subject, b"d/b") == b"a"
        assert subject.facts(b"d/b").ino == number
        with refuses(errno.ENOENT):
            subject.facts(b"a")

    def test_a_rename_replaces(self, subject: Subject) -> None:
        write(subject, b"a", b"a")
        write(subject, b"b", b"b")
        with subject.open(b"b", os.O_RDONLY) as replaced:
            subject.rename(b"a", b"b")
            assert replaced.read(0, 9) == b"b"
            assert replaced.facts().nlink == 0
        assert read(subject, b"b") == b"a"
        assert subject.names(b"") == [b"b"]

    def test_a_renamed_directory_takes_everything_along(self, subject: Subject) -> None:
        subject.mkdir(b"a")
        subject.mkdir(b"a/b")
        write(subject, b"a/b/f", b"deep")
        with subject.open(b"a/b/f", os.O_RDWR) as file:
            subject.rename(b"a", b"z")
            assert file.write(0, b"DEEP") == 4
        assert read(subject, b"z/b/f") == b"DEEP"
        assert subject.names(b"z/b") == [b"f"]
        subject.mkdir(b"a")
        subject.mkdir(b"a/b")
        assert subject.names(b"a/b") == []
        assert subject.facts(b"a/b").ino != subject.facts(b"z/b").ino

    def test_rename_knows_its_limits(self, subject: Subject) -> None:
        subject.mkdir(b"d")
        subject.mkdir(b"e")
        write(subject, b"e/f")
        write(subject, b"f")
        with refuses(errno.EISDIR):
            subject.rename(b"f", b"d")
        with refuses(errno.ENOTDIR):
            subject.rename(b"d", b"f")
        with refuses(errno.ENOTEMPTY):
            subject.rename(b"d", b"e")
        with refuses(errno.EINVAL):
            subject.rename(b"d", b"d/below")
        subject.rename(b"e", b"d")
        assert subject.names(b"") == [b"d", b"f"]

    def test_rename_without_replacing(self, subject: Subject) -> None:
        write(subject, b"a", b"a")
        write(subject, b"b", b"b")
        with refuses(errno.EEXIST):
            subject.rename(b"a", b"b", NOREPLACE)
        subject.rename(b"a", b"c", NOREPLACE)
        assert subject.names(b"") == [b"b", b"c"]

    def test_rename_exchanges(self, subject: Subject) -> None:
        subject.mkdir(b"a")
        write(subject, b"a/f", b"in a")
        write(subject, b"b", b"b")
        subject.rename(b"a", b"b", EXCHANGE)
        assert read(subject, b"b/f") == b"in a"
        assert read(subject, b"a") == b"b"

    def test_hard_links_are_one_file(self, subject: Subject) -> None:
        write(subject, b"a", b"one")
        subject.mkdir(b"d")
        subject.link(b"a", b"d/b")
        assert subject.facts(b"a").ino == subject.facts(b"d/b").ino
        assert subject.facts(b"a").nlink == 2
        with subject.open(b"d/b", os.O_WRONLY) as file:
            file.write(0, b"two")
        assert read(subject, b"a") == b"two"
        subject.rename(b"a", b"d/b")
        assert subject.names(b"") == [b"a", b"d"], "two names of one file: both stay"
        subject.unlink(b"a")
        assert subject.facts(b"d/b").nlink == 1
        assert read(subject, b"d/b") == b"two"

    def test_directories_have_no_hard_links(self, subject: Subject) -> None:
        subject.mkdir(b"d")
        with refuses(errno.EPERM):
            subject.link(b"d", b"e")

    def test_a_link_shows_any_target(self, subject: Subject) -> None:
        for number, target in enumerate(
            (b"x", b"/etc/passwd", b"../../..", b"\xff\xfe", b"t" * 4000)
        ):
            name = b"l%d" % number
            subject.symlink(target, name)
            assert subject.readlink(name) == target
            assert stat.S_ISLNK(subject.facts(name).mode)
            assert subject.facts(name).size == len(target)
        subject.link(b"l0", b"hard")
        assert subject.readlink(b"hard") == b"x"

    def test_an_unlinked_file_lives_until_it_is_closed(self, subject: Subject) -> None:
        write(subject, b"f", b"alive")
        with subject.open(b"f", os.O_RDWR) as file:
            subject.unlink(b"f")
            assert subject.names(b"") == []
            assert file.read(0, 9) == b"alive"
            assert file.write(5, b"!") == 1
            assert (file.facts().nlink, file.facts().size) == (0, 6)
            file.truncate(2)
            assert file.read(0, 9) == b"al"
            write(subject, b"f", b"other")
            assert file.read(0, 9) == b"al"
        assert read(subject, b"f") == b"other"

    def test_modes_owners_and_times_are_kept(self, subject: Subject) -> None:
        write(subject, b"f")
        subject.chown(b"f", 1000, 1001)
        subject.chmod(b"f", 0o4751)
        subject.utime(b"f", 1_000_000_007, 981_173_106_123_456_789)
        facts = subject.facts(b"f")
        assert (facts.uid, facts.gid, stat.S_IMODE(facts.mode)) == (1000, 1001, 0o4751)
        assert (facts.atime_ns, facts.mtime_ns) == (1_000_000_007, 981_173_106_123_456_789)

    def test_a_link_has_its_own_owner_and_times(self, subject: Subject) -> None:
        write(subject, b"f")
        subject.symlink(b"f", b"l")
        subject.chown(b"l", 7, 8)
        subject.utime(b"l", 11, 12_000_000_000)
        assert (subject.facts(b"l").uid, subject.facts(b"l").gid) == (7, 8)
        assert subject.facts(b"l").mtime_ns == 12_000_000_000
        assert (subject.facts(b"f").uid, subject.facts(b"f").gid) == (0, 0)

    @pytest.mark.parametrize("what", ["file", "directory", "fifo", "link"])
    def test_what_a_caller_makes_is_the_callers(self, subject: Subject, what: str) -> None:
        subject.mkdir(b"d")
        subject.chmod(b"d", 0o777)
        subject.make_as(what, b"d/new", 0o666, uid=1234, gid=4321, umask=0o027)
        facts = subject.facts(b"d/new")
        assert (facts.uid, facts.gid) == (1234, 4321)
        if what != "link":
            assert stat.S_IMODE(facts.mode) == 0o640

    def test_a_setgid_directory_gives_its_group(self, subject: Subject) -> None:
        subject.mkdir(b"d")
        subject.chown(b"d", 0, 50)
        subject.chmod(b"d", 0o2777)
        subject.make_as("file", b"d/f", 0o644, uid=1234, gid=4321, umask=0)
        subject.make_as("directory", b"d/d", 0o755, uid=1234, gid=4321, umask=0)
        assert (subject.facts(b"d/f").uid, subject.facts(b"d/f").gid) == (1234, 50)
        below = subject.facts(b"d/d")
        assert (below.gid, stat.S_IMODE(below.mode)) == (50, 0o2755)

    def test_special_files(self, subject: Subject) -> None:
        subject.mknod(b"fifo", stat.S_IFIFO | 0o600)
        subject.mknod(b"socket", stat.S_IFSOCK | 0o600)
        subject.mknod(b"null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        assert stat.S_ISFIFO(subject.facts(b"fifo").mode)
        assert stat.S_ISSOCK(subject.facts(b"socket").mode)
        null = subject.facts(b"null")
        assert (stat.S_ISCHR(null.mode), null.rdev) == (True, os.makedev(1, 3))
        for name in (b"fifo", b"socket", b"null"):
            subject.unlink(name)

    def test_attributes_of_all_kinds(self, subject: Subject) -> None:
        write(subject, b"f")
        subject.mkdir(b"d")
        for name in (b"f", b"d"):
            subject.set_xattr(name, b"user.one", b"1")
            subject.set_xattr(name, b"trusted.two", b"\x00\xff")
            assert subject.xattr(name, b"user.one") == b"1"
            assert subject.xattr(name, b"trusted.two") == b"\x00\xff"
            assert {b"user.one", b"trusted.two"} <= set(subject.xattrs(name))
            subject.set_xattr(name, b"user.one", b"")
            assert subject.xattr(name, b"user.one") == b""
            subject.remove_xattr(name, b"user.one")
            with refuses(errno.ENODATA):
                subject.xattr(name, b"user.one")
            with refuses(errno.ENODATA):
                subject.remove_xattr(name, b"user.one")
        capability = bytes.fromhex("0100000200040000000000000000000000000000")
        subject.set_xattr(b"f", b"security.capability", capability)
        assert subject.xattr(b"f", b"security.capability") == capability

    def test_attributes_of_a_link_are_its_own(self, subject: Subject) -> None:
        write(subject, b"f")
        subject.symlink(b"f", b"l")
        subject.set_xattr(b"l", b"trusted.link", b"1")
        assert subject.xattr(b"l", b"trusted.link") == b"1"
        assert subject.xattrs(b"f") == []
        with refuses(errno.EPERM):
            subject.set_xattr(b"l", b"user.no", b"1")

    def test_appending(self, subject: Subject) -> None:
        write(subject, b"f", b"one")
        for word in (b"two", b"three"):
            with subject.open(b"f", os.O_WRONLY | os.O_APPEND) as file:
                file.write(0, word)
        assert read(subject, b"f") == b"onetwothree"

    def test_truncating(self, subject: Subject) -> None:
        write(subject, b"f", b"0123456789")
        subject.truncate(b"f", 4)
        assert read(subject, b"f") == b"0123"
        subject.truncate(b"f", 6)
        assert read(subject, b"f") == b"0123\0\0"
        with subject.open(b"f", os.O_RDWR) as file:
            file.truncate(1)
            assert file.read(0, 10) == b"0"
        write(subject, b"f", flags=os.O_TRUNC)
        assert subject.facts(b"f").size == 0

    def test_holes_take_no_space(self, subject: Subject) -> None:
        with subject.open(b"f", CREATE) as file:
            file.write(1 << 30, b"end")
        facts = subject.facts(b"f")
        assert facts.size == (1 << 30) + 3
        assert facts.blocks < 2048
        with subject.open(b"f", os.O_RDONLY) as file:
            assert file.read((1 << 29), 10) == bytes(10)
            assert file.read(1 << 30, 10) == b"end"

    def test_names_are_bytes(self, subject: Subject) -> None:
        names = [b"\xff\xfe", b"new\nline", "für".encode(), b" ", b"-rf", b"%41", b"a" * 255]
        for name in names:
            write(subject, name, name)
        assert subject.names(b"") == sorted(names)
        for name in names:
            assert read(subject, name) == name
        with refuses(errno.ENAMETOOLONG):
            subject.mkdir(b"a" * 256)

    def test_many_names(self, subject: Subject) -> None:
        subject.mkdir(b"many")
        wanted = sorted(b"file-%04d" % number for number in range(1500))
        for name in wanted:
            subject.link(b"first", b"many/" + name) if name != wanted[0] else write(
                subject, b"first"
            )
        subject.link(b"first", b"many/" + wanted[0])
        assert subject.names(b"many") == wanted
        for name in wanted[::2]:
            subject.unlink(b"many/" + name)
        assert subject.names(b"many") == wanted[1::2]
        assert subject.facts(b"first").nlink == 751

    def test_deep_trees(self, subject: Subject) -> None:
        path = b""
        for number in range(40):
            path += b"/%d-" % number + b"d" * 90 if path else b"0"
            subject.mkdir(path)
        write(subject, path + b"/f", b"deep")
        assert read(subject, path + b"/f") == b"deep"
        subject.rename(b"0", b"moved")
        assert read(subject, b"moved" + path[1:] + b"/f") == b"deep"

    def test_a_large_file_comes_back(self, subject: Subject) -> None:
        block = bytes(range(256)) * 4096
        with subject.open(b"f", CREATE) as file:
            for number in range(4):
                assert file.write(number * len(block), block) == len(block)
        with subject.open(b"f", os.O_RDONLY) as file:
            for number in range(4):
                got = b"".join(
                    file.read(number * len(block) + part, 65536)
                    for part in range(0, len(block), 65536)
                )
                assert got == block
            assert file.read(4 * len(block), 10) == b""
