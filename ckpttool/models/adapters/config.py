"""What the ``adapter_config.json`` of PEFT says about the scale of an adapter's parts.

Its fields are those of ``LoraConfig`` in PEFT. The scale is ``lora_alpha / r``, or
``lora_alpha / sqrt(r)`` with ``use_rslora``; ``alpha_pattern`` and ``rank_pattern`` have others for
some modules.
"""

from __future__ import annotations

import math
import re
from contextlib import closing
from pathlib import Path
from typing import Any, Mapping, NamedTuple

from ckpttool.files.sources import FileSource
from ckpttool.files.strict_json import strict_json
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.findings.text import printable

#: What PEFT calls the file.
CONFIG = "adapter_config.json"

#: Fields without which a merge is no sum of A and a product, and what they stand for. Any value
#: but null, false and an empty one counts.
_NOT_REPLAYED = {
    "target_parameters": "adapters of parameters (target_parameters)",
    "layer_replication": "layers that are repeated first (layer_replication)",
    "trainable_token_indices": "single rows of an embedding (trainable_token_indices)",
    "enable_lora": "parts of a fused tensor alone (enable_lora)",
    "use_qalora": "an adapter of groups (use_qalora)",
    "use_bdlora": "factors of blocks (use_bdlora)",
    "kasa_config": "a variant of LoRA (kasa_config)",
    "monteclora_config": "a variant of LoRA (monteclora_config)",
    "velora_config": "a variant of LoRA (velora_config)",
    "alora_invocation_tokens": "an adapter that some tokens switch on (alora_invocation_tokens)",
}
# Beyond it no rank and no alpha makes sense.
_LARGEST = 2.0**53
# What a pattern of PEFT, a regular expression, is made of if it is only a name.
_LITERAL = re.compile(r"\^?(?:[\w\-\[\]]|\\?\.)+\$?")


class AdapterConfig(NamedTuple):
    """The scale of an adapter's parts, and what else was done to make them.

    Attributes:
        rank, alpha: of modules that no pattern names.
        ranks, alphas: those that a pattern names, by the end of the module's name.
        rslora: whether alpha is divided by the root of the rank.
        transposed: whether the weights are stored with their axes exchanged (``fan_in_fan_out``).
        dora: whether rows are scaled to a magnitude after the sum (``use_dora``).
        start: how the adapter was initialised, where that changed A; ``None`` where it did not.
        not_replayed: what it asks for beside a sum, in words.
        unread: patterns that are regular expressions, which are not run.
        base: the name or path of the model that it is for; ``None`` where none is given.
    """

    rank: int
    alpha: float
    ranks: Mapping[str, int] = {}
    alphas: Mapping[str, float] = {}
    rslora: bool = False
    transposed: bool = False
    dora: bool = False
    start: str | None = None
    not_replayed: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    base: str | None = None

    def rank_of(self, module: str) -> int:
        """Return the rank that a module's part is to have."""
        return int(_by_end(self.ranks, module, self.rank))

    def alpha_of(self, module: str) -> float:
        """Return the alpha of a module's part."""
        return _by_end(self.alphas, module, self.alpha)

    def scale_of(self, module: str, rank: int) -> float:
        """Return the factor of the product of a module's two matrices."""
        alpha = self.alpha_of(module)
        return alpha / (math.sqrt(rank) if self.rslora else rank)


def _by_end(found: Mapping[str, float], module: str, default: float) -> float:
    """Return the value of the longest end of a dotted name that has one."""
    end = module if found else ""
    while end:
        if end in found:
            return found[end]
        end = end.partition(".")[2]
    return default


def config_at(path: str) -> AdapterConfig | None:
    """Return what the configuration in a file says; ``None`` if there is no such file.

    Raises:
        CkpttoolError: it cannot be read, or as :func:`parse_config`.
    """
    if not Path(path).is_file():
        return None
    with closing(FileSource(path)) as source:
        try:
            return parse_config(strict_json(source, rules.ADAPTER))
        except CkpttoolError as error:
            error.path = path
            raise


def parse_config(document: object) -> AdapterConfig:
    """Return what an ``adapter_config.json`` says.

    Raises:
        MalformedError: a field has another type or value than PEFT writes.
        UnsupportedError: it is of an adapter that is no LoRA.
    """
    if not isinstance(document, dict):
        raise _bad("it is not an object")
    kind = document.get("peft_type")
    if kind != "LORA":
        raise UnsupportedError(
            "only LoRA adapters are replayed",
            rules.UNSUPPORTED,
            expected="peft_type LORA",
            found=f"peft_type {printable(str(kind), 80)}",
        )
    ranks, unread = _patterns(document, "rank_pattern")
    alphas, more = _patterns(document, "alpha_pattern")
    start, base = document.get("init_lora_weights"), document.get("base_model_name_or_path")
    return AdapterConfig(
        _rank(document.get("r", 8), "r"),
        _number(document.get("lora_alpha", 8), "lora_alpha"),
        {name: _rank(value, "rank_pattern") for name, value in ranks.items()},
        alphas,
        bool(document.get("use_rslora")),
        bool(document.get("fan_in_fan_out")),
        bool(document.get("use_dora")),
        printable(start, 80) if isinstance(start, str) and _changes_a(start) else None,
        tuple(words for key, words in _NOT_REPLAYED.items() if document.get(key)),
        tuple(dict.fromkeys((*unread, *more))),
        base if isinstance(base, str) and base else None,
    )


def _changes_a(start: str) -> bool:
    """Whether PEFT subtracts the first adapter from the weights, so that A is not their base."""
    return start.lower().startswith(("pissa", "olora", "corda", "loftq", "lora_ga"))


def _patterns(document: Mapping[str, Any], key: str) -> tuple[dict[str, float], list[str]]:
    """Return the value of each name of a pattern, and those that are regular expressions."""
    found = document.get(key) or {}
    if not isinstance(found, dict):
        raise _bad(f"{key} is not an object")
    named: dict[str, float] = {}
    unread = []
    for pattern, value in found.items():
        if _LITERAL.fullmatch(pattern):
            plain = pattern.replace("\\.", ".").rstrip("$")
            named[plain[1:] if plain.startswith("^") else plain] = _number(value, key)
        else:
            unread.append(f"{key} {printable(pattern, 80)}")
    return named, unread


def _rank(value: object, key: str) -> int:
    number = _number(value, key)
    if number != int(number):
        raise _bad(f"{key} is not a whole number")
    return int(number)


def _number(value: object, key: str) -> float:
    # isinstance takes true for an int; an int may be larger than any float
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST:
        return float(value)
    raise _bad(f"{key} is not a finite number")


def _bad(message: str) -> MalformedError:
    return MalformedError(message, rules.ADAPTER)
