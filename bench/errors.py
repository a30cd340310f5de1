"""Errors that are meant for people.

Every error a user can cause is a `UserError`: one line that says what was wrong, where, and what to do. The command line prints
it and exits with code 2; nothing else in the project prints or exits.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Names that one line of an error can list and still be read.
_SHOWN = 30


class UserError(Exception):
    """Bad input, a missing file or a conflicting state, explained in one line."""


def choose_from(value: object, valid: Iterable[object]) -> str:
    """Returns `"did you mean 'x'? valid: w, x, ..."` for an error message about `value`; of many names only the first ones."""
    names = [str(v) for v in valid]
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return hint + "valid: " + ", ".join(names[:_SHOWN]) + more
