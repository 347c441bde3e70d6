"""What is taken, what is stored once, and how shards are filled."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any, Callable

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.conversion.options import ConvertOptions
from ckpttool.conversion.planning import Plan, plan
from ckpttool.conversion.renaming.rules import Kind, Rule, Rules
from ckpttool.conversion.selecting import TensorSelection, select
from ckpttool.findings.errors import MalformedError, UnsupportedError, UsageError
from ckpttool.models.canonical import canonicalize
from tests.builders import checkpoints, sharing

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

TO_SAFETENSORS, TO_PTH = ConvertOptions("safetensors"), ConvertOptions("pth")


def saved(folder: Path, content: object) -> str:
    path = folder / "weights.pth"
    torch.save(content, path)
    return str(path)


def selected(path: str, options: ConvertOptions) -> TensorSelection:
    with closing(open_checkpoint(path)) as checkpoint:
        return select(checkpoint, canonicalize(checkpoint.tensors), options)


def planned(path: str, options: ConvertOptions) -> Plan:
    with closing(open_checkpoint(path)) as checkpoint:
        selection = select(checkpoint, canonicalize(checkpoint.tensors), options)
        return plan(checkpoint, selection, "out/model.safetensors", options)


def names(found: Plan) -> list[list[str]]:
    return [[piece.name for piece in file.pieces] for file in found.files]


def codes(found: Plan) -> list[str]:
    return [finding.rule.code for finding in found.findings]


# --- choosing ----------------------------------------------------------------------------

ABC = {name: torch.zeros(1) for name in ("a.weight", "a.bias", "b.weight", "c")}


@pytest.mark.parametrize(
    ("include", "exclude", "taken"),
    [
        pytest.param((), (), list(ABC), id="all"),
        pytest.param(("a.*",), (), ["a.weight", "a.bias"], id="include"),
        pytest.param((), ("*.weight",), ["a.bias", "c"], id="exclude"),
        pytest.param(("a.*", "c"), ("*.bias",), ["a.weight", "c"], id="both"),
    ],
)
def test_patterns_choose_and_the_rest_is_listed(
    tmp_path: Path, include: tuple[str, ...], exclude: tuple[str, ...], taken: list[str]
) -> None:
    options = TO_SAFETENSORS._replace(include=include, exclude=exclude)
    found = selected(saved(tmp_path, ABC), options)
    assert list(found.tensors) == taken
    assert list(found.excluded) == [name for name in ABC if name not in taken]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(TO_SAFETENSORS._replace(include=("x*",)), "include", id="include"),
        pytest.param(TO_SAFETENSORS._replace(exclude=("C",)), "exclude", id="other letters"),
        pytest.param(TO_SAFETENSORS._replace(exclude=("*",)), "no tensor is left", id="all"),
    ],
)
def test_patterns_that_are_slips_are_refused(
    tmp_path: Path, options: ConvertOptions, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        selected(saved(tmp_path, ABC), options)


def test_the_encoder_alone_has_no_decoder(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, checkpoints.sound)
    found = selected(path, TO_SAFETENSORS._replace(encoder_only=True))
    decoder = {"mask_token", *(name for name in found.excluded if name.startswith("decoder"))}
    assert set(found.excluded) == decoder
    assert found.tensors
    assert not [name for name in found.tensors if "decoder" in name or name == "mask_token"]


def test_of_no_tensor_none_is_chosen(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no tensor in the checkpoint"):
        selected(saved(tmp_path, {}), TO_SAFETENSORS)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        pytest.param({"a.weight": torch.zeros(0), "b.weight": torch.zeros(0)}, True, id="all"),
        pytest.param({"a.weight": torch.zeros(0), "b.weight": torch.zeros(2)}, False, id="one"),
    ],
)
def test_placeholders_of_weights_that_lie_elsewhere_are_an_error(
    tmp_path: Path, state: dict[str, torch.Tensor], told: bool
) -> None:
    assert codes(planned(saved(tmp_path, state), TO_SAFETENSORS)) == ["STR015"] * told


def test_a_decoder_has_no_encoder(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, checkpoints.sound)
    options = TO_SAFETENSORS._replace(encoder_only=True, include=("decoder_blocks.*",))
    with pytest.raises(UsageError, match="no tensor is left"):
        selected(path, options)


def test_a_tensor_that_is_split_between_encoder_and_decoder_is_in_neither(tmp_path: Path) -> None:
    state = checkpoints.state()
    both = torch.cat([state.pop("cls_token"), state.pop("mask_token").new_zeros(1, 1, 16)])
    rule = Rule(Kind.SPLIT, ("both",), ("cls_token", "mask_token"))
    options = TO_SAFETENSORS._replace(encoder_only=True, rules=Rules((), (rule,)))
    with pytest.raises(UsageError, match="both is split into parts of the encoder and others"):
        selected(saved(tmp_path, {"model": {**state, "both": both}}), options)


def test_without_a_layout_nothing_is_called_an_encoder(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="no known layout"):
        selected(saved(tmp_path, ABC), TO_SAFETENSORS._replace(encoder_only=True))


# --- sharing -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "stored", "tied", "overlapping"),
    [
        pytest.param(
            sharing.tied,
            ["bias", "embed.weight"],
            {"lm_head.weight": "embed.weight"},
            (),
            id="exact duplicates are stored once, and not as the head",
        ),
        pytest.param(
            sharing.tied_twice,
            ["z.weight", "lm_head.bias"],
            {"a.weight": "z.weight", "lm_head.decoder.bias": "lm_head.bias"},
            (),
            id="under the first name of the file, of a head too where there is no other",
        ),
        pytest.param(
            sharing.overlapping,
            ["top", "bottom"],
            {},
            (("top", "bottom"),),
            id="overlaps are written out",
        ),
        pytest.param(sharing.neighbours, ["left", "right"], {}, (), id="neighbours share nothing"),
        pytest.param(
            sharing.same_bytes_in_another_shape,
            ["flat", "square"],
            {},
            (("flat", "square"),),
            id="another shape is no duplicate",
        ),
        pytest.param(
            sharing.empty_twins, ["one", "other", "whole"], {}, (), id="nothing is not shared"
        ),
    ],
)
def test_who_shares_bytes_is_found(
    tmp_path: Path,
    build: Callable[[], sharing.State],
    stored: list[str],
    tied: dict[str, str],
    overlapping: tuple[tuple[str, ...], ...],
) -> None:
    found = planned(saved(tmp_path, build()), TO_SAFETENSORS)
    assert names(found) == [stored]
    assert (found.tied, found.overlapping) == (tied, overlapping)
    assert codes(found) == ["CVT204"] * bool(overlapping) + ["CVT203"] * bool(tied)


def test_aliases_are_kept_when_asked_for(tmp_path: Path) -> None:
    options = TO_SAFETENSORS._replace(keep_aliases=True)
    found = planned(saved(tmp_path, sharing.tied()), options)
    assert names(found) == [["lm_head.weight", "bias", "embed.weight"]]
    assert (found.tied, codes(found)) == ({}, [])


def test_a_tied_name_that_the_metadata_needs_is_written_out(tmp_path: Path) -> None:
    weight = torch.ones(3)
    found = planned(saved(tmp_path, {"a": weight, "format": weight}), TO_SAFETENSORS)
    assert (names(found), found.tied) == ([["a", "format"]], {})
    assert found.metadata["format"] == "pt"


def test_a_pth_keeps_tied_names_as_views(tmp_path: Path) -> None:
    found = planned(saved(tmp_path, sharing.tied()), TO_PTH)
    aliases = {piece.name: piece.alias_of for piece in found.pieces}
    assert aliases == {"lm_head.weight": "embed.weight", "bias": None, "embed.weight": None}
    assert (found.tied, found.metadata) == ({}, {})


# --- which of tied names is stored -------------------------------------------------------

WEIGHT, TWIN = torch.arange(6.0), torch.arange(4.0)
#: As in an encoder-decoder model: the shared embedding first, the head last, and two more twins.
ENCODER_DECODER = {
    "shared.weight": WEIGHT,
    "encoder.embed.weight": WEIGHT,
    "norm": torch.ones(2),
    "b.twin": TWIN,
    "a.twin": TWIN,
    "lm_head.weight": WEIGHT,
}


@pytest.mark.parametrize(
    ("keep", "stored"),
    [
        pytest.param((), ["shared.weight", "norm", "b.twin"], id="the first ones by default"),
        pytest.param(("lm_head.weight",), ["norm", "b.twin", "lm_head.weight"], id="a name"),
        pytest.param(("enc*",), ["encoder.embed.weight", "norm", "b.twin"], id="a glob"),
        pytest.param(
            ("lm_head.*", "a.twin"), ["norm", "a.twin", "lm_head.weight"], id="one of each group"
        ),
        pytest.param(
            ("l[mn]_*.weight", "*a.twin"), ["norm", "a.twin", "lm_head.weight"], id="sets"
        ),
    ],
)
def test_the_name_that_is_stored_is_the_first_or_the_one_asked_for(
    tmp_path: Path, keep: tuple[str, ...], stored: list[str]
) -> None:
    path = saved(tmp_path, ENCODER_DECODER)
    found = planned(path, TO_SAFETENSORS._replace(keep=keep))
    assert names(found) == [stored]
    assert set(found.tied) == set(ENCODER_DECODER) - set(stored)
    assert all(torch.equal(ENCODER_DECODER[a], ENCODER_DECODER[b]) for a, b in found.tied.items())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"keep": ("norm",)}, "shared.weight", id="a name that is not tied"),
        pytest.param({"keep": ("head",)}, "shared.weight", id="no name at all"),
        pytest.param({"keep": ("lm_head.weight", "typo*")}, r"typo\*", id="one of two"),
        pytest.param({"keep": ("*.weight",)}, "several of the same bytes", id="a whole group"),
        pytest.param(
            {"keep": ("b.twin",), "exclude": ("a.twin",)}, "b.twin", id="its twin is left out"
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_names_that_can(
    tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    path = saved(tmp_path, ENCODER_DECODER)
    with pytest.raises(UsageError, match=told):
        planned(path, TO_SAFETENSORS._replace(**options))


def test_without_ties_there_is_none_to_keep(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no two names are tied"):
        planned(saved(tmp_path, ABC), TO_SAFETENSORS._replace(keep=("c",)))


@pytest.mark.parametrize("reverse", [False, True])
def test_overlaps_are_listed_in_the_order_of_the_file(tmp_path: Path, reverse: bool) -> None:
    state = sharing.overlapping()
    names = sorted(state, reverse=reverse)
    found = planned(saved(tmp_path, {name: state[name] for name in names}), TO_SAFETENSORS)
    assert found.overlapping == (tuple(names),)


def test_a_small_expansion_is_written_out(tmp_path: Path) -> None:
    assert names(planned(saved(tmp_path, sharing.expanded()), TO_SAFETENSORS)) == [["wide"]]


def test_an_expansion_far_beyond_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="expand") as caught:
        planned(saved(tmp_path, sharing.bomb()), TO_SAFETENSORS)
    assert caught.value.rule is not None
    assert (caught.value.rule.code, caught.value.tensor) == ("INT005", "bomb")


# --- shards ------------------------------------------------------------------------------


def sized(**sizes: int) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(size, dtype=torch.uint8) for name, size in sizes.items()}


@pytest.mark.parametrize(
    ("sizes", "shards"),
    [
        pytest.param({"a": 4, "b": 6, "c": 1}, [["a", "b"], ["c"]], id="full to the byte"),
        pytest.param({"a": 4, "b": 7, "c": 3}, [["a"], ["b", "c"]], id="in order, not best fit"),
        pytest.param(
            {"a": 4, "big": 11, "c": 3}, [["big"], ["a", "c"]], id="one too large is alone"
        ),
        pytest.param(
            {"a": 4, "b": 10, "c": 3}, [["a"], ["b"], ["c"]], id="one that fits just so is in turn"
        ),
        pytest.param({"big": 11, "a": 1}, [["big"], ["a"]], id="the first one too large"),
        pytest.param({"a": 5, "big": 11}, [["big"], ["a"]], id="the last one too large"),
        pytest.param({"a": 5, "b": 5}, [["a", "b"]], id="all fit into one file"),
    ],
)
def test_shards_are_filled_greedily(
    tmp_path: Path, sizes: dict[str, int], shards: list[list[str]]
) -> None:
    options = TO_SAFETENSORS._replace(max_shard_size=10)
    found = planned(saved(tmp_path, sized(**sizes)), options)
    assert names(found) == shards
    assert (found.shard_index is None) == (len(shards) == 1)
    paths = [Path(file.path).name for file in found.files]
    total = len(shards)
    numbered = [f"model-{n:05d}-of-{total:05d}.safetensors" for n in range(1, total + 1)]
    assert paths == (["model.safetensors"] if total == 1 else numbered)


# --- metadata and what cannot be held ----------------------------------------------------


def test_metadata_comes_in_a_fixed_order(tmp_path: Path) -> None:
    more = (("z", "1"), ("author", "me"))
    options = TO_SAFETENSORS._replace(metadata=more, fingerprint=True)
    found = planned(saved(tmp_path, {"model": sharing.tied()}), options)
    assert list(found.metadata) == [
        "format",
        "ckpttool.fingerprint",
        "ckpttool.wrapper",
        "ckpttool.order",
        "lm_head.weight",
        "author",
        "z",
    ]
    assert (found.metadata["format"], found.metadata["ckpttool.wrapper"]) == ("pt", "model")
    plain = planned(saved(tmp_path, {"model": sharing.tied()}), options._replace(fingerprint=False))
    assert set(found.metadata) - set(plain.metadata) == {"ckpttool.fingerprint"}


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(("format", "np"), id="ours"),
        pytest.param(("ckpttool.order", "x"), id="ours, and not written here"),
        pytest.param(("lm_head.weight", "x"), id="a tied name"),
        pytest.param(("note", "bias"), id="a value that is a tensor"),
    ],
)
def test_metadata_that_would_mean_something_else_is_refused(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    path = saved(tmp_path, sharing.tied())
    with pytest.raises(UsageError, match="taken for something else"):
        planned(path, TO_SAFETENSORS._replace(metadata=(pair,)))


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"x": torch.zeros(2, dtype=torch.complex128)}, id="complex128"),
        pytest.param({"__metadata__": torch.zeros(2)}, id="the name of the metadata"),
    ],
)
def test_what_safetensors_cannot_hold_is_an_error(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    path = saved(tmp_path, {**state, "fine": torch.zeros(1)})
    assert codes(planned(path, TO_SAFETENSORS)) == ["CVT101"]
    (name,) = state
    assert codes(planned(path, TO_SAFETENSORS._replace(exclude=(name,)))) == []
    assert codes(planned(path, TO_PTH)) == []


def test_a_tensor_that_cannot_be_read_is_an_error_until_it_is_excluded(tmp_path: Path) -> None:
    path = saved(tmp_path, {"sparse": torch.eye(3).to_sparse(), "fine": torch.zeros(1)})
    assert codes(planned(path, TO_SAFETENSORS)) == ["STR011"]
    assert codes(planned(path, TO_SAFETENSORS._replace(exclude=("sparse",)))) == []


def test_only_floats_are_cast(tmp_path: Path) -> None:
    state = {
        "float": torch.zeros(1),
        "half": torch.zeros(1, dtype=torch.float16),
        "count": torch.zeros(1, dtype=torch.int64),
        "flag": torch.zeros(1, dtype=torch.bool),
        "wave": torch.zeros(1, dtype=torch.complex64),
    }
    found = planned(saved(tmp_path, state), TO_SAFETENSORS._replace(dtype="float16"))
    assert {piece.name: piece.cast for piece in found.pieces} == {
        "float": True,
        "half": False,
        "count": False,
        "flag": False,
        "wave": False,
    }
