"""What a model's configuration says of its quantization, whichever library wrote it.

Sources of the keys: transformers' ``quantization_config`` (fp8, gptq, awq, bitsandbytes, mxfp4,
torchao), compressed-tensors' ``config_groups``, NVIDIA ModelOpt's ``hf_quant_config.json``,
AutoGPTQ's ``quantize_config.json`` and AutoAWQ's ``quant_config.json``.
"""

from __future__ import annotations

from typing import Iterator, Mapping, NamedTuple

from ckpttool.quantization.choosing_modules import (
    Patterns,
    is_type,
    of_compressed,
    of_transformers,
)

#: The methods whose weights are known here.
FP8, COMPRESSED, GPTQ, AWQ = "fp8", "compressed-tensors", "gptq", "awq"
BITSANDBYTES, MXFP4, MODELOPT, TORCHAO = "bitsandbytes", "mxfp4", "modelopt", "torchao"
KNOWN = frozenset({FP8, COMPRESSED, GPTQ, AWQ, BITSANDBYTES, MXFP4, MODELOPT, TORCHAO})

#: Where ``config.json`` speaks of it, or the part of a language model in it.
QUANTIZATION_KEYS = ("quantization_config", "compression_config")
# Formats of compressed-tensors in which the weights are whole.
_WHOLE = frozenset({"dense", "fakequant"})
# Groups and modules that are read: a config of a stranger must not keep the run busy.
_MOST = 10_000


class Arguments(NamedTuple):
    """How a weight is quantized, as far as the configuration says; ``None`` where it does not.

    Attributes:
        bits: of a code.
        floats: whether the codes are floating numbers.
        strategy: of compressed-tensors: ``tensor``, ``channel``, ``group``, ``block``.
        group_size: inputs that share a scale; -1 for all.
        block: rows and columns that share one.
        symmetric: whether there are no zero points.
        static_inputs: whether the inputs' scales are stored.
        by_order: whether the groups' inputs are in another order (``desc_act``).
        format: how the codes are stored.
    """

    bits: int | None = None
    floats: bool | None = None
    strategy: str | None = None
    group_size: int | None = None
    block: tuple[int, int] | None = None
    symmetric: bool | None = None
    static_inputs: bool | None = None
    by_order: bool | None = None
    format: str | None = None

    @property
    def by(self) -> str:
        """What the shapes of scales follow from, in words."""
        if self.block is not None:
            return f"the blocks of {self.block[0]} x {self.block[1]}"
        if self.group_size is not None and self.group_size > 0:
            return f"the groups of {self.group_size}"
        return ""


class Group(NamedTuple):
    """Modules that are quantized alike: those with these names, and all of certain types."""

    arguments: Arguments
    named: Patterns | None = None
    by_type: bool = False


class Settings(NamedTuple):
    """What a configuration says.

    Attributes:
        where: the file that says it; ``""`` if none does.
        method: its ``quant_method``.
        groups: the first that has a module says how it is quantized.
        ignored: the modules that are not quantized.
        whole: whether it says that the weights are stored as they are (calibrated, not packed).
    """

    where: str = ""
    method: str = ""
    groups: tuple[Group, ...] = ()
    ignored: Patterns = Patterns()
    whole: bool = False

    @property
    def is_known(self) -> bool:
        """Whether there is a configuration, and of a method that is known here."""
        return self.method in KNOWN

    @property
    def unread(self) -> tuple[str, ...]:
        """The expressions for names of modules that cannot be matched here."""
        named = [group.named for group in self.groups if group.named is not None]
        return tuple(one for patterns in (self.ignored, *named) for one in patterns.unread)

    def arguments(self, module: str) -> Arguments:
        """Return how a module is quantized, if it is."""
        by_type: Arguments | None = None
        for group in self.groups:
            if group.named is not None and group.named.match(module):
                return group.arguments
            if group.by_type and by_type is None:
                by_type = group.arguments
        return by_type or Arguments()

    def demands(self, module: str) -> bool:
        """Whether a module is named as one that is quantized, and not merely by its type."""
        named = any(group.named and group.named.match(module) for group in self.groups)
        return bool(named) and not self.may_ignore(module)

    def covers(self, module: str) -> bool:
        """Whether a module may be quantized: it is named, or of a type, and not left out."""
        if self.whole or self.may_ignore(module):
            return False
        return any(
            group.by_type or (group.named is not None and group.named.match(module))
            for group in self.groups
        )

    def ignores(self, module: str) -> bool:
        """Whether a module is to stay as it is."""
        return self.ignored.match(module)

    def may_ignore(self, module: str) -> bool:
        """Whether some loader leaves it as it is, or that cannot be told."""
        return bool(self.ignored.unread) or self.ignored.may_match(module)


NONE = Settings()


def settings_in(
    config: Mapping[str, object] | None,
    modelopt: Mapping[str, object] | None = None,
    gptq: Mapping[str, object] | None = None,
    awq: Mapping[str, object] | None = None,
) -> Settings:
    """Return what the files beside a checkpoint say.

    Args:
        config: ``config.json``.
        modelopt: ``hf_quant_config.json``.
        gptq: ``quantize_config.json``.
        awq: ``quant_config.json``.
    """
    for place in _places(config or {}):
        return _settings(place, "config.json")
    inner = (modelopt or {}).get("quantization")
    if isinstance(inner, dict):
        return _settings({**inner, "quant_method": MODELOPT}, "hf_quant_config.json")
    if isinstance(gptq, dict) and "bits" in gptq:
        method = gptq.get("quant_method", GPTQ)
        return _settings({**gptq, "quant_method": method}, "quantize_config.json")
    if isinstance(awq, dict) and "w_bit" in awq:
        return _settings({**awq, "quant_method": AWQ}, "quant_config.json")
    return NONE


def _places(config: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """Yield the configuration of the model, or of the part of it that is a language model."""
    inner = config.get("text_config")
    for place in (config, inner if isinstance(inner, dict) else {}):
        for key in QUANTIZATION_KEYS:
            found = place.get(key)
            if isinstance(found, dict):
                yield found


def _settings(raw: Mapping[str, object], where: str) -> Settings:
    method = str(raw.get("quant_method", ""))[:40].lower().replace("_", "-")
    if not method and ("load_in_4bit" in raw or "load_in_8bit" in raw):
        method = BITSANDBYTES
    if method == "fp8" or method == "fbgemm-fp8":
        return _fine_grained(raw, where, method)
    if method == COMPRESSED or (method == MODELOPT and isinstance(raw.get("config_groups"), dict)):
        return _in_groups(raw, where, method)
    if method in (GPTQ, AWQ):
        return _packed_by_groups(raw, where, method)
    if method == MODELOPT:
        return _modelopt(raw, where)
    ignored = _texts(raw, "modules_to_not_convert", "llm_int8_skip_modules")
    bits = 4 if raw.get("load_in_4bit") is True or method == MXFP4 else 8
    arguments = Arguments(bits if method in (BITSANDBYTES, MXFP4) else None)
    whole = raw.get("dequantize") is True
    return Settings(where, method, (_all(arguments),), of_transformers(ignored), whole)


def _fine_grained(raw: Mapping[str, object], where: str, method: str) -> Settings:
    block = _pair(raw.get("weight_block_size"))
    per_tensor = "weight_block_size" in raw and raw["weight_block_size"] is None
    arguments = Arguments(
        8,
        True,
        "block" if block else "tensor" if per_tensor and method == FP8 else None,
        block=block,
        symmetric=True,
        static_inputs=raw.get("activation_scheme") == "static",
    )
    names = _texts(raw, "modules_to_not_convert", "ignored_layers")
    return Settings(where, method, (_all(arguments),), of_transformers(names))


def _in_groups(raw: Mapping[str, object], where: str, method: str) -> Settings:
    groups = raw.get("config_groups")
    found = [
        _group(group, _text(raw.get("format")))
        for group in list(groups.values() if isinstance(groups, dict) else ())[:_MOST]
        if isinstance(group, dict) and isinstance(group.get("weights"), dict)
    ]
    ignored = of_compressed(_texts(raw, "ignore", "exclude_modules"))
    whole = _text(raw.get("format")) in _WHOLE or not found
    return Settings(where, method, tuple(found), ignored, whole)


def _group(raw: Mapping[str, object], general: str | None) -> Group:
    targets = _texts(raw, "targets")
    names = [one for one in targets if not is_type(one)]
    named = of_compressed(names) if names else None
    return Group(_of_group(raw, general), named, len(names) < len(targets))


def _of_group(group: Mapping[str, object], general: str | None) -> Arguments:
    weights, inputs = group["weights"], group.get("input_activations")
    assert isinstance(weights, dict)  # noqa: S101 (for the type checker)
    kind = _text(weights.get("type"))
    static = isinstance(inputs, dict) and inputs.get("dynamic") is False
    return Arguments(
        _number(weights.get("num_bits")),
        None if kind is None else kind == "float",
        _text(weights.get("strategy")),
        _number(weights.get("group_size")),
        _pair(weights.get("block_structure")),
        _boolean(weights.get("symmetric")),
        static,
        weights.get("actorder") in ("group", "dynamic"),
        _text(group.get("format")) or general,
    )


def _packed_by_groups(raw: Mapping[str, object], where: str, method: str) -> Settings:
    # AutoAWQ's own names beside those of transformers
    bits = _number(raw.get("bits", raw.get("w_bit")))
    zero_point = _boolean(raw.get("zero_point"))
    symmetric = _boolean(raw.get("sym")) if method == GPTQ else None
    if method == AWQ and zero_point is not None:
        symmetric = not zero_point
    arguments = Arguments(
        bits,
        False,
        "group",
        _number(raw.get("group_size", raw.get("q_group_size"))),
        symmetric=symmetric,
        by_order=_boolean(raw.get("desc_act")) if method == GPTQ else False,
        format=_text(raw.get("checkpoint_format", raw.get("version", raw.get("format")))),
    )
    groups, left_out = _exceptions(raw.get("dynamic"), arguments)
    ignored = of_transformers(_texts(raw, "modules_to_not_convert"), left_out)
    return Settings(where, method, (*groups, _all(arguments)), ignored)


def _exceptions(dynamic: object, usual: Arguments) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """Return the groups of GPTQModel's ``dynamic``, and the modules that it leaves out.

    Its keys are expressions that match the start of a module's name, after ``+:`` or ``-:``.
    """
    groups, left_out = [], []
    for key, value in list(dynamic.items() if isinstance(dynamic, dict) else ())[:_MOST]:
        if key.startswith("-:"):
            left_out.append(key[2:])
        elif isinstance(value, dict):
            own = usual._replace(
                bits=_number(value.get("bits")) or usual.bits,
                group_size=_number(value.get("group_size")) or usual.group_size,
            )
            expression = key[2:] if key.startswith("+:") else key
            groups.append(Group(own, Patterns(starts=(expression,))))
    return tuple(groups), tuple(left_out)


def _modelopt(raw: Mapping[str, object], where: str) -> Settings:
    ignored = of_compressed(_texts(raw, "exclude_modules", "ignore"))
    size = _number(raw.get("group_size"))
    layers = raw.get("quantized_layers")
    if isinstance(layers, dict):
        groups = [
            Group(
                _of_algorithm(layer.get("quant_algo"), _number(layer.get("group_size")) or size),
                Patterns([name]),
            )
            for name, layer in list(layers.items())[:_MOST]
            if isinstance(layer, dict)
        ]
        return Settings(where, MODELOPT, tuple(groups), ignored, not groups)
    algorithm = raw.get("quant_algo")
    whole = algorithm is None
    return Settings(where, MODELOPT, (_all(_of_algorithm(algorithm, size)),), ignored, whole)


def _of_algorithm(algorithm: object, size: int | None) -> Arguments:
    name = str(algorithm).upper()
    if "FP4" in name:  # NVFP4, W4A16_NVFP4
        return Arguments(4, True, "group", size or 16, symmetric=True)
    if "FP8" in name:
        return Arguments(8, True, static_inputs=name == "FP8", symmetric=True)
    return Arguments()


def _all(arguments: Arguments) -> Group:
    return Group(arguments, by_type=True)


# --- values of JSON, which may be of any type ----------------------------------------------


def _texts(raw: Mapping[str, object], *keys: str) -> list[str]:
    for key in keys:
        found = raw.get(key)
        if isinstance(found, list):
            return [one for one in found[:_MOST] if isinstance(one, str)]
    return []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _pair(value: object) -> tuple[int, int] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    first, second = map(_number, value)
    return (first, second) if first and second and first > 0 and second > 0 else None
