"""What tells a finding from others, run after run."""

from __future__ import annotations

from ckpttool.findings import rules
from ckpttool.findings.finding import finding
from ckpttool.findings.results import FileReport
from ckpttool.reports.machine.located import located
from tests.builders import reports as built


def identities(*files: FileReport) -> dict[str, str]:
    return {one.identity: one.finding.message for one in located(built.report(*files))}


def test_every_finding_has_an_identity_of_its_own() -> None:
    report = built.SPECIMENS["several files"]
    found = located(report)
    assert len({one.identity for one in found}) == len(found)


def test_neither_order_nor_other_findings_change_an_identity() -> None:
    whole = built.incomplete()
    fewer = whole._replace(findings=tuple(reversed(whole.findings[1:])))
    assert identities(fewer).items() <= identities(whole).items()


def test_a_waiver_does_not_change_an_identity() -> None:
    waived = located(built.report(built.waived()))
    assert {one.identity for one in waived if one.waived} == set(identities(built.incomplete()))


def test_numbers_in_a_message_do_not_change_an_identity() -> None:
    three, four = (
        built.encoder_only()._replace(findings=(finding(rules.NAN, f"{number} numbers: NaN"),))
        for number in ("3", "1,204")
    )
    assert list(identities(three)) == list(identities(four))


def test_file_rule_and_tensors_do() -> None:
    base = built.encoder_only()
    found = finding(rules.NAN, "m", tensors=["a", "b"])
    variants = [
        base._replace(findings=(found,)),
        base._replace(path="other.pth", findings=(found,)),
        base._replace(findings=(found._replace(rule=rules.INFINITE),)),
        base._replace(findings=(found._replace(tensors=("a",)),)),
        base._replace(findings=(found._replace(tensors=("ab",)),)),
    ]
    assert len({key for variant in variants for key in identities(variant)}) == len(variants)


def test_the_order_of_tensors_does_not_change_an_identity() -> None:
    one, other = (
        built.encoder_only()._replace(findings=(finding(rules.NAN, "m", tensors=names),))
        for names in (["a", "b"], ["b", "a"])
    )
    assert list(identities(one)) == list(identities(other))


def test_several_of_one_rule_and_tensor_are_told_apart_in_any_order() -> None:
    first, second = (finding(rules.NAN, text, tensors=["a"]) for text in ("one", "two"))
    base = built.encoder_only()
    forward = identities(base._replace(findings=(first, second)))
    assert len(forward) == 2
    assert identities(base._replace(findings=(second, first))) == forward


def test_a_lock_file_is_the_place_and_gives_the_line() -> None:
    places = {
        one.finding.tensor: (one.path, one.line) for one in located(built.report(built.locked()))
    }
    assert places == {
        "blocks.7": ("weights.lock", 1),
        "norm.weight": ("weights.lock", 301),
        "norm.bias": ("weights.lock", 300),
        "cls_token": ("weights.lock", 12),
    }


def test_without_a_lock_file_the_checkpoint_is_the_place() -> None:
    (one,) = located(built.report(built.encoder_only()))
    assert (one.path, one.line) == ("data/mae_pretrain_vit_large.pth", 1)
