"""Local copies of slides of object storage: whole, bounded, shared, and never taken from who reads."""

from __future__ import annotations

import multiprocessing
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.object_storage import Bucket, Faulty
from tests.pipelines.running import write_slide
from wsipipe.errors import SlideOpenError, UsageError
from wsipipe.grid import Box
from wsipipe.slide import cache as caching
from wsipipe.slide import find_slides, open_slide
from wsipipe.slide.cache import Cache, byte_count, cache, use
from wsipipe.slide.parts import Part, parts_of
from wsipipe.store import remote

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return write_slide(tmp_path / "local" / "made.tif", 300)


def copies(folder: Path) -> list[str]:
    """Names of the slides that are there whole."""
    return sorted(path.name for path in folder.glob("*/*") if not path.parent.name.endswith(".partial"))


def test_a_copy_is_the_slide_it_was(bucket: Bucket, made: Path) -> None:
    bucket.put("slides/made.tif", made.read_bytes())
    local, far = open_slide(made), open_slide(f"{bucket.url}/slides/made.tif")
    assert (far.id, far.info.fingerprint, far.info.shape) == (local.id, local.info.fingerprint, local.info.shape)
    box = Box(5, 7, 90, 80)
    np.testing.assert_array_equal(far.read(box, level=0), local.read(box, level=0))
    assert copies(cache().folder) == ["made.tif"]
    local.close()
    far.close()


def test_a_copy_is_made_once_and_another_content_is_another_copy(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []
    fetch = caching._fetch
    monkeypatch.setattr(caching, "_fetch", lambda *args: (fetched.append(args[2]), fetch(*args)))
    monkeypatch.setattr(caching, "CHUNK", 1000)
    bucket.put("a.svs", bytes(range(250)) * 10)
    first = cache().copy(f"{bucket.url}/a.svs")
    assert (sorted(fetched), first.path.read_bytes()) == ([0, 1000, 2000], bytes(range(250)) * 10)
    assert cache().copy(f"{bucket.url}/a.svs").path == first.path
    assert len(fetched) == 3
    bucket.put("a.svs", b"other")
    assert cache().copy(f"{bucket.url}/a.svs").path.read_bytes() == b"other"
    assert first.path.stat().st_size == 2500


def test_the_least_recently_opened_goes_and_never_one_in_use(bucket: Bucket, tmp_path: Path) -> None:
    small = Cache(tmp_path / "small", 250)
    for name in "abcd":
        bucket.put(f"{name}.svs", name.encode() * 100)
    a, b = (small.copy(f"{bucket.url}/{name}.svs") for name in "ab")
    b.release()
    small.copy(f"{bucket.url}/c.svs").release()
    assert copies(small.folder) == ["a.svs", "c.svs"], "a is older, but in use"
    a.release()
    small.copy(f"{bucket.url}/a.svs").release()
    small.copy(f"{bucket.url}/d.svs").release()
    assert copies(small.folder) == ["a.svs", "d.svs"], "a was opened after c"
    kept = [small.copy(f"{bucket.url}/{name}.svs") for name in "abcd"]
    assert [copy.path.read_bytes() for copy in kept] == [name.encode() * 100 for name in "abcd"]


def test_a_slide_larger_than_the_cache_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("a.svs", b"x" * 300)
    with pytest.raises(SlideOpenError, match="300 bytes, --cache-size allows 250"):
        Cache(tmp_path / "small", 250).copy(f"{bucket.url}/a.svs")


def test_what_a_killed_process_left_is_no_copy(bucket: Bucket) -> None:
    bucket.put("a.svs", b"whole")
    copy = cache().copy(f"{bucket.url}/a.svs")
    entry = copy.path.parent
    copy.release()
    entry.rename(entry.with_name(f"{entry.name}.partial"))
    (entry.with_name(f"{entry.name}.partial") / "a.svs").write_bytes(b"wh")
    assert cache().copy(f"{bucket.url}/a.svs").path.read_bytes() == b"whole"
    assert not list(cache().folder.glob("*.partial"))


def test_an_upload_during_the_copy_is_an_error_of_the_slide(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("a.svs", b"first")
    fetch = caching._fetch

    def replaced(*args: object) -> None:
        fetch(*args)  # type: ignore[arg-type]
        bucket.put("a.svs", b"other")

    monkeypatch.setattr(caching, "_fetch", replaced)
    with pytest.raises(SlideOpenError, match="changed meanwhile"):
        cache().copy(f"{bucket.url}/a.svs")
    assert copies(cache().folder) == []


def _copied(url: str, folder: str, answers: multiprocessing.Queue[tuple[str, bytes]]) -> None:
    copy = Cache(Path(folder), 10**9).copy(url)
    answers.put((str(copy.path), copy.path.read_bytes()))


def test_two_processes_and_four_threads_copy_one_slide_at_once(bucket: Bucket, faulty: Faulty, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    bucket.put("a.svs", data)
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    args = (f"{bucket.url}/a.svs", str(tmp_path / "shared"), answers)
    workers = [spawn.Process(target=_copied, args=args) for _ in range(2)]
    threads = [threading.Thread(target=_copied, args=args) for _ in range(4)]
    for one in (*workers, *threads):
        one.start()
    found = [answers.get(timeout=120) for _ in range(6)]
    for one in (*workers, *threads):
        one.join()
    assert len({path for path, _ in found}) == 1
    assert all(read == data for _, read in found)
    assert len(copies(tmp_path / "shared")) == 1


def test_what_belongs_to_a_slide_comes_along(bucket: Bucket) -> None:
    for key in ("m/s.mrxs", "m/s/Slidedat.ini", "m/s/Data0.dat", "m/t.mrxs", "d/1.dcm", "d/2.dcm", "d/note.txt"):
        bucket.put(key, key.encode() + bytes(132))
    bucket.put("d/3", bytes(128) + b"DICM")
    mrxs = [part.name for part in parts_of(f"{bucket.url}/m/s.mrxs")]
    assert mrxs == ["s.mrxs", "s/Data0.dat", "s/Slidedat.ini"]
    beside = ["d/1.dcm", "d/2.dcm", "d/3", "d/note.txt"]
    assert [part.name for part in parts_of(f"{bucket.url}/d")] == beside
    assert sorted(part.name for part in parts_of(f"{bucket.url}/d/3")) == [name.removeprefix("d/") for name in beside]
    with pytest.raises(SlideOpenError, match="no such object"):
        parts_of(f"{bucket.url}/nothing")


def test_no_key_leaves_the_copy(bucket: Bucket) -> None:
    bucket.put("d/../x", b"1")
    folder = remote.RemotePath(f"{bucket.url}/d")
    part = Part("d/../../x", folder, 1, "")
    assert part.name
    with pytest.raises(SlideOpenError, match="is no path"):
        parts_of(f"{bucket.url}/d")


def test_slides_are_found_below_a_prefix_as_in_a_folder(bucket: Bucket) -> None:
    keys = ("s/b.svs", "s/a/x.tif", "s/m.mrxs", "s/m/Data0.dat", "s/notes.txt", "s/.hidden.svs", "s/z.zarr/zarr.json")
    for key in (*keys, "s/out/run.json", "s/out/slides.parquet", "s/out/y.png"):
        bucket.put(key, b"1")
    found = [str(path).removeprefix(f"{bucket.url}/s/") for path in find_slides([f"{bucket.url}/s/"])]
    assert found == ["b.svs", "m.mrxs", "a/x.tif", "z.zarr"]
    assert [str(path) for path in find_slides([f"{bucket.url}/s/b.svs"])] == [f"{bucket.url}/s/b.svs"]
    with pytest.raises(UsageError, match="no such file"):
        find_slides([f"{bucket.url}/t"])
    with pytest.raises(UsageError, match="no such bucket"):
        find_slides(["s3://no-such-bucket-at-all/t"])


@pytest.mark.parametrize(("text", "count"), [("50GB", 50 * 10**9), ("1.5 tb", 15 * 10**11), ("1000", 1000)])
def test_sizes(text: str, count: int) -> None:
    assert byte_count(text) == count


def test_a_wrong_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSIPIPE_CACHE_SIZE", "1GB")
    with pytest.raises(UsageError, match="got 'much'"):
        use(None, "much")
