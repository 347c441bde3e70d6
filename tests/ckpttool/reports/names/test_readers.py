"""What reads the reports for these tests: each check fires on a name that is written as it is."""

from __future__ import annotations

import json
from typing import List

import pytest

from tests.builders import hostile_names as hostile
from tests.builders import inert


def found(name: str, text: str) -> List[str]:
    return list(inert.READERS[name](text))


@pytest.mark.parametrize(
    "text",
    [
        "a\x1b[2Jb",
        "a\x9b31mb",
        "\u202eb",
        "a\u200bb",
        "a\ud800",
        "a\x00",
        "a\ue000",
        "a\u2028b",
        "a\rb",
        "::error file=a::b",
        "  ::Stop-Commands::x",
        "a ##[error]b",
        "a ##vso[task.complete]",
        "##teamcity[buildStatus]",
        "path: a\nFORGED",
    ],
)
def test_what_acts_in_a_log_is_found(text: str) -> None:
    assert found("text", text)


@pytest.mark.parametrize("text", ["a::b", ":: error", "::unknown::a", "# 1 [a]", "\u2713 é \u4e2d"])
def test_what_only_looks_so_is_left_alone(text: str) -> None:
    assert found("text", text) == []


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[5;7;45mW",
        "\x1b[2J",
        "\x1b]8;;https://w.example/\x1b\\W",
        "\x1b]0;W\x07",
        "a\rb",
        "##vso[a]",
    ],
)
def test_what_acts_on_a_terminal_is_found(text: str) -> None:
    assert list(inert.on_a_terminal(text))


def test_the_styles_of_the_tool_are_its_own() -> None:
    link = "\x1b]8;id=12;file:///docs/rules/NUM001.md\x1b\\NUM001\x1b]8;;\x1b\\"
    assert list(inert.on_a_terminal(f"\x1b[1;32mPASS\x1b[0m {link}\n")) == []


def test_a_workflow_command_is_read_as_the_runner_reads_it() -> None:
    command = inert.command_of("::error file=a%3Ab%2Cc,line=3::first%0Asecond%2525 :: third")
    assert command is not None
    assert command.name == "error"
    assert command.properties == {"file": "a:b,c", "line": "3"}
    assert command.data == "first\nsecond%25 :: third"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("concise", "FORGED"),
        ("concise", "a.pth: NUM001 error x\nb"),
        ("json", '{"a": "é"}'),
        ("json", '{"a": "##[error]"}'),
        ("junit", '<testsuites name="a" onload="b"/>'),
        ("junit", "<testsuites><script/></testsuites>"),
        ("junit", '<testsuites name="&#x202e;"/>'),
        ("github", "::error title=a::b\n::set-env name=a::b"),
        ("github", "::error title=a,evil=b::c"),
        ("github", "::error title=a::\x1b[2J"),
        ("github", "::error title=a::##vso[b]"),
        (
            "gitlab",
            '[{"description": "\\u202e", "check_name": "a", "fingerprint": "a", "severity": "a"}]',
        ),
        ("markdown", "<script>a</script>"),
        ("markdown", "a <b>c</b>"),
        ("markdown", "[a](http://w.example)"),
        ("markdown", "![a](b.png)"),
        ("markdown", "see www.w.example"),
        ("markdown", "thanks @somebody"),
        ("markdown", "    code"),
        ("markdown", "> quoted"),
        ("markdown", "| a | b |\n|---|---|\n| c | d |"),
        ("html", "<html><b onclick='a()'>a</b></html>"),
        ("html", "<html><iframe></iframe></html>"),
        ("html", "<html><a href='javascript:a()'>a</a></html>"),
        ("html", "<html><p id='a b'>a</p></html>"),
        ("html", "<html><p>&#x202e;</p></html>"),
        ("html", "<html><p>\u00e9</p></html>"),
    ],
)
def test_a_report_with_a_name_as_it_is_is_found(name: str, text: str) -> None:
    assert found(name, text)


def sarif(message: str = "a", uri: str = "a.pth", markdown: str = "a") -> str:
    place = {"physicalLocation": {"artifactLocation": {"uri": uri}}}
    told = {"text": "a"}
    rule = {
        "shortDescription": told,
        "fullDescription": told,
        "help": {**told, "markdown": markdown},
    }
    run = {
        "tool": {"driver": {"rules": [rule]}},
        "results": [{"message": {"text": message}, "locations": [place]}],
        "invocations": [{"toolExecutionNotifications": []}],
    }
    return json.dumps({"runs": [run]})


def test_sarif_without_links_is_quiet() -> None:
    assert found("sarif", sarif()) == []


@pytest.mark.parametrize(
    "text",
    [
        sarif(message="[a](1)"),
        sarif(message="a {0}"),
        sarif(message="a\u202e"),
        sarif(uri="nginx:1.23/a"),
        sarif(uri="data/\xe4"),
        sarif(uri="a b"),
        sarif(uri="//w.example/a"),
        sarif(markdown="<img src=x>"),
        sarif(markdown="[a](http://w.example)"),
    ],
)
def test_sarif_with_a_name_as_it_is_is_found(text: str) -> None:
    assert found("sarif", text)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": NaN}'])
def test_json_that_readers_take_for_different_things_is_refused(text: str) -> None:
    with pytest.raises(AssertionError):
        inert.json_of(text)


def test_every_row_of_names_has_several() -> None:
    assert all(hostile.WORST.values())
    assert set(hostile.WORST) == set(hostile.PIECES)
    assert len(hostile.ALL) == len(set(hostile.ALL))
