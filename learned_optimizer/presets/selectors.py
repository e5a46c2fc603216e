"""Selectors of variables, as a file may hold them: a rank, or a regular expression."""

from __future__ import annotations

import re
from typing import Any

# What Python's search could take longer than anyone waits for, on the path of a variable.
LONGEST, MOST_UNBOUNDED, MOST_OPTIONAL = 1000, 3, 10
HIGHEST_RANK = 64


def check_selector(selector: Any) -> None:
    """Refuses what is neither a rank nor a regular expression that is found, or not found, at once.

    Python's search goes back at each repetition, so that the time grows with a power, or an exponential, of the path's
    length. An alternative may have three of `*`, `+` and `{…}`, none of a group, and the whole ten of `?`; alternatives
    within a group count as one, and as so many `?`.

    Raises:
        ValueError: If it is refused.
    """
    if not isinstance(selector, str):
        if isinstance(selector, bool) or not isinstance(selector, int) or not 0 <= selector <= HIGHEST_RANK:
            raise ValueError(f"A selector must be a rank or a regular expression. Received: {selector!r:.100}")
        return
    if len(selector) > LONGEST:
        raise ValueError(f"A selector must have at most {LONGEST} characters. Received: {selector[:50]!r}…")
    try:
        re.compile(selector)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"The selector {selector!r} is no regular expression: {error}") from error
    # Without what is no repetition: escaped characters, those in brackets, and the beginnings of special groups.
    plain = re.sub(r"\\.|\[\^?\]?[^\]]*\]", "x", selector, flags=re.DOTALL).replace("(?", "(")
    # Alternatives within a group multiply.
    alternatives, optional = plain.split("|"), plain.count("?")
    if "(" in plain:
        alternatives, optional = [plain], optional + plain.count("|")
    repeated = max(len(re.findall(r"[*+{]", alternative)) for alternative in alternatives)
    if re.search(r"\)[*+{]", plain) or repeated > MOST_UNBOUNDED or optional > MOST_OPTIONAL:
        raise ValueError(
            f"The selector {selector!r} may take too long to find: repeat no group, have at most {MOST_UNBOUNDED} of "
            f"*, + and {{}} in an alternative and {MOST_OPTIONAL} of ? in all, or make groups of its alternatives."
        )
