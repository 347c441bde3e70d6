"""What a model family is: its sizes, its names, and what each name stands for.

Only this room spells tensor names; the rooms above receive a :class:`Family`, so that a further
family is one further value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Iterable,
    Mapping,
    NamedTuple,
    Protocol,
    Tuple,
    Union,
)

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ckpttool.models.layouts.conventions import Convention
    from ckpttool.models.layouts.renames import Layout, NameRule
    from ckpttool.models.restoring import Restoring
    from ckpttool.tensors.catalogue import TensorInfo

Shape = Tuple[int, ...]
#: Pixels of the sides of a square image, or height and width.
Image = Union[int, Tuple[int, int]]

#: All of a model, where the other choice is its core alone: what a file must hold, what was run.
FULL = "full"


class ModelConfig(Protocol):
    """The sizes of a model: what the rooms above ask of them. The rest is the family's own."""

    @property
    def embed_dim(self) -> int:
        """The width of the core."""

    @property
    def depth(self) -> int:
        """The number of blocks of the core."""

    @property
    def layer_norm_eps(self) -> float:
        """What LayerNorms add to the variance."""

    def __hash__(self) -> int: ...


class BlockName(NamedTuple):
    """The parts of a name: ``blocks.0.norm1.weight`` is ``blocks``, 0 and ``norm1.weight``."""

    stack: str
    number: int
    rest: str


class ConfigFile(NamedTuple):
    """What must stand in the ``config.json`` of a model.

    Attributes:
        model_type: its value of this key.
        of_core: values of it of other models that have the core of this one, and another head.
        of_shapes: canonical name -> shape, to the settings that follow from the shapes.
        of_size: a model's sizes, and whether the file holds more than the core, to all settings
            that are checked.
        unseen: settings that no shape shows.
        normalised: expression for published file names whose models were trained on normalised
            pixels.
        written: a model's sizes, and whether the file holds more than the core, to a whole file
            that a loader takes; empty where its model cannot have these sizes.
    """

    model_type: str
    of_core: tuple[str, ...]
    of_shapes: Callable[[Mapping[str, Shape]], dict[str, object]]
    of_size: Callable[[Any, bool], dict[str, object]]
    unseen: tuple[str, ...]
    normalised: str
    written: Callable[[Any, bool], dict[str, object]] | None = None


class Kind(Enum):
    """What a file of a family is good for, by the tensors that it has."""

    CORE = "core"  #: the core alone
    FULL = "full"  #: all of the model
    CLASSIFIER = "classifier"  #: the core with a head
    BACKBONE = "backbone"  #: the core as another model uses it, for example a detector


class Hint(NamedTuple):
    """What is said of a model elsewhere than in its shapes.

    Attributes:
        value: as it stands there, of whatever type.
        source: where, for people: ``config.json``.
        demanded: whether the caller says it, and not a file.
        own: whether the file itself says it; a ``config.json`` beside may be of another model.
    """

    value: object
    source: str
    demanded: bool = False
    own: bool = False


#: Field of a model's sizes -> what is said of it.
Hints = Mapping[str, Hint]


class Reading(NamedTuple):
    """A model as it was read off a file.

    Attributes:
        config: its sizes.
        name: of the known size that it is; ``None`` if it is none.
        text: that name, or the sizes in words.
        kind: what is there of it.
        assumed: what was not read off the shapes, and where it is from; a line each.
    """

    config: Any
    name: str | None
    text: str
    kind: Kind
    assumed: tuple[str, ...] = ()


class Words(NamedTuple):
    """What a file is, in words: a key for tools, what it is, and what it is good for."""

    kind: str
    what: str
    use: str


class Free(NamedTuple):
    """A size that a caller may demand, because models of one name come with several.

    Attributes:
        kind: of its value: ``image`` is pixels of a side or (height, width), ``number`` 1 or more,
            ``flag`` true or false.
        help: what it is.
        most: no number, or side of an image, is larger.
    """

    kind: str
    help: str
    most: int = 1 << 20


class SizeReader(NamedTuple):
    """How the sizes of a model are read off a file.

    Attributes:
        read: canonical name -> shape, and hints, to the model; ``None`` if its core is not there.
        contradicts: whether the sizes that were asked for are not those of a reading. Blocks that
            are missing at the end contradict nothing.
        fitted: the sizes that were asked for, for the parts of the model that a reading has.
        hints: the ``config.json`` and the arguments of a training run (dotted name -> value), to
            what they say of the sizes.
        free: the sizes that can be demanded, by their names in the configuration.
        at_image: a model's sizes, and pixels of a side or (height, width), to those of the same
            model for such images; a ``UsageError`` where patches do not fill them.
    """

    read: Callable[[Mapping[str, Shape], Hints], Reading | None]
    contradicts: Callable[[Any, Reading], bool]
    fitted: Callable[[Any, Reading], Any]
    hints: Callable[[Mapping[str, object], Mapping[str, object]], dict[str, Hint]]
    free: Mapping[str, Free]
    at_image: Callable[[Any, Image], Any]


class Positions(NamedTuple):
    """A position table that is computed, not learnt: the class token, then patches row by row.

    The first half of the width encodes the column of a patch, the second half its row.

    Attributes:
        rows, columns: of patches.
        before: rows of zeros before them: 1 with a class token, else 0.
        encode: coordinates (N,) -> (N, width / 2) in float64.
        decode: what it gives -> the coordinates.
    """

    rows: int
    columns: int
    before: int
    encode: Callable[[Any], NDArray[Any]]
    decode: Callable[[NDArray[Any]], NDArray[Any]]


class Computed(NamedTuple):
    """What a forward pass gives for the two inputs.

    Attributes:
        outputs: by name; ``features`` are those of the core.
        kept: the patches that were not hidden.
        loss: of the model as a whole; ``None`` where the core alone was run.
        tokens: of an image in the core, where the features do not show it.
    """

    outputs: dict[str, torch.Tensor]
    kept: tuple[int, ...] = ()
    loss: float | None = None
    tokens: int | None = None


class ForwardPass(NamedTuple):
    """How a model is run on two fixed inputs that differ.

    Attributes:
        run: runs a model with its weights: all of it or the core alone, on a device, in a dtype.
        shapes: a model's sizes, and whether all of it is run, to the shapes of the outputs.
        why_not: a model's sizes, to why a model of them is not run; ``None`` if it is.
        controls: sizes and tensors, to models that are wrong on purpose: (name, sizes, tensors).
    """

    run: Callable[[Any, bool, str, torch.dtype], Computed]
    shapes: Callable[[Any, bool], dict[str, Shape]]
    why_not: Callable[[Any], str | None]
    controls: Callable[
        [Any, dict[str, TensorInfo]], Iterable[tuple[str, Any, Mapping[str, TensorInfo]]]
    ]


@dataclass(frozen=True, eq=False)
class Family:
    """Models with the same tensor names in several sizes. Names here are canonical.

    Attributes:
        name: of the family.
        sizes: ``--model`` name -> sizes.
        default: the model that is meant where none is named.
        shapes: a model's sizes, to name and shape of its tensors in the model's order.
        reading: how sizes are read off a file; ``None`` if only the known ones are recognised.
        words: what a file has of a model, its sizes and its name, in words.
        with_all: name of a known size -> the published files that have all of it.
        depths: stack -> the option that says how many blocks it has.
        dtypes: tensors of another type than float32 -> torch's name of it.
        load: imports the model's code, and torch, and returns what builds a model of given sizes.
        forward: what runs the model; ``None`` if nothing does, and it is only compared by names.
        groups: the parts of a model, the core first: a file may lack the others, not the core.
        group_of: tensor name -> group.
        stacks: first part of the names of blocks (``blocks``) -> group, the core's first.
        rows: rows of the map of a comparison, in the order in which a block computes: label ->
            modules of a block.
        fused: modules of a block that are several in one -> what their equal parts along axis 0
            are called, in order.
        load_layouts: imports the naming conventions; see ``layouts``.
        load_conventions: imports those that files can be written in, by the names of the option.
        anchors: names by which a layout and its prefix are recognised; one is enough.
        patches: the weight that is applied to the pixels.
        tables: position tables that are computed, not learnt -> a model's sizes, to how it is
            computed; ``None`` where there is none of that width. The core's is first.
        layernorms: expression for weights and biases of LayerNorms, also of a fine-tuned
            classifier.
        classifier: prefixes of the modules that fine-tuning adds.
        config_file: of the ``config.json``.
        published: file name -> the first digits of its MD5 sum.
        published_at: the address of these files.
        restoring: how its models restore images of which they see a part; ``None`` if they do not.
        load_alternatives: imports what forks call single modules of the canonical convention;
            they are recognised beside whatever else a file spells.
    """

    name: str
    sizes: Mapping[str, ModelConfig]
    default: str
    shapes: Callable[[Any], Mapping[str, Shape]]
    load: Callable[[], Callable[..., Any]]
    forward: ForwardPass | None
    groups: tuple[str, ...]
    group_of: Callable[[str], str]
    stacks: Mapping[str, str]
    rows: Mapping[str, tuple[str, ...]]
    load_layouts: Callable[[], tuple[Layout, ...]]
    load_conventions: Callable[[], Mapping[str, Convention]]
    anchors: tuple[str, ...]
    patches: str
    tables: Mapping[str, Callable[[Any], Positions | None]]
    layernorms: str
    classifier: tuple[str, ...]
    config_file: ConfigFile
    published: Mapping[str, str]
    published_at: str
    words: Callable[[Kind, Any, str], Words]
    with_all: Callable[[str], tuple[str, ...]]
    reading: SizeReader | None = None
    depths: Mapping[str, str] = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    restoring: Restoring | None = None
    load_alternatives: Callable[[], tuple[NameRule, ...]] = tuple

    @property
    def core(self) -> str:
        """The group that every file must hold."""
        return self.groups[0]

    @property
    def core_stack(self) -> str:
        """The stack of that group."""
        return next(iter(self.stacks))

    @cached_property
    def layouts(self) -> tuple[Layout, ...]:
        """The naming conventions, the canonical one first.

        Where two claim the same number of names (an encoder alone), the first is reported.
        """
        # late: every command's help names the models, and few commands read tensor names
        return self.load_layouts()

    def block_of(self, name: str) -> BlockName | None:
        """Return the parts of a name; ``None`` for a tensor outside of blocks."""
        found = self._block.match(name)
        return None if found is None else BlockName(found[1], int(found[2]), found[3])

    def role_of(self, name: str) -> tuple[str, str] | None:
        """Return the stack and the name in the block, the same for all blocks of the stack."""
        place = self.block_of(name)
        return None if place is None else (place.stack, place.rest)

    @cached_property
    def fused_ends(self) -> tuple[str, ...]:
        """How names of tensors of fused modules end."""
        return tuple(f".{module}.{leaf}" for module in self.fused for leaf in ("weight", "bias"))

    @cached_property
    def _block(self) -> re.Pattern[str]:
        stacks = "|".join(map(re.escape, self.stacks)) or "(?!)"
        return re.compile(rf"^({stacks})\.(\d{{1,9}})\.(.+)$", re.DOTALL)

    def is_layernorm(self, name: str) -> bool:
        """Whether a tensor is a LayerNorm's weight or bias."""
        return re.search(self.layernorms, name) is not None


def depth_of(names: Iterable[str], stack: str) -> int | None:
    """Return how many blocks a stack has; ``None`` where it has none or numbers are missing."""
    block = re.compile(rf"{re.escape(stack)}\.(\d{{1,9}})\..", re.DOTALL)
    numbers = {int(found[1]) for found in map(block.match, names) if found}
    # with a gap, in a shard or a damaged file, the depth is unknown
    return len(numbers) if numbers and numbers == set(range(len(numbers))) else None
