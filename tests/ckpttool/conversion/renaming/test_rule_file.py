"""A file of rules says what the options say, and joins, splits and transposes too."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from ckpttool.conversion.options import rules_of
from ckpttool.conversion.renaming.rule_file import read_rules
from ckpttool.conversion.renaming.rules import Kind, Rule, Rules
from ckpttool.findings.errors import UsageError

EVERYTHING = """
strip-prefix = ["module."]

[[rename]]
from = "net.*"
to = "*"

[[join]]
from = ["q", "k", "v"]
to = "qkv"

[[split]]
from = "kv"
to = ["k", "v"]

[[transpose]]
from = "w"
to = "w"
"""


def test_every_kind_is_read_and_renames_come_last(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(EVERYTHING)
    assert read_rules(str(tmp_path / "rules.toml")) == Rules(
        ("module.",),
        (
            Rule(Kind.JOIN, ("q", "k", "v"), ("qkv",)),
            Rule(Kind.SPLIT, ("kv",), ("k", "v")),
            Rule(Kind.TRANSPOSE, ("w",), ("w",)),
            Rule(Kind.RENAME, ("net.*",), ("*",)),
        ),
    )


def test_options_come_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(EVERYTHING)
    rules = rules_of("a.", {"x": "y"}, tmp_path / "rules.toml")
    assert rules.prefixes == ("a.", "module.")
    assert rules.rules[0] == Rule(Kind.RENAME, ("x",), ("y",))
    assert len(rules.rules) == 5


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param("[[rename]", "not valid TOML", id="no TOML"),
        pytest.param("[[renames]]", "does not exist", id="another key"),
        pytest.param("[rename]\nfrom = 'a'", "Write \\[\\[rename\\]\\]", id="no list"),
        pytest.param("[[rename]]\nfrom = 'a'", "rename 1 needs from and to", id="one side"),
        pytest.param("[[rename]]\nfrom = 'a'\nto = 3", "to of rename 1 is not a name", id="number"),
        pytest.param("[[rename]]\nfrom = ['a']\nto = 'b'", "not a name", id="a list for a name"),
        pytest.param("[[join]]\nfrom = 'a'\nto = 'b'", "not a list", id="a name for a list"),
        pytest.param("[[join]]\nfrom = ['a']\nto = 'b'", "one part", id="a join of one"),
        pytest.param("strip-prefix = 'a.'", "not a list", id="a prefix alone"),
        pytest.param("[[split]]\nfrom = 'a'\nto = ['b', '']", "not a name", id="an empty name"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(content)
    with pytest.raises(UsageError, match=told) as caught:
        read_rules(str(path))
    assert caught.value.path == str(path)


def test_a_file_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file of rules"):
        read_rules(str(tmp_path / "rules.toml"))


def test_a_file_that_may_not_be_read_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_path: Path) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "rules.toml").write_text(EVERYTHING)
    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(UsageError, match="cannot be read: Permission denied"):
        read_rules(str(tmp_path / "rules.toml"))


def test_a_checkpoint_is_no_file_of_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_bytes(bytes(2 << 20))
    with pytest.raises(UsageError, match="too large"):
        read_rules(str(tmp_path / "rules.toml"))
