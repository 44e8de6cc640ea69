"""The threads of one pass: bounded, in order, and gone at its end whatever happens."""

import threading
import time
from collections.abc import Iterator

import pytest

from drivers.archive.ahead import ahead
from drivers.archive.worker import Worker

pytestmark = pytest.mark.timeout(20)


def running() -> int:
    return sum(thread.name == "archive worker" for thread in threading.enumerate())


def numbers(count: int) -> Iterator[bytes]:
    return (b"%d" % number for number in range(count))


def twice(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        yield chunk.upper()


def test_what_is_made_ahead_comes_in_order() -> None:
    assert list(ahead(twice, iter([b"a", b"b"]))) == [b"a", b"A", b"b", b"B"]
    assert b"".join(ahead(iter, numbers(1000))) == b"".join(numbers(1000))
    assert list(ahead(iter, iter([]))) == []
    assert running() == 0


def test_inputs_without_output_and_outputs_without_input_are_no_deadlock() -> None:
    def nothing_then_much(chunks: Iterator[bytes]) -> Iterator[bytes]:
        taken = sum(1 for _ in chunks)
        return (b"%d" % taken for _ in range(500))

    assert list(ahead(nothing_then_much, numbers(300))) == [b"300"] * 500


def test_inputs_are_read_in_the_calling_thread_and_few_at_a_time() -> None:
    readers, read = set(), 0

    def chunks() -> Iterator[bytes]:
        nonlocal read
        for chunk in numbers(1000):
            readers.add(threading.current_thread())
            read += 1
            yield chunk

    made = ahead(iter, chunks())
    assert next(made) == b"0"
    time.sleep(0.05)
    assert read <= 8
    made.close()
    assert readers == {threading.current_thread()}
    assert running() == 0


def test_an_endless_output_ends_when_its_reader_goes() -> None:
    def endless(chunks: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            yield b"more"

    made = ahead(endless, iter([]))
    assert [next(made) for _ in range(100)] == [b"more"] * 100
    made.close()
    assert running() == 0


def test_what_goes_wrong_ahead_is_raised_where_it_is_read() -> None:
    def broken(chunks: Iterator[bytes]) -> Iterator[bytes]:
        yield next(chunks)
        raise ValueError("broken")

    made = ahead(broken, numbers(50))
    assert next(made) == b"0"
    with pytest.raises(ValueError, match="broken"):
        next(made)
    assert running() == 0


def test_an_input_that_cannot_be_read_ends_the_thread() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        list(ahead(iter, chunks()))
    assert running() == 0


def test_a_worker_consumes_in_order() -> None:
    consumed: list[bytes] = []
    with Worker(consumed.append) as worker:
        for chunk in numbers(100):
            worker.give(chunk)
        worker.finish()
        assert consumed == list(numbers(100))
    assert running() == 0


def test_a_worker_that_is_behind_makes_its_feeder_wait() -> None:
    gate = threading.Event()
    given = 0
    with Worker(lambda _: gate.wait(10)) as worker:

        def feed() -> None:
            nonlocal given
            for chunk in numbers(50):
                worker.give(chunk)
                given += 1

        feeder = threading.Thread(target=feed)
        feeder.start()
        time.sleep(0.1)
        assert given <= 6
        gate.set()
        feeder.join()
    assert given == 50


def give_all(worker: Worker) -> None:
    for chunk in numbers(1000):
        worker.give(chunk)


def test_a_worker_that_fails_never_blocks_and_says_so() -> None:
    def broken(chunk: bytes) -> None:
        raise ValueError("broken")

    with Worker(broken) as worker:
        with pytest.raises(ValueError, match="broken"):
            give_all(worker)
        with pytest.raises(ValueError, match="broken"):
            worker.finish()
    assert running() == 0
