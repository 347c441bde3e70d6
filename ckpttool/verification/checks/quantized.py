"""Checks on quantized weights by names, shapes, types and the configuration."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Iterable, Iterator, Mapping, Sequence

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.holes import places_in_words
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count
from ckpttool.quantization import packed as role
from ckpttool.quantization.packed import is_float
from ckpttool.quantization.parts import WEIGHT, pattern_of, split
from ckpttool.quantization.schemes import SCHEMES

if TYPE_CHECKING:
    from ckpttool.quantization.packed import Packed
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.verification.evidence import Evidence

#: The schemes that a method writes; of others nothing is said.
_SCHEMES_OF = {
    "fp8": {"scaled-fp8", "mxfp4"},  # experts in 4 bits beside the rest in 8
    "gptq": {"gptq"},
    "awq": {"awq"},
    "bitsandbytes": {"bnb-4bit", "llm-int8"},
    "mxfp4": {"mxfp4"},
    "torchao": {"torchao"},
    "compressed-tensors": {"scaled-fp8", "scaled-int8", "pack-quantized", "mxfp4", "nvfp4"},
    "modelopt": {"scaled-fp8", "scaled-int8", "mxfp4", "nvfp4", "awq"},
}
_KINDS = 20  # shapes that are told apart; a hostile file has a million
_ADAPTERS = (".lora_A", ".lora_B", "lora_A.", "lora_B.")


def check_parts(evidence: Evidence) -> Iterator[Finding]:
    """Weights without a part that they need, and parts without a weight."""
    file = evidence.quantized
    if file.partial:
        return
    packed = file.contents.packed
    gone: dict[tuple[str, str], list[tuple[str, str]]] = {}
    with_it: Counter[tuple[str, str]] = Counter()
    for name, one in packed.items():
        for what, part in one.needed.items():
            key = (one.scheme, ending_of(name, part))
            with_it[key] += 1
            if what not in one.parts:
                gone.setdefault(key, []).append((name, part))
    for (scheme, ending), those in gone.items():
        names = [name for name, _ in those]
        total = count(with_it[scheme, ending], "quantized weight")
        yield finding(
            rules.PART_MISSING,
            f"no {ending} for {len(those):,} of {total} ({SCHEMES[scheme]})"
            f"{_places(names, packed)}",
            tensors=[part for _, part in those],
        )
    yield from _uneven(packed)
    narrow = list(file.contents.narrow) if packed else []
    if narrow:
        yield finding(
            rules.PART_MISSING,
            f"{count(len(narrow), 'weight')} of 8 bits without a scale, while others of the file "
            "have one",
            severity=Severity.WARNING,
            tensors=narrow,
            fix="If these are meant to be scaled, quantize the model again.",
        )
    orphans = dict(_orphans(evidence))
    if orphans:
        parts = [info.name for infos in orphans.values() for info in infos]
        yield finding(
            rules.PART_ORPHAN,
            f"{count(len(orphans), 'quantized weight')} not there, and "
            f"{'the metadata of the file describes them' if not parts else 'parts of them are'}",
            tensors=parts or list(orphans),
            expected=f"codes of {', '.join(list(orphans)[:3])}",
        )


def _uneven(packed: Mapping[str, Packed]) -> Iterator[Finding]:
    """Warn of scales of inputs that the same weights of other layers or experts have."""
    for what in (role.INPUT_SCALE, role.INPUT_GLOBAL_SCALE):
        with_it, gone = set(), []
        for name, one in packed.items():
            if what in one.parts:
                with_it.add((one.scheme, pattern_of(name)))
            elif what not in one.needed:  # that is an error, and told
                gone.append((one.scheme, pattern_of(name), name))
        names = [name for scheme, pattern, name in gone if (scheme, pattern) in with_it]
        if names:
            yield finding(
                rules.PART_MISSING,
                f"no {what} for {len(names):,} of {count(len(packed), 'quantized weight')}, while "
                f"the same weights of other layers or experts have one{_places(names, packed)}",
                severity=Severity.WARNING,
                tensors=names,
                fix="Calibrate again with inputs that reach all of them: engines that scale inputs "
                "by numbers of the file take zero for one that is not there, or refuse it.",
            )


def _orphans(evidence: Evidence) -> Iterator[tuple[str, tuple[TensorInfo, ...]]]:
    file = evidence.quantized
    quantized = bool(file.contents.packed) or file.settings.is_known
    for name, infos in file.contents.orphans.items():
        # one scale alone, in a file with no codes, may be of an attention
        if quantized or len(infos) != 1:
            yield name, infos


def check_beside(evidence: Evidence) -> Iterator[Finding]:
    """Scales beside weights that are whole."""
    file = evidence.quantized
    beside = file.contents.beside
    quantized = bool(file.contents.packed) or file.settings.is_known
    if not beside or file.settings.whole or not quantized:
        return
    types = sorted({evidence.canonical.tensors[name].dtype.name for name in beside})
    yield finding(
        rules.SCALE_OF_WHOLE,
        f"{count(len(beside), 'weight')} stored whole, with parts of a quantized one beside "
        f"{'it' if len(beside) == 1 else 'them'}{_places(beside, evidence.canonical.tensors)}",
        tensors=[info.name for infos in beside.values() for info in infos],
        found=", ".join(types),
        follows=(rules.NOT_QUANTIZED.code,),
    )


def check_part_shapes(evidence: Evidence) -> Iterator[Finding]:
    """Parts that do not have the shape that the codes and the configuration ask for."""
    alike: dict[tuple[str, ...], list[tuple[str, TensorInfo]]] = {}
    file = evidence.quantized
    for name, one in file.contents.packed.items():
        for what, part in one.parts.items():
            expected = one.expected.get(what)
            if expected and expected.shapes and part.shape not in expected.shapes:
                key = (
                    ending_of(name, part.name),
                    _shown(one.codes.shape),
                    " or ".join(map(_shown, expected.shapes[:3])),
                    _shown(part.shape),
                    expected.by,
                )
                if len(alike) >= _KINDS and key not in alike:
                    key = (key[0], "of many shapes", "", "", "")
                alike.setdefault(key, []).append((name, part))
    for (ending, codes, wanted, there, by), those in alike.items():
        names = [name for name, _ in those]
        yield finding(
            rules.PART_SHAPE,
            f"{ending} of {count(len(those), 'quantized weight')} does not fit the codes, which "
            f"are {codes}{_places(names, file.contents.packed)}",
            tensors=[part.name for _, part in those],
            expected=(wanted + (f", by {by} of {file.settings.where}" if by else "")) or None,
            found=there or None,
            fix=f"If {by} are not those of these weights, correct {file.settings.where}; else "
            "quantize the model again."
            if by
            else None,
        )


def check_part_types(evidence: Evidence) -> Iterator[Finding]:
    """Parts of a type that the scheme does not have, and scales of which some were cast."""
    packed = evidence.quantized.contents.packed
    alike: dict[tuple[str, str, str, str], list[tuple[str, TensorInfo]]] = {}
    scales: dict[tuple[str, str], dict[str, list[str]]] = {}
    for name, one in packed.items():
        for what, part in one.parts.items():
            expected = one.expected.get(what)
            ending = ending_of(name, part.name)
            if expected is not None and not expected.fits(part.dtype):
                key = (one.scheme, ending, expected.types, part.dtype.name)
                alike.setdefault(key, []).append((name, part))
            elif what == role.SCALE and is_float(part.dtype):
                by_type = scales.setdefault((one.scheme, ending), {})
                by_type.setdefault(part.dtype.name, []).append(part.name)
    for (scheme, ending, wanted, there), those in alike.items():
        yield finding(
            rules.PART_DTYPE,
            f"{ending} of {count(len(those), 'quantized weight')} ({SCHEMES[scheme]}) has a type "
            f"that is none of {ending}{_places([name for name, _ in those], packed)}",
            tensors=[part.name for _, part in those],
            expected=wanted,
            found=there,
        )
    for (_, ending), by_type in scales.items():
        if len(by_type) > 1:
            usual, *others = sorted(by_type, key=lambda one: -len(by_type[one]))
            names = [name for other in others for name in by_type[other]]
            yield finding(
                rules.PART_DTYPE,
                f"{ending} is stored in {len(by_type)} types",
                severity=Severity.WARNING,
                tensors=names,
                expected=f"{usual}, as in {count(len(by_type[usual]), 'other')}",
                found=", ".join(others),
            )


def check_stored_shapes(evidence: Evidence) -> Iterator[Finding]:
    """States and stored shapes that contradict the codes."""
    file = evidence.quantized
    alike: dict[tuple[str, str], list[str]] = {}
    for name, problem in file.problems.items():
        part = file.contents.packed[name].parts[problem.role].name
        key = (ending_of(name, part), problem.what)
        if len(alike) >= _KINDS and key not in alike:
            key = (key[0], "others that contradict the codes, or cannot be read")
        alike.setdefault(key, []).append(part)
    for (ending, what), parts in alike.items():
        yield finding(
            rules.STORED_SHAPE,
            f"{ending} of {count(len(parts), 'quantized weight')}: {what}",
            tensors=parts,
        )


def check_configuration(evidence: Evidence) -> Iterator[Finding]:
    """Weights that are quantized or whole against the configuration."""
    file = evidence.quantized
    packed, settings = file.contents.packed, file.settings
    if packed and file.undeclared:
        schemes = Counter(SCHEMES[one.scheme] for one in packed.values())
        yield finding(
            rules.NOT_DECLARED,
            f"{count(len(packed), 'weight')} quantized "
            f"({', '.join(schemes)}), and the config.json beside the file does not say so",
            tensors=[one.codes.name for one in packed.values()],
            expected="quantization_config in config.json",
            found="none",
        )
    if not settings.is_known:
        return
    left_out = [name for name in packed if settings.ignores(split(name)[0])]
    if left_out:
        yield finding(
            rules.LEFT_OUT,
            f"{count(len(left_out), 'weight')} quantized, in modules that {settings.where} leaves "
            f"out{_places(left_out, evidence.canonical.tensors)}",
            tensors=[packed[name].codes.name for name in left_out],
        )
    yield from _other_schemes(evidence)
    yield from _whole(evidence)


def _other_schemes(evidence: Evidence) -> Iterator[Finding]:
    packed, settings = evidence.quantized.contents.packed, evidence.quantized.settings
    known = _SCHEMES_OF[settings.method]
    others: dict[str, list[str]] = {}
    for name, one in packed.items():
        if one.scheme not in known:
            others.setdefault(one.scheme, []).append(name)
    for scheme, names in others.items():
        yield finding(
            rules.SCHEME_DIFFERS,
            f"{count(len(names), 'weight')} quantized by {SCHEMES[scheme]}{_places(names, packed)}",
            tensors=[packed[name].codes.name for name in names],
            expected=f"{settings.method}, by {settings.where}",
            found=SCHEMES[scheme],
        )


def _whole(evidence: Evidence) -> Iterator[Finding]:
    """Weights that are not quantized, and should be."""
    file = evidence.quantized
    packed, settings, tensors = file.contents.packed, file.settings, evidence.canonical.tensors
    # torchao's metadata says for each weight what it is; an adapter is none of the model's weights
    if settings.whole or settings.method == "torchao" or evidence.checkpoint.unread:
        return
    matrices = [
        name
        for name, info in tensors.items()
        if split(name)[1] == WEIGHT and len(info.shape) > 1 and is_float(info.dtype)
        if name not in packed and settings.covers(split(name)[0])
    ]
    if any(mark in name for name in tensors for mark in _ADAPTERS):
        return
    if not packed:
        # other codes than those that are known may be in words, or bytes
        if matrices and not file.partial and not any(map(_may_be_codes, tensors.values())):
            yield finding(
                rules.NOT_QUANTIZED,
                f"{settings.where} says that the weights are quantized ({settings.method}), and "
                "none of the file is",
                tensors=matrices,
                fix="Remove the quantization_config if the weights are meant to be whole, or take "
                "the file that the quantizer wrote.",
            )
        return
    patterns = {pattern_of(name) for name in packed}
    names = [
        name
        for name in matrices
        if pattern_of(name) in patterns or settings.demands(split(name)[0])
    ]
    if names:
        types = sorted({tensors[name].dtype.name for name in names})
        yield finding(
            rules.NOT_QUANTIZED,
            f"{count(len(names), 'weight')} stored whole, in modules that {settings.where} says "
            f"are quantized{_places(names, [*packed, *names])}",
            tensors=names,
            expected=settings.method,
            found=", ".join(types),
        )


def _may_be_codes(info: TensorInfo) -> bool:
    return len(info.shape) > 1 and not is_float(info.dtype)


def ending_of(name: str, part: str) -> str:
    """Return what a part is called beside its weight: ``weight_scale_inv``, ``absmax``."""
    module, last = split(name)
    for start in (f"{name}.", f"{module}." if last == WEIGHT else "\0"):
        if part.startswith(start):
            return part[len(start) :]
    return split(part)[1]


def _places(names: Iterable[str], every: Iterable[str]) -> str:
    words = places_in_words(list(names), list(every))
    return f": {words}" if words else ""


def _shown(shape: Sequence[int]) -> str:
    return str(list(shape))
