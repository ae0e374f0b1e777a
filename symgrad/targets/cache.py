"""Compiled code on disk, found by the content that it was made from; shared by all processes of a user.

A key is the SHA-256 of all that decides the machine code: the emitted text, options, processor, compiler. An
entry is one file: a header (magic, format, length, key, digest of the payload), then the payload. Whatever is
not exactly that, or belongs to another user, or could have been written by one, is never loaded; it is made
anew and replaced. Files appear by an atomic rename, so that no process sees half of one.

    SYMGRAD_CACHE_DIR    where; default: `symgrad` in the platform's folder for caches
    SYMGRAD_CACHE_BYTES  how much; default 512 MiB; 0 switches the cache off

A place that cannot be used means no cache, and no error: the cache changes how long things take, and nothing
else. `symgrad cache` tells whether it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from symgrad.errors import BadOption, quoted
from symgrad.records import dataclass

DEFAULT_BYTES = 512 * 2**20

_FORMAT = 1  # of entries and keys; another number makes everything on disk foreign
_HEADER = struct.Struct("<8sQQ32s32s")  # magic, format, length of the payload, key, digest of the payload
_MAGIC = b"symgrad\0"
_SUFFIX, _TEMPORARY = ".entry", "tmp-"
_FORGOTTEN = 3600.0  # seconds; a temporary file of that age belongs to a process that died
_PRUNED_PER_BOUND = 32  # while as many bytes are written as the bound allows, the directory is read so often


@dataclass(frozen=True)
class Contents:
    """What the cache holds.

    directory  where; None if the environment names no place.
    problem    why it is not used, "" if it is.
    entries    how many, of `size` bytes together.
    bound      how many bytes it may hold.
    """

    directory: Path | None
    problem: str
    entries: int
    size: int
    bound: int


def key_of(*parts: str) -> str:
    """The name of what is made from these texts, in this order: 64 hexadecimal digits."""
    digest = hashlib.sha256(_FORMAT.to_bytes(8, "little"))
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))  # so that ("ab", "c") is not ("a", "bc")
        digest.update(data)
    return digest.hexdigest()


def fetch(key: str, make: Callable[[], bytes]) -> bytes:
    """The payload stored under `key`; where there is none, what `make` returns, stored for the next time.

    Raises what `make` raises, and BadOption for a SYMGRAD_CACHE_BYTES that is no number.
    """
    directory, bound = _directory_in_use(), bound_in_bytes()
    if directory is None:
        return make()
    found = _read(directory, key)
    if found is not None:
        return found
    payload = make()
    if _HEADER.size + len(payload) <= bound:
        _write(directory, key, payload)
        if _is_time_to_prune(key, len(payload), bound):
            _prune(directory, bound)
    return payload


def found(key: str) -> bytes | None:
    """The payload stored under `key`, None where there is none. Raises BadOption as `fetch` does."""
    directory = _directory_in_use()
    return None if directory is None else _read(directory, key)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory of this user's own, deleted at the end of a `with`; next to the entries if possible.

    Some machines load no code from where the system keeps temporary files.
    """
    directory = _directory_in_use()
    if directory is not None:
        with contextlib.suppress(OSError):  # full, or mounted to be read only
            return tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=directory, ignore_cleanup_errors=True)
    return tempfile.TemporaryDirectory(prefix="symgrad-", ignore_cleanup_errors=True)


def look() -> Contents:
    """What the cache holds now. Raises BadOption as `fetch` does."""
    (directory, problem), bound = _place(), bound_in_bytes()
    entries = [] if directory is None or problem else _entries(directory)
    if bound == 0:
        problem = "switched off by SYMGRAD_CACHE_BYTES=0"
    elif directory is not None and not problem and not os.access(directory, os.W_OK):
        problem = "nothing can be added: it is read only"
    return Contents(directory, problem, len(entries), sum(size for _, size, _ in entries), bound)


def clear() -> tuple[int, int]:
    """Delete all entries; how many there were, and of how many bytes."""
    directory, problem = _place()
    if directory is None or problem:
        return 0, 0
    gone = [size for _, size, path in _entries(directory) if _remove(path)]
    _remove_forgotten(directory)
    return len(gone), sum(gone)


def bound_in_bytes() -> int:
    """$SYMGRAD_CACHE_BYTES, or 512 MiB; BadOption for anything but a whole number."""
    text = os.environ.get("SYMGRAD_CACHE_BYTES", "").strip()
    if not text:
        return DEFAULT_BYTES
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadOption(
            f"cannot read {quoted(text)} as a number of bytes",
            where="SYMGRAD_CACHE_BYTES",
            try_=f"SYMGRAD_CACHE_BYTES={DEFAULT_BYTES}, the default, or 0 for no cache",
        )
    return int(text)


# ---- the directory -----------------------------------------------------------------------------


def _directory() -> Path | None:
    """Where the environment says; None if this user has no home."""
    chosen = os.environ.get("SYMGRAD_CACHE_DIR")
    if chosen:
        return Path(chosen).absolute() / "kernels"
    try:
        home = Path.home()
    except RuntimeError:  # this user has none
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
        base = base if base.is_absolute() else home / ".cache"  # as the XDG specification says
    return base / "symgrad" / "kernels"


def _place() -> tuple[Path | None, str]:
    """The directory, made if need be, and why it cannot be used; "" if it can."""
    directory = _directory()
    if directory is None:
        return None, "there is no home directory; SYMGRAD_CACHE_DIR can name another place"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = directory.lstat()
    except OSError as error:
        return directory, error.strerror or str(error)
    if not stat.S_ISDIR(status.st_mode):
        return directory, "it is a link"  # where that leads may change between a check and a use
    return directory, "" if _is_private(status) else "another user owns it or can write to it"


def _directory_in_use() -> Path | None:
    if bound_in_bytes() == 0:
        return None
    directory, problem = _place()
    return None if problem else directory


def _is_private(status: os.stat_result) -> bool:
    """Whether only this user can have written there. Windows keeps a user's folders apart by itself."""
    if os.name != "posix":
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


# ---- entries -----------------------------------------------------------------------------------


def _path(directory: Path, key: str) -> Path:
    return directory / (key + _SUFFIX)


def _read(directory: Path, key: str) -> bytes | None:
    """The payload, if the entry is whole and this user's; its time of use is now."""
    path = _path(directory, key)
    try:
        with open(path, "rb", opener=_open_itself) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or not _is_private(status):
                return None
            payload = _payload(file.read(_HEADER.size), file.read(), key)
    except OSError:
        return None
    if payload is not None:
        with contextlib.suppress(OSError):  # a file system mounted to be read only keeps no times
            os.utime(path)
    return payload


def _open_itself(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))  # and not what a link points to


def _payload(header: bytes, rest: bytes, key: str) -> bytes | None:
    return rest if header == _header(key, rest) else None


def _header(key: str, payload: bytes) -> bytes:
    digest = hashlib.sha256(payload).digest()
    return _HEADER.pack(_MAGIC, _FORMAT, len(payload), bytes.fromhex(key), digest)


def _write(directory: Path, key: str, payload: bytes) -> None:
    """Store an entry, whole or not at all. A disk that is full or read only is no reason to fail."""
    with contextlib.suppress(OSError):
        handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=directory)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_header(key, payload))
                file.write(payload)
            os.replace(temporary, _path(directory, key))
        except BaseException:
            _remove(Path(temporary))
            raise


# ---- the bound ---------------------------------------------------------------------------------


def _is_time_to_prune(key: str, size: int, bound: int) -> bool:
    """Whether this entry's turn has come, with a probability in proportion to its size.

    The key is as good as a random number. No process has to know what the others wrote, and on average the
    cache is never more than a 32nd above its bound.
    """
    return int(key[:16], 16) * bound < 2**64 * size * _PRUNED_PER_BOUND


def _prune(directory: Path, bound: int) -> None:
    """Delete the entries that were not used for longest, until the others fit."""
    kept = 0
    for _, size, path in sorted(_entries(directory), reverse=True):
        kept += size
        if kept > bound:
            _remove(path)
    _remove_forgotten(directory)


def _entries(directory: Path) -> list[tuple[int, int, Path]]:
    """Time of last use in nanoseconds, size and path of each entry, of every format."""
    return _listed(directory, lambda name: name.endswith(_SUFFIX))


def _listed(directory: Path, has_name: Callable[[str], bool]) -> list[tuple[int, int, Path]]:
    found = []
    with contextlib.suppress(OSError), os.scandir(directory) as items:
        for item in items:
            with contextlib.suppress(OSError):  # another process has deleted it
                if has_name(item.name):
                    status = item.stat(follow_symlinks=False)
                    found.append((status.st_mtime_ns, status.st_size, Path(item.path)))
    return found


def _remove_forgotten(directory: Path) -> None:
    """Delete what processes left behind that died while they wrote or compiled."""
    for used, _, path in _listed(directory, lambda name: name.startswith(_TEMPORARY)):
        if used < (time.time() - _FORGOTTEN) * 1e9 and not _remove(path):
            shutil.rmtree(path, ignore_errors=True)


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:  # another process was faster, or uses it (Windows), or the place is read only
        return False
    return True
