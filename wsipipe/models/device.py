"""Where and how networks run: device, number format, memory layout, threads; and one cache of loaded networks.

Enters: settings. Leaves: an `Execution`, its fingerprint (part of every layer's key), networks that are
loaded once per process. Torch is imported inside functions only. Next: a room's stage factory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from wsipipe.errors import ConfigError

if TYPE_CHECKING:
    import torch

Loaded = TypeVar("Loaded")
Network = TypeVar("Network", bound="torch.nn.Module")

DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("auto", "float32", "bfloat16")
MEMORY_FORMATS = ("channels_last", "contiguous")
PROCESSOR = Path("/proc/cpuinfo")
"""Where Linux tells what the processor can do."""
_SHORT = {"fp32": "float32", "bf16": "bfloat16"}


class Options(TypedDict, total=False):
    """Keywords of `execution`, so that a stage factory can take and pass them on."""

    device: str
    dtype: str
    memory_format: str
    threads: int


@dataclass(frozen=True, slots=True)
class Execution:
    """A resolved choice; made by `execution`.

    Parameters
    ----------
    device : {"cpu", "cuda"}
        Never ``auto``: results differ in their last bits between the two, so the choice is part of keys.
    dtype : {"float32", "bfloat16"}
        Of convolutions and matrix products (torch's autocast); results are float32 either way. Never ``auto``.
    memory_format : {"channels_last", "contiguous"}
        Of weights and maps.
    threads : int
        CPU threads inside one operation. Part of keys as well: oneDNN splits sums by it (tried: a 1x1
        convolution of 256 channels differs in its last bit between 1 and 2). Use workers to fill the cores.
    """

    device: str = "cpu"
    dtype: str = "float32"
    memory_format: str = "channels_last"
    threads: int = 1

    def params(self) -> Options:
        """The same as keywords."""
        return Options(device=self.device, dtype=self.dtype, memory_format=self.memory_format, threads=self.threads)

    def layout(self) -> torch.memory_format:
        """Torch's name of the memory format."""
        import torch

        return torch.channels_last if self.memory_format == "channels_last" else torch.contiguous_format

    def placed(self, network: Network) -> Network:
        """The network on the device in the memory format, for inference; CUDA's convolutions then always add alike."""
        import torch

        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        moved: Network = network.to(self.device).to(memory_format=self.layout())  # type: ignore[call-overload]  # torch's stubs lack it
        return moved

    @contextmanager
    def inference(self) -> Iterator[None]:
        """A context without gradients in which operations run in ``dtype`` on ``threads`` threads.

        The number of threads belongs to the calling thread and to BLAS, and stays set: setting it back
        would disturb other workers of the process that are still computing.
        """
        import torch

        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=self.dtype == "bfloat16"):
            yield


def limit_threads(threads: int) -> None:
    """Let torch use so many threads in this process from now on; a worker's `inference` does so itself."""
    import torch

    torch.set_num_threads(threads)


def execution(
    device: str = "cpu", dtype: str = "float32", memory_format: str = "channels_last", threads: int = 1
) -> Execution:
    """Check and resolve a choice.

    ``auto`` becomes ``cuda`` where torch sees such a device, else ``cpu``; and ``bfloat16`` on a GPU and where the
    processor multiplies such numbers (`number_format`), else ``float32``.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
    dtype : {"auto", "float32", "bfloat16"}
        ``fp32`` and ``bf16`` are understood.
    memory_format : {"channels_last", "contiguous"}
    threads : int
        1 or more.

    Raises
    ------
    ConfigError
        Where a value is none of these, or ``cuda`` is asked for and absent.
    """
    dtype = _SHORT.get(dtype, dtype)
    for name, value, known in (
        ("device", device, DEVICES),
        ("dtype", dtype, DTYPES),
        ("memory_format", memory_format, MEMORY_FORMATS),
    ):
        if value not in known:
            raise ConfigError(f"must be one of {', '.join(known)}, got {value!r}: correct it", subject=name)
    if threads < 1:
        raise ConfigError(f"must be 1 or more, got {threads}: correct it", subject="threads")
    found = "cuda" if device != "cpu" and _has_cuda() else "cpu"
    if device == "cuda" != found:
        raise ConfigError(
            "cuda was asked for and torch sees no such device: use auto or cpu, or install a torch with CUDA",
            subject="device",
        )
    if dtype == "auto":
        dtype = "bfloat16" if found == "cuda" else number_format()
    return Execution(found, dtype, memory_format, threads)


def number_format() -> str:
    """``bfloat16`` where this processor multiplies such numbers (Linux says so), else ``float32``."""
    known = PROCESSOR.read_text(encoding="utf-8", errors="replace") if PROCESSOR.is_file() else ""
    return "bfloat16" if "avx512_bf16" in known else "float32"


def execution_fingerprint(how: Execution) -> dict[str, str | int]:
    """What can change a network's last bits besides its weights and batch: part of a layer's key."""
    return {"torch": version("torch"), **asdict(how)}


BATCH = {"cpu": 2, "cuda": 16}
"""Tiles per forward pass where nothing is asked for. A core is as quick with two as with eight, and pads less."""

_LOCK = threading.RLock()
_LOADED: dict[Hashable, Any] = {}


def loaded(key: Hashable, make: Callable[[], Loaded]) -> Loaded:
    """What `make` returned when this process first asked for `key`; others wait while it is made."""
    with _LOCK:
        if key not in _LOADED:
            _LOADED[key] = make()
        value: Loaded = _LOADED[key]
        return value


def _has_cuda() -> bool:
    """Whether torch sees a CUDA device; asks it only where the system shows one (importing torch is 0.5 GB)."""
    if Path("/dev").is_dir() and not any(Path(node).exists() for node in ("/dev/nvidiactl", "/dev/dxg")):
        return False
    import torch

    return torch.cuda.is_available()
