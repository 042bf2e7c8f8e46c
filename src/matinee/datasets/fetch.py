"""Fetch: a MovieLens release from GroupLens, a mirror, or a file one has; checked, and unpacked safely.

    address --download, resume--> NAME.zip.part --checksum--> .NAME.unpacking/ --rename--> NAME/

Nothing half-done ever stands under the final name; a download that breaks off is continued by the next call.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import IO, Any

from matinee.datasets import RELEASES
from matinee.datasets.movielens import is_release
from matinee.errors import DataError, FetchError, UsageError
from matinee.progress import Progress

ADDRESS = "https://files.grouplens.org/datasets/movielens/{name}.zip"
TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 18
MAX_FILES, MAX_BYTES = 1_000, 8 << 30
MAX_RATIO = 100  # unpacked to packed; MovieLens has 5
Told = Callable[[int, int | None], None]
"""Called with (bytes so far, bytes in all or None) while they arrive."""


@dataclass(frozen=True)
class Fetched:
    """Where a release lies now, where it came from, and whether its checksum was published and right."""

    folder: Path
    source: str
    verified: bool


def fetch(
    name: str,
    to: str | os.PathLike[str] = ".",
    source: str | os.PathLike[str] | None = None,
    *,
    timeout: float = TIMEOUT,
    progress: Progress | None = None,
) -> Fetched:
    """Bring a release to the folder `to`/`name`; one that is there already is left as it is.

    source      address or file of the zip, by default GroupLens' own; the `.md5` file beside an address is checked

    Raises UsageError for an unknown name, FetchError for what cannot be brought, checked or unpacked.
    """
    if name not in RELEASES:
        raise UsageError(f"there is no release {name!r}; the names are {', '.join(RELEASES)}")
    folder = Path(to) / name
    place = str(source) if source is not None else ADDRESS.format(name=name)
    if folder.exists():
        return _already_there(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not re.match(r"https?://", place):
            archive = Path(place)
            if not archive.is_file():
                raise FetchError(f"there is no file {archive} to fetch {name} from")
            _unpack(archive, folder)
            return Fetched(folder, place, verified=False)
        archive = folder.with_name(f"{name}.zip.part")
        _download(place, archive, timeout, progress)
        verified = _check(place, archive, timeout)
        _unpack(archive, folder)
        archive.unlink()
    except OSError as problem:
        raise FetchError(f"writing {name} to {folder.parent} failed: {problem.strerror or problem}") from problem
    return Fetched(folder, place, verified)


def _already_there(folder: Path) -> Fetched:
    try:
        if is_release(folder):
            return Fetched(folder, str(folder), verified=False)
    except (DataError, OSError):
        pass
    raise FetchError(
        f"{folder} is in the way and is no MovieLens release; move it, or name another folder with `to=FOLDER`"
    )


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise FetchError(f"{req.full_url} redirects to an address without encryption, {newurl}; not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(address: str, timeout: float, start: int = 0) -> HTTPResponse:
    headers = {"User-Agent": "matinee", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    opener = urllib.request.build_opener(_NoDowngrade())
    response: HTTPResponse = opener.open(urllib.request.Request(address, headers=headers), timeout=timeout)
    return response


def _download(address: str, part: Path, timeout: float, progress: Progress | None) -> None:
    """Bring the file, going on where an earlier call broke off."""
    start = part.stat().st_size if part.exists() else 0
    try:
        with _open(address, timeout, start) as response:
            start = start if response.status == 206 else 0
            length = response.headers.get("Content-Length")
            total = start + int(length) if length else None
            with part.open("ab" if start else "wb") as file:
                done = _copy(response, file, start, total, progress)
    except urllib.error.HTTPError as problem:
        if problem.code == 416:  # everything is here already
            return
        raise FetchError(
            f"{address} answered {problem.code} {problem.reason}; name a mirror with `source=URL`"
        ) from None
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as problem:
        reason = getattr(problem, "reason", problem)
        raise FetchError(
            f"{address}: the download failed ({reason}); try again to continue it, or name a mirror with `source=URL`"
        ) from None
    if total is not None and done < total:
        raise FetchError(f"{address} broke off after {done:,} of {total:,} bytes; try again, it goes on there")


def _copy(response: IO[bytes], file: IO[bytes], done: int, total: int | None, progress: Progress | None) -> int:
    while chunk := response.read(CHUNK):
        file.write(chunk)
        done += len(chunk)
        if progress:
            progress("fetching", done, total, None)
    return done


def _check(address: str, archive: Path, timeout: float) -> bool:
    """Compare with the published checksum; return whether there was one. A wrong file is removed."""
    try:
        with _open(f"{address}.md5", timeout) as response:
            text = response.read(4096).decode("ascii", errors="replace")
    except (OSError, HTTPException):
        return False
    expected = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    if not expected:
        return False
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != expected[0].lower():
        archive.unlink()
        raise FetchError(f"{address} does not match its checksum ({found}, published {expected[0]}); try again")
    return True


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack beside the folder, then rename. Raises FetchError for a zip that is damaged, hostile or no release."""
    fresh = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [member for member in packed.infolist() if not member.is_dir()]
            _refuse_hostile(archive, members)
            inside = os.path.commonpath(
                [PurePosixPath(member.filename).parent for member in members] or [PurePosixPath()]
            )
            for member in members:
                target = fresh / PurePosixPath(member.filename).relative_to(inside if inside else ".")
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file, CHUNK)
        if not is_release(fresh):
            raise FetchError(f"{archive} holds no MovieLens release")
        fresh.rename(folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as problem:
        raise FetchError(f"{archive} is not a complete zip file ({problem}); remove it and fetch again") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _refuse_hostile(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    unpacked, packed = (sum(getattr(m, size) for m in members) for size in ("file_size", "compress_size"))
    if len(members) > MAX_FILES or unpacked > MAX_BYTES or unpacked > MAX_RATIO * max(packed, CHUNK):
        raise FetchError(f"{archive} would unpack to {len(members):,} files and {unpacked:,} bytes; refused")
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if (
            path.is_absolute()
            or ".." in path.parts
            or ":" in member.filename
            or stat.S_ISLNK(member.external_attr >> 16)
        ):
            raise FetchError(f"{archive} holds {member.filename!r}, which would leave the folder; refused")
