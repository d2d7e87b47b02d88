"""Files that are whole or not there: checkpoints, weights of the best epoch, indexes of tiles.

Enters: a path and bytes. Leaves: the file, or the one that stood there before. Next: `wsipipe.train.checkpoint`,
`wsipipe.train.tileset`.
"""

from __future__ import annotations

from pathlib import Path

from wsipipe.errors import StoreError
from wsipipe.store.place import replace_file


def put(path: Path, data: bytes, *, what: str) -> None:
    """Write a whole file or none.

    Parameters
    ----------
    path : Path
    data : bytes
    what : str
        What it is, for the message.

    Raises
    ------
    StoreError
        Where there is no room or no permission; what stood there before is kept.
    """
    try:
        replace_file(path, data)
    except OSError as error:
        for partial in path.parent.glob(f"{path.name}.*.partial"):
            partial.unlink(missing_ok=True)
        raise StoreError(
            f"saving {what}: the file cannot be written ({error.strerror}); the last good one is kept: free space, "
            "then give the same command again",
            subject=path.name,
        ) from error
