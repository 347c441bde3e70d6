from __future__ import annotations

import re
from pathlib import Path

import pytest

from ckpttool.cli.configuration_keys import trusted
from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError
from ckpttool.findings.finding import Verdict, verdict_from
from ckpttool.findings.rules import Severity
from ckpttool.findings.uses import NameUse, Use
from ckpttool.formats.safety.telling import (
    findings_before,
    findings_beyond_default,
    findings_left_behind,
    findings_on,
    is_trusted,
)
from ckpttool.inspection.listing import inspect
from ckpttool.tensors.catalogue import Reference
from tests.builders import pickles as p


def used(use: Use, name: str = "mypkg.models.Net", times: int = 1) -> NameUse:
    return NameUse(use, name, f"{name}(1)", "a/data.pkl", 1234, times)


@pytest.mark.parametrize(
    ("use", "code", "severity"),
    [
        (Use.ATTACK, "SEC001", Severity.ERROR),
        (Use.CALL, "SEC002", Severity.ERROR),
        (Use.CLASS, "SEC003", Severity.WARNING),
        (Use.NAMED, "SEC008", Severity.NOTE),
    ],
)
def test_each_use_has_its_rule(use: Use, code: str, severity: Severity) -> None:
    (found,) = findings_on([used(use)])
    assert (found.rule.code, found.severity) == (code, severity)
    assert "mypkg.models.Net" in found.message
    assert "in a/data.pkl, at byte 1,234" in found.message


def test_a_message_names_calls_up_to_a_number_and_counts_the_rest() -> None:
    (found,) = findings_on([used(Use.CALL, f"m.f{number}", 3) for number in range(14)])
    assert "m.f0(1) (in a/data.pkl, at byte 1,234, 3 such calls)" in found.message
    assert "m.f9(1)" in found.message
    assert "m.f10" not in found.message
    assert found.message.endswith("and 4 more names")


@pytest.mark.parametrize(
    ("use", "pattern", "trusted"),
    [
        (Use.CALL, "mypkg.models.Net", True),
        (Use.CALL, "mypkg.*", True),
        (Use.CLASS, "mypkg.models.*", True),
        (Use.CALL, "mypkg.models", False),
        (Use.CALL, "other.*", False),
        (Use.ATTACK, "mypkg.*", False),
        (Use.NAMED, "mypkg.*", False),
    ],
)
def test_what_is_trusted(use: Use, pattern: str, trusted: bool) -> None:
    assert is_trusted(used(use), [pattern]) is trusted


def test_what_is_trusted_is_listed() -> None:
    (found,) = findings_on([used(Use.CALL), used(Use.CLASS, "mypkg.Config")], ["mypkg.*"])
    assert found.rule is rules.TRUSTED_CODE
    assert "mypkg.models.Net" in found.message
    assert "mypkg.Config" in found.message


def test_what_is_left_behind_is_a_warning_unless_it_is_an_attack() -> None:
    found = findings_left_behind([used(use) for use in Use])
    assert [(one.rule.code, one.severity.value) for one in found] == [
        ("SEC001", "error"),
        ("SEC002", "warning"),
        ("SEC003", "warning"),
    ]


def test_where_nothing_is_to_be_done_no_fix_is_shown() -> None:
    attack, *left = findings_left_behind([used(use) for use in Use])
    assert attack.advice
    assert [one.advice for one in left] == ["", ""]


@pytest.mark.parametrize(
    "names",
    [
        ["mypkg.Net"],
        ["mypkg.Net", "mypkg.Other", "other_pkg.f"],
        [f"mypkg.models.C{number}" for number in range(40)],
        [f"p{number % 3}.f{number}" for number in range(40)],
        ["__main__.Net.make"],
    ],
)
def test_who_trusts_as_the_fix_says_trusts_all_that_is_called(names: list[str]) -> None:
    uses = [used(Use.CALL, name) for name in names]
    (found,) = findings_on(uses)
    patterns = trusted(re.findall(r"--trust '([^']+)'", found.advice), "--trust")
    assert [one.rule for one in findings_on(uses, patterns)] == [rules.TRUSTED_CODE]


@pytest.mark.parametrize(
    "names", [["a value that is not a name"], ["m.f'; rm x"], [f"p{one}.f" for one in range(9)]]
)
def test_what_cannot_be_trusted_in_a_few_words_is_not_advised_to_be(names: list[str]) -> None:
    (found,) = findings_on([used(Use.CALL, name) for name in names])
    assert "--trust" not in found.advice
    assert "ckpttool convert" in found.advice


def test_names_of_data_that_torch_does_not_take_by_default_are_told_once() -> None:
    references = [
        Reference("torch.torch_version", "TorchVersion", 1),
        Reference("collections", "OrderedDict", 2),
        Reference("mypkg.models", "Net", 3),
    ]
    (found,) = findings_beyond_default(references, [used(Use.CLASS)])
    assert found.rule is rules.BEYOND_DEFAULT
    assert found.message.endswith("torch.load: torch.torch_version.TorchVersion")
    assert findings_beyond_default(references[1:], [used(Use.CLASS)]) == []


@pytest.mark.parametrize(
    ("use", "verdict"),
    [(Use.ATTACK, Verdict.FAIL), (Use.CALL, Verdict.FAIL), (Use.CLASS, Verdict.CANNOT_TELL)],
)
def test_a_file_that_is_no_checkpoint_is_judged_by_its_calls(use: Use, verdict: Verdict) -> None:
    error = UnsupportedError("no checkpoint", rules.UNSUPPORTED)
    error.uses = (used(use),)
    found = findings_before(error)
    assert [one.rule.code for one in found] == [RULE_OF[use]]
    assert verdict_from(error, found) is verdict
    # there are no weights to convert
    assert not any("convert" in one.advice for one in found)


RULE_OF = {Use.ATTACK: "SEC001", Use.CALL: "SEC002", Use.CLASS: "SEC003"}


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("Net", True),
        ("Net.Config", True),
        ("make", True),
        ("shutil.rmtree", False),
        ("Path.unlink", False),
        ("torch.hub.load", False),
    ],
)
def test_a_wildcard_stands_for_what_a_package_defines(
    tmp_path: Path, name: str, covered: bool
) -> None:
    """And not for what an attack reaches through it, also after a name that reads alike."""
    call = p.call(p.name("mypkg.utils", name), p.text("x"))
    *steps, last = name.split(".")
    alike = p.call(p.name(".".join(("mypkg.utils", *steps)), last), p.text("x"))
    for body in (call, p.tuple_of(alike, call)):
        (tmp_path / "a.pkl").write_bytes(p.PROTO4 + body + p.STOP)
        for pattern, is_covered in (("mypkg.*", covered), (f"mypkg.utils.{name}", True)):
            found = inspect(str(tmp_path / "a.pkl"), trust=(pattern,)).file.findings
            assert (rules.TRUSTED_CODE in {one.rule for one in found}) is is_covered
            assert (rules.UNKNOWN_CALL in {one.rule for one in found}) is not is_covered
