"""The naming conventions that files can be written in, as the programs that load them want them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple

from ckpttool.models.layouts.facebook import ENCODER, FACEBOOK, WITHOUT_DECODER
from ckpttool.models.layouts.hf_vitmae import HF_VITMAE
from ckpttool.models.layouts.openmmlab import MMPRETRAIN_SAVED, MMSEG
from ckpttool.models.layouts.renames import Layout

if TYPE_CHECKING:
    from typing import Dict


class Convention(NamedTuple):
    """A naming convention as files are written in it.

    Attributes:
        layout: the table.
        keeps_others: whether names that the table does not know may stand beside its own. They may
            where names are canonical: a head is spelled the same there.
        wrapper: the key under which its loader looks for the tensors, ``""`` for the root;
            ``None`` if it finds them under any.
        file_names: what its loader looks for in a folder: target of ``convert`` -> name. Such a
            loader wants a ``config.json`` too; empty for any other.
    """

    layout: Layout
    keeps_others: bool = False
    wrapper: str | None = None
    file_names: Mapping[str, str] = {}


# timm's VisionTransformer has the encoder's names of the MAE code, which took them from timm.
TIMM = Layout("timm", (*ENCODER, *WITHOUT_DECODER))

#: Name of the convention -> how it is written.
CONVENTIONS: Dict[str, Convention] = {
    # main_finetune.py and main_linprobe.py of the MAE repository read checkpoint["model"]
    "facebook": Convention(FACEBOOK, keeps_others=True, wrapper="model"),
    "timm": Convention(TIMM, keeps_others=True),
    "hf": Convention(
        HF_VITMAE,
        wrapper="",
        file_names={"safetensors": "model.safetensors", "pth": "pytorch_model.bin"},
    ),
    # mmengine looks at the root, and under state_dict
    "mmpretrain": Convention(MMPRETRAIN_SAVED, wrapper=""),
    "mmseg": Convention(MMSEG, wrapper=""),
}
