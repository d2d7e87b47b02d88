"""The heap: what one array held serves the next."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.run import tasks
from wsipipe.run import heap
from wsipipe.run.pool import Pool

SIZE, TIMES = 1 << 26, 10
PAGES = SIZE // 4096

pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is Linux's")]


def test_a_worker_pages_an_array_in_once() -> None:
    with Pool(workers=1, threads=1) as pool:
        pool.submit("faults", tasks.page_faults, SIZE, TIMES)
        assert dict(pool.answers())["faults"] < PAGES


@pytest.mark.parametrize(("own", "most"), [({}, PAGES), ({"MALLOC_MMAP_THRESHOLD_": "65536"}, None)])
def test_this_process_is_settled_unless_its_environment_is(own: dict[str, str], most: int | None) -> None:
    code = (
        "from wsipipe.run import heap; heap.keep(); "
        f"from tests.run.tasks import page_faults; print(page_faults({SIZE}, {TIMES}))"
    )
    bare = {name: value for name, value in os.environ.items() if name not in heap.ENVIRONMENT}
    told = subprocess.run([sys.executable, "-c", code], env=bare | own, capture_output=True, text=True, check=True)
    faults = int(told.stdout)
    assert faults < most if most else faults >= TIMES * PAGES / 512, "huge pages count as one"
