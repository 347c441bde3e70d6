"""A fix is shown only where it helps: each that names an option or a command is tried out here."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List
from unittest import mock

import pytest
import torch
from safetensors.torch import save_file

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from mae.config import CONFIGS
from tests.builders import checkpoints, kinds, models, releases
from tests.builders.commands import invoke
from tests.rule_cases.runs import convert

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

State = Dict[str, torch.Tensor]

SMALL = models.TINY._replace(embed_dim=24, depth=3)
DEEP = SMALL._replace(decoder_depth=2)
OTHER_DECODER = models.TINY._replace(decoder_embed_dim=12, decoder_depth=2)
OTHER_IMAGE = models.TINY._replace(img_size=48)
GREY = models.TINY._replace(in_chans=1)


@pytest.fixture(autouse=True)
def sizes() -> Iterator[None]:
    """Some sizes of the model that are known."""
    with mock.patch.dict(CONFIGS, {"tiny": models.TINY, "small": SMALL, "deep": DEEP}):
        yield


def state(config: Any = models.TINY) -> State:
    return {name: t.clone() for name, t in models.tiny_model(config=config).state_dict().items()}


def found(path: str, **options: Any) -> Dict[str, Finding]:
    chosen = VerifyOptions(**{"model": "tiny", "forward": False, **options})
    return {one.rule.code: one for one in verify_file(path, chosen).findings}


def options_in(fix: str) -> Dict[str, Any]:
    """The options that a fix names, as verify takes them."""
    named: Dict[str, Any] = dict(re.findall(r"--(model|require|wrapper) (\w[\w.]*\w)", fix))
    sizes = dict(re.findall(r"--((?:decoder-)?depth) (\d+)", fix))
    if sizes:
        named["sizes"] = {name.replace("-", "_"): int(number) for name, number in sizes.items()}
    elif "leave out --" in fix:
        named["sizes"] = {}
    missing = re.search(r"expected-missing = (\[.*?\])", fix)
    return {**named, **({"expected_missing": tuple(json.loads(missing[1]))} if missing else {})}


# --- options of verify --------------------------------------------------------------------


def another_beside() -> Any:
    another = {f"layer{n}.conv.weight": torch.rand(8, 8) for n in range(300)}
    return {"net": another, "teacher": {"inner": models.encoder_of(state())}}


def without(stack: str, config: Any = SMALL) -> State:
    """The model without the last block of a stack."""
    last = config.depth if stack == "blocks" else config.decoder_depth
    weights = state(config)
    return {name: weights[name] for name in weights if f"{stack}.{last - 1}." not in name[:17]}


CASES: Dict[str, Any] = {
    "another size": (lambda: {"model": state(SMALL)}, {}, {"STR017"}),
    "its encoder": (lambda: models.encoder_of(state(SMALL)), {}, {"STR017"}),
    "a smaller size": (lambda: state(), {"model": "small"}, {"STR017"}),
    "no known size": (lambda: state(OTHER_DECODER), {}, {"STR017"}),
    "another image": (
        lambda: state(),
        {"model": "auto", "sizes": {"img_size": 64, "in_chans": 3}},
        {"STR017"},
    ),
    "the last block": (lambda: without("blocks"), {"model": "auto"}, {"STR001"}),
    "the decoder's last": (
        lambda: without("decoder_blocks", DEEP),
        {"model": "deep"},
        {"STR003"},
    ),
    "another state dict": (another_beside, {"wrapper": "net"}, {"STR012"}),
    "no decoder": (checkpoints.encoder_only, {"require": "full"}, {"STR002"}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_option_that_a_fix_names_helps(tmp_path: Path, name: str) -> None:
    content, options, codes = CASES[name]
    path = checkpoints.saved(tmp_path, content)
    before = found(path, **options)
    assert codes <= before.keys()
    for code in codes:
        named = options_in(before[code].advice)
        assert named, before[code].advice
        after = found(path, **{**options, **named})
        kept = after.get(code)
        assert kept is None or kept.severity.weight < before[code].severity.weight


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: state(OTHER_DECODER), id="a decoder of its own size"),
        pytest.param(lambda: state(OTHER_IMAGE), id="another image size"),
        pytest.param(lambda: state(GREY), id="grey images"),
        pytest.param(lambda: state(models.TINY._replace(embed_dim=32)), id="no known width"),
        pytest.param(checkpoints.encoder_block_missing, id="a block lost"),
        pytest.param(checkpoints.norm_too_wide, id="a wrong shape"),
        pytest.param(checkpoints.another_model, id="another model"),
        pytest.param(checkpoints.classifier_head_added, id="a head"),
        pytest.param(checkpoints.decoder_cut_in_half, id="half a decoder"),
        pytest.param(
            lambda: {**models.encoder_of(state(SMALL)), "norm.weight": torch.rand(5)},
            id="another size with a wrong shape",
        ),
    ],
)
def test_no_size_is_advised_that_does_not_fit(
    tmp_path: Path, content: Callable[[], object]
) -> None:
    findings = found(checkpoints.saved(tmp_path, content), model="auto")
    assert findings
    assert not [one.advice for one in findings.values() if "--model" in one.advice]


def test_where_nothing_is_known_to_help_nothing_is_advised(tmp_path: Path) -> None:
    assert found(checkpoints.saved(tmp_path, checkpoints.another_model))["STR012"].advice == ""
    respelt = {name.replace(".mlp.fc", ".ffw."): tensor for name, tensor in state().items()}
    assert found(checkpoints.saved(tmp_path, lambda: respelt))["STR001"].advice == ""


def test_the_root_is_named_as_the_command_line_takes_it(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, lambda: {**state(), "model": state()})
    choice = found(path, wrapper="model")["STR008"]
    assert "--wrapper, '' for example" in choice.advice
    assert "STR008" in found(path, wrapper="")


# --- config.json --------------------------------------------------------------------------


def apply(fix: str, folder: Path) -> None:
    """Do to config.json what a fix says."""
    settings = json.loads("{" + fix.partition("set ")[2].rstrip(".") + "}")
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **settings}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden_size": 768},
        {"num_hidden_layers": 12, "num_attention_heads": 12},
        {"image_size": [32, 64], "qkv_bias": False, "hidden_act": "relu"},
        {"decoder_hidden_size": 512, "decoder_num_hidden_layers": 8},
    ],
)
def test_what_is_to_be_set_in_the_config_is_said(tmp_path: Path, wrong: Dict[str, Any]) -> None:
    path = str(releases.release(tmp_path, config=wrong))
    apply(found(path)["HUB004"].advice, tmp_path)
    assert "HUB004" not in found(path)


def test_the_pixels_that_the_run_had_are_said(tmp_path: Path) -> None:
    name = "mae_pretrain_vit_base_full.pth"
    path = str(releases.pickled(tmp_path, checkpoints.sound, name, norm_pix_loss=False))
    apply(found(path)["HUB007"].advice, tmp_path)
    assert "HUB007" not in found(path)


def small_release(folder: Path, config: Any = None) -> str:
    right = {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "intermediate_size": 96,
        **(config or {}),
    }
    return str(releases.release(folder, config=right, weights=state(SMALL)))


def test_a_config_that_agrees_with_the_weights_is_not_wrong_because_the_flag_is(
    tmp_path: Path,
) -> None:
    findings = found(small_release(tmp_path))
    assert "HUB004" not in findings
    assert "--model small" in findings["STR017"].advice


@pytest.mark.parametrize("wrong", [{"hidden_size": 16}, {"num_attention_heads": 3}])
def test_a_config_is_compared_with_the_weights_whatever_the_flag_says(
    tmp_path: Path, wrong: Dict[str, Any]
) -> None:
    path = small_release(tmp_path, wrong)
    (code,) = {"HUB004"} & found(path).keys()
    apply(found(path)[code].advice, tmp_path)
    assert "HUB004" not in found(path)
    assert "HUB004" not in found(path, model="small")


def test_of_an_unknown_size_only_what_shapes_show_is_held_against_a_config(
    tmp_path: Path,
) -> None:
    config = {"image_size": 48, "num_attention_heads": 7}
    path = str(releases.release(tmp_path, config=config, weights=state(OTHER_IMAGE)))
    assert "HUB004" not in found(path)


# --- commands and metadata ----------------------------------------------------------------


def converted(path: str, **options: Any) -> str:
    output = Path(path).with_name("out.safetensors")
    convert(path, output, **options)
    return str(output)


@pytest.mark.parametrize(
    ("content", "code", "options"),
    [
        (checkpoints.training_run, "HUB001", {}),
        (checkpoints.sound, "SEC005", {}),
        (checkpoints.called_beside, "SEC002", {}),
        (checkpoints.object_beside, "SEC003", {}),
        (checkpoints.view_of_a_large_storage, "INT009", {}),
        (checkpoints.classifier_head_added, "STR004", {"exclude": ("head.weight",)}),
    ],
)
def test_a_conversion_helps_where_a_fix_says_so(
    tmp_path: Path, content: checkpoints.Content, code: str, options: Dict[str, Any]
) -> None:
    path = checkpoints.saved(tmp_path, content)
    assert code in found(path)
    assert code not in found(converted(path, **options))


@pytest.mark.parametrize(
    ("metadata", "advised"), [(None, True), ({"format": "np"}, False), ({"format": "mlx"}, False)]
)
def test_the_format_is_advised_where_none_is_stated(
    tmp_path: Path, metadata: Dict[str, str] | None, advised: bool
) -> None:
    path = str(tmp_path / "model.safetensors")
    save_file(state(), path, metadata=metadata)
    assert ('"format": "pt"' in found(path)["HUB008"].advice) is advised
    save_file(state(), path, metadata={"format": "pt"})
    assert "HUB008" not in found(path)


# --- advice that is made of what was found ------------------------------------------------


def run_convert(fix: str, path: str) -> str:
    """Run the conversion that a fix spells out, and return what it wrote."""
    command = shlex.split(fix[fix.index("ckpttool convert") :].rstrip("."))[1:]
    done = invoke(*(path if word == "PATH" else word for word in command))
    assert done.code == 0, done.out
    stem = Path(path).name.partition(".")[0]
    return str(Path(path).with_name(f"{stem}.safetensors"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: {**state(), "extra.w": torch.rand(3, 3)}, id="one"),
        pytest.param(
            lambda: {f"module.{k}": v for k, v in {**state(), "x.w": torch.rand(3, 3)}.items()},
            id="behind a prefix",
        ),
        pytest.param(
            lambda: {**state(), **{f"proj.{n}.weight": torch.rand(3, 3) for n in range(9)}},
            id="a module of many",
        ),
    ],
)
def test_what_has_no_place_is_left_out_by_the_names_that_the_file_has(
    tmp_path: Path, content: Callable[[], object]
) -> None:
    path = checkpoints.saved(tmp_path, content)
    assert "STR004" not in found(run_convert(found(path)["STR004"].advice, path))


@pytest.mark.parametrize(
    "names", [[f"{letter}.w" for letter in "abcde"], ["a b"], ["a[0]"], ["$(x)"], ["--x"]]
)
def test_names_that_no_command_should_have_in_it_are_not_spelled_out(
    tmp_path: Path, names: List[str]
) -> None:
    more = {name: torch.rand(3, 3) for name in names}
    path = checkpoints.saved(tmp_path, lambda: {**state(), **more})
    assert found(path)["STR004"].advice == rules.UNEXPECTED.fix


def test_a_wider_type_is_cast_and_of_a_narrower_one_no_digits_are_promised(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, lambda: {k: v.double() for k, v in state().items()})
    assert "STR006" not in found(run_convert(found(path)["STR006"].advice, path))
    path = checkpoints.saved(tmp_path, checkpoints.half_precision)
    assert "--dtype" not in found(path)["STR006"].advice


def test_of_a_part_of_a_checkpoint_the_other_parts_are_advised(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    index = Path(converted(checkpoints.saved(folder, checkpoints.sound), max_shard_size=20_000))
    for number, part in enumerate(folder.glob("out-*")):
        (tmp_path / str(number)).mkdir()
        alone = str(shutil.copy(part, tmp_path / str(number)))
        for code in {"STR001", "STR003"} & found(alone, model="auto").keys():
            assert "put the others and their index beside" in found(alone)[code].advice
    assert not {"STR001", "STR003"} & found(f"{index}.index.json").keys()


def test_the_size_of_image_that_a_table_is_for_is_named(tmp_path: Path) -> None:
    rectangle = kinds.trained(kinds.TINY._replace(img_size=(64, 16)))
    path = checkpoints.saved(tmp_path, lambda: rectangle)
    advice = found(path, model="auto", sizes={"img_size": 32})["MOD003"].advice
    (rows, columns) = re.findall(r"--img-size (\d+)x(\d+)", advice)[0]
    asked = {"img_size": (int(rows), int(columns))}
    assert "MOD003" not in found(path, model="auto", sizes=asked)


def test_a_learned_table_of_a_whole_model_is_not_to_be_computed_anew(tmp_path: Path) -> None:
    learned = {**kinds.trained(), "pos_embed": torch.randn(1, 17, 16) * 0.02}
    path = checkpoints.saved(tmp_path, lambda: learned)
    assert found(path, model="auto")["MOD003"].advice.startswith("If the model learned its table")


def test_the_row_of_the_class_token_that_a_table_needs_is_advised(tmp_path: Path) -> None:
    table = kinds.encoder()["pos_embed"]
    wrong = torch.cat([table[:, :1] + 1, table[:, 1:]], 1)
    path = checkpoints.saved(tmp_path, lambda: {**kinds.encoder(), "pos_embed": wrong})
    assert "first row zeros" in found(path, model="auto")["MOD003"].advice
    path = checkpoints.saved(tmp_path, kinds.encoder)
    assert "MOD003" not in found(path, model="auto")


@pytest.mark.parametrize(
    ("content", "types"),
    [
        (lambda: kinds.trained(), ["vit_mae"]),
        (lambda: kinds.encoder(), ["vit_mae", "vit"]),
        (lambda: kinds.trained(kinds.TINY._replace(num_classes=5)), ["vit"]),
    ],
)
def test_the_model_type_is_one_that_has_a_place_for_the_weights(
    tmp_path: Path, content: Callable[[], State], types: List[str]
) -> None:
    path = str(tmp_path / "model.safetensors")
    save_file(content(), path, metadata={"format": "pt"})
    config = tmp_path / "config.json"
    config.write_text('{"model_type": "other"}')
    advice = found(path, model="auto")["HUB005"].advice
    assert re.findall(r'"(vit\w*)"', advice) == types
    for one in types:
        config.write_text(json.dumps({"model_type": one}))
        assert "HUB005" not in found(path, model="auto")


def test_the_eps_that_the_model_has_is_advised(tmp_path: Path) -> None:
    path = str(releases.release(tmp_path, config={"layer_norm_eps": 1e-12}))
    apply(found(path)["HUB006"].advice, tmp_path)
    assert "HUB006" not in found(path)


def test_what_convert_keeps_is_not_said_to_be_left_out(tmp_path: Path) -> None:
    path = str(tmp_path / "model.safetensors")
    private = {"out": "/home/somebody/run", "api_key": "hf_abcdefghijABCDEFGHIJabcdefghijABCD"}
    save_file(state(), path, metadata={"format": "pt", **private})
    for code in ("SEC006", "SEC007"):
        assert "again without" in found(path)[code].advice
        assert code in found(converted(path))


def test_of_a_model_without_data_no_dense_copy_is_advised(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, lambda: {**state(), "x": torch.empty(3, device="meta")})
    assert found(path)["STR011"].advice.startswith("Load the weights")
    path = checkpoints.saved(tmp_path, checkpoints.sparse_tensor_added)
    assert found(path)["STR011"].advice == rules.UNREAD_ENTRY.fix


def test_that_the_model_cannot_be_run_is_not_blamed_on_an_option(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, state)
    assert found(path)["MOD007"].advice == rules.FORWARD_NOT_RUN.fix
    broken = checkpoints.saved(tmp_path, checkpoints.encoder_block_missing)
    assert found(broken, forward=True)["MOD007"].advice == ""


def test_a_model_without_biases_is_not_said_to_have_lost_them(tmp_path: Path) -> None:
    def content() -> State:
        weights = kinds.trained()
        linear = [name for name in weights if name.endswith("bias") and "norm" not in name]
        return {**weights, **{name: torch.zeros_like(weights[name]) for name in linear}}

    advice = found(checkpoints.saved(tmp_path, content), model="auto")["NUM009"].advice
    assert advice.startswith("A model that was made without biases is right so")
