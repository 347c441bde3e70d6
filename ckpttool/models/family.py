"""What a model family is: all that checks, comparisons and reports know of a model by its names.

Models of one family differ in their sizes and share their names. What is above this room receives
a :class:`Family` and spells none of its names, so that a further family is one further value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, NamedTuple, Tuple

from mae.config import MAEConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.models.layouts.renames import Layout

#: The sizes of one model: widths, depths, patches.
ModelConfig = MAEConfig

Shape = Tuple[int, ...]


class BlockName(NamedTuple):
    """A tensor's name, taken apart: the stack of blocks, the block's number, the name in it."""

    stack: str
    number: int
    rest: str


class ConfigFile(NamedTuple):
    """What the ``config.json`` of a model says, under the keys that it has there.

    Attributes:
        model_type: how it calls the family.
        of_shapes: the settings that the shapes of a file's tensors (by canonical name) show.
        of_size: all settings of a model that are checked; the flag says whether the file holds
            more than the first group.
        normalised: expression for names of published files whose models were trained on
            normalised pixels.
    """

    model_type: str
    of_shapes: Callable[[Mapping[str, Shape]], dict[str, object]]
    of_size: Callable[[ModelConfig, bool], dict[str, object]]
    normalised: str


@dataclass(frozen=True, eq=False)
class Family:
    """Models that share their names. Names are canonical ones unless said otherwise.

    Attributes:
        name: what the family is called.
        sizes: the models, by the name that ``--model`` takes.
        default: the one of them that is meant where none is named.
        load: imports the model's code, torch with it, and returns its class.
        groups: the parts of a model. The first is what every file must hold; a file may be
            published without the others.
        group_of: the group of a tensor.
        stacks: what the names of blocks begin with (``blocks`` for ``blocks.0.norm1.weight``), to
            their group. The first is that of the first group.
        rows: the map of a comparison: the labels of its rows in the order in which a block
            computes, to the modules of a block that stand there.
        load_layouts: imports the naming conventions; see ``layouts``.
        anchors: names that give a layout away, wherever its prefix ends. One of them is enough: a
            file may lack tensors, and a decoder alone is still recognised.
        class_token: the tensor that is as wide as the model, ``(1, 1, width)``.
        patches: the first weight that the pixels meet.
        fused: the module of a block in which the rows of query, key and value follow one another.
        tables: position tables that are computed and not learnt, to what computes one, ``(tokens,
            width)`` in float64. The first is that of the first group: the class token, then the
            patches line by line.
        layernorms: expression for the gains and biases of LayerNorms, those of a classifier
            that was made of the model included.
        classifier: what the names of such a classifier's own modules begin with.
        pooled: the last norm of a classifier that averages the patches, and the one of the
            model that it has none of.
        config_file: the ``config.json``.
        published: files of the authors, to the first digits of their MD5 sum.
        published_at: where they lie.
    """

    name: str
    sizes: Mapping[str, ModelConfig]
    default: str
    load: Callable[[], type[Any]]
    groups: tuple[str, ...]
    group_of: Callable[[str], str]
    stacks: Mapping[str, str]
    rows: Mapping[str, tuple[str, ...]]
    load_layouts: Callable[[], tuple[Layout, ...]]
    anchors: tuple[str, ...]
    class_token: str
    patches: str
    fused: str
    tables: Mapping[str, Callable[[ModelConfig], NDArray[Any]]]
    layernorms: str
    classifier: tuple[str, ...]
    pooled: tuple[str, str]
    config_file: ConfigFile
    published: Mapping[str, str]
    published_at: str

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

        Where two claim the same number of names (an encoder alone), the one that stands first is
        named. Loaded late: all commands name the models in their help, and few read names.
        """
        return self.load_layouts()

    def block_of(self, name: str) -> BlockName | None:
        """Return a name taken apart; ``None`` for what is in no block."""
        found = self._block.match(name)
        return None if found is None else BlockName(found[1], int(found[2]), found[3])

    def role_of(self, name: str) -> tuple[str, str] | None:
        """Return what a tensor is in any block of its stack: stack and name in the block."""
        place = self.block_of(name)
        return None if place is None else (place.stack, place.rest)

    @cached_property
    def _block(self) -> re.Pattern[str]:
        stacks = "|".join(map(re.escape, self.stacks))
        return re.compile(rf"^({stacks})\.(\d+)\.(.+)$", re.DOTALL)

    def is_layernorm(self, name: str) -> bool:
        """Whether a tensor is a LayerNorm's gain or bias."""
        return self._layernorm.search(name) is not None

    @cached_property
    def _layernorm(self) -> re.Pattern[str]:
        return re.compile(self.layernorms)


def depth_of(names: Iterable[str], stack: str) -> int | None:
    """Return how many blocks a stack has; a hole in their numbers is no other depth."""
    block = re.compile(rf"{re.escape(stack)}\.(\d+)\..", re.DOTALL)
    numbers = {int(found[1]) for found in map(block.match, names) if found}
    return len(numbers) if numbers and numbers == set(range(len(numbers))) else None
