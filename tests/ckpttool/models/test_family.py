"""A family's names are spelled in models/ alone: another family comes out in its own words."""

from __future__ import annotations

import ast
import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import ckpttool
from ckpttool.comparison.mapping import map_of
from ckpttool.comparison.result import Comparison, DiffKind, Outcome, Side, TensorDiff
from ckpttool.findings.errors import UsageError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.results import FileReport
from ckpttool.models.coverage import cover
from ckpttool.models.families import FAMILIES, models
from ckpttool.models.families.mae import MAE
from ckpttool.models.family import depth_of
from ckpttool.models.schema import schema_of
from ckpttool.reports.terminal.diff_map import write_map
from ckpttool.reports.terminal.facts import coverage_text
from ckpttool.reports.terminal.page import Page
from ckpttool.verification.checks import architecture, meaning, siblings
from tests.builders import evidence as built
from tests.builders.families import NAMES, RUNNING_TOY, TOY, toy_input, toy_state
from tests.builders.repository import ROOT
from tests.builders.sizes import TINY
from tests.builders.tensors import from_array

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Iterator

    from ckpttool.findings.results import Coverage
    from ckpttool.models.family import Family
    from tests.builders.evidence import Arrays

# --- nothing above models/ spells a name ---------------------------------------------------

#: How the names of masked autoencoders begin, their parts, and what files of them are called.
SPELLED = re.compile(
    r"^blocks\.|blocks\.[{\d]|decoder_|pos_embed|patch_embed|cls_token|mask_token|qkv|attn\.|mlp\."
    r"|\bnorm[12]?\.|fc_norm|mae_|vit-?mae|\b(?:encoder|decoder)\b"
)
#: Texts that spell them all the same, by the module, and why they may.
ALLOWED = {
    "ckpttool.cli.commands.convert": "--encoder-only is what the option is called",
    "ckpttool.cli.commands.sample": "--full, in words: the stand-ins are of masked autoencoders",
    "ckpttool.cli.options": "the help of --require, in the words of its choices",
    "ckpttool.cli.pictures": "the help of --image, which needs one",
    "ckpttool.cli.sections": "names of options: resize_pos_embed, decoder_depth, encoder_only",
    "ckpttool.conversion.options": "resize_pos_embed is what the option is called",
    "ckpttool.quantization.by_name": "[qkv] are three letters in an expression",
    "ckpttool.conversion.renaming.spelling": "a fix that names the option --encoder-only",
    "ckpttool.conversion.selecting": "what --encoder-only cannot do, in the words of the option",
    "ckpttool.formats.safety.allowed": "json.decoder is a module of Python",
    "ckpttool.reports.machine.stored": "pos_embed_errors is a field of the documented JSON",
}
#: The pages that explain a rule give examples, and names of rules last.
RULES = "ckpttool.findings.rules."


def above_models() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "ckpttool").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if not module.startswith("ckpttool.models."):
            yield module, ast.parse(path.read_text(encoding="utf-8"))


def texts_in(tree: ast.Module) -> Iterator[str]:
    """All texts that a program works with; a text that stands alone is a docstring."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def spelling() -> set[str]:
    return {
        module
        for module, tree in above_models()
        if not module.startswith(RULES) and any(map(SPELLED.search, texts_in(tree)))
    }


def test_no_module_above_spells_a_name_but_for_a_reason() -> None:
    assert spelling() == set(ALLOWED)


def test_a_name_that_is_spelled_would_be_found() -> None:
    tree = ast.parse('def f(n):\n    """Of blocks.0.norm1."""\n    return f"blocks.{n}.x", "a"')
    assert sorted(texts_in(tree)) == [".x", "a", "blocks."]
    names = ["blocks.", "any.blocks.0.x", "norm.bias", "cls_token", "decoder_pred.bias", "encoder"]
    assert all(SPELLED.search(text) for text in names)
    assert not any(SPELLED.search(text) for text in ("two blocks. Then", "norm_change", "decode"))


def test_no_module_above_imports_the_model() -> None:
    imported = [
        (module, node.module)
        for module, tree in above_models()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mae"
    ]
    assert imported == []


# --- the known family ----------------------------------------------------------------------


def test_every_model_has_one_family() -> None:
    assert len(models()) == sum(len(family.sizes) for family in FAMILIES)
    assert all(family.default in family.sizes for family in FAMILIES)


@pytest.mark.parametrize("family", [*FAMILIES, TOY], ids=lambda family: str(family.name))
def test_a_family_agrees_with_itself(family: Family) -> None:
    assert family.core_stack == next(iter(family.stacks))
    assert family.stacks[family.core_stack] == family.core
    assert set(family.stacks.values()) <= set(family.groups)
    canonical = family.layouts[0]
    names = [*family.anchors, family.patches]
    names += family.tables
    assert [name for name in names if canonical.names_of(name) is None] == []


@pytest.mark.parametrize(
    ("row", "modules"),
    [
        ("norms", "norm1 norm2 ln1 ln2 layernorm_before layernorm_after"),
        (
            "qkv",
            "attn.qkv attention.attention.query attention.attention.key "
            "attention.attention.value attention.q_proj attention.k_proj attention.v_proj "
            "attn.attn.in_proj",
        ),
        ("proj", "attn.proj attention.output.dense attention.o_proj attn.attn.out_proj"),
        ("fc1", "mlp.fc1 intermediate.dense ffn.layers.0.0"),
        ("fc2", "mlp.fc2 output.dense ffn.layers.1"),
    ],
)
def test_the_map_knows_a_role_in_all_spellings(row: str, modules: str) -> None:
    for module in modules.split():
        (place,) = map_of((same(f"any.7.{module}.bias"),), MAE).places
        assert place == ("any", row, 7)


def same(name: str) -> TensorDiff:
    side = Side((name,), "float32", (2,))
    return TensorDiff(name, DiffKind.IDENTICAL, True, side, side)


# --- another one ---------------------------------------------------------------------------


def toys(*names: str) -> Coverage:
    """The coverage of a file with these names, all of the right shape."""
    shape = (TINY.embed_dim, TINY.embed_dim)
    infos = {name: from_array(np.zeros(shape, "f4"), name) for name in names}
    return cover(infos, schema_of(TOY, TINY, "toy_tiny"))


def test_the_schema_is_sorted_into_the_groups_of_the_family() -> None:
    schema = schema_of(TOY, TINY, "toy_tiny")
    assert schema.groups == ("body", "head")
    found = [entry.group for entry in schema.entries.values()]
    assert found == ["body", "body", "body", "head", "head"]


def test_what_is_missing_is_told_in_the_words_of_the_family() -> None:
    evidence = built.evidence({}, coverage=toys("lens.weight"), family=TOY)
    (core,) = architecture.check_core(evidence)
    assert (core.message, core.tensors) == ("2 body tensors missing", NAMES[1:3])
    (other,) = architecture.check_others(evidence)
    assert other.message == "head absent: 2 tensors would stay at random initialisation"
    (required,) = architecture.check_others(evidence._replace(require="full"))
    assert required.fix == (
        "Publish the file with the head, or ask for the body alone: --require body."
    )
    (part,) = architecture.check_others(evidence._replace(coverage=toys(*NAMES[:4])))
    assert part.message == "1 of 2 head tensors missing"


def test_the_coverage_is_told_in_the_words_of_the_family() -> None:
    assert coverage_text(toys(*NAMES[:3])).plain == (
        "3/3 body tensors, 768 parameters, 100.00 % from the checkpoint; "
        "head absent: 2 tensors would stay at random initialisation"
    )


def stack(name: str, number: int) -> Arrays:
    random = np.random.default_rng(0)
    return {
        f"{name}.{block}.mix.weight": random.normal(size=(4, 4)).astype("f4")
        for block in range(number)
    }


def test_a_role_is_the_same_name_in_other_blocks_of_the_stack() -> None:
    arrays = stack("layers", 8)
    arrays["layers.3.mix.weight"] *= 1e6
    (found,) = siblings.check_magnitudes(built.evidence(arrays, family=TOY))
    assert found.tensors == ("layers.3.mix.weight",)
    # of another family these are no blocks
    assert list(siblings.check_magnitudes(built.evidence(arrays, family=MAE))) == []


def test_a_number_that_is_longer_than_any_real_one_is_none_of_a_block() -> None:
    long = f"blocks.{'9' * 5_000}.norm1.weight"
    assert MAE.block_of(long) is None
    assert depth_of([long, "blocks.0.norm1.weight"], "blocks") == 1
    block = MAE.block_of("blocks.999999999.norm1.weight")
    assert block is not None
    assert block.number == 999_999_999


def test_equal_blocks_are_those_of_a_group() -> None:
    arrays = stack("layers", 3)
    arrays["layers.2.mix.weight"] = arrays["layers.0.mix.weight"]
    (found,) = meaning.check_identical_blocks(built.evidence(arrays, family=TOY))
    assert found.message == "blocks of the body hold the same weights: 0 = 2"
    assert list(meaning.check_identical_blocks(built.evidence(arrays, family=MAE))) == []


def test_the_map_is_drawn_in_the_words_of_the_family() -> None:
    tensors = tuple(map(same, (*NAMES, "layers.0.calm.bias", "layers.0.other.bias")))
    changed = (tensors[0]._replace(kind=DiffKind.SHAPE, same=False), *tensors[1:])
    file = FileReport("a.pth", Verdict.PASS, ())
    lines = drawn(Comparison(file, file, Outcome.DIFFERENT, changed, map=map_of(changed, TOY)))
    start, end = lines.index("body"), lines.index(". identical s another shape")
    assert lines[start : end - 1] == [
        *("body", "blocks 0", "norms .", "mixing . .", "other .", "s lens"),
        *("", "head", "blocks 0", "mixing .", ". out"),
    ]


def drawn(comparison: Comparison) -> list[str]:
    stream = io.StringIO()
    write_map(Page(stream), comparison)
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


# --- through the public functions ----------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The family registered, and a working folder with files of it."""
    monkeypatch.setattr("ckpttool.models.families.FAMILIES", (MAE, TOY))
    monkeypatch.chdir(tmp_path)
    state = toy_state()
    torch.save(state, "own.pth")
    torch.save({name: state[name] for name in NAMES[:3]}, "body.pth")
    spelled = {"lens": "glass", "layers": "floor", "head": "roof", "mix": "m.ix"}
    for ours, theirs in spelled.items():
        state = {name.replace(ours, theirs): tensor for name, tensor in state.items()}
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, "other.pth")


def told(result: Any) -> str:
    return str(ckpttool.render(result, "text"))


@pytest.mark.usefixtures("folder")
def test_inspect_knows_a_file_by_the_anchors_of_the_family() -> None:
    assert "layout       toys\n" in told(ckpttool.inspect("other.pth"))
    assert "layout       own\n" in told(ckpttool.inspect("body.pth"))


@pytest.mark.usefixtures("folder")
def test_verify_requires_the_core_of_the_chosen_model() -> None:
    for require in (None, "body"):
        report = ckpttool.verify("body.pth", model="toy_tiny", require=require, forward=False)
        assert report.exit_code == 0
    assert " · 3/3 tensors · " in told(report)
    report = ckpttool.verify("body.pth", model="toy_tiny", require="full", forward=False)
    assert report.exit_code == 1
    assert "ask for the body alone: --require body." in told(report)
    for model, require in (("toy_tiny", "encoder"), (MAE.default, "body")):
        with pytest.raises(UsageError, match="no such requirement"):
            ckpttool.verify("body.pth", model=model, require=require)


@pytest.mark.usefixtures("folder")
def test_a_file_of_another_family_fails_and_is_no_crash() -> None:
    large = ckpttool.verify("own.pth", model=MAE.default, forward=False)
    assert large.exit_code == 1
    assert ckpttool.verify("own.pth", forward=False).exit_code == 0  # it is of its own family
    torch.save({"blocks.0.norm1.weight": torch.ones(4)}, "mae.pth")
    assert ckpttool.verify("mae.pth", model="toy_tiny").exit_code == 1


@pytest.mark.usefixtures("folder")
def test_a_family_without_a_forward_pass_is_not_run_and_the_reason_is_said() -> None:
    report = ckpttool.verify("other.pth", model="toy_tiny")
    assert report.exit_code == 0
    assert "was not run: there is none for models of the family toy\n" in told(report)
    locked = ckpttool.lock("own.pth", "toys.lock", model="toy_tiny")
    assert locked.exit_code == 0
    for name, code in (("other.pth", 0), ("body.pth", 1)):
        assert ckpttool.verify(name, model="toy_tiny", lock="toys.lock").exit_code == code


@pytest.mark.usefixtures("folder")
def test_a_forward_pass_streams_the_blocks_of_the_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckpttool.models.families.FAMILIES", (MAE, RUNNING_TOY))
    for name, scope in (("other.pth", "full"), ("body.pth", "body")):
        report = ckpttool.verify(name, model="toy_tiny")
        assert report.exit_code == 0
        forward = report.files[0].forward
        assert forward is not None
        assert (forward.status, forward.scope) == ("run", scope)
        state = toy_state()
        x = toy_input() @ state["lens.weight"].T
        for block in ("layers.0", "layers.1"):
            x = x + x @ state[f"{block}.mix.weight"].T
        assert forward.outputs["features"].mean == pytest.approx(float(x.mean()), rel=1e-4)


@pytest.mark.usefixtures("folder")
def test_a_lock_compares_the_outputs_of_the_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckpttool.models.families.FAMILIES", (MAE, RUNNING_TOY))
    (written,) = ckpttool.lock("own.pth", "toys.lock", model="toy_tiny").checkpoints
    assert written.forward is not None
    assert [control.name for control in written.forward.controls] == ["swap-layers"]
    report = ckpttool.verify("other.pth", model="toy_tiny", lock="toys.lock")
    assert report.exit_code == 0
    assert "outputs not compared" not in told(report)
    assert re.search(r"^  lock .*outputs", told(report), re.MULTILINE)


@pytest.mark.usefixtures("folder")
def test_diff_draws_the_rows_of_the_family_of_either_side() -> None:
    ckpttool.lock("own.pth", "own.lock", model="toy_tiny")
    ckpttool.lock("body.pth", "body.lock", model="toy_tiny")
    torch.save({"weights": torch.ones(1)}, "unknown.pth")
    for left, right in (
        *(("own.pth", "body.pth"), ("body.pth", "other.pth")),
        *(("own.pth", "body.lock"), ("own.lock", "body.lock")),
        *(("own.pth", "unknown.pth"), ("unknown.pth", "own.pth")),
    ):
        found = ckpttool.diff(left, right)
        assert found.map is not None
        assert found.map.rows == tuple(TOY.rows), (left, right)
        lines = drawn(found)
        assert {"body", "head"} <= set(lines)
        assert any(line.startswith("mixing ") for line in lines)


@pytest.mark.usefixtures("folder")
def test_of_two_families_the_map_is_the_same_from_both_sides() -> None:
    torch.save({"blocks.0.norm1.weight": torch.ones(4)}, "mae.pth")
    there, back = ckpttool.diff("own.pth", "mae.pth"), ckpttool.diff("mae.pth", "own.pth")
    assert there.map is not None
    assert there.map == back.map
    assert there.map.rows == tuple(MAE.rows)


@pytest.mark.usefixtures("folder")
def test_convert_takes_the_core_of_the_family_alone() -> None:
    done = ckpttool.convert("other.pth", "core.safetensors", to="safetensors", encoder_only=True)
    assert done.exit_code == 0
    assert done.excluded == ("module.roof.0.m.ix.weight", "module.out.bias")
    assert ckpttool.diff("core.safetensors", "body.pth").exit_code == 0
