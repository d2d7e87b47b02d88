"""Device, number format and the cache of loaded networks."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from wsipipe.errors import ConfigError
from wsipipe.models import device as module
from wsipipe.models.device import execution, execution_fingerprint, loaded, number_format


def test_auto_is_resolved_to_what_torch_sees() -> None:
    assert execution("auto").device == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(("flags", "wanted"), [("avx2 avx512_bf16 fma", "bfloat16"), ("avx2 fma", "float32")])
def test_auto_is_resolved_to_what_the_processor_multiplies(
    flags: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr(module, "PROCESSOR", tmp_path / "cpuinfo")
    assert number_format() == execution("cpu", "auto").dtype == wanted
    assert execution("cpu", "float32").dtype == "float32"


def test_a_system_that_does_not_tell_gets_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROCESSOR", tmp_path / "nowhere")
    assert number_format() == "float32"


def test_threads_below_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="threads: must be 1 or more"):
        execution(threads=0)


def test_short_names_of_number_formats() -> None:
    assert execution(dtype="bf16").dtype == "bfloat16"
    assert execution(dtype="fp32") == execution()


@pytest.mark.parametrize("wrong", [{"device": "tpu"}, {"dtype": "float16"}, {"memory_format": "nhwc"}])
def test_unknown_values_name_the_known_ones(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="must be one of"):
        execution(**wrong)


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where there is no such device")
def test_cuda_is_refused_where_it_is_absent() -> None:
    with pytest.raises(ConfigError, match="cuda was asked for"):
        execution("cuda")


def test_fingerprint_says_what_can_change_bits() -> None:
    got = execution_fingerprint(execution("cpu", "bf16"))
    assert str(got.pop("torch")).split("+")[0] == torch.__version__.split("+")[0]
    assert got == {"device": "cpu", "dtype": "bfloat16", "memory_format": "channels_last", "threads": 1}


def test_something_is_made_once_by_all_threads() -> None:
    made: list[int] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        loaded("test_device", lambda: made.append(1) or object())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_threads_are_those_of_the_choice_in_every_thread() -> None:
    torch.set_num_threads(2)
    seen: list[tuple[int, bool]] = []

    def look() -> None:
        with execution(threads=1).inference():
            seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled()))

    look()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [(1, True)] * 2
