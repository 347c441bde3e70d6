"""``explain`` and ``rules``: what they say, to whom, and what they cost."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import Result

from ckpttool.cli import main
from ckpttool.findings.rules import RULES
from ckpttool.reports.terminal.rules import write_explanations, write_text
from tests.builders.commands import runner
from tests.builders.reports import Terminal


def run(*arguments: str) -> Result:
    return runner().invoke(main, arguments)


@pytest.mark.parametrize("code", ["MOD003", "pos-embed"])
def test_a_rule_is_explained(code: str) -> None:
    result = run("explain", code)
    assert result.exit_code == 0
    assert result.output.startswith("MOD003 pos-embed\n")
    for part in (RULES["MOD003"].meaning, RULES["MOD003"].fix, 'ignore = ["MOD003"]', "reason = "):
        assert part in result.output


def test_several_rules_are_explained_in_the_order_asked_for() -> None:
    output = run("explain", "NUM002", "NUM001").output
    assert 0 <= output.find("NUM002 infinite") < output.find("NUM001 nan")


def test_what_convert_refuses_is_not_said_to_be_waivable() -> None:
    assert "ignore" not in run("explain", "CVT103").output


@pytest.mark.parametrize(("code", "word"), [("NUM01", "NUM001"), ("qqq", "ckpttool rules lists")])
def test_an_unknown_rule_is_a_usage_error(code: str, word: str) -> None:
    result = run("explain", "NUM001", code)
    assert result.exit_code == 2
    assert word in result.stderr
    assert "meaning" not in result.output


@pytest.mark.parametrize("format_name", ["text", "json", "markdown"])
def test_every_rule_is_listed(format_name: str) -> None:
    result = run("rules", "--format", format_name)
    assert result.exit_code == 0
    assert [code for code in RULES if code not in result.output] == []


def test_the_json_has_every_field_of_a_rule() -> None:
    listed = json.loads(run("rules", "--format", "json").output)
    assert (listed["command"], len(listed["rules"])) == ("rules", len(RULES))
    assert listed["rules"][0] == {
        "code": "FIL001",
        "name": "unreadable",
        "severity": "error",
        "meaning": RULES["FIL001"].meaning,
        "fix": RULES["FIL001"].fix,
        "more": "",
        "needs": [],
        "stands": False,
        "of_run": False,
        "undecided": False,
        "family": "the file and its container",
    }


@pytest.mark.parametrize("width", [50, 160])
def test_a_terminal_of_any_width_gets_no_longer_lines(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    write_text(list(RULES.values()), stream)
    write_explanations(list(RULES.values()), stream)
    assert max(map(len, stream.getvalue().splitlines())) <= width


def test_a_pipe_gets_plain_text() -> None:
    assert "\x1b" not in run("rules").output + run("explain", "NUM001").output


@pytest.mark.parametrize("arguments", [("explain", "NUM001"), ("rules", "--format", "json")])
def test_neither_loads_torch_or_numpy(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'numpy', 'safetensors')));"
        "from ckpttool.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=False, timeout=60)
    assert done.returncode == 0
