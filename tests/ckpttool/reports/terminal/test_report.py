"""The report for a person."""

from __future__ import annotations

import io
from typing import Any

import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import finding
from ckpttool.findings.results import Diagnosis, FileReport, ForwardSummary
from ckpttool.findings.rules import Severity
from ckpttool.reports.terminal.report import write
from ckpttool.reports.terminal.view import TextView
from tests.builders import reports as built


def lines(*files: FileReport) -> list[str]:
    stream = io.StringIO()
    write(built.report(*files), stream)
    return stream.getvalue().splitlines()


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, file: FileReport) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    stream = built.Terminal()
    write(built.report(file), stream)
    return stream.getvalue()


def not_run() -> FileReport:
    """A file of which the forward pass was not run, and a finding says so."""
    file = built.encoder_only()
    why = finding(rules.FORWARD_NOT_RUN, "the forward pass was not run: --no-forward")
    absent = finding(rules.DECODER_ABSENT, "decoder absent: 104 tensors")
    return file._replace(
        findings=(absent, why),
        forward=ForwardSummary("not-run", "--no-forward"),
        unchecked=("the forward pass (--no-forward)", *file.unchecked),
    )


def row(page: list[str], label: str) -> str:
    return next(line for line in page if line.startswith(f"  {label}"))


def test_the_verdict_comes_first_and_says_what_the_file_is() -> None:
    assert lines(built.encoder_only())[0] == (
        "✓ PASS data/mae_pretrain_vit_large.pth  mae_vit_large_patch16 encoder · 294/294 tensors · "
        "forward ok"
    )
    assert lines(built.incomplete())[0] == (
        "✗ FAIL data/mae_pretrain_vit_large.pth  mae_vit_large_patch16 encoder · "
        "292/294 encoder, 52/104 decoder tensors · forward not run · "
        "4 errors: missing encoder, shape mismatch, ..."
    )
    assert lines(built.unreadable())[0] == "! CANNOT TELL missing.pth  error: unreadable"


def test_then_come_findings_and_then_facts_beginning_with_the_diagnosis() -> None:
    page = lines(built.encoder_only())
    assert page[1:7] == [
        "",
        "  · note    STR002 decoder-absent: decoder absent",
        "",
        "  diagnosis    the encoder of mae_vit_large_patch16: for features and fine-tuning",
        "               16 heads: those of ViT-L",
        "  next         ckpttool convert data/mae_pretrain_vit_large.pth --to safetensors",
    ]
    assert page[-1] == "  not checked  where the file comes from (--published)"
    bare = Diagnosis("empty", None, "no checkpoint of weights")
    page = lines(built.encoder_only()._replace(diagnosis=bare))
    assert page[4:6] == ["  diagnosis    no checkpoint of weights", row(page, "file")]


def test_findings_come_worst_first() -> None:
    file = built.incomplete()
    page = lines(file._replace(findings=(*built.encoder_only().findings, *file.findings)))
    severities = [line.split()[1] for line in page if line.startswith(("  ✗", "  !", "  ·"))]
    assert severities == ["error", "error", "error", "note"]


def test_weights_that_look_untrained_are_said_on_the_first_line() -> None:
    warnings = [
        finding(rule, "told")
        for rule in (rules.NO_LICENCE, rules.NO_MODEL_CARD, rules.LAYERNORM_INITIAL)
    ]
    told = lines(built.encoder_only()._replace(findings=tuple(warnings)))[0]
    assert told.endswith(" · forward ok · 3 warnings: looks untrained, no licence, ...")
    told = lines(built.encoder_only()._replace(findings=tuple(warnings[2:])))[0]
    assert told.endswith(" · forward ok · warning: looks untrained")


def test_nothing_is_said_twice() -> None:
    page = "\n".join(lines(built.encoder_only()))
    for said in (
        "decoder absent",
        "294/294",
        "names and shapes",
        "data/mae_pretrain_vit_large.pth  ",
    ):
        assert page.count(said) <= 1, said
    page = "\n".join(lines(not_run()))
    assert page.count("not run: --no-forward") == 1
    assert "not checked  where" in page


def test_what_no_finding_says_stands_among_the_facts() -> None:
    # the policy leaves the finding out
    page = "\n".join(lines(not_run()._replace(findings=())))
    assert "not checked  the forward pass (--no-forward); where" in page
    assert "decoder absent: 104 tensors would stay at random initialisation" in page


def test_a_part_whose_sizes_are_not_known_is_not_counted_against_a_model() -> None:
    part = Diagnosis("part", None, "a part of a model, without its core")
    page = lines(built.encoder_only()._replace(diagnosis=part, loading=None))
    assert "  a part of a model · " in page[0]
    assert not any(line.startswith(("  coverage", "  loads")) for line in page)


@pytest.mark.parametrize(
    ("kind", "model", "told"),
    [
        ("classifier", "mae_vit_base_patch16", "mae_vit_base_patch16 classifier"),
        ("full", "mae_vit_base_patch16", "mae_vit_base_patch16, encoder"),
        ("other", None, "a DINO"),
        ("unknown", None, "model not known"),
    ],
)
def test_the_first_line_says_in_few_words_what_a_file_is(
    kind: str, model: str | None, told: str
) -> None:
    text = "a DINO (with its head): for features"
    page = lines(built.encoder_only()._replace(diagnosis=Diagnosis(kind, model, text)))
    assert f"large.pth  {told} · 294" in page[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {},
            "fills these 294 by the names in the file",
        ),
        (
            {"filled": 0, "filled_parameters": 0, "random": {"encoder": 294, "decoder": 104}},
            "fills 0 of 398 tensors, 0.00 % of the parameters; under its own names 294, 92.03 %",
        ),
        (
            {"filled": 0, "filled_parameters": 0, "random": {"encoder": 294}, "layout": "facebook"},
            "fills 0 of 398 tensors, 0.00 % of the parameters; after ckpttool convert --to "
            "safetensors --layout facebook 294, 92.03 %",
        ),
        (
            {"filled": 293, "refused": 1, "renamed": 293, "random": {"encoder": 1, "decoder": 4}},
            "fills 293 of 398 tensors, 92.03 % of the parameters; left random: 1 of the encoder, "
            "4 of the decoder; raises an error: 1 tensor of another shape",
        ),
    ],
)
def test_what_a_loader_fills_is_told_of_the_names_as_they_stand(
    changes: dict[str, Any], told: str
) -> None:
    file = built.encoder_only()
    assert file.loading is not None
    page = lines(file._replace(loading=file.loading._replace(**changes)))
    told = told.replace(" tensors,", " tensors of mae_vit_large_patch16,", 1)
    assert row(page, "loads") == f"  loads        load_state_dict(strict=False) {told}"


def test_of_another_model_nothing_would_be_initialised() -> None:
    file = built.encoder_only()
    assert file.coverage is not None
    groups = {
        name: group._replace(matched=0, covered=0, missing=("x",) * group.expected)
        for name, group in file.coverage.groups.items()
    }
    other = file.coverage._replace(groups=groups, unexpected=("a", "b"))
    page = lines(file._replace(coverage=other))
    assert (
        row(page, "coverage")
        == f"  coverage     none of the names of {other.schema}; 2 tensors of others"
    )


def test_what_is_not_whole_is_never_100_percent() -> None:
    coverage = row(lines(built.incomplete()), "coverage")
    assert "292/294 encoder tensors, 303,299,584 of 303,301,632 parameters, 99.99 %" in coverage
    assert "52/104 decoder tensors" in coverage
    assert "1 tensor unexpected" in coverage


def test_what_was_not_done_is_said() -> None:
    page = "\n".join(lines(built.incomplete()))
    assert "293 of 295 tensors read" in page
    assert "no checksums" in page
    assert "not run: the encoder is not complete" in page
    assert "fingerprint" not in page


def test_findings_of_one_rule_stand_under_one_head() -> None:
    page = lines(built.incomplete())
    head = next(i for i, line in enumerate(page) if "STR005" in line)
    assert page[head].endswith(f"(2 times): {rules.SHAPE.meaning}")
    assert page[head + 1].strip() == "· norm.weight: a: expected [1024], found [768]"
    assert page[head + 2].strip() == "· norm.bias: b: expected [1024], found [768]"


def test_what_findings_of_one_rule_all_say_is_said_once() -> None:
    alike = [finding(rules.SHAPE, "another shape", tensors=[name]) for name in "abc"]
    alike[:2] = alike[0]._replace(found="[3]"), alike[1]._replace(expected="[2]")
    page = lines(built.encoder_only()._replace(findings=tuple(alike)))
    head = page.index("  ✗ error   STR005 shape-mismatch (3 times): another shape")
    rows = [line.strip() for line in page[head + 1 : head + 4]]
    assert rows == ["· a: found [3]", "· b: expected [2]", "· c"]


def test_findings_of_other_severities_or_advice_have_heads_of_their_own() -> None:
    one = finding(rules.SHAPE, "another shape", tensors=["a"])
    light = one._replace(severity=Severity.WARNING)
    page = lines(built.encoder_only()._replace(findings=(one, light, light._replace(fix="Wait."))))
    heads = [line.split()[1] for line in page if "STR005" in line]
    assert heads == ["error", "warning", "warning"]
    fixes = [line.split(None, 1)[1] for line in page if line.startswith("      fix ")]
    assert fixes == [rules.SHAPE.fix, rules.SHAPE.fix, "Wait."]


def test_each_thing_that_was_not_looked_at_is_shortened_for_itself() -> None:
    names = [f"2 tensors in {letter * 5000}" for letter in "abc"]
    file = built.encoder_only()._replace(unchecked=(*names, "the fingerprint", *names))
    told = row(lines(file), "not checked")
    assert "; the fingerprint; 2 tensors in " in told
    assert told.count("2 tensors in ") == 6
    assert len(told) < 20_000


def test_what_to_do_is_said_once_the_findings_own_advice_first() -> None:
    fixes = [line.split()[1:] for line in lines(built.incomplete()) if line.startswith("      fix")]
    assert fixes == [["f"], rules.SHAPE.fix.split(), rules.NAN.fix.split()]


def test_a_note_asks_for_nothing() -> None:
    assert "fix" not in "".join(lines(built.encoder_only()))


def test_the_batch_ends_with_the_worst_verdict() -> None:
    page = lines(built.encoder_only(), built.incomplete(), built.unreadable())
    assert page[-1] == "! CANNOT TELL 3 files: 1 pass, 1 fail, 1 cannot tell"


def test_a_pipe_gets_whole_lines_without_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    page = lines(built.encoder_only(), built.incomplete())
    assert not any("\x1b" in line for line in page)
    assert all(line == line.rstrip() for line in page)
    assert max(map(len, page)) > 140


def test_untrusted_text_is_escaped_everywhere() -> None:
    stream = io.StringIO()
    write(built.report(built.hostile()), stream)
    page = stream.getvalue()
    assert "pwned" in page
    assert not any(ord(character) < 32 for character in page.replace("\n", ""))
    assert "\u202e" not in page
    assert "::" not in page
    assert "##[" not in page
    assert not any(line.startswith("error") for line in page.splitlines())


@pytest.mark.parametrize("columns", [50, 80, 160])
def test_a_terminal_gets_lines_that_fit(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    page = on_terminal(monkeypatch, columns, built.incomplete())
    # a command is copied, and so never broken
    wrapped = [line for line in page.splitlines() if "ckpttool convert" not in line]
    assert max(map(len, wrapped)) <= columns
    assert "\x1b" not in page


def test_a_fingerprint_is_never_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    file = built.encoder_only()
    assert file.fingerprint is not None
    assert file.fingerprint in on_terminal(monkeypatch, 50, file)


def test_colours_come_on_a_terminal_and_go_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in on_terminal(monkeypatch, 80, built.encoder_only())
    monkeypatch.delenv("NO_COLOR")
    stream = built.Terminal()
    write(built.report(built.encoder_only()), stream)
    assert "\x1b[" in stream.getvalue()


def test_signs_are_ascii_where_the_encoding_is() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    write(built.report(built.encoder_only(), built.incomplete()), stream)
    stream.flush()
    assert b"+ PASS" in raw.getvalue()
    assert b"x FAIL" in raw.getvalue()


def test_what_is_waived_is_counted_in_the_verdict() -> None:
    page = lines(built.waived())
    assert page[0].startswith("\u2713 PASS data/mae_pretrain_vit_large.pth  ")
    assert page[0].endswith(" · 4 waived")
    assert not any("pruned" in line for line in page)


def test_what_is_waived_is_listed_when_asked_for() -> None:
    stream = io.StringIO()
    write(built.report(built.waived()), stream, TextView(show_waived=True))
    page = stream.getvalue().splitlines()
    start = page.index("  \u00b7 waived error STR001 missing-encoder: 1 encoder tensor missing")
    assert page[start + 1 : start + 5] == [
        "      tensor    blocks.7",
        "      reason    the block is pruned",
        "      owner     vision team",
        "      expires   2027-01-31",
    ]


def test_findings_of_the_run_come_after_those_of_all_files() -> None:
    stream = io.StringIO()
    write(built.SPECIMENS["the run itself"], stream)
    page = stream.getvalue().splitlines()
    at = page.index("run")
    assert page[at + 1] == ("  ! warning CFG001 waiver-unused: the waiver of NUM001 covers nothing")
    assert at > max(number for number, line in enumerate(page) if "PASS" in line)
    assert page[-1] == "\u2717 FAIL 1 file: 1 pass; the run itself: 0 errors, 1 warning, 0 notes"
