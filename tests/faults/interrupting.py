"""Ctrl-C at any line: the n-th line of some modules raises KeyboardInterrupt."""

from __future__ import annotations

import linecache
import sys
from types import FrameType
from typing import Any, Dict, Optional, Set, Tuple

import ckpttool.files

FILES = tuple(ckpttool.files.__path__)


class InterruptedAt:
    """Raises KeyboardInterrupt before a line of ``ckpttool.files`` is run.

    Args:
        number: how many lines are run before.
        again: after how many more lines there is a second one; ``None`` for none.
    """

    def __init__(self, number: int, again: Optional[int] = None) -> None:
        self._left, self._again = number, again
        self._entered: Dict[int, Set[Tuple[str, int]]] = {}
        #: Whether there was such a line.
        self.has_interrupted = False

    def __enter__(self) -> InterruptedAt:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(FILES) else None

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line" and not self._leaves_block(frame):
            self._left -= 1
            if self._left < 0 and (not self.has_interrupted or self._again is not None):
                if self.has_interrupted:
                    self._again = None
                elif self._again is not None:
                    self._left = self._again
                self.has_interrupted = True
                raise KeyboardInterrupt
        return self._line

    def _leaves_block(self, frame: FrameType) -> bool:
        """Whether a ``with`` statement ends: no signal comes before Python leaves the block."""
        line = frame.f_code.co_filename, frame.f_lineno
        if not linecache.getline(*line).lstrip().startswith("with "):
            return False
        entered = self._entered.setdefault(id(frame), set())
        left = line in entered
        entered.add(line)
        return left
