"""The table of rules: everything that ckpttool can find wrong, by stable code.

A code is three letters and three digits and is never used again for something else. One module
holds one family; a new family is a module, a line among the imports and one in ``_MODULES``.
"""

from __future__ import annotations

from ckpttool.findings.rules import (
    against,
    container,
    conversion,
    gate,
    integrity,
    locking,
    meaning,
    quantization,
    release,
    safety,
    structure,
    values,
)
from ckpttool.findings.rules.against import *  # noqa: F403 (the table is its families')
from ckpttool.findings.rules.base import Rule as Rule
from ckpttool.findings.rules.base import RuleFamily as RuleFamily
from ckpttool.findings.rules.base import Severity as Severity
from ckpttool.findings.rules.container import *  # noqa: F403
from ckpttool.findings.rules.conversion import *  # noqa: F403
from ckpttool.findings.rules.gate import *  # noqa: F403
from ckpttool.findings.rules.integrity import *  # noqa: F403
from ckpttool.findings.rules.locking import *  # noqa: F403
from ckpttool.findings.rules.meaning import *  # noqa: F403
from ckpttool.findings.rules.quantization import *  # noqa: F403
from ckpttool.findings.rules.release import *  # noqa: F403
from ckpttool.findings.rules.safety import *  # noqa: F403
from ckpttool.findings.rules.structure import *  # noqa: F403
from ckpttool.findings.rules.values import *  # noqa: F403

_MODULES = (
    container,
    safety,
    integrity,
    structure,
    values,
    quantization,
    meaning,
    locking,
    against,
    conversion,
    release,
    gate,
)

#: Every family by its letters, in the order in which a reader meets them.
RULE_FAMILIES: dict[str, RuleFamily] = {module.FAMILY.letters: module.FAMILY for module in _MODULES}

# Found by type, so that a rule is one definition and cannot be forgotten in a list.
#: Every rule by its code: the families in their order, the rules of each by number.
RULES: dict[str, Rule] = {
    rule.code: rule
    for module in _MODULES
    for rule in sorted(value for value in vars(module).values() if isinstance(value, Rule))
}


def named(text: str) -> Rule | None:
    """Return the rule of a code (in letters of either size) or a short name."""
    by_name = {rule.name: rule for rule in RULES.values()}
    return RULES.get(text.upper()) or by_name.get(text.lower())


def close_to(text: str) -> list[str]:
    """Return codes and names that ``text`` may be a misspelling of, the closest first."""
    from difflib import get_close_matches  # late: every command loads the rules, few ask

    known = [*RULES, *(rule.name for rule in RULES.values())]
    # a stricter cutoff for codes: those of one family share half of their characters
    close = get_close_matches(text.upper(), known, 3, 0.75)
    close += get_close_matches(text.lower(), known, 3)
    return list(dict.fromkeys(close))[:3]
