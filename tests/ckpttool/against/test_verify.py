"""What is held against another checkpoint, with every option; each fires, and is quiet."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import ckpttool
from ckpttool.comparison.numbers import stretches
from ckpttool.findings.errors import UsageError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.results import AgainstSummary, FileReport
from ckpttool.findings.rules import Severity
from ckpttool.tensors import examining
from tests.builders import checkpoints, held, pairs
from tests.builders.commands import invoke

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


@pytest.fixture(params=["small tensors together", "each tensor alone"])
def _sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tensors are compared together, larger ones as they are verified, and in pieces."""
    if request.param == "each tensor alone":
        monkeypatch.setattr(stretches, "SMALL", 1)
        monkeypatch.setattr(examining, "ROW", 1)
        monkeypatch.setattr(examining, "CHUNK", 32)
        monkeypatch.setattr(examining, "_TWIN", 16)


def verify(path: str, source: str, **options: Any) -> FileReport:
    (file,) = ckpttool.verify(path, against=source, forward=False, **options).files
    return file


def codes(file: FileReport) -> set[str]:
    """Of what is held against the other checkpoint, without notes."""
    return {
        one.rule.code
        for one in file.findings
        if one.rule.letters == "AGN" and one.severity is not Severity.NOTE
    }


def summary(file: FileReport) -> AgainstSummary:
    assert file.against is not None
    return file.against


@pytest.mark.usefixtures("_sizes")
@pytest.mark.parametrize("case", held.HELD.values(), ids=held.HELD.keys())
def test_what_was_done_to_a_file_is_found(tmp_path: Path, case: held.Held) -> None:
    source, path = held.written(tmp_path, case)
    file = verify(path, source, **case.options)
    assert (codes(file), file.verdict) == (set(case.codes), case.verdict), file.findings
    assert not any(one.rule.code == "STR023" for one in file.findings)


@pytest.mark.usefixtures("_sizes")
@pytest.mark.parametrize("kept", ["lm_head.weight", "model.embed_tokens.weight"])
def test_a_tensor_that_the_file_ties_is_held_to_each_of_the_others(
    tmp_path: Path, kept: str
) -> None:
    tied = ("lm_head.weight", "model.embed_tokens.weight")
    source = held.save(held.state(), tmp_path / "a.safetensors")
    state = held.state()
    path = held.save({**state, **dict.fromkeys(tied, state[kept])}, tmp_path / "b.pth")
    file = verify(path, source)
    (changed,) = [one for one in file.findings if one.rule.code == "AGN005"]
    assert (file.verdict, [changed.tensor]) == (
        Verdict.FAIL,
        [name for name in tied if name != kept],
    )


def test_coverage_is_told_in_tensors_and_parameters(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["a layer is missing"])
    found = summary(verify(path, source))
    assert (found.tensors, found.found, found.same) == (16, 12, 12)
    layer = 4 + 16 + 16 + 32
    assert found.parameters - found.found_parameters == layer
    assert found.kind == "checkpoint"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["a layer is missing"])
    (missing,) = [one for one in verify(path, source).findings if one.rule.code == "AGN001"]
    assert missing.tensor == (
        "model.layers.2.input_norm.weight, model.layers.2.mixer.q_proj.weight, "
        "model.layers.2.mixer.v_proj.weight, model.layers.2.up.weight"
    )
    assert missing.message == (
        "4 of 16 tensors of a.safetensors missing, with 68 of 340 parameters: "
        "layer 2 of model.layers is missing whole"
    )


def test_the_largest_difference_is_told(tmp_path: Path) -> None:
    case = held.Held(held.changed_in("layers.1"))
    source, path = held.written(tmp_path, case)
    (changed,) = [one for one in verify(path, source).findings if one.rule.code == "AGN005"]
    assert changed.message == "4 tensors differ from a.safetensors's"
    assert changed.found is not None
    assert changed.found.endswith("elements differs, by up to 0.5")


# --- the other checkpoint ----------------------------------------------------------------


def test_a_file_is_not_held_against_itself(tmp_path: Path) -> None:
    path = held.save(held.state(), tmp_path / "a.safetensors")
    link = tmp_path / "b.safetensors"
    link.symlink_to(path)
    for other in (path, str(link)):
        file = verify(path, other)
        assert (codes(file), file.verdict) == ({"AGN009"}, Verdict.CANNOT_TELL)


def test_two_state_dicts_of_one_file_are_held_against_each_other(tmp_path: Path) -> None:
    path = str(tmp_path / "run.pth")
    torch.save({"model": held.state(), "model_ema": held.changed_in("q_proj")(held.state())}, path)
    options = {"wrapper": "model_ema", "against_wrapper": "model"}
    file = verify(path, path, **options)
    assert (codes(file), file.verdict) == ({"AGN005"}, Verdict.FAIL)
    file = verify(path, path, **options, must_change="*q_proj*")
    assert (codes(file), file.verdict) == (set(), Verdict.PASS)
    assert codes(verify(path, path, wrapper="model", against_wrapper="model")) == {"AGN009"}


def test_a_copy_is_no_self(tmp_path: Path) -> None:
    path = held.save(held.state(), tmp_path / "a.safetensors")
    other = held.save(held.state(), tmp_path / "b.safetensors")
    assert verify(path, other).verdict is Verdict.PASS


@pytest.mark.parametrize("content", [None, b"", b"nonsense" * 10])
def test_another_checkpoint_that_cannot_be_opened_is_named(
    tmp_path: Path, content: bytes | None
) -> None:
    path = held.save(held.state(), tmp_path / "b.safetensors")
    other = tmp_path / "a.safetensors"
    if content is not None:
        other.write_bytes(content)
    done = invoke("verify", path, "--no-forward", "--against", str(other))
    assert done.code == 2
    assert "a.safetensors" in done.err
    assert not done.out


def test_another_checkpoint_that_changes_meanwhile_leaves_it_open(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["the same"])

    class Meddler:
        def start(self, _: int) -> None:
            os.utime(source, (1, 1))

        def advance(self, nbytes: int) -> None:
            pass

    (file,) = ckpttool.verify(path, against=source, forward=False, progress=Meddler()).files
    assert (codes(file), file.verdict) == ({"AGN008"}, Verdict.CANNOT_TELL)
    assert "a.safetensors" in next(
        one.message for one in file.findings if one.rule.code == "AGN008"
    )


def test_a_file_that_changes_while_it_is_held_is_noticed(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["the same"])

    class Meddler:
        started = 0

        def start(self, _: int) -> None:
            self.started += 1  # the first pass is the one that verifies it
            if self.started == 2:
                os.utime(path, (1, 1))

        def advance(self, nbytes: int) -> None:
            pass

    (file,) = ckpttool.verify(path, against=source, forward=False, progress=Meddler()).files
    assert file.verdict is not Verdict.PASS
    assert any("changed" in one.message for one in file.findings), file.findings


def test_another_checkpoint_that_attacks_is_not_trusted(tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.attack_beside, "a.pth")
    path = checkpoints.saved(tmp_path, checkpoints.sound, "b.pth")
    file = verify(path, source)
    assert codes(file) == {"AGN008"}
    assert file.verdict is Verdict.CANNOT_TELL


def test_a_folder_stands_for_the_checkpoint_in_it(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    held.save(held.state(), tmp_path / "old" / "model.safetensors")
    (tmp_path / "old" / "config.json").write_text("{}")
    path = held.save(held.state(), tmp_path / "b.safetensors")
    assert verify(path, str(tmp_path / "old")).verdict is Verdict.PASS
    held.save(held.state(), tmp_path / "old" / "other.safetensors")
    with pytest.raises(UsageError, match="several checkpoints"):
        verify(path, str(tmp_path / "old"))


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("other", ["pth", "safetensors", "sharded"])
def test_containers_make_no_difference(tmp_path: Path, suffix: str, other: str) -> None:
    path = held.save(held.state(), tmp_path / f"b.{suffix}")
    if other == "sharded":
        whole = held.save(held.state(), tmp_path / "whole.safetensors")
        source = str(tmp_path / "s" / "model.safetensors.index.json")
        (tmp_path / "s").mkdir()
        ckpttool.convert(
            whole,
            tmp_path / "s" / "model.safetensors",
            to="safetensors",
            max_shard_size=700,
        )
        assert Path(source).exists()
    else:
        source = held.save(held.state(), tmp_path / f"a.{other}")
    file = verify(path, source)
    assert (codes(file), file.verdict, summary(file).same) == (set(), Verdict.PASS, 16)


def test_layouts_make_no_difference(tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound, "a.pth")
    path = tmp_path / "b.safetensors"
    ckpttool.convert(source, path, to="safetensors", layout="hf")
    file = verify(str(path), source)
    assert codes(file) == set()
    assert summary(file).same == summary(file).tensors == len(checkpoints.state())
    back = verify(source, str(path))
    assert codes(back) == set()
    assert summary(back).same == summary(back).tensors


def test_a_value_is_found_across_layouts(tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound, "a.pth")
    path = tmp_path / "b.safetensors"
    ckpttool.convert(source, path, to="safetensors", layout="hf")
    other = checkpoints.saved(tmp_path, checkpoints.retrained, "c.pth")
    assert codes(verify(str(path), other)) == {"AGN005"}


# --- lists of digests --------------------------------------------------------------------


def receipt_of(path: str, folder: Path) -> str:
    receipt = folder / "receipt.json"
    ckpttool.convert(path, folder / "converted.safetensors", to="safetensors", receipt=receipt)
    return str(receipt)


def lock_of(path: str, folder: Path) -> str:
    ckpttool.lock(path, folder / "w.lock", forward=False, schema=path)
    return str(folder / "w.lock")


@pytest.mark.parametrize("listed", [receipt_of, lock_of])
def test_a_list_of_digests_stands_for_a_checkpoint(tmp_path: Path, listed: Any) -> None:
    source, path = held.written(tmp_path, held.HELD["the same"])
    digests = listed(source, tmp_path)
    same = verify(path, digests)
    assert (codes(same), same.verdict) == (set(), Verdict.PASS)
    assert summary(same).kind == "digests"
    for name in ("one value", "a layer is missing", "another shape"):
        case = held.HELD[name]
        _, path = held.written(tmp_path, case)
        assert codes(verify(path, digests)) == set(case.codes)


def test_a_cast_cannot_be_told_from_a_digest(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["rounded"])
    file = verify(path, receipt_of(source, tmp_path), **held.CAST)
    assert (codes(file), file.verdict) == ({"AGN007"}, Verdict.CANNOT_TELL)
    assert any("digests only" in one.message for one in file.findings)


def test_a_lock_of_a_known_model_is_held_in_any_layout(tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound, "a.pth")
    ckpttool.lock(source, tmp_path / "w.lock", forward=False)
    path = tmp_path / "b.safetensors"
    ckpttool.convert(source, path, to="safetensors", layout="hf")
    file = verify(str(path), str(tmp_path / "w.lock"))
    assert (codes(file), summary(file).same) == (set(), summary(file).tensors)


def test_a_receipt_has_the_names_of_its_file_whatever_the_layout(tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound, "a.pth")
    path, receipt = tmp_path / "b.safetensors", tmp_path / "receipt.json"
    ckpttool.convert(source, path, to="safetensors", layout="hf", receipt=receipt)
    file = verify(str(path), str(receipt))
    assert (codes(file), summary(file).same) == (set(), summary(file).tensors)


def test_rules_for_parts_of_tensors_are_not_for_a_list_of_digests(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["the same"])
    rules = split(tmp_path, held.Q, ("a", "b"))
    with pytest.raises(UsageError, match="a list of digests says nothing of parts of tensors"):
        verify(path, receipt_of(source, tmp_path), rename_file=rules)


def split(folder: Path, name: str, parts: tuple[str, str]) -> str:
    rules = folder / "rules.toml"
    rules.write_text(f'[[split]]\nfrom = "{name}"\nto = {json.dumps(parts)}\n')
    return str(rules)


@pytest.mark.parametrize("wrong", ["a", "b", "neither"])
def test_of_a_tensor_that_is_split_the_worst_part_counts(tmp_path: Path, wrong: str) -> None:
    state = held.state()
    source = held.save(state, tmp_path / "a.safetensors")
    halves = dict(zip("ab", state.pop(held.Q).chunk(2)))
    if wrong in halves:
        halves[wrong] = held.nudged(halves[wrong])
    path = held.save({**state, **halves}, tmp_path / "b.safetensors")
    file = verify(path, source, rename_file=split(tmp_path, held.Q, ("a", "b")))
    whole = wrong == "neither"
    assert codes(file) == (set() if whole else {"AGN005"})
    assert summary(file).same == summary(file).tensors - (not whole)


# --- tensors that are not read -----------------------------------------------------------


@pytest.mark.parametrize("side", ["both", "the file", "the other"])
def test_tensors_that_are_not_read_never_pass(tmp_path: Path, side: str) -> None:
    sparse = {**held.state(), "x": torch.eye(2).to_sparse()}
    dense = {**held.state(), "x": torch.eye(2)}
    source = pairs.save(tmp_path, "a.pth", dense if side == "the file" else sparse)
    path = pairs.save(tmp_path, "b.pth", dense if side == "the other" else sparse)
    file = verify(path, source)
    assert (codes(file), file.verdict) == ({"AGN007"}, Verdict.CANNOT_TELL)


def test_a_tensor_that_is_not_read_and_missing_is_missing(tmp_path: Path) -> None:
    sparse = {**held.state(), "x": torch.eye(2).to_sparse()}
    source, path = (
        pairs.save(tmp_path, "a.pth", sparse),
        pairs.save(tmp_path, "b.pth", held.state()),
    )
    assert codes(verify(path, source)) == {"AGN001"}
    assert "AGN010" in codes(verify(source, path))


# --- ties --------------------------------------------------------------------------------


def test_a_tied_head_that_is_missing_is_told(tmp_path: Path) -> None:
    shared = torch.randn(4, 4)
    source = pairs.save(tmp_path, "a.pth", {"embed.weight": shared, "lm_head.weight": shared})
    path = pairs.save(tmp_path, "b.pth", {"embed.weight": shared})
    (missing,) = [one for one in verify(path, source).findings if one.rule.code == "AGN001"]
    assert missing.tensors == ("lm_head.weight",)
    assert "lm_head.weight is the tensor embed.weight" in missing.advice
    file = verify(path, source, expected_missing="lm_head.weight")
    assert file.verdict is Verdict.PASS


def test_a_tie_that_is_recorded_is_there(tmp_path: Path) -> None:
    shared = torch.randn(4, 4)
    source = pairs.save(tmp_path, "a.pth", {"embed.weight": shared, "lm_head.weight": shared})
    path = tmp_path / "b.safetensors"
    ckpttool.convert(source, path, to="safetensors")
    assert codes(verify(str(path), source)) == set()
    assert codes(verify(source, str(path))) == set()


def test_values_under_another_name_are_pointed_to(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["another name"])
    (missing,) = [one for one in verify(path, source).findings if one.rule.code == "AGN001"]
    assert "are there as q" in missing.advice


# --- demands -----------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["must_change", "must_not_change"])
def test_a_pattern_that_stands_for_nothing_is_an_error(tmp_path: Path, option: str) -> None:
    source, path = held.written(tmp_path, held.HELD["the same"])
    with pytest.raises(UsageError, match="no tensor name matches"):
        verify(path, source, **{option: "encoder.*"})


@pytest.mark.parametrize("option", ["must_change", "must_not_change"])
def test_a_pattern_of_missing_tensors_alone_demands_nothing(tmp_path: Path, option: str) -> None:
    source, path = held.written(tmp_path, held.HELD["a tensor is missing"])
    file = verify(path, source, **{option: held.Q}, expected_missing=held.Q)
    assert "AGN007" in codes(file)
    assert file.verdict is Verdict.CANNOT_TELL


def test_a_tensor_cannot_be_demanded_to_change_and_not_to(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["the same"])
    with pytest.raises(UsageError, match="must change and must not"):
        verify(path, source, must_change="model.*", must_not_change="*.weight")


@pytest.mark.parametrize(
    "options",
    [
        {"against_wrapper": "model"},
        {"map": {"a": "b"}},
        {"allow_cast": "bfloat16"},
        {"must_change": "a"},
        {"must_not_change": "a"},
    ],
)
def test_demands_need_another_checkpoint(tmp_path: Path, options: Any) -> None:
    path = held.save(held.state(), tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="none is given"):
        ckpttool.verify(path, **options)


def test_no_other_dtype_is_one_to_cast_to(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["the same"])
    with pytest.raises(UsageError, match="allow_cast"):
        verify(path, source, allow_cast="int8")


def test_what_is_demanded_is_in_the_report(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["merged"])
    told = {
        "the same values": {},
        "other values in *.mixer.*; the same values elsewhere": held.MERGED,
        "the same values in model.embed_tokens.*; any values elsewhere": held.FROZEN,
        "the same values; where they differ in dtype, cast to bfloat16": held.CAST,
    }
    for words, options in told.items():
        assert summary(verify(path, source, **options)).demanded == words


def test_a_pattern_of_missing_names_that_stands_for_nothing_is_told(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["the same"])
    file = verify(path, source, expected_missing="mtp.*")
    assert [one.rule.code for one in file.findings if one.severity is Severity.WARNING] == [
        "STR021"
    ]


# --- beside a model or a schema ----------------------------------------------------------


def test_both_a_schema_and_another_checkpoint_are_checked(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["one value"])
    schema = tmp_path / "s.json"
    ckpttool.schema(source, schema)
    file = verify(path, source, schema=schema)
    assert file.coverage is not None
    assert file.coverage.groups
    assert codes(file) == {"AGN005"}
    _, path = held.written(tmp_path, held.HELD["a tensor is missing"])
    both = {one.rule.code for one in verify(path, source, schema=schema).findings}
    assert {"AGN001", "STR022"} <= both


def test_a_known_model_is_held_against_both(tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound, "a.pth")
    path = checkpoints.saved(tmp_path, checkpoints.decoder_cut_in_half, "b.pth")
    found = {one.rule.code for one in verify(path, source).findings}
    assert {"STR003", "AGN001"} <= found


def test_without_another_checkpoint_a_file_of_no_known_model_needs_a_schema(tmp_path: Path) -> None:
    path = held.save(held.state(), tmp_path / "a.safetensors")
    (file,) = ckpttool.verify(path, forward=False).files
    assert file.verdict is Verdict.CANNOT_TELL
    assert file.against is None


# --- the command line --------------------------------------------------------------------


def test_every_format_tells_what_differs(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["one value"])
    for name in ("text", "json", "sarif", "junit", "github", "gitlab", "markdown", "concise"):
        done = invoke("verify", path, "--no-forward", "--against", source, "--format", name)
        assert done.code == 1
        assert "AGN005" in done.out, name


def test_a_stored_result_is_rendered_again(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["rounded"])
    stored = tmp_path / "r.json"
    options = ("--no-forward", "--against", source, "--allow-cast", "bfloat16")
    first = invoke("verify", path, *options, "--format", "json")
    assert first.code == 0
    stored.write_text(first.out)
    assert json.loads(first.out)["files"][0]["against"]["cast"] == 16
    done = invoke("report", str(stored), "--to", "text")
    assert (
        "16 of 16 tensors, 100.00 % of the parameters; the same 16, 100.00 %, 16 of them cast"
        in (" ".join(done.out.split()))
    )


def test_the_configuration_names_the_other_checkpoint(tmp_path: Path) -> None:
    _, path = held.written(tmp_path, held.HELD["merged"])
    config = tmp_path / "ckpttool.toml"
    config.write_text('against = "a.safetensors"\nmust-change = ["*.mixer.*"]\n')
    assert invoke("verify", path, "--no-forward").code == 0
    config.write_text('against = "a.safetensors"\n')
    assert invoke("verify", path, "--no-forward").code == 1
    assert invoke("verify", path, "--no-forward", "--must-change", "*.mixer.*").code == 0
    # what the configuration demands is not about another one that is named
    config.write_text('against = "a.safetensors"\nmust-change = ["nothing.*"]\n')
    copy = held.save(held.state(), tmp_path / "c.safetensors")
    done = invoke("verify", path, "--no-forward", "--against", copy, "--must-change", "*.mixer.*")
    assert done.code == 0


def test_the_environment_names_the_other_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, path = held.written(tmp_path, held.HELD["one value"])
    monkeypatch.setenv("CKPTTOOL_VERIFY_AGAINST", source)
    assert invoke("verify", path, "--no-forward").code == 1


def test_a_demand_without_another_checkpoint_is_wrong_usage(tmp_path: Path) -> None:
    path = held.save(held.state(), tmp_path / "a.safetensors")
    done = invoke("verify", path, "--must-change", "x")
    assert done.code == 2
    assert "--against" in done.err


def test_names_are_mapped_by_a_file_of_rules(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["another name"])
    rules = tmp_path / "rules.toml"
    rules.write_text(f'[[rename]]\nfrom = "{held.Q}"\nto = "q"\n')
    done = invoke("verify", path, "--no-forward", "--against", source, "--map", str(rules))
    assert done.code == 0
    done = invoke("verify", path, "--no-forward", "--against", source, "--map", f"{held.Q}=q")
    assert done.code == 0


def test_several_files_are_held_against_one(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["one value"])
    same = held.save(held.state(), tmp_path / "c.safetensors")
    report = ckpttool.verify([path, same], against=source, forward=False)
    assert [file.verdict for file in report.files] == [Verdict.FAIL, Verdict.PASS]


def test_a_waiver_covers_a_tensor_that_differs(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["one value"])
    waiver = ckpttool.Waiver("AGN005", "known", tensors=held.Q)
    policy = ckpttool.Policy(waivers=(waiver,))
    (file,) = ckpttool.verify(path, against=source, forward=False, policy=policy).files
    assert file.verdict is Verdict.PASS


def test_hostile_names_are_only_shown(tmp_path: Path) -> None:
    odd = "\x1b[31mx\n*[a-z"
    source = pairs.save(tmp_path, "a.pth", {**held.state(), odd: torch.ones(2)})
    path = pairs.save(tmp_path, "b.pth", held.state())
    done = invoke("verify", path, "--no-forward", "--against", source)
    assert done.code == 1
    assert "\x1b[31mx" not in done.out
    assert (
        invoke("verify", path, "--no-forward", "--against", source, "--allow-missing", odd).code
        == 0
    )


def test_what_is_not_finite_is_counted(tmp_path: Path) -> None:
    def spoilt(tensor: torch.Tensor) -> torch.Tensor:
        changed = tensor.clone()
        changed[0, 0] = float("nan")
        return changed

    source, path = held.written(tmp_path, held.Held(held.with_one(held.Q, spoilt)))
    (changed,) = [one for one in verify(path, source).findings if one.rule.code == "AGN005"]
    assert changed.found == "1 of 16 elements differs; 1 NaN in the file only"


def test_the_state_dict_of_the_other_checkpoint_is_told_and_can_be_chosen(tmp_path: Path) -> None:
    moved = held.changed_in("weight")(held.state())
    source = pairs.save(tmp_path, "a.pth", {"model": moved, "model_ema": held.state()})
    path = held.save(held.state(), tmp_path / "b.safetensors")
    first = verify(path, source)
    assert (summary(first).wrapper, codes(first)) == ("model", {"AGN005"})
    assert "what lies beside the weights of a.pth (model_ema)" in first.unchecked
    chosen = verify(path, source, against_wrapper="model_ema")
    assert (summary(chosen).wrapper, codes(chosen)) == ("model_ema", set())


@pytest.mark.usefixtures("_sizes")
def test_a_cast_beyond_the_largest_number_is_told_by_its_value(tmp_path: Path) -> None:
    large = {"w": torch.full((4,), 1e6)}
    source = held.save(large, tmp_path / "a.safetensors")
    path = held.save({"w": large["w"].to(torch.float16)}, tmp_path / "b.safetensors")
    found = {one.rule.code for one in verify(path, source, allow_cast="float16").findings}
    assert "NUM002" in found


def test_what_is_demanded_of_nothing_is_said_to_be_unchecked(tmp_path: Path) -> None:
    source, path = held.written(tmp_path, held.HELD["tuned with a part frozen"])
    (told,) = [one for one in verify(path, source, **held.FROZEN).unchecked if "a.safe" in one]
    assert told == "whether the values of 15 tensors are those of a.safetensors (not demanded)"
