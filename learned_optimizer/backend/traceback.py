"""The line of the user's code, or of this library's, that an exception comes from."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path


def line_of(error: BaseException) -> str:
    """The innermost line that is in no installed package, such as `problem.py, line 30`."""
    installed = tuple(sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib"))
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((*installed, "<"))]
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}: {frame.line}"
