"""Places: the same calls on a folder and on an object store, and failures that are told."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from tests.object_storage import TIMEOUT_S, Bucket, Faulty
from wsipipe.errors import StoreError, UsageError
from wsipipe.store import lease, objects
from wsipipe.store.place import (
    checked_folder,
    entries,
    is_remote,
    make_folder,
    moves,
    place,
    remove_tree,
    replace_file,
    sync,
    unsynced,
    zarr_store,
)

pytestmark = pytest.mark.timeout(300)
Where = Callable[[str], Path]


@pytest.fixture(params=["disk", "bucket"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """Paths below a place of one kind."""
    if request.param == "disk":
        return lambda name: tmp_path / "results" / name
    made: Bucket = request.getfixturevalue("bucket")
    return lambda name: place(f"{made.url}/results") / name


def test_a_file_is_replaced_read_and_listed(where: Where) -> None:
    folder = where("a b")
    make_folder(folder)
    assert checked_folder(folder) == folder
    replace_file(folder / "run.json", b"old")
    replace_file(str(folder / "run.json"), b"new")
    make_folder(folder / "below")
    replace_file(folder / "below" / "x.png", b"x")
    assert (folder / "run.json").read_bytes() == b"new"
    assert [(one.name, one.is_file(), one.is_dir()) for one in sorted(folder.iterdir())] == [
        ("below", False, True),
        ("run.json", True, False),
    ]
    files, folders = entries(folder)
    assert [one.name for one in files] == ["run.json"]
    assert [one.name for one in folders] == ["below"]
    assert [one.name for one in folder.glob("*.json")] == ["run.json"]
    sync(folder / "run.json")


def test_what_is_not_there_is_not_there(where: Where) -> None:
    path = where("nothing")
    assert (path.exists(), path.is_file(), path.is_dir()) == (False, False, False)
    with pytest.raises(FileNotFoundError):
        (path / "x").read_bytes()
    (path / "x").unlink(missing_ok=True)
    remove_tree(path, missing_ok=True)


def test_a_tree_is_removed_with_nothing_beside_it(where: Where) -> None:
    for name in ("tree/a", "tree/b/c", "tree2/a"):
        make_folder(where(name).parent)
        replace_file(where(name), b"1")
    remove_tree(where("tree"))
    assert not where("tree").exists()
    assert where("tree2/a").read_bytes() == b"1"


def test_zarr_arrays_lie_where_their_folder_is(where: Where) -> None:
    group = zarr.open_group(zarr_store(where("s.zarr")), mode="a", zarr_format=3)
    group.create_array("a", shape=(6, 6), chunks=(2, 2), dtype="uint8")[2:4, 2:4] = 7
    assert where("s.zarr/a/c/1/1").is_file()
    assert not where("s.zarr/a/c/0/0").exists()
    again = zarr.open_array(zarr_store(where("s.zarr/a")), mode="r")
    assert int(np.asarray(again[:]).sum()) == 28
    with pytest.raises(FileNotFoundError):
        zarr.open_group(zarr_store(where("t.zarr")), mode="r")


def test_only_disks_have_something_to_sync_and_to_move(where: Where) -> None:
    make_folder(where("f"))
    replace_file(where("f/x"), b"1")
    assert len(unsynced(where("f"))) == (0 if is_remote(where("f")) else 1)
    assert moves(where("f")) is not is_remote(where("f"))


def test_a_results_path_that_is_a_file_is_refused(where: Where) -> None:
    make_folder(where("f").parent)
    replace_file(where("f"), b"1")
    with pytest.raises(UsageError, match="this is a file"):
        checked_folder(where("f"))


def test_more_objects_than_one_delete_takes(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "DELETE_MOST", 7)
    for index in range(20):
        bucket.put(f"t/{index}", b"")
    remove_tree(place(f"{bucket.url}/t"))
    assert bucket.keys() == []
    with pytest.raises(StoreError, match="whole bucket"):
        remove_tree(place(bucket.url))


def test_keys_that_could_not_be_removed_are_an_error(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("t/1", b"")
    call = objects.Objects._call_s3

    async def refusing(self: objects.Objects, method: str, *args: object, **kwargs: object) -> object:
        answer = await call(self, method, *args, **kwargs)
        return {"Errors": [{"Key": "t/1", "Code": "AccessDenied"}]} if method == "delete_objects" else answer

    monkeypatch.setattr(objects.Objects, "_call_s3", refusing)
    with pytest.raises(StoreError, match="removing 1 objects: the object store says AccessDenied"):
        remove_tree(place(f"{bucket.url}/t"))


@pytest.mark.parametrize("address", ["gs://bucket/x", "s3://", "http://x/y"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(UsageError, match="s3://bucket"):
        place(address)


def test_a_missing_bucket_is_named_before_anything_starts(bucket: Bucket) -> None:
    with pytest.raises(UsageError, match="no such bucket") as caught:
        checked_folder(place("s3://no-such-bucket-at-all/x"))
    assert caught.value.subject == "s3://no-such-bucket-at-all/x"
    with pytest.raises(StoreError, match="no such bucket"):
        replace_file("s3://no-such-bucket-at-all/x", b"1")


def test_missing_credentials_and_profiles_are_named(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    objects.disconnect()
    with pytest.raises(UsageError, match="AWS_PROFILE names a profile that is not configured"):
        checked_folder(place(bucket.url))
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    objects.disconnect()
    with pytest.raises(UsageError, match="no credentials; set AWS_PROFILE"):
        checked_folder(place(bucket.url))


def test_permission_denied_is_named(faulty: Faulty, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty.share = 1.0
    monkeypatch.setattr(faulty, "draw", lambda: "403")
    with pytest.raises(UsageError, match="permission denied"):
        checked_folder(place(bucket.url))


def test_a_dead_endpoint_is_an_error_in_bounded_time(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        objects.disconnect()
        started = time.monotonic()
        for call in (Path.is_file, Path.is_dir, Path.read_bytes, lambda path: list(path.iterdir())):
            with pytest.raises(StoreError, match="AWS_ENDPOINT_URL"):
                call(place(f"{bucket.url}/x"))
        with pytest.raises(StoreError, match="AWS_ENDPOINT_URL"):
            zarr.open_group(zarr_store(f"{bucket.url}/x"), mode="r")
        assert time.monotonic() - started < 60


def test_a_store_that_only_fails_is_an_error_not_an_absence(
    faulty: Faulty, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("x", b"1")
    assert place(f"{bucket.url}/x").is_file()
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    faulty.share, faulty.WEIGHTS = 1.0, (1, 0, 0, 0, 0, 0)
    faulty.done.clear()
    with pytest.raises(StoreError, match=r"after all attempts \(50."):
        place(f"{bucket.url}/x").is_file()
    assert faulty.done == {"500": 3}, "attempts of botocore, s3fs and wsipipe must not multiply"
    faulty.done.clear()
    with pytest.raises(StoreError, match=r"after all attempts \("):
        place(f"{bucket.url}/x").read_bytes()
    assert faulty.done == {"500": 3}


@pytest.mark.parametrize("kind", ["500", "503", "applied", "hang", "broken", "slow"])
def test_a_request_that_fails_is_sent_again(
    kind: str, faulty: Faulty, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request fails once in each way; what is asked next comes right."""
    monkeypatch.setenv("WSIPIPE_S3_TIMEOUT", "0.5")
    objects.disconnect()
    path = place(f"{bucket.url}/f/x")
    for call in (
        lambda: path.write_bytes(b"0123456789"),
        path.read_bytes,
        path.is_file,
        lambda: [one.name for one in path.parent.iterdir()],
        lambda: remove_tree(path.parent),
    ):
        monkeypatch.setattr(faulty, "draw", iter([kind, *["none"] * 9]).__next__)
        started, answer = time.monotonic(), call()
        assert answer in (10, b"0123456789", True, ["x"], None)
        assert time.monotonic() - started < TIMEOUT_S + 5
    assert bucket.keys() == []


def test_a_store_that_never_answers_is_an_error_in_bounded_time(
    faulty: Faulty, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faulty, "draw", lambda: "hang")
    monkeypatch.setattr(objects, "PATIENCE_S", TIMEOUT_S / 2)
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"ReadTimeoutError"):
        place(f"{bucket.url}/x").is_file()
    assert time.monotonic() - started < 3 * TIMEOUT_S, "one attempt, and none after its patience has ended"


def test_a_file_that_is_open_is_read_on_where_an_answer_breaks_off(
    faulty: Faulty, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(256)) * 64
    bucket.put("a/file", data)
    answers = iter(["broken", "500", *["none"] * 9])
    with place(f"{bucket.url}/a/file").open("rb") as file:
        monkeypatch.setattr(faulty, "draw", answers.__next__)
        assert file.read(100) == data[:100]
        file.seek(9000)
        assert file.read(5) + file.read() == data[9000:]


def test_a_conditional_put_that_was_not_acknowledged_is_told_from_a_lost_one(faulty: Faulty, bucket: Bucket) -> None:
    """The put happened and was answered with 500: sent again it is refused, though it was ours."""
    path = place(f"{bucket.url}/lease/1.json")
    faulty.draw = iter(["applied", *["none"] * 9]).__next__  # type: ignore[method-assign]
    assert lease._create(path, b"me")
    assert not lease._create(path, b"another")
    assert bucket.get("lease/1.json") == b"me"


def test_metadata_is_asked_for_once(faulty: Faulty, bucket: Bucket) -> None:
    faulty.share = 0.0
    group = zarr.open_group(zarr_store(f"{bucket.url}/s.zarr"), mode="a", zarr_format=3)
    inner = group.create_group("a").create_group("b")
    faulty.done.clear()
    for name in "cdef":
        inner.create_array(name, shape=(2,), chunks=(2,), dtype="uint8")
        assert name in inner
    assert faulty.done.total() <= 4 * 3, "listing, looking and writing; nothing of the groups above"
    faulty.done.clear()
    with pytest.raises(FileNotFoundError):
        zarr.open_group(zarr_store(f"{bucket.url}/none"), mode="r")
    assert faulty.done.total() == 1
    del group["a"]
    assert list(group) == []
    assert "a" not in group


def test_without_the_extra_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from wsipipe.store.place import place\n"
        "from wsipipe.errors import UsageError\n"
        "try: place('s3://b/x')\n"
        "except UsageError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'wsipipe[s3]'" in said


def test_folders_of_this_machine_import_nothing_of_object_storage(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import wsipipe.cli.app, wsipipe.cli.launch, wsipipe.query\n"
        "from wsipipe.store.place import place, replace_file\n"
        f"replace_file(place({str(tmp_path / 'x')!r}), b'1')\n"
        "print([name for name in ('s3fs', 'botocore', 'aiobotocore', 'upath') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
