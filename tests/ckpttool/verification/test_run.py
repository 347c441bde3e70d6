"""One file from path to report: what is found, what is told, and which verdict follows."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any, Callable

import pytest
import torch

import ckpttool
from ckpttool.files.sources import FileSource
from ckpttool.findings import rules
from ckpttool.findings.errors import UsageError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.results import FileReport
from ckpttool.models.families.mae import MAE
from ckpttool.tensors.values import Values, ValuesRun, start_values
from ckpttool.verification.batch import Terms, inputs_of, one_for_all, report_on
from ckpttool.verification.checks.positions import position_tables
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.policy import Policy
from ckpttool.verification.run import fingerprint, verified, verify_file
from ckpttool.verification.waivers import Waiver
from mae.config import CONFIGS
from mae.large.pos_embed import get_2d_sincos_pos_embed
from tests.builders import checkpoints as built
from tests.builders import kinds, models, neighbours

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

Verify = Callable[..., FileReport]

PASS, FAIL, CANNOT_TELL = Verdict.PASS, Verdict.FAIL, Verdict.CANNOT_TELL


@pytest.fixture
def verify(tmp_path: Path, tiny: str) -> Verify:
    def run(content: built.Content, **options: Any) -> FileReport:
        path = built.saved(tmp_path, content)
        return verify_file(path, VerifyOptions(model=tiny)._replace(**options))

    return run


def codes(report: FileReport) -> set[str]:
    return {finding.rule.code for finding in report.findings}


def test_of_a_sound_pickle_only_its_container_is_told(verify: Verify) -> None:
    report = verify(built.sound)
    assert codes(report) == {"SEC005"}
    assert report.verdict is PASS
    assert report.coverage is not None
    assert report.coverage.groups["encoder"].complete
    assert report.forward is not None
    assert (report.forward.status, report.forward.scope) == ("run", "full")


def test_an_error_while_the_weights_are_read_does_not_hide_what_the_pickle_calls(
    tmp_path: Path,
) -> None:
    path = built.saved(tmp_path, built.attack_beside)

    class Meddler:
        def start(self, total: int) -> None:
            os.utime(path, ns=(total, total))

        def advance(self, nbytes: int) -> None:
            """The deed is done already."""

    report = verify_file(path, VerifyOptions(forward=False), Meddler())
    assert report.verdict is FAIL
    assert next(one.rule.code for one in report.findings) == "SEC001"
    assert report.stopped


@pytest.mark.parametrize(
    ("content", "code", "verdict"),
    [
        pytest.param(built.attack_beside, "SEC001", FAIL, id="attack"),
        pytest.param(built.called_beside, "SEC002", FAIL, id="unknown call"),
        pytest.param(built.object_beside, "SEC003", PASS, id="needed class"),
        pytest.param(built.function_beside, "SEC008", PASS, id="uncalled name"),
        pytest.param(built.namespace_beside, "HUB001", PASS, id="training state"),
        pytest.param(built.training_run, "SEC006", PASS, id="private path"),
        pytest.param(built.training_run, "SEC007", PASS, id="credential"),
        pytest.param(built.view_of_a_large_storage, "INT009", PASS, id="wasted bytes"),
        pytest.param(built.half_of_the_weights_halved, "STR014", PASS, id="mixed dtypes"),
        pytest.param(built.one_weight_copied_over_another, "NUM008", PASS, id="copy"),
        pytest.param(built.encoder_block_missing, "STR001", FAIL, id="missing block"),
        pytest.param(built.encoder_only, "STR002", PASS, id="no decoder"),
        pytest.param(built.decoder_cut_in_half, "STR003", FAIL, id="half a decoder"),
        pytest.param(built.classifier_head_added, "STR004", PASS, id="head of zeros"),
        pytest.param(built.norm_too_wide, "STR005", FAIL, id="shape"),
        pytest.param(built.half_precision, "STR006", PASS, id="bfloat16"),
        pytest.param(built.integer_weight, "STR007", FAIL, id="integers"),
        pytest.param(built.averaged_weights_beside, "STR008", PASS, id="two state dicts"),
        pytest.param(built.module_prefix, "STR009", PASS, id="prefix"),
        pytest.param(built.no_tensor, "STR010", CANNOT_TELL, id="no tensor"),
        pytest.param(built.sparse_tensor_added, "STR011", PASS, id="sparse"),
        pytest.param(built.another_model, "STR012", FAIL, id="other model"),
        pytest.param(built.query_without_key_and_value, "STR013", FAIL, id="third of qkv"),
        pytest.param(built.norm_too_wide, "MOD007", FAIL, id="forward needs whole encoder"),
    ],
)
def test_a_defect_is_found(
    verify: Verify, content: built.Content, code: str, verdict: Verdict
) -> None:
    report = verify(content)
    assert code in codes(report)
    assert report.verdict is verdict


def test_a_file_of_a_known_other_model_is_told_which(verify: Verify) -> None:
    report = verify(lambda: neighbours.tensors(neighbours.clip_of_transformers()))
    (found,) = [one for one in report.findings if one.rule.code == "STR012"]
    assert "this is a CLIP, or its image encoder, 2 blocks of width 8, patches of 4 x 4" in (
        found.message
    )
    assert "by 4 names such as vision_model.embeddings.class_embedding" in found.message
    assert found.advice == ""


def test_a_known_other_model_is_told_where_its_table_shows_the_grid(verify: Verify) -> None:
    def spectrograms() -> dict[str, torch.Tensor]:
        state = neighbours.tensors(neighbours.audiomae())
        state["pos_embed"] = torch.from_numpy(get_2d_sincos_pos_embed(8, (8, 64), True))[None]
        return state

    report = verify(spectrograms, model="auto", forward=False)
    assert report.diagnosis is not None
    assert (report.diagnosis.kind, report.diagnosis.model) == ("other", "AudioMAE")


def test_a_file_of_a_model_that_nobody_knows_is_another_model(verify: Verify) -> None:
    (found,) = [one for one in verify(built.another_model).findings if one.rule.code == "STR012"]
    assert found.message.endswith(": this is another model")


def test_an_encoder_of_other_matrices_is_not_compared_with_a_model_of_any_size(
    verify: Verify,
) -> None:
    report = verify(lambda: neighbours.tensors(neighbours.packed()))
    assert {"STR012"} == {"STR001", "STR005", "STR012", "STR017"} & codes(report)
    (found,) = [one for one in report.findings if one.rule.code == "STR012"]
    assert "a ViT whose linear layers torch.ao packed as int8" in found.message


@pytest.mark.parametrize("content", [kinds.decoder_alone, kinds.entrance])
def test_of_a_part_without_blocks_it_is_said_once_that_nothing_shows_its_sizes(
    verify: Verify, content: built.Content
) -> None:
    report = verify(content, model="auto")
    (error,) = [one for one in report.findings if one.severity.value == "error"]
    assert error.message == ("no block of the encoder is there, so its sizes are not known")
    assert report.loading is None


@pytest.mark.parametrize(
    ("content", "fix"),
    [
        (kinds.not_merged, "Merge the adapters first"),
        (kinds.with_adapters, "Its blocks compute with them"),
        (kinds.convolutional_stem, ""),
    ],
)
def test_what_blocks_compute_with_is_not_advised_to_be_left_out(
    verify: Verify, content: built.Content, fix: str
) -> None:
    report = verify(content, model="auto")
    (found,) = [one for one in report.findings if one.rule.code == "STR004"]
    assert found.advice.startswith(fix)
    assert "--exclude" not in found.advice
    assert bool(found.advice) == bool(fix)


def transposed() -> dict[str, torch.Tensor]:
    state = kinds.encoder()
    return {name: t.t() if name.endswith("fc1.weight") else t for name, t in state.items()}


def cut() -> dict[str, torch.Tensor]:
    state = kinds.encoder()
    return {**state, "blocks.0.mlp.fc1.weight": state["blocks.0.mlp.fc1.weight"][:40]}


@pytest.mark.parametrize(
    ("content", "fix"),
    [
        (kinds.pruned, "It fits its neighbours, as in a pruned model"),
        (kinds.linear_patches, "It has as many elements"),
        (kinds.flat_table, "It has as many elements"),
        (kinds.no_class_row, "Put a row of zeros before the others"),
        (transposed, "Its axes are in the other order"),
        (cut, "Write the tensor in the shape"),  # fc2 and the bias are as wide as before
    ],
)
def test_of_a_tensor_of_another_shape_it_is_said_how_it_may_be_of_use(
    verify: Verify, content: built.Content, fix: str
) -> None:
    shapes = [one for one in verify(content, model="auto").findings if one.rule.code == "STR005"]
    assert shapes
    assert all(one.advice.startswith(fix) for one in shapes)


def test_a_neighbour_is_told_too_where_the_values_show_another_grid(verify: Verify) -> None:
    state = dict(kinds.trained(kinds.TINY._replace(img_size=(24, 48))))
    bands = torch.rand(16, 6, 1, 8, 8)
    content = {**state, "patch_embed.proj.weight": bands}
    report = verify(lambda: content, model="auto")
    assert report.diagnosis is not None
    assert report.diagnosis.model == "Prithvi"


def test_the_positions_of_another_model_are_no_finding(verify: Verify) -> None:
    state = neighbours.tensors(neighbours.prithvi_of_two_dates())
    content = {name: torch.rand_like(tensor) for name, tensor in state.items()}
    report = verify(lambda: content, model="auto")
    told = [one.rule.code for one in report.findings if one.severity.value != "note"]
    assert told == ["STR023"]


def test_a_file_of_another_size_is_one_line(
    verify: Verify, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONFIGS, "wider", CONFIGS[tiny]._replace(embed_dim=32))
    errors = [
        one for one in verify(built.sound, model="wider").findings if one.severity.value == "error"
    ]
    assert [one.rule.code for one in errors] == ["STR017"]
    assert errors[0].message == "the file is tiny, and not wider"
    assert errors[0].fix == "If it is the right file, say --model tiny."


def test_a_shape_contradicts_the_rest_of_the_file(verify: Verify) -> None:
    (found,) = (one for one in verify(built.norm_too_wide).findings if one.rule is rules.SHAPE)
    assert found.tensors == ("norm.weight",)
    assert found.message == "a tensor has another shape than the rest of the file implies"


def test_nothing_of_an_attack_is_executed(verify: Verify) -> None:
    verify(built.attack_beside)
    assert not Path("/tmp/ckpttool-was-attacked").exists()


def test_an_absent_decoder_fails_where_it_is_required(verify: Verify) -> None:
    report = verify(built.encoder_only, require="full")
    assert report.verdict is FAIL
    assert [finding.rule.code for finding in report.findings] == ["STR002", "SEC005"]


def test_an_encoder_alone_never_runs_a_decoder(verify: Verify) -> None:
    report = verify(built.encoder_only)
    assert report.forward is not None
    assert report.forward.scope == "encoder"
    assert report.forward.loss is None


def test_without_the_forward_pass_the_report_says_so(verify: Verify) -> None:
    report = verify(built.sound, forward=False)
    assert report.verdict is PASS
    assert report.forward is not None
    assert report.forward.status == "not-run"
    assert any("forward" in left for left in report.unchecked)


def test_tensors_that_were_not_looked_at_are_told_by_their_place(verify: Verify) -> None:
    """Averages that are NaN everywhere, beside sound weights."""
    state = built.state()
    averages = {name: torch.full_like(tensor, float("nan")) for name, tensor in state.items()}
    moments = {number: {"exp_avg": torch.ones(2)} for number in range(7)}
    content = {
        "model": state,
        "model_ema": averages,
        "swa": {"decay": torch.ones(1), "module": built.state()},
        "history": [built.state(), {"x": 1}],
        "optimizer": {"state": moments, "param_groups": [{"params": list(moments)}]},
        "alone": torch.ones(3),
        "epoch": 3,
    }
    report = verify(lambda: content)
    assert report.verdict is PASS
    told = [left for left in report.unchecked if "tensor" in left]
    assert told == [
        "the state dict model_ema (50 tensors)",
        "the state dict swa.module (50 tensors)",
        "the state dict history.0 (50 tensors)",
        "7 tensors in optimizer",
        "1 tensor in swa",
        "1 tensor in alone",
    ]


def test_a_file_of_weights_alone_leaves_no_tensor_aside(verify: Verify) -> None:
    assert not any("tensor" in left for left in verify(built.sound).unchecked)


@pytest.mark.parametrize(
    ("options", "workers"),
    [
        ({}, 3),
        ({"forward": False}, None),
        ({"fingerprint": True}, None),
        ({"workers": 7}, 7),
    ],
    ids=str,
)
def test_a_processor_is_left_to_the_import_of_torch(
    verify: Verify, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], workers: int | None
) -> None:
    told = []

    def noted(*positional: Any, workers: Any, **named: Any) -> ValuesRun:
        told.append(workers)
        return start_values(*positional, workers=workers, **named)

    monkeypatch.setattr("ckpttool.tensors.values.start_values", noted)
    monkeypatch.setattr("ckpttool.verification.run.processors", lambda: 4)
    assert verify(built.sound, **options).verdict is PASS
    assert told[0] == workers


def test_no_more_than_the_position_tables_is_kept_in_memory(
    verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str] = []

    def noted(*positional: Any, keep: Any, **named: Any) -> ValuesRun:
        kept.extend(keep)
        return start_values(*positional, keep=keep, **named)

    monkeypatch.setattr("ckpttool.tensors.values.start_values", noted)
    report = verify(built.sound)
    assert report.forward is not None
    assert report.forward.status == "run"
    assert kept == ["pos_embed", "decoder_pos_embed"]


def test_the_wrapper_asked_for_is_taken(verify: Verify) -> None:
    assert verify(built.averaged_weights_beside, wrapper="model_ema").wrapper == "model_ema"


def test_the_fingerprint_does_not_depend_on_prefix_and_wrapper(verify: Verify) -> None:
    fingerprint = verify(built.sound, forward=False, fingerprint=True).fingerprint
    assert fingerprint is not None
    for other in (built.module_prefix, built.state):
        assert verify(other, forward=False, fingerprint=True).fingerprint == fingerprint


def test_no_fingerprint_is_given_of_a_part(verify: Verify) -> None:
    report = verify(built.sparse_tensor_added, forward=False, fingerprint=True)
    assert report.fingerprint is None
    assert "the fingerprint (not every tensor was read)" in report.unchecked


def test_a_fingerprint_that_nobody_asked_for_is_not_missed(verify: Verify) -> None:
    for content in (built.sound, built.sparse_tensor_added):
        report = verify(content, forward=False)
        assert report.fingerprint is None
        assert not any("fingerprint" in one for one in report.unchecked)


@pytest.mark.parametrize(
    "content",
    [
        built.one_weight_copied_over_another,
        built.classifier_head_added,
        built.averaged_weights_beside,
        built.half_of_the_weights_halved,
        built.one_block_copied_over_another,
    ],
)
def test_findings_do_not_depend_on_the_fingerprint(verify: Verify, content: built.Content) -> None:
    plain, with_it = (verify(content, fingerprint=wanted) for wanted in (False, True))
    assert plain.findings == with_it.findings


def test_a_waiver_that_names_a_fingerprint_gets_one(tmp_path: Path, tiny: str) -> None:
    path = built.saved(tmp_path, built.sound)
    known = fingerprint(path)
    waiver = Waiver("SEC005", "as published", fingerprint=known)
    report = ckpttool.verify(path, model=tiny, forward=False, policy=Policy(waivers=(waiver,)))
    assert report.files[0].fingerprint == known
    assert [one.finding.rule.code for one in report.files[0].waived] == ["SEC005"]


def test_every_file_that_may_be_locked_gets_a_fingerprint(tmp_path: Path, tiny: str) -> None:
    """One with a configuration of its own, without a lock file, may be what another one locks."""
    other = tmp_path / "other"
    other.mkdir()
    path, renamed = (built.saved(folder, built.sound) for folder in (tmp_path, other))
    locked = ckpttool.lock(path, model=tiny, forward=False)
    terms = Terms(VerifyOptions(tiny, forward=False))
    own = {str(tmp_path): terms._replace(options=terms.options._replace(lock=locked))}
    found = inputs_of([tmp_path], (), ())
    report = report_on(
        found, lambda path: own.get(path, terms), verify_file, date.today(), one_for_all(None)
    )
    assert {file.path for file in report.files} == {path, renamed}
    assert {file.fingerprint for file in report.files} == {fingerprint(path)}


def test_errors_come_first(verify: Verify) -> None:
    report = verify(built.attack_beside, require="full")
    order = [finding.severity.value for finding in report.findings]
    assert order == sorted(order, key=["error", "warning", "note"].index)


# --- files that cannot be read --------------------------------------------------------


def missing(folder: Path) -> Path:
    return folder / "missing.pth"


def empty(folder: Path) -> Path:
    path = folder / "empty.pth"
    path.touch()
    return path


def text(folder: Path) -> Path:
    path = folder / "notes.pth"
    path.write_text("no checkpoint at all, only some words that go on for a while")
    return path


def cut_short(folder: Path) -> Path:
    path = Path(built.saved(folder, built.sound))
    path.write_bytes(path.read_bytes()[:-100])
    return path


@pytest.mark.parametrize(
    ("make", "code", "verdict"),
    [
        pytest.param(missing, "FIL001", CANNOT_TELL, id="missing"),
        pytest.param(lambda folder: folder, "FIL001", CANNOT_TELL, id="folder"),
        pytest.param(text, "FIL002", CANNOT_TELL, id="text"),
        pytest.param(empty, "FIL006", FAIL, id="empty"),
        pytest.param(cut_short, "FIL006", FAIL, id="cut short"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported(
    tmp_path: Path, make: Callable[[Path], Path], code: str, verdict: Verdict
) -> None:
    report = verify_file(str(make(tmp_path)), VerifyOptions())
    assert codes(report) == {code}
    assert report.verdict is verdict
    assert report.coverage is None


def test_a_file_that_changes_meanwhile_cannot_be_told(
    verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touched(source: FileSource) -> None:
        raise source._changed(None, os.fstat(source.fileno()))

    monkeypatch.setattr(FileSource, "check_unchanged", touched)
    report = verify(built.sound, forward=False)
    assert codes(report) == {"FIL004"}
    assert report.verdict is CANNOT_TELL
    assert report.tensors is not None


def test_a_file_that_changes_after_its_values_were_read_cannot_be_told(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = built.saved(tmp_path, built.sound)
    result = ValuesRun.result

    def then_touched(run: ValuesRun) -> Values:
        values = result(run)
        os.utime(path, (0, 0))
        return values

    monkeypatch.setattr(ValuesRun, "result", then_touched)
    report = verify_file(path, VerifyOptions(model=tiny, forward=False))
    assert codes(report) == {"FIL004"}
    assert report.verdict is CANNOT_TELL


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"model": "no_such_model"}, id="model"),
        pytest.param({"wrapper": "no_such_key"}, id="wrapper"),
        pytest.param({"device": "no_such_device"}, id="device"),
    ],
)
def test_a_mistake_of_the_caller_is_raised(verify: Verify, options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        verify(built.sound, **options)


# --- where a file comes from ----------------------------------------------------------

LARGE = "mae_pretrain_vit_large.pth"


def published(folder: Path, name: str, tiny: str) -> FileReport:
    path = built.saved(folder, built.sound, name)
    return verify_file(path, VerifyOptions(model=tiny, forward=False, published=True))


def test_a_file_of_a_published_name_with_other_bytes_is_an_error(tmp_path: Path, tiny: str) -> None:
    report = published(tmp_path, LARGE, tiny)
    assert codes(report) == {"INT006", "MOD007", "SEC005"}
    assert report.verdict is FAIL
    assert report.published is None


def test_the_published_file_is_recognised(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MAE.published, LARGE, "")  # the prefix that every sum has
    report = published(tmp_path, LARGE, tiny)
    assert report.published == LARGE
    assert not any("--published" in left for left in report.unchecked)
    assert report.verdict is PASS


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (LARGE, "where the file comes from (--published)"),
        ("mine.pth", "where the file comes from"),
    ],
)
def test_the_option_is_named_only_where_it_can_answer(
    tmp_path: Path, tiny: str, name: str, said: str
) -> None:
    path = built.saved(tmp_path, built.sound, name)
    assert said in verify_file(path, VerifyOptions(model=tiny, forward=False)).unchecked


def test_a_name_that_nobody_published_is_an_error(tmp_path: Path, tiny: str) -> None:
    (found,) = (
        finding
        for finding in published(tmp_path, "mine.pth", tiny).findings
        if finding.rule.code == "INT006"
    )
    assert found.expected is not None
    assert LARGE in found.expected


# --- arithmetic -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mae_vit_base_patch16", 111_907_840),
        ("mae_vit_large_patch16", 329_541_888),
        ("mae_vit_huge_patch14", 657_074_508),
    ],
)
def test_the_size_of_a_model_is_known_without_building_it(name: str, parameters: int) -> None:
    assert CONFIGS[name].parameters == parameters


def test_rows_and_columns_of_patches_are_read_off_the_values(tmp_path: Path) -> None:
    # 6 patches, of which the shapes say 2 x 3 as well as 3 x 2
    side = models.TINY.patch_size
    tall = models.TINY._replace(img_size=(3 * side, 2 * side))
    path = built.saved(tmp_path, lambda: models.tiny_model(config=tall).state_dict())
    with verified(path, VerifyOptions(forward=False)) as (report, evidence):
        assert report.verdict is PASS
        assert evidence is not None
        assert evidence.judged is not None
        assert f"{3 * side} x {2 * side} px" in evidence.judged.name
        told = "a grid of 3 x 2 patches: the values of the position table"
        assert told in evidence.judged.assumed
        assert position_tables(evidence)["pos_embed"].text == "sin-cos at 3 x 2"


WHO_IMPORTS_TORCH = """
import sys, threading

class Noted:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(threading.current_thread().name)

sys.meta_path.insert(0, Noted())
from ckpttool.verification.options import VerifyOptions
from ckpttool.models.families.mae import MAE
from ckpttool.verification.run import verify_file
verify_file(sys.argv[1], VerifyOptions(forward=sys.argv[2] == "forward"))
"""


def who_imports_torch(folder: Path, forward: str) -> str:
    path = built.saved(folder, built.sound)
    command = [sys.executable, "-c", WHO_IMPORTS_TORCH, path, forward]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_torch_is_imported_on_a_stack_of_its_own(tmp_path: Path) -> None:
    assert who_imports_torch(tmp_path, "forward").startswith("ckpttool-import")


def test_torch_is_not_imported_if_the_model_is_not_run(tmp_path: Path) -> None:
    assert who_imports_torch(tmp_path, "no forward") == ""
