"""The cache of compiled code: whole entries are used, others made anew, and it is never in the way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.cli import main
from symgrad.errors import BadOption
from symgrad.targets import c_build, cache, llvm_build
from symgrad.targets.llvm_build import CodeShape

KEY = cache.key_of("text", "options")
OTHER = cache.key_of("text", "other options")
SHAPE = CodeShape(1, 1, 0, False, False)
TARGETS = ("llvm", "c")
X, Y = sp.symbols("x y", real=True)


@pytest.fixture(scope="module", autouse=True)
def what_every_process_makes_once() -> None:
    """It has entries of its own, which are none of these tests'."""
    for target in TARGETS:
        compiled(target)(0.3, 0.7)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test; where its entries are."""
    monkeypatch.setenv("SYMGRAD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("SYMGRAD_CACHE_BYTES", raising=False)
    return tmp_path / "cache" / "kernels"


def unexpected(*_: object) -> bytes:
    raise AssertionError("made again")


def makes(payload: bytes, calls: list[bytes]) -> Callable[[], bytes]:
    """What makes `payload` and notes that it was asked to."""

    def make() -> bytes:
        calls.append(payload)
        return payload

    return make


def is_kept(key: str) -> bool:
    calls: list[bytes] = []
    cache.fetch(key, makes(b"anew", calls))
    return not calls


def only_entry(place: Path) -> Path:
    (entry,) = place.iterdir()
    return entry


# --- keys -----------------------------------------------------------------------------------------


def test_a_key_tells_texts_and_their_borders_and_their_order_apart() -> None:
    texts = [("ab", "c"), ("a", "bc"), ("abc",), ("c", "ab"), ("ab", "c", ""), ("ab", "C")]
    assert len({cache.key_of(*parts) for parts in texts}) == len(texts)
    assert cache.key_of("\ud800", "é\n\0") == cache.key_of("\ud800", "é\n\0")


def test_the_key_of_machine_code_changes_with_text_options_processor_and_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = [llvm_build._key("text", SHAPE), llvm_build._key("text ", SHAPE)]
    keys += [llvm_build._key("text", SHAPE, quick=True)]
    keys += [llvm_build._key("text", replace(SHAPE, loops=True))]
    changes: list[tuple[object, str, object]] = [
        (llvm_build, "processor", lambda: ("another", "+none")),
        (llvm_build.llvm, "llvm_version_info", (1, 2, 3)),
        (llvm_build.llvmlite, "__version__", "0.0"),
        (llvm_build, "_own_text", lambda: "other passes"),
        (cache, "_FORMAT", 0),
    ]
    for where, name, value in changes:
        with monkeypatch.context() as patch:
            patch.setattr(where, name, value)
            keys.append(llvm_build._key("text", SHAPE))
    assert len(set(keys)) == len(changes) + 4
    assert "optimise" in llvm_build._own_text()


def test_a_c_library_is_compiled_anew_for_other_flags_compilers_and_processors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled = []
    monkeypatch.setattr(c_build, "_compile", lambda *given: compiled.append(given) or b"library")

    def build(*flags: str) -> None:
        with c_build.shared_library("text", flags) as path:
            assert path.read_bytes() == b"library"
        assert not path.exists()

    for _ in range(2):
        build("-O1")
        build("-O2")
    assert len(compiled) == 2
    monkeypatch.setattr(c_build, "processor", lambda: ("another", ""))
    build("-O2")
    monkeypatch.setattr(c_build, "find_compiler", lambda: (("cc",), "version 0"))
    build("-O2")
    assert len(compiled) == 4


# --- kernels ----------------------------------------------------------------------------------------


def compiled(target: str) -> Callable[..., tuple[float, np.ndarray]]:
    llvm_build._recent.cache_clear()  # or the kernel would come from memory
    expr = (X - 2) ** 2 * sp.sin(Y) + sp.exp(X * Y)
    return sg.compile(expr, wrt=(X, Y), outputs=("value", "grad"), backend=target)


@pytest.mark.parametrize("target", TARGETS)
def test_a_kernel_from_the_cache_gives_the_same_numbers_and_source_without_a_compiler(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compiled(target)
    value, grad = first(0.3, 0.7)
    for module in (llvm_build, c_build):
        monkeypatch.setattr(module, "_compile", unexpected)
    second = compiled(target)
    again, same = second(0.3, 0.7)
    assert second.source == first.source
    assert value == again == pytest.approx(1.7**2 * np.sin(0.7) + np.exp(0.21), rel=1e-15)
    assert np.array_equal(grad, same)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_a_kernel_with_a_damaged_entry_is_compiled_again_and_the_entry_is_replaced(
    target: str, damage: str, place: Path
) -> None:
    value, _ = compiled(target)(0.3, 0.7)
    entry = only_entry(place)
    whole = entry.read_bytes()
    broken = bytearray(whole)
    broken[-100] ^= 1
    entry.write_bytes(bytes(broken) if damage == "flipped" else whole[: len(whole) // 2])
    assert compiled(target)(0.3, 0.7)[0] == value
    assert only_entry(place).read_bytes()[:24] == whole[:24]  # magic, format, length
    assert only_entry(place).stat().st_size == len(whole)


def test_functions_of_scipy_are_found_again_when_code_comes_from_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def value() -> float:
        llvm_build._recent.cache_clear()
        return float(sg.compile(sp.besselj(0, X), outputs="value")(1.5))

    first = value()
    asked = []
    look_up = llvm_build.address_for
    monkeypatch.setattr(llvm_build, "address_for", lambda *given: asked.append(given) or look_up(*given))
    monkeypatch.setattr(llvm_build, "_compile", unexpected)
    assert value() == first == pytest.approx(0.5118276717359181, rel=1e-14)
    assert asked


PROCESS = """
import sys, sympy as sp, symgrad as sg
x = sp.Symbol("x")
print("ready", flush=True)
sys.stdin.readline()
print([sg.compile(x**2 * sp.sin(x + n), wrt=x, outputs="grad")(0.5) for n in range(8)])
"""


def test_two_processes_that_build_the_same_kernels_at_once_share_one_cache(place: Path) -> None:
    command = [sys.executable, "-c", PROCESS]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers[0] == answers[1] != ""
    assert all(path.suffix == ".entry" for path in place.iterdir())
    assert len(list(place.iterdir())) == 9  # with the code that calls them


# --- entries ----------------------------------------------------------------------------------------


def test_what_was_stored_is_found_whole_and_under_its_key_alone() -> None:
    payload = bytes(range(256)) * 100
    assert cache.fetch(KEY, lambda: payload) == payload
    assert cache.fetch(KEY, unexpected) == payload
    assert not is_kept(OTHER)


def damages(whole: bytes) -> dict[str, bytes]:
    other_length = whole[:16] + (len(whole) - 79).to_bytes(8, "little") + whole[24:]
    return {
        "empty": b"",
        "half of the header": whole[:40],
        "header alone": whole[:88],
        "all but the last byte": whole[:-1],
        "one byte more": whole + b"\0",
        "a flipped bit": whole[:-1] + bytes([whole[-1] ^ 1]),
        "another digest": whole[:87] + bytes([whole[87] ^ 1]) + whole[88:],
        "another length": other_length,
        "another magic": b"SYMGRAD\0" + whole[8:],
        "another format": whole[:8] + b"\xff" + whole[9:],
        "zeros": bytes(len(whole)),
        "a file of another program": b"\x7fELF" + bytes(1000),
    }


@pytest.mark.parametrize("damage", list(damages(bytes(100))))
def test_an_entry_that_is_not_whole_is_made_anew_and_replaced(damage: str, place: Path) -> None:
    calls: list[bytes] = []
    cache.fetch(KEY, makes(b"payload", calls))
    entry = only_entry(place)
    whole = entry.read_bytes()
    assert damages(whole)[damage] != whole
    entry.write_bytes(damages(whole)[damage])
    assert cache.fetch(KEY, makes(b"payload", calls)) == b"payload"
    assert len(calls) == 2
    assert entry.read_bytes() == whole
    assert cache.fetch(KEY, unexpected) == b"payload"


def test_an_entry_under_the_name_of_another_is_not_loaded(place: Path) -> None:
    cache.fetch(KEY, lambda: b"payload")
    only_entry(place).rename(place / (OTHER + ".entry"))
    assert cache.fetch(OTHER, lambda: b"its own") == b"its own"


@pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")
@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
def test_an_entry_that_others_can_write_to_is_replaced_by_one_that_they_cannot(
    mode: int, place: Path
) -> None:
    cache.fetch(KEY, lambda: b"payload")
    only_entry(place).chmod(mode)
    assert cache.fetch(KEY, lambda: b"payload") == b"payload"
    assert only_entry(place).stat().st_mode & 0o777 == 0o600
    assert place.stat().st_mode & 0o777 == 0o700
    assert cache.fetch(KEY, unexpected) == b"payload"


@pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")
def test_a_directory_of_another_user_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.fetch(KEY, lambda: b"payload")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert not is_kept(KEY)
    assert cache.look().problem == "another user owns it or can write to it"


@pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")
def test_a_directory_that_others_can_write_to_is_not_used(place: Path) -> None:
    cache.fetch(KEY, lambda: b"payload")
    place.chmod(0o777)
    assert not is_kept(KEY)
    place.chmod(0o700)
    assert cache.fetch(KEY, unexpected) == b"payload"


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_links_are_not_followed(place: Path, tmp_path: Path) -> None:
    cache.fetch(KEY, lambda: b"payload")
    entry = only_entry(place)
    entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(tmp_path / "elsewhere")
    assert not is_kept(KEY)
    assert not entry.is_symlink()
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "moved")
    assert not is_kept(KEY)
    assert cache.look().problem == "it is a link"


def test_a_failure_to_make_is_passed_on_and_nothing_is_stored(place: Path) -> None:
    with pytest.raises(AssertionError, match="made again"):
        cache.fetch(KEY, unexpected)
    assert not list(place.iterdir())


def test_a_write_that_is_interrupted_leaves_nothing_behind(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        cache.fetch(KEY, lambda: b"payload")
    assert not list(place.iterdir())


def test_many_threads_get_the_same_payload() -> None:
    answers: list[bytes] = []
    work = [threading.Thread(target=lambda: answers.append(cache.fetch(KEY, lambda: b"p"))) for _ in range(8)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert answers == [b"p"] * 8


# --- no cache ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
def test_without_a_place_to_write_kernels_are_compiled_each_time(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYMGRAD_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert compiled(target)(2.0, 0.0)[0] == compiled(target)(2.0, 0.0)[0] == 1.0
    assert not is_kept(KEY)
    assert not is_kept(KEY)
    assert cache.clear() == (0, 0)


def test_a_read_only_directory_gives_what_it_has_and_takes_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.fetch(KEY, lambda: b"payload")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    for name in ("mkstemp", "mkdtemp"):
        monkeypatch.setattr(cache.tempfile, name, refuse)
    monkeypatch.setattr(cache.os, "utime", refuse)
    assert cache.fetch(KEY, unexpected) == b"payload"
    assert cache.fetch(OTHER, lambda: b"other") == b"other"
    assert not is_kept(OTHER)
    assert only_entry(place).name == KEY + ".entry"


def test_a_bound_of_zero_switches_the_cache_off(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", "0")
    assert not is_kept(KEY)
    assert not is_kept(KEY)
    assert not place.exists()


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "9" * 30, "٣"])
def test_a_bound_that_is_no_number_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", text)
    with pytest.raises(BadOption) as caught:
        cache.fetch(KEY, unexpected)
    assert str(caught.value) == (
        f"cannot read {text!r} as a number of bytes\n"
        "  where    SYMGRAD_CACHE_BYTES\n"
        "  try      SYMGRAD_CACHE_BYTES=536870912, the default, or 0 for no cache"
    )


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG's variables")
def test_the_place_is_the_users_folder_for_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYMGRAD_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    for base, expected in (("", ".cache"), ("relative", ".cache"), (str(tmp_path / "xdg"), "xdg")):
        monkeypatch.setenv("XDG_CACHE_HOME", base)
        assert cache.look().directory == tmp_path / expected / "symgrad" / "kernels"


# --- the bound --------------------------------------------------------------------------------------


def store(number: int, used: int, size: int = 1000) -> str:
    """An entry that was last used at a given time."""
    key = cache.key_of(str(number))
    cache.fetch(key, lambda: bytes(size))
    os.utime(Path(os.environ["SYMGRAD_CACHE_DIR"]) / "kernels" / (key + ".entry"), (used, used))
    return key


def test_the_entries_unused_for_longest_make_room_for_new_ones(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [store(n, used=1_000_000 + n) for n in range(6)]
    cache.fetch(keys[1], unexpected)  # used now
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", str(4 * (1000 + 88)))
    newest = cache.key_of("newest")
    cache.fetch(newest, lambda: bytes(1000))
    left = {path.name.removesuffix(".entry") for path in place.iterdir()}
    assert left == {keys[1], keys[4], keys[5], newest}
    assert cache.look().size == 4 * 1088


def test_what_is_larger_than_the_bound_is_not_stored_and_pushes_nothing_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = store(1, used=1_000_000)
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", "2000")
    assert cache.fetch(KEY, lambda: bytes(5000)) == bytes(5000)
    assert not cache.fetch(key, unexpected)[0]
    assert cache.look().entries == 1


def test_the_directory_is_read_rarely_and_more_often_for_larger_entries() -> None:
    keys = [cache.key_of(str(n)) for n in range(4000)]
    bound = 2**20
    for size, expected in ((bound // 3200, 40), (bound // 320, 400), (bound // 32, 4000)):
        times = sum(cache._is_time_to_prune(key, size, bound) for key in keys)
        assert abs(times - expected) <= 4 * expected**0.5 * (expected < 4000)


def test_what_dead_processes_left_behind_is_deleted_and_what_is_being_written_stays(place: Path) -> None:
    cache.fetch(KEY, lambda: b"payload")
    for name in ("tmp-old", "tmp-new", "mine"):
        (place / name).write_bytes(b"half")
    (place / "tmp-directory").mkdir()
    (place / "tmp-directory" / "kernel.c").write_text("")
    for name in ("tmp-old", "tmp-directory", "mine"):
        os.utime(place / name, (1_000_000, 1_000_000))
    assert cache.clear() == (1, 88 + 7)
    assert {path.name for path in place.iterdir()} == {"tmp-new", "mine"}


# --- symgrad cache ----------------------------------------------------------------------------------


def test_symgrad_cache_shows_where_it_is_and_what_it_holds(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store(1, used=1_000_000)
    store(2, used=1_000_000, size=500)
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", "123456")
    assert main(["cache"]) == 0
    expected = f"where    {place}\nentries  2\nbytes    1676\nbound    123456 (SYMGRAD_CACHE_BYTES)\n"
    assert capsys.readouterr().out == expected
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", "0")
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.endswith("\nnot used: switched off by SYMGRAD_CACHE_BYTES=0\n")


def test_symgrad_cache_clear_deletes_all_entries(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store(1, used=1_000_000)
    store(2, used=1_000_000)
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", "0")  # what is there can be deleted all the same
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == "deleted 2 entries, 2176 bytes\n"
    assert not list(place.iterdir())


def test_symgrad_cache_reports_a_bound_that_is_no_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMGRAD_CACHE_BYTES", "lots")
    assert main(["cache"]) == 2
    assert capsys.readouterr().err.startswith("BadOption: cannot read 'lots' as a number of bytes\n")
