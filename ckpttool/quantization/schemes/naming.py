"""What the parts of a weight would be called, as the other weights of the file have theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple

from ckpttool.quantization.parts import WEIGHT, joined, split

if TYPE_CHECKING:
    from ckpttool.quantization.parts import Found


class Naming(NamedTuple):
    """The endings that a file has for the roles, most often."""

    usual: Mapping[str, str]

    def of(self, found: Found, role: str, ending: str) -> str:
        """Return the name of a part: its own if it is there, else as others are called.

        Args:
            found: the weight.
            role: of the part.
            ending: what it is called in a file without any other.
        """
        if role in found.parts:
            return found.parts[role].name
        module, last = split(found.name)
        if last == WEIGHT:
            return joined(module, self.usual.get(role, ending))
        # a weight without a module of its own
        short = ending[len(WEIGHT) :] if ending.startswith(f"{WEIGHT}_") else f"_{ending}"
        return found.name + short
