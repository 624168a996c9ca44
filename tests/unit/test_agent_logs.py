"""Container logs: written as they come, read as they are asked for."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.agent import logs
from lab.agent.logs import LONGEST, LogFile, Query


def write(path: Path, *pieces: bytes) -> None:
    """Let a container write *pieces* to its standard output."""

    async def copy() -> None:
        log = LogFile(path)
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        os.close(err_end)
        copying = asyncio.create_task(log.copy(out, err))
        for piece in pieces:
            await asyncio.to_thread(os.write, out_end, piece)
            await asyncio.sleep(0)
        os.close(out_end)
        await copying
        assert log.finished

    asyncio.run(copy())


def read(path: Path, query: Query | None = None) -> bytes:
    async def collect() -> bytes:
        return b"".join([piece async for piece in logs.read(path, None, query or Query())])

    return asyncio.run(collect())


def test_each_line_has_its_time_and_stream(tmp_path: Path) -> None:
    write(tmp_path / "0.log", b"one\ntwo\n")
    first, second = (tmp_path / "0.log").read_bytes().splitlines()
    assert first.split(b" ")[1:] == [b"stdout", b"F", b"one"]
    assert second.split(b" ")[1:] == [b"stdout", b"F", b"two"]
    assert datetime.fromisoformat(first.split(b" ")[0].decode()).tzinfo is not None


@given(text=st.text(alphabet="ab\n", max_size=40), cut=st.integers(0, 40))
def test_what_was_written_is_read_however_it_came(tmp_path_factory: pytest.TempPathFactory, text: str, cut: int) -> None:
    path, written = tmp_path_factory.mktemp("log") / "0.log", text.encode()
    write(path, *[piece for piece in (written[:cut], written[cut:]) if piece])
    assert read(path) == written


def test_a_long_line_is_cut_and_read_whole(tmp_path: Path) -> None:
    line = b"x" * (3 * LONGEST + 5) + b"\n"
    write(tmp_path / "0.log", line, b"end\n")
    assert all(len(entry) < LONGEST + 100 for entry in (tmp_path / "0.log").read_bytes().splitlines())
    assert read(tmp_path / "0.log") == line + b"end\n"
    assert read(tmp_path / "0.log", Query(tail=1)) == b"end\n"
    assert read(tmp_path / "0.log", Query(tail=2)) == line + b"end\n"


@pytest.mark.parametrize(
    ("count", "expected"), [(0, b""), (1, b"three\n"), (2, b"two\nthree\n"), (9, b"one\ntwo\nthree\n"), (None, b"one\ntwo\nthree\n")]
)
def test_the_last_lines(tmp_path: Path, count: int | None, expected: bytes) -> None:
    write(tmp_path / "0.log", b"one\ntwo\nthree\n")
    assert read(tmp_path / "0.log", Query(tail=count)) == expected


def test_no_more_bytes_than_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "0.log", b"one\ntwo\n")
    assert read(tmp_path / "0.log", Query(limit=6)) == b"one\ntw"


def test_nothing_older_than_asked_for(tmp_path: Path) -> None:
    entries = [b"2026-01-01T00:00:0%d.000000000Z stdout F line %d\n" % (number, number) for number in range(4)]
    (tmp_path / "0.log").write_bytes(b"".join(entries))
    since = datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert read(tmp_path / "0.log", Query(since=since)) == b"line 2\nline 3\n"
    assert read(tmp_path / "0.log", Query(since=since, timestamps=True, tail=1)) == b"2026-01-01T00:00:03.000000000Z line 3\n"


def test_a_follower_reads_until_the_container_has_ended(tmp_path: Path) -> None:
    async def follow() -> bytes:
        log = LogFile(tmp_path / "0.log")
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        os.close(err_end)
        copying = asyncio.create_task(log.copy(out, err))
        os.write(out_end, b"early\npart")
        reader = asyncio.create_task(_collect(log))
        await asyncio.sleep(0.1)
        os.write(out_end, b"ial\nlate\n")
        await asyncio.sleep(0.1)
        assert not reader.done()
        os.close(out_end)
        await copying
        return await asyncio.wait_for(reader, 5)

    async def _collect(log: LogFile) -> bytes:
        return b"".join([piece async for piece in logs.read(log.path, log, Query(follow=True))])

    assert asyncio.run(follow()) == b"early\npartial\nlate\n"


def test_last_words_are_the_end_of_the_log(tmp_path: Path) -> None:
    write(tmp_path / "0.log", b"x" * 3000 + b"\nit broke\n")
    assert logs.ending(tmp_path / "0.log", 9) == "it broke\n"
    assert len(logs.ending(tmp_path / "0.log", 2048)) == 2048
    assert logs.ending(tmp_path / "none.log", 2048) == ""
