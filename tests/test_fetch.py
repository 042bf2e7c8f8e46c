from __future__ import annotations

import hashlib
import io
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from matinee.datasets import load
from matinee.datasets.fetch import fetch
from matinee.errors import FetchError, UsageError

RATINGS = b"userId,movieId,rating,timestamp\n" + b"".join(
    b"%d,%d,4.0,%d\n" % (u, m, u + m) for u in range(99) for m in range(99)
)


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


RELEASE = packed({"ml-1m/ratings.csv": RATINGS, "ml-1m/README.txt": b"terms"})


class Server(ThreadingHTTPServer):
    """A small mirror: what it serves, and how it misbehaves."""

    files: dict[str, bytes]
    cut_after: int | None = None
    stall = False
    redirect: str | None = None
    ranges: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            server.redirect = None
            self.end_headers()
            return
        content = server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        wanted = self.headers.get("Range")
        server.ranges.append(wanted)
        start = int(wanted.split("=")[1].rstrip("-")) if wanted else 0
        if wanted and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if server.stall:
            time.sleep(1.5)
        stop = len(content) if server.cut_after is None else start + server.cut_after
        self.wfile.write(content[start:stop])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.files = {"/ml-1m.zip": RELEASE}
        running.ranges = []
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/ml-1m.zip"


def published(content: bytes) -> bytes:
    return f"MD5 (ml-1m.zip) = {hashlib.md5(content, usedforsecurity=False).hexdigest()}\n".encode()


def test_fetch__brings_unpacks_and_verifies_a_release(server: Server, tmp_path: Path) -> None:
    server.files["/ml-1m.zip.md5"] = published(RELEASE)
    seen: list[tuple[int, int | None]] = []
    fetched = fetch(
        "ml-1m", tmp_path, address(server), progress=lambda step, done, total, score: seen.append((done, total))
    )
    assert fetched.verified
    assert load(fetched.folder).ratings.n == 99 * 99
    assert seen[-1] == (len(RELEASE), len(RELEASE))
    assert [path.name for path in tmp_path.iterdir()] == ["ml-1m"]


def test_fetch__says_when_no_checksum_was_published(server: Server, tmp_path: Path) -> None:
    assert not fetch("ml-1m", tmp_path, address(server)).verified


def test_fetch__refuses_a_wrong_checksum_and_starts_anew(server: Server, tmp_path: Path) -> None:
    server.files["/ml-1m.zip.md5"] = published(b"something else")
    with pytest.raises(FetchError, match="does not match its checksum"):
        fetch("ml-1m", tmp_path, address(server))
    assert list(tmp_path.iterdir()) == []


def test_fetch__goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.cut_after = 100
    with pytest.raises(FetchError, match="broke off after 100 of"):
        fetch("ml-1m", tmp_path, address(server))
    server.cut_after = None
    fetch("ml-1m", tmp_path, address(server))
    assert "bytes=100-" in server.ranges
    assert (tmp_path / "ml-1m" / "README.txt").read_bytes() == b"terms"


def test_fetch__gives_up_on_a_server_that_falls_silent(server: Server, tmp_path: Path) -> None:
    server.stall = True
    with pytest.raises(FetchError, match="the download failed"):
        fetch("ml-1m", tmp_path, address(server), timeout=0.3)


def test_fetch__follows_a_redirect_and_reports_a_missing_file(server: Server, tmp_path: Path) -> None:
    server.redirect = "/ml-1m.zip"
    assert fetch("ml-1m", tmp_path / "a", address(server)).folder.is_dir()
    server.files.clear()
    with pytest.raises(FetchError, match="answered 404 Not Found; name a mirror"):
        fetch("ml-1m", tmp_path / "b", address(server))


def test_fetch__takes_a_file_one_has_and_leaves_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(RELEASE)
    folder = fetch("ml-1m", tmp_path, tmp_path / "mine.zip").folder
    (folder / "note.txt").write_text("mine")
    assert fetch("ml-1m", tmp_path).folder == folder
    assert (folder / "note.txt").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed({"ml-1m/ratings.csv": RATINGS, "../evil.txt": b"x"}), "would leave the folder; refused"),
        (packed({"ml-1m/ratings.csv": RATINGS, "/etc/evil": b"x"}), "would leave the folder; refused"),
        (packed({"ml-1m/ratings.csv": b"0" * (60 << 20)}), "would unpack to 1 files and 62,914,560 bytes; refused"),
        (packed({f"ml-1m/{i}": b"" for i in range(1_001)}), "would unpack to 1,001 files"),
        (packed({"notes/a.txt": b"x"}), "holds no MovieLens release"),
        (RELEASE[:-40], "is not a complete zip file"),
        (b"", "is not a complete zip file"),
    ],
)
def test_fetch__refuses_a_zip_that_is_damaged_hostile_or_no_release(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(FetchError, match=message):
        fetch("ml-1m", tmp_path / "data", tmp_path / "bad.zip")
    assert list((tmp_path / "data").iterdir()) == []


def test_fetch__refuses_a_link_in_a_zip(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("ml-1m/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("ml-1m/ratings.csv", RATINGS)
    with pytest.raises(FetchError, match="would leave the folder"):
        fetch("ml-1m", tmp_path, tmp_path / "bad.zip")


def test_fetch__says_what_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no release 'ml-7m'; the names are ml-latest-small"):
        fetch("ml-7m", tmp_path)
    with pytest.raises(FetchError, match=r"there is no file .*none\.zip"):
        fetch("ml-1m", tmp_path, tmp_path / "none.zip")
    (tmp_path / "ml-1m").mkdir()
    with pytest.raises(FetchError, match="is in the way and is no MovieLens release"):
        fetch("ml-1m", tmp_path)
