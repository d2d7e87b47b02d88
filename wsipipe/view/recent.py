"""The latest values by key, within a bound: encoded tiles by their bytes, opened slides by their number.

Enters: keys and values. Leaves: values. Next room: `wsipipe.view.shelf`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The values used last, safe to use from several threads.

    Parameters
    ----------
    most : int
        What all values may weigh together. A value that weighs more by itself is not kept.
    weight : callable
        Of a value.
    """

    def __init__(self, most: int, weight: Callable[[Value], int]) -> None:
        self._most, self._weight = most, weight
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()
        self.weight = 0

    def get(self, key: Hashable) -> Value | None:
        """The value of a key, which is now the latest; None where it is not kept."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key]

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value; the ones used longest ago make room."""
        with self._lock:
            if key in self._kept:
                self.weight -= self._weight(self._kept.pop(key))
            self._kept[key] = value
            self.weight += self._weight(value)
            while self.weight > self._most:
                self.weight -= self._weight(self._kept.popitem(last=False)[1])

    def __len__(self) -> int:
        return len(self._kept)
