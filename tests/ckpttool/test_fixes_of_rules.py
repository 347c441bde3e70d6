"""How the advice of each rule was established: an option or a command is run, the rest is in words.

A trial is a finding, and what its rule's fix says to do, on the command line. A rule without a line
here fails a test; so does one whose fix names an option or a command that no trial runs.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import pytest
import torch
from safetensors.torch import save_file

from ckpttool.findings.rules import RULES
from tests.builders import (
    checkpoints,
    held,
    kinds,
    modules,
    quantized,
    quantized_models,
    scripts,
    shards,
    sharing,
    state_dicts,
)
from tests.builders.commands import invoke
from tests.rule_cases.conversions import table_changed

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

Make = Callable[[Path], Any]

VERIFY = "verify w.pth --no-forward"
RESULT = "verify w.safetensors --no-forward"
CONVERT = "convert w.pth --to safetensors"
#: What a conversion would find, which writes nothing that its repetition would have to replace.
TRY = f"{CONVERT} --dry-run"
AGAINST = "verify b.safetensors --no-forward --against a.safetensors"


class Trial(NamedTuple):
    """What was found, and what helps.

    Attributes:
        make: writes files into the working folder.
        found: the command that finds it.
        fix: the commands of the fix, the last of which no longer finds it.
        stays: whether the fix only shows more, so that it is enough that it works.
        codes: what the last command may exit with.
    """

    make: Make
    found: str
    fix: Tuple[str, ...]
    stays: bool = False
    codes: Tuple[int, ...] = (0, 1)


def pth(content: checkpoints.Content) -> Make:
    return lambda folder: checkpoints.saved(folder, content, "w.pth")


def was(name: str) -> Make:
    """A file and what it was."""
    return lambda folder: held.written(folder, held.HELD[name])


def pickled(content: checkpoints.Content) -> Trial:
    """What a conversion leaves behind."""
    return Trial(pth(content), VERIFY, (CONVERT, RESULT))


def beside(folder: Path) -> None:
    pth(checkpoints.sound)(folder)
    (folder / "x.gguf").write_bytes(b"GGUF\3\0\0\0")


def program(folder: Path) -> None:
    (folder / "w.pth").write_bytes(scripts.program())


def listed(name: str, text: str) -> Make:
    def make(folder: Path) -> None:
        pth(checkpoints.sound)(folder)
        (folder / name).write_text(text)

    return make


def without_checksums(folder: Path) -> None:
    switch = getattr(torch.serialization, "set_crc32_options", None)
    if switch is None:
        pytest.skip("this torch always writes checksums")
    switch(False)
    try:
        pth(checkpoints.sound)(folder)
    finally:
        switch(True)


def locked(now: checkpoints.Content, before: checkpoints.Content) -> Trial:
    """A lock of other weights than those that are there now."""

    def make(folder: Path) -> None:
        checkpoints.saved(folder, before, "w.pth")
        assert invoke("lock", "w.pth", "--no-forward", "-o", "w.lock").code == 0
        (folder / "w.pth").rename(folder / "old.pth")
        checkpoints.saved(folder, now, "w.pth")

    verify = f"{VERIFY} --lock w.lock"
    lock = "lock w.pth --no-forward -o w.lock"
    return Trial(make, verify, ("diff old.pth w.pth", lock, verify))


def changed() -> object:
    state = checkpoints.state()
    state["norm.bias"] = state["norm.bias"] + 1
    return state


def two_locked(folder: Path) -> None:
    for number, name in enumerate(("a.pth", "b.pth", "c.pth")):
        state = kinds.trained(seed=number)
        torch.save(state, folder / name)
    assert invoke("lock", "a.pth", "b.pth", "--no-forward", "-o", "w.lock").code == 0


def with_forward(folder: Path) -> None:
    pth(kinds.trained)(folder)
    assert invoke("lock", "w.pth", "-o", "w.lock").code == 0


def with_its_result(folder: Path) -> None:
    pth(checkpoints.sound)(folder)
    assert invoke(*shlex.split(CONVERT)).code == 0


def in_shards(folder: Path) -> None:
    pth(checkpoints.sound)(folder)
    command = f"{CONVERT} --max-shard-size 8KB -o w.safetensors"
    assert invoke(*shlex.split(command)).code == 0


def as_safetensors(folder: Path) -> None:
    save_file(kinds.trained(), folder / "w.safetensors", metadata={"format": "pt"})


def without_a_scale() -> object:
    state = quantized_models.int8_of_channels().tensors
    int8 = torch.ones(4, 4, dtype=torch.int8)
    return {**state, "a.weight": int8, "a.weight_zero_point": int8[:, :1].clone()}


def for_transformers(folder: Path) -> None:
    pth(kinds.encoder)(folder)
    (folder / "out").mkdir()
    (folder / "out" / "config.json").write_text('{"hidden_size": 17}')


def come_back(folder: Path) -> None:
    whole = kinds.encoder()
    torch.save(whole, folder / "new.pth")
    torch.save({name: whole[name] for name in whole if name != "cls_token"}, folder / "w.pth")


def with_a_schema_of_more(folder: Path) -> None:
    pth(checkpoints.sound)(folder)
    assert invoke("schema", "w.pth", "-o", "s.json").code == 0
    pth(checkpoints.encoder_only)(folder)


def lost_on_the_way(folder: Path) -> None:
    pth(kinds.lost_biases)(folder)
    torch.save(kinds.trained(), folder / "old.pth")


def waived(folder: Path) -> None:
    pth(lambda: {**kinds.trained(), "norm.bias": torch.full((16,), float("nan"))})(folder)
    told = invoke(*shlex.split(VERIFY), "--fingerprint").out
    (right,) = set(re.findall(r"ckpt1:[0-9a-f]{64}", told))
    lines = ['[[waivers]]\ncode = "NUM001"\nreason = "known"\nowner = "us"\nexpires = 2999-01-01']
    for name, one in (("wrong.toml", "ckpt1:" + "00" * 32), ("right.toml", right)):
        (folder / name).write_text("\n".join((*lines, f'fingerprint = "{one}"\n')))


def beside_the_root() -> object:
    return {"model": kinds.encoder(), "center": torch.rand(8)}


def complex_beside() -> object:
    return {**kinds.encoder(), "x": torch.zeros(1, dtype=torch.complex128)}


LOCK = "verify c.pth --no-forward --lock w.lock"

TRIALS: Dict[str, List[Trial]] = {
    "FIL009": [Trial(beside, "verify . --no-forward", ("verify . --no-forward --exclude x.gguf",))],
    "FIL010": [Trial(pth(modules.small), VERIFY, (CONVERT, RESULT), codes=(0, 2))],
    "FIL402": [
        Trial(
            shards.TOTALS["wrong"],
            "verify model.safetensors.index.json --no-forward",
            (
                "convert model.safetensors.index.json --to safetensors -o n.safetensors "
                "--max-shard-size 8B",
                "verify n.safetensors.index.json --no-forward",
            ),
            codes=(0, 2),  # of a model that nobody knows
        )
    ],
    "FIL501": [
        Trial(
            listed("r.json", '{"tool": "ckpttool"}'),
            "diff w.pth r.json",
            (f"{CONVERT} --receipt new.json", "diff w.pth new.json"),
        )
    ],
    "FIL502": [
        Trial(
            listed("w.lock", "# ckpttool lock 1\nlock 2\n"),
            f"{VERIFY} --lock w.lock",
            ("lock w.pth --no-forward -o new.lock", f"{VERIFY} --lock new.lock"),
        )
    ],
    "FIL503": [
        Trial(
            listed("s.json", '{"ckpttool_schema": 1, "tensors": {"a": {"dtype": "int7"}}}'),
            f"{VERIFY} --schema s.json",
            ("schema w.pth -o new.json", f"{VERIFY} --schema new.json"),
        )
    ],
    "FIL504": [
        Trial(
            listed("s.json", '{"model_type": "bert"}'),
            f"{VERIFY} --schema s.json",
            ("schema w.pth -o new.json", f"{VERIFY} --schema new.json"),
        ),
        Trial(
            listed("s.json", '{"model_type": "bert"}'),
            f"{VERIFY} --schema s.json",
            (f"{VERIFY} --schema none",),
        ),
    ],
    "SEC002": [
        pickled(checkpoints.called_beside),
        Trial(
            pth(checkpoints.called_beside),
            VERIFY,
            (f"{VERIFY} --trust 'tests.builders.checkpoints.Pair'",),
        ),
    ],
    "SEC003": [pickled(checkpoints.object_beside)],
    "SEC005": [pickled(checkpoints.sound)],
    "SEC011": [Trial(program, VERIFY, (CONVERT, RESULT), codes=(0, 2))],
    "SEC006": [pickled(checkpoints.training_run)],
    "HUB001": [pickled(checkpoints.training_run)],
    "INT006": [Trial(pth(checkpoints.sound), f"{VERIFY} --published", (VERIFY,))],
    "INT007": [
        Trial(
            without_checksums,
            VERIFY,
            ("convert w.pth --to pth", "verify w.clean.pth --no-forward"),
        )
    ],
    "STR003": [
        Trial(pth(checkpoints.decoder_cut_in_half), VERIFY, (f"{CONVERT} --encoder-only", RESULT))
    ],
    "STR004": [
        Trial(
            pth(lambda: {**kinds.encoder(), "x.w": torch.rand(3)}),
            VERIFY,
            (f"{CONVERT} --exclude x.w", RESULT),
        )
    ],
    "STR008": [
        Trial(
            pth(checkpoints.averaged_weights_beside),
            VERIFY,
            (f"{VERIFY} --wrapper model_ema",),
            stays=True,
        )
    ],
    "STR009": [
        Trial(
            pth(checkpoints.module_prefix),
            VERIFY,
            (f"{CONVERT} --strip-prefix module.", RESULT),
        )
    ],
    "STR012": [
        Trial(
            pth(lambda: {"net": {"a.weight": torch.rand(300, 300)}, "teacher": kinds.encoder()}),
            f"{VERIFY} --require encoder --wrapper net",
            (f"{VERIFY} --require encoder --wrapper teacher",),
        )
    ],
    "STR016": [Trial(pth(beside_the_root), VERIFY, ("inspect w.pth",), stays=True)],
    "STR017": [
        Trial(pth(checkpoints.sound), f"{VERIFY} --model mae_vit_base_patch16", (VERIFY,)),
        Trial(pth(checkpoints.sound), f"{VERIFY} --in-chans 7 --img-size 64", (VERIFY,)),
    ],
    "STR020": [
        Trial(
            come_back,
            f"{VERIFY} --allow-missing 'cls_*'",
            ("verify new.pth --no-forward",),
        )
    ],
    "STR022": [
        Trial(
            with_a_schema_of_more,
            f"{VERIFY} --schema s.json",
            (f"{VERIFY} --schema s.json --allow-missing 'decoder*' --allow-missing mask_token",),
        )
    ],
    "STR023": [
        Trial(
            pth(checkpoints.another_model),
            VERIFY,
            ("schema w.pth -o s.json", f"{VERIFY} --schema s.json"),
        ),
        Trial(pth(checkpoints.another_model), VERIFY, (f"{VERIFY} --schema none",)),
    ],
    "NUM009": [
        Trial(
            lost_on_the_way,
            VERIFY,
            ("diff old.pth w.pth",),
        )
    ],
    "MOD007": [Trial(pth(kinds.trained), VERIFY, ("verify w.pth",))],
    "MOD010": [Trial(pth(kinds.learned), VERIFY, (f"{VERIFY} --ignore MOD010",), stays=True)],
    "DIF001": [locked(changed, checkpoints.sound)],
    "DIF002": [locked(checkpoints.encoder_only, checkpoints.sound)],
    "DIF003": [locked(checkpoints.sound, checkpoints.encoder_only)],
    "DIF004": [locked(checkpoints.half_precision, checkpoints.sound)],
    "DIF006": [Trial(two_locked, LOCK, ("lock a.pth b.pth c.pth --no-forward -o w.lock", LOCK))],
    "DIF008": [Trial(with_forward, f"{VERIFY} --lock w.lock", ("verify w.pth --lock w.lock",))],
    "AGN001": [
        Trial(was("a tensor is missing"), AGAINST, (f"{AGAINST} --allow-missing {held.Q}",))
    ],
    "AGN003": [Trial(was("rounded"), AGAINST, (f"{AGAINST} --allow-cast bfloat16",))],
    "AGN004": [
        Trial(
            was("truncated"),
            f"{AGAINST} --allow-cast bfloat16",
            (
                "convert a.safetensors --to safetensors --dtype bfloat16 -o b.safetensors --force",
                f"{AGAINST} --allow-cast bfloat16",
            ),
        )
    ],
    "AGN005": [
        Trial(
            was("one value"),
            AGAINST,
            (
                "diff a.safetensors b.safetensors",
                f"{AGAINST} --must-not-change lm_head.weight",
            ),
        )
    ],
    "AGN009": [
        Trial(
            was("the same"),
            "verify . --no-forward --against a.safetensors",
            ("verify . --no-forward --against a.safetensors --exclude a.safetensors",),
        )
    ],
    "AGN010": [Trial(was("one more"), AGAINST, (f"{AGAINST} --allow-unexpected '*lora*'",))],
    "AGN012": [
        Trial(
            was("a prefix"),
            AGAINST,
            (
                "convert b.safetensors --to safetensors --strip-prefix module. -o c.safetensors",
                AGAINST.replace("b.", "c."),
            ),
        )
    ],
    "CVT101": [
        Trial(pth(complex_beside), CONVERT, (f"{CONVERT} --exclude x",)),
        Trial(pth(complex_beside), CONVERT, ("convert w.pth --to pth",)),
    ],
    "CVT103": [
        Trial(with_its_result, CONVERT, (f"{CONVERT} -o other.safetensors",)),
        Trial(with_its_result, CONVERT, (f"{CONVERT} --force",)),
    ],
    "CVT105": [
        Trial(
            as_safetensors,
            "convert w.safetensors --to safetensors -o w.safetensors",
            ("convert w.safetensors --to safetensors -o other.safetensors",),
        )
    ],
    "CVT203": [
        Trial(pth(sharing.tied), TRY, (f"{CONVERT} --keep-aliases",)),
        Trial(pth(sharing.tied), TRY, (f"{CONVERT} --keep embed.weight",), stays=True),
    ],
    "CVT204": [Trial(pth(sharing.overlapping), TRY, (f"{CONVERT} --exclude top",))],
    "CVT205": [
        Trial(
            pth(lambda: {"w": torch.tensor([1e5, 1.0])}),
            f"{CONVERT} --dtype float16",
            (f"{CONVERT} --dtype bfloat16",),
        ),
        Trial(
            pth(lambda: {"w": torch.tensor([1e5, 1.0])}),
            f"{CONVERT} --dtype float16",
            (f"{CONVERT} --dtype float16 --allow-overflow",),
            stays=True,
        ),
    ],
    "CVT208": [
        Trial(
            in_shards,
            f"{CONVERT} -o w.safetensors",
            (f"{CONVERT} -o w.safetensors --force", f"{CONVERT} -o w.safetensors --force"),
        )
    ],
    "CVT209": [
        Trial(
            pth(lambda: quantized.nf4()[0]),
            f"{CONVERT} --dtype bfloat16",
            (f"{CONVERT} --dtype bfloat16 --dtype-except-quantized",),
        ),
        Trial(pth(lambda: quantized.nf4()[0]), f"{CONVERT} --dtype bfloat16", (CONVERT,)),
    ],
    "CVT211": [
        *(
            Trial(pth(checkpoints.sound), f"{CONVERT} --layout timm", (f"{CONVERT} {more}",))
            for more in (
                "--layout timm --encoder-only",
                "--layout timm --exclude 'decoder*' --exclude mask_token",
            )
        ),
        Trial(
            pth(lambda: {**kinds.encoder(), "head.weight": torch.rand(3, 16)}),
            f"{CONVERT} --layout mmpretrain",
            (f"{CONVERT} --layout mmpretrain --rename 'head.*=head.*'",),
        ),
    ],
    "CVT212": [
        Trial(
            pth(checkpoints.classifier_head_added),
            f"{TRY} --layout facebook",
            (f"{CONVERT} --layout facebook --exclude 'head.*'",),
        )
    ],
    "CVT214": [
        Trial(
            for_transformers,
            f"{CONVERT} --layout hf -o out",
            (f"{CONVERT} --layout hf -o out --force",),
        )
    ],
    "CVT216": [
        Trial(pth(table_changed), f"{CONVERT} --resize-pos-embed 48", (CONVERT,)),
        Trial(pth(table_changed), f"{CONVERT} --resize-pos-embed 48", (VERIFY,)),
    ],
    "CVT217": [
        Trial(
            pth(without_a_scale),
            f"{CONVERT} --dequantise bfloat16",
            (f"{CONVERT} --dequantise bfloat16 --exclude 'a.*'",),
        )
    ],
    "CVT301": [
        Trial(pth(state_dicts.module_state), TRY, (f"{CONVERT} --sidecar s.json",), stays=True)
    ],
    "CVT302": [
        Trial(pth(state_dicts.memory_beside), TRY, (f"{CONVERT} --wrapper state_dict",)),
    ],
    "CVT303": [Trial(pth(state_dicts.with_a_vocabulary), TRY, (f"{CONVERT} --sidecar s.json",))],
    "CFG003": [
        Trial(
            waived,
            f"{VERIFY} --config wrong.toml",
            (f"{VERIFY} --fingerprint", f"{VERIFY} --config right.toml"),
        )
    ],
}

#: Advice in words that holds wherever the rule fires: it says under which condition, or is what the
#: format or the system asks for. What single findings say in its place is tried in ``test_fixes``
#: and with their checks.
IN_WORDS = """
    FIL001 FIL002 FIL003 FIL004 FIL005 FIL006 FIL007 FIL008 FIL101 FIL102 FIL103 FIL104 FIL105
    FIL201 FIL202 FIL203 FIL301 FIL302 FIL303 FIL401 FIL403 FIL404 FIL405 FIL406 FIL505
    SEC001 SEC004 SEC007 SEC008 SEC009 SEC010
    INT001 INT002 INT003 INT004 INT005 INT008 INT009 INT010 STR001 STR002 STR005 STR006 STR007
    STR010 STR011 STR013 STR014 STR015 STR021 STR024 STR025 NUM001 NUM002 NUM003 NUM004 NUM005
    NUM006 NUM007 NUM008 QNT001 QNT002 QNT003 QNT004 QNT005 QNT006 QNT007 QNT008 QNT009 QNT010
    QNT011 QNT012 QNT013 QNT014 QNT015
    MOD001 MOD002 MOD003 MOD004 MOD005 MOD006 MOD008 DIF005 DIF007 DIF009 AGN002
    AGN006 AGN007 AGN008 AGN011 CVT102
    CVT104 CVT201 CVT202 CVT206 CVT207 CVT210 CVT213 CVT215 CVT218 HUB002 HUB003 HUB004 HUB005
    HUB006 HUB007 HUB008 HUB009 HUB010 HUB011 HUB012 HUB013 CFG001 CFG002 CFG004
""".split()
#: Options that another rule's trial runs, where what is found cannot be made in a test.
ELSEWHERE = {"CVT106": "CVT103"}


def test_of_every_rule_it_is_known_how_its_fix_was_established() -> None:
    """Give a new rule a trial, or a place among those in words, when this fails."""
    assert sorted([*TRIALS, *IN_WORDS, *ELSEWHERE]) == sorted(RULES)
    assert set(ELSEWHERE.values()) <= TRIALS.keys()


@pytest.mark.parametrize("code", IN_WORDS)
def test_advice_in_words_names_no_option_and_no_command(code: str) -> None:
    assert not re.search(r"ckpttool|(?<![\w-])-{1,2}\w", RULES[code].fix)


@pytest.mark.parametrize("code", TRIALS)
def test_every_option_of_a_fix_is_in_one_of_its_trials(code: str) -> None:
    commands = " ".join(command for trial in TRIALS[code] for command in trial.fix)
    left_out = " ".join(trial.found for trial in TRIALS[code])
    for option in re.findall(r"(?<![\w-])--?\w[\w-]*", RULES[code].fix):
        # "leave out --published": there before, and not after
        without = rf"(leave|without|take .* out of .*)( out)? {option}(?![\w-])"
        there = left_out if re.search(without, RULES[code].fix, re.IGNORECASE) else commands
        assert option in there, option
    for command in re.findall(r"ckpttool (\w+) ", RULES[code].fix):
        assert re.search(rf"\b{command}\b", commands), command


CASES = [
    pytest.param(code, trial, id=f"{code}-{number}")
    for code, trials in TRIALS.items()
    for number, trial in enumerate(trials)
]


@pytest.mark.parametrize(("code", "trial"), CASES)
def test_what_a_fix_says_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, trial: Trial
) -> None:
    monkeypatch.chdir(tmp_path)
    trial.make(tmp_path)
    before = invoke(*shlex.split(trial.found))
    assert code in before.out + before.err
    for command in trial.fix:
        after = invoke(*shlex.split(command))
        assert after.code in trial.codes, after.err
    if trial.stays:
        assert after.code == 0
    else:
        assert code not in after.out + after.err
