"""The model that a ``config.json`` names, built by the installed transformers on the meta device.

Never remote code: an ``auto_map`` is taken out before transformers sees the configuration, and so
is all that makes it fetch something. The names of the schema are those that ``save_pretrained``
writes.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack, contextmanager
from typing import (
    TYPE_CHECKING,
    Any,
    ContextManager,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Union,
)

from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError
from ckpttool.findings.text import printable
from ckpttool.models.code.building import bounded, said_by, stranger
from ckpttool.models.code.held import Held, computed_buffers, groups_of_tied, held_by
from ckpttool.models.code.made_inputs import inputs_of
from ckpttool.models.code.running import Inputs, fill, read
from ckpttool.quantization.settings import QUANTIZATION_KEYS, settings_in
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from ckpttool.tensors.catalogue import TensorInfo

Json = Union[Dict[str, "Json"], List["Json"], str, int, float, bool, None]

#: Layers, blocks or experts of a model, labels, and heads or whatever else is counted: beyond these
#: a configuration is nonsense, and building what it says would fill the memory.
MOST_LAYERS, MOST_LABELS, MOST_COUNTED = 4_000, 100_000, 2_000_000
#: Any other number: no size of a tensor is larger.
MOST_NUMBER = 1 << 40

_LAYERS = re.compile(r"layer|block|depth|expert|stage")
_COUNTED = re.compile(r"(^|_)(num|n)_")
# What makes transformers load code or files from elsewhere; an attention or a kernel may be one.
_NOT_SAFE = re.compile(
    r"auto_map|trust_remote_code|custom_(pipelines|generate)|.*implementation.*|.*kernel_config|"
    r"use_kernels|_?name_or_path|_commit_hash|transformers_weights"
)
_PRETRAINED = re.compile(r".*pretrained_backbone")
_LONGEST = 80


def is_config(document: Mapping[str, object]) -> bool:
    """Whether a JSON document is the configuration of a model in Hugging Face's format."""
    keys = document.keys()
    return bool(keys & {"architectures", "model_type"}) and "weight_map" not in keys


def architecture_of(config: Mapping[str, object]) -> str:
    """Return the name of the class that a configuration is for: ``BertForMaskedLM``.

    Raises:
        UnsupportedError: it names none.
    """
    named = config.get("architectures")
    if isinstance(named, list) and named and isinstance(named[0], str) and named[0]:
        return named[0]
    raise UnsupportedError(
        "the config.json does not say which class its model is: there is no architectures",
        rules.SCHEMA_CODE,
        found="none" if named is None else _shown(named),
        fix='Add "architectures": ["..."], the class that wrote the weights; save_pretrained does.',
    )


class Architecture:
    """An architecture of transformers, by a configuration.

    Args:
        config: a ``config.json``.

    Attributes:
        name: the class.
        said: what was built, for people.
        held: what its checkpoint must have.

    Raises:
        UnsupportedError: transformers is missing or does not know the class, or it cannot be built.
    """

    loader = "from_pretrained"

    def __init__(self, config: Mapping[str, Json]) -> None:
        self.name = architecture_of(config)
        self._config = _checked(config)
        with _offline():
            library = _transformers()
            self._class = _class_named(self.name, library, "auto_map" in config)
            self.said = f"{self.name} of transformers {library.__version__}, built from config.json"
            with bounded(), stranger(f"{self.name} cannot be built from the config.json"):
                self.held = _held(self._on_meta())

    def _on_meta(self) -> PreTrainedModel:
        import torch

        config = self._class.config_class.from_dict(self._config)
        with torch.device("meta"):
            return self._made(config, _dtype_of(config))

    def at_work(self) -> ContextManager[None]:
        """Return the surroundings in which its code runs: without a network."""
        return _offline()

    def loaded(self, tensors: Mapping[str, TensorInfo]) -> PreTrainedModel:
        """Return the model with the weights of a file; raises as in :class:`Runnable`."""
        import torch

        config = self._class.config_class.from_dict(self._config)
        dtype = _dtype_of(config)
        if dtype is torch.float16:  # its range is for accelerators; that of bfloat16 is float32's
            dtype = torch.bfloat16
        if hasattr(config, "use_cache"):
            config.use_cache = False  # what it returns is for the next token
        if _is_of_4():
            return self._filled(config, dtype, tensors)
        late = {name: _Late(info) for name, info in tensors.items()}
        made: PreTrainedModel = self._class.from_pretrained(
            None, config=config, state_dict=late, dtype=dtype
        )
        return made

    def _filled(
        self, config: Any, dtype: torch.dtype, tensors: Mapping[str, TensorInfo]
    ) -> PreTrainedModel:
        """Return the same with transformers 4, whose loader would make a second copy."""
        with bounded(parameters_on_meta=True):
            model = self._made(config, dtype)
        kept = model.state_dict(keep_vars=True)
        stored = {id(one): name for name, one in _as_saved(model, kept).items() if name in tensors}
        named = {name: tensors[stored[id(one)]] for name, one in kept.items() if id(one) in stored}
        fill(model, named)
        return model

    def _made(self, config: Any, dtype: torch.dtype) -> PreTrainedModel:
        # transformers 4 takes it from nowhere else, and transformers 5 has another name for it
        keywords = {"torch_dtype" if _is_of_4() else "dtype": dtype}
        made: PreTrainedModel = self._class._from_config(config, **keywords)
        return made

    def inputs(self, model: Any) -> list[Inputs]:
        """Return its ``dummy_inputs``, and others by the names of what it takes."""
        return inputs_of(model)


class _Late:
    """A tensor of a file that is read when transformers wants it, as it takes those of safetensors.

    Args:
        info: where it is.
    """

    def __init__(self, info: TensorInfo) -> None:
        self._info = info

    def __getitem__(self, place: Any) -> torch.Tensor:
        import torch

        whole = read(self._info, getattr(torch, self._info.dtype.name))
        return whole[place]

    def get_shape(self) -> list[int]:
        return list(self._info.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._info.shape


def _dtype_of(config: Any) -> torch.dtype:
    import torch

    stated = getattr(config, "dtype", None) or getattr(config, "torch_dtype", None)
    return stated if isinstance(stated, torch.dtype) else torch.float32


def _is_of_4() -> bool:
    try:
        import transformers.core_model_loading  # noqa: F401 (whether it is there)
    except ImportError:
        return True
    return False


# --- before transformers sees it ----------------------------------------------------------


def _checked(config: Mapping[str, Json]) -> dict[str, Json]:
    """Return a configuration without what is not safe, if a model of it can be built."""
    settings = settings_in(config)
    if settings.where and not settings.is_known:
        raise UnsupportedError(
            "the config.json says that the weights are quantized by a method that is not known "
            "here, and the names of such a file are not those of its architecture",
            rules.SCHEMA_CODE,
            found=_shown(settings.method),
            fix="Name a checkpoint of the same kind as the schema, or use --schema none.",
        )
    for key in ("dtype", "torch_dtype"):
        stated = config.get(key)
        if isinstance(stated, str) and stated.rpartition(".")[2] not in DTYPES:
            raise UnsupportedError(
                f"the config.json states a {key} that there is not",
                rules.SCHEMA_CODE,
                found=_shown(stated),
            )
    return _without_what_is_not_safe(config)


def _without_what_is_not_safe(config: Mapping[str, Json]) -> dict[str, Json]:
    return {
        name: False if _PRETRAINED.fullmatch(name) else _cleaned(one, name)
        for name, one in config.items()
        # the model is built whole: the file's quantized weights are held against its floats
        if not _NOT_SAFE.fullmatch(name) and name not in QUANTIZATION_KEYS
    }


def _cleaned(value: Json, key: str) -> Json:
    if isinstance(value, dict):
        return _without_what_is_not_safe(value)
    if isinstance(value, list):
        return [_cleaned(one, key) for one in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_number(value, key)
    return value


def _check_number(value: float, key: str) -> None:
    most = MOST_NUMBER
    if _LAYERS.search(key):
        most = MOST_LAYERS if _is_count(key) else MOST_NUMBER
    elif key == "num_labels":  # each has a text of its own
        most = MOST_LABELS
    elif _COUNTED.search(key):
        most = MOST_COUNTED
    if abs(value) > most:
        raise UnsupportedError(
            f"the config.json has a number that no model has: {printable(key[:_LONGEST])}",
            rules.SCHEMA_CODE,
            expected=f"at most {most:,}",
            found=f"{value:,}",
        )


def _is_count(key: str) -> bool:
    """Whether a key that names layers counts them, and is no size of one: ``layer_norm_eps``."""
    return bool(re.search(r"(^|_)(num|n)_|layers?$|blocks?$|depths?$|experts?$|stages?$", key))


def _shown(value: object) -> str:
    return repr(value)[:_LONGEST]


# --- transformers ------------------------------------------------------------------------


def _transformers() -> Any:
    try:
        import transformers
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise UnsupportedError(
                f"transformers cannot be imported: {said_by(error)}", rules.SCHEMA_CODE
            ) from error
        raise UnsupportedError(
            "a schema from a config.json needs transformers, which is not installed",
            rules.SCHEMA_CODE,
            fix="pip install 'ckpttool[hf]'.",
        ) from error
    return transformers


@contextmanager
def _offline() -> Iterator[None]:
    """Keep transformers from the network, and from writing to standard error."""
    before = {name: os.environ.get(name) for name in _OFFLINE}
    os.environ.update(_OFFLINE)
    with ExitStack() as stack:
        stack.callback(_restore, before)
        stack.enter_context(_hub_offline())
        stack.enter_context(_silent())
        yield


_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "USE_HUB_KERNELS": "0"}


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _hub_offline() -> Iterator[None]:
    """Set what huggingface_hub has read from the environment, if somebody imported it before."""
    try:
        from huggingface_hub import constants
    except ImportError:  # transformers cannot be there either
        yield
        return
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextmanager
def _silent() -> Iterator[None]:
    try:
        from transformers.utils import logging
    except ImportError:
        yield
        return
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _class_named(name: str, library: Any, remote: bool) -> Any:
    found = None
    with stranger(f"transformers cannot give {printable(name[:_LONGEST])}"):
        if name.isidentifier() and not name.startswith("_"):
            found = getattr(library, name, None)
        is_model = isinstance(found, type) and issubclass(found, library.PreTrainedModel)
    if is_model and getattr(found, "config_class", None) is not None:
        return found
    version = f"transformers {library.__version__}"
    raise UnsupportedError(
        f"{version} has no model of the class that the config.json names",
        rules.SCHEMA_CODE,
        found=printable(name[:_LONGEST]),
        fix="Its code comes with the checkpoint (auto_map), and is never run."
        if remote
        else "Install the version of transformers that wrote the config.json.",
    )


# --- what save_pretrained writes ----------------------------------------------------------


def _held(model: PreTrainedModel) -> Held:
    """Return what ``save_pretrained`` writes of a model on the meta device."""
    kept = model.state_dict(keep_vars=True)
    for name in model._keys_to_ignore_on_save or ():
        kept.pop(name, None)
    twice = _left_out(model, kept)
    held = held_by(_as_saved(model, {name: one for name, one in kept.items() if name not in twice}))
    # the other names of a tied tensor are renamed as its own is
    every = _as_saved(model, kept) if twice else {}
    tied = {
        name: main
        for group in groups_of_tied(every)
        for main in [one for one in group if one in held.tensors][:1]
        for name in group
        if name not in held.tensors
    }
    return held._replace(
        tied=tied,
        optional=computed_buffers(model) - held.tensors.keys(),
        ignored=tuple(model._keys_to_ignore_on_load_unexpected or ()),
        wide=_wide(model, held.tensors),
        prefix=getattr(model, "base_model_prefix", None) or "",
    )


def _wide(model: PreTrainedModel, names: Iterable[str]) -> frozenset[str]:
    """Return the tensors that the classes keep in float32 whatever the dtype is."""
    kept = [
        module.replace(".", r"\.").replace("*", ".*")
        for attribute in ("_keep_in_fp32_modules", "_keep_in_fp32_modules_strict")
        for module in getattr(model, attribute, None) or ()
    ]
    if not kept:
        return frozenset()
    pattern = re.compile(rf"(^|\.)({'|'.join(kept)})(\.|$)")
    return frozenset(name for name in names if pattern.search(name))


def _left_out(model: PreTrainedModel, kept: Mapping[str, Any]) -> set[str]:
    """Return the names of tied tensors that are not written: those that the classes declare."""
    groups = groups_of_tied(kept)
    patterns = [re.compile(one) for one in _declared(model)] if groups else []
    left_out: set[str] = set()
    for group in groups:
        declared = [
            name for name in sorted(group) if any(pattern.search(name) for pattern in patterns)
        ]
        # one of them is written in any case; what nobody declares is written under its first name
        left_out.update(declared[: len(group) - 1])
        left_out.update([name for name in group if name not in left_out][1:])
    return left_out


def _declared(model: PreTrainedModel) -> list[str]:
    found: list[str] = []
    for prefix, module in model.named_modules():
        own = getattr(module, "_tied_weights_keys", None) or ()
        found += [f"{prefix}.{key}" if prefix else key for key in own]
    return list(dict.fromkeys(found))


def _as_saved(model: PreTrainedModel, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state dict with the names of files: those that loading turns into the model's."""
    if _is_of_4():
        return _as_saved_by_4(model, state_dict)
    from transformers.core_model_loading import revert_weight_conversion

    saved: dict[str, Any] = revert_weight_conversion(model, dict(state_dict))
    return saved


def _as_saved_by_4(model: PreTrainedModel, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same for transformers 4, in which few classes rename, and none joins tensors."""
    mapping = getattr(model, "_checkpoint_conversion_mapping", None) or {}
    back = [
        (re.compile(own), re.sub(r"\(.*\)", "", of_file.lstrip("^")))
        for of_file, own in mapping.items()
    ]
    fix = getattr(model, "_fix_state_dict_keys_on_save", None)
    renamed = {_renamed(name, back): tensor for name, tensor in state_dict.items()}
    return renamed if fix is None else fix(renamed)


def _renamed(name: str, table: list[tuple[re.Pattern[str], str]]) -> str:
    for pattern, replacement in table:
        changed, number = pattern.subn(replacement, name)
        if number:
            return changed
    return name
