"""What is a slide among files and folders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wsipipe.errors import UsageError
from wsipipe.slide.find import find_slides


def touched(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def names(root: Path, found: list[Path]) -> list[str]:
    return [str(path.relative_to(root)) for path in found]


def test_directories_are_searched_and_sorted(tmp_path: Path) -> None:
    touched(tmp_path, "b.SVS", "a.tiff", "sub/c.ndpi", "sub/deep/d.ome.tif", "notes.txt", "sub/thumbs.db", "e.png")
    assert names(tmp_path, find_slides([tmp_path])) == ["a.tiff", "b.SVS", "e.png", "sub/c.ndpi", "sub/deep/d.ome.tif"]


def test_named_files_are_returned_whatever_they_are(tmp_path: Path) -> None:
    touched(tmp_path, "b.txt", "a.svs", ".hidden")
    wanted = [tmp_path / "b.txt", tmp_path / ".hidden", tmp_path / "a.svs"]
    assert find_slides(wanted) == wanted


def test_no_path_stands_twice(tmp_path: Path) -> None:
    touched(tmp_path, "a.svs", "b.svs")
    assert names(tmp_path, find_slides([tmp_path / "b.svs", tmp_path, str(tmp_path)])) == ["b.svs", "a.svs"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    touched(tmp_path, "a.svs", "._a.svs", ".trash/b.svs")
    assert names(tmp_path, find_slides([tmp_path])) == ["a.svs"]


def test_mrxs_data_is_not_searched(tmp_path: Path) -> None:
    touched(tmp_path, "a.mrxs", "a/Slidedat.ini", "a/Data0001.dat", "a/preview.jpg", "other/p.jpg")
    assert names(tmp_path, find_slides([tmp_path])) == ["a.mrxs", "other/p.jpg"]


def test_jpeg_parts_of_a_vms_are_not_slides(tmp_path: Path) -> None:
    touched(tmp_path, "a.vms", "a_1.jpg", "a_2.jpeg", "b/p.webp", "b/q.bmp", "b/r.jpg")
    assert names(tmp_path, find_slides([tmp_path])) == ["a.vms", "b/p.webp", "b/q.bmp", "b/r.jpg"]


def test_a_zarr_is_one_slide(tmp_path: Path) -> None:
    touched(tmp_path, "a.zarr/images/he/0/c/0.png", "b/zarr.json", "b/x.tif")
    assert names(tmp_path, find_slides([tmp_path])) == ["a.zarr", "b"]
    assert find_slides([tmp_path / "a.zarr"]) == [tmp_path / "a.zarr"]


def test_links_in_a_circle_end_and_broken_links_are_found(tmp_path: Path) -> None:
    """Who opens a broken link is told so; without a slide's ending it is nothing."""
    touched(tmp_path, "a/x.svs")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to("self")
    (tmp_path / "gone.svs").symlink_to("nowhere.svs")
    (tmp_path / "round.svs").symlink_to("round.svs")
    assert [path.relative_to(tmp_path).as_posix() for path in find_slides([tmp_path])] == [
        "gone.svs", "round.svs", "a/x.svs",
    ]  # fmt: skip


def test_a_linked_folder_is_searched(tmp_path: Path) -> None:
    touched(tmp_path, "store/x.svs")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "store")
    assert names(tmp_path, find_slides([tmp_path / "in"])) == ["in/link/x.svs"]


def test_nothing_there_is_an_error_that_names_the_endings(tmp_path: Path) -> None:
    touched(tmp_path, "notes.txt")
    with pytest.raises(UsageError, match=r"\.mrxs .*\.svs") as caught:
        find_slides([tmp_path])
    assert caught.value.subject == str(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="no such file"):
        find_slides([tmp_path / "missing"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    touched(tmp_path, "a.svs")
    assert names(tmp_path, find_slides([tmp_path])) == ["a.svs"]
    with pytest.raises(UsageError, match="permissions"):
        find_slides([tmp_path / "shut"])


def test_damaged_dicom_files_are_slides_of_their_own(tmp_path: Path) -> None:
    touched(tmp_path, "a.dcm", "b.dcm")
    assert names(tmp_path, find_slides([tmp_path])) == ["a.dcm", "b.dcm"]


def test_real_dicom_series_are_one_slide_each(shared_data: Path, tmp_path: Path) -> None:
    formats = shared_data / "slides" / "formats"
    found = find_slides([shared_data / "slides"])
    dicom = [path for path in found if path.suffix == ".dcm" or path.is_dir()]
    assert [path.name for path in dicom] == ["multi_frame_jpeg_camelyon_challenge_image.dcm", "dicom-j2k", "dicom-jpeg"]
    assert len(found) == 15
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for folder in ("dicom-j2k", "dicom-jpeg"):
        for index, file in enumerate(sorted((formats / folder).iterdir())):
            (mixed / f"{folder}{index}").symlink_to(file.resolve())
    assert names(mixed, find_slides([mixed])) == ["dicom-j2k0", "dicom-jpeg0"]


def test_importing_loads_no_reader() -> None:
    code = (
        "import sys, wsipipe.slide.find; "
        "print([m for m in ('openslide', 'tifffile', 'pydicom', 'PIL', 'zarr') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"
