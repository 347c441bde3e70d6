"""One input, read and held to every oracle."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.findings.errors import CkpttoolError
from tests.fuzzing.budget import TooSlowError
from tests.fuzzing.parser import ViolationError

if TYPE_CHECKING:
    from tests.fuzzing.budget import Budget
    from tests.fuzzing.parser import Parser


class Outcome(NamedTuple):
    """What came of one input.

    Attributes:
        read: ``accepted``, ``refused`` or ``failed``.
        compared: what the reference answered; empty where reading failed.
        finding: which oracle does not hold, in lines; empty where all do.
    """

    read: str
    compared: str
    finding: str = ""


def outcome_of(parser: Parser, content: bytes, budget: Budget) -> Outcome:
    """Read an input, and hold what was read to the reference."""
    said: object
    try:
        with budget.spent():
            said = parser.read(content)
    except CkpttoolError as error:
        said = error
    except TooSlowError:
        return Outcome("failed", "", f"too slow\n{_place()}")
    except MemoryError:
        return Outcome("failed", "", f"too much memory\n{_place()}")
    except Exception:  # noqa: BLE001 (any other error is what is looked for)
        return Outcome("failed", "", traceback.format_exc())
    read = "refused" if isinstance(said, CkpttoolError) else "accepted"
    try:
        return Outcome(read, parser.compare(content, said))
    except ViolationError as violation:
        return Outcome(read, "differs", str(violation))
    except Exception:  # noqa: BLE001 (a reference that fails in another way was not asked rightly)
        return Outcome(read, "failed", f"the reference failed\n{traceback.format_exc()}")


def _place() -> str:
    """Return the last lines of the traceback: the first ones are those of the budget."""
    return "".join(traceback.format_exc().splitlines(keepends=True)[-12:])
