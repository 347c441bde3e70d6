"""JSON is read strictly, and whatever document it is, its own rule is named."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Callable

import pytest

from ckpttool.comparison.diff import DiffOptions, diff_files
from ckpttool.files import strict_json
from ckpttool.files.sources import FileSource
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.finding import Finding
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from tests.builders import releases, shards
from tests.builders import torch_files as tf


def parse(path: Path, rule: rules.Rule = rules.RECEIPT) -> object:
    source = FileSource(str(path))
    try:
        return strict_json.strict_json(source, rule)
    finally:
        source.close()


def text(folder: Path, content: str) -> Path:
    path = folder / "document.json"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_document_is_read(tmp_path: Path) -> None:
    content = {"a": [1, 2.5, None, True], "é": {"b": "c"}}
    assert parse(text(tmp_path, json.dumps(content))) == content


@pytest.mark.parametrize(
    ("content", "word"),
    [
        pytest.param('{"a": NaN}', "NaN", id="nan"),
        pytest.param('{"a": %s}' % ("9" * 20), "64 bits", id="huge-number"),
        pytest.param('{"a": 1,}', "not valid JSON", id="trailing-comma"),
    ],
)
@pytest.mark.parametrize("rule", [rules.SHARD_INDEX, rules.RECEIPT, rules.CONFIG_MALFORMED])
def test_what_is_not_json_breaks_the_rule_of_the_document(
    tmp_path: Path, content: str, word: str, rule: rules.Rule
) -> None:
    with pytest.raises(MalformedError, match=word) as caught:
        parse(text(tmp_path, content), rule)
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("limit", "most", "content"),
    [
        ("MAX_JSON", 7, '{"a": 1}'),
        ("MAX_VALUES", 1, '{"a": 1}'),
        ("MAX_WIDE_JSON", 5, '{"é": 1}'),
        ("MAX_WIDE_JSON", 5, '{"\\u00e9": 1}'),
    ],
)
def test_more_than_any_real_document_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, content: str
) -> None:
    path = text(tmp_path, content)
    parse(path)
    monkeypatch.setattr(strict_json, limit, most)
    with pytest.raises(MalformedError) as caught:
        parse(path)
    assert caught.value.rule == rules.LIMIT


def diffed(folder: Path, name: str, content: str) -> tuple[Finding, ...]:
    good, bad = folder / "good.pth", folder / name
    good.write_bytes(tf.torch_zip())
    bad.write_text(content)
    return diff_files((str(good), str(bad)), DiffOptions()).right.findings


def of_index(folder: Path) -> tuple[Finding, ...]:
    return diffed(folder, shards.INDEX, '{"weight_map": {,}}')


def of_receipt(folder: Path) -> tuple[Finding, ...]:
    return diffed(folder, "receipt.json", '{"schema_version": 1, "tool": "ckpttool", NaN}')


def of_config(folder: Path) -> tuple[Finding, ...]:
    path = str(releases.release(folder, config='{"hidden_size": NaN}'))
    findings = verify_file(path, VerifyOptions(forward=False)).findings
    return tuple(one for one in findings if "NaN" in one.message)


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        pytest.param(of_index, "FIL401", id="index"),
        pytest.param(of_receipt, "FIL501", id="receipt"),
        pytest.param(of_config, "HUB003", id="config"),
    ],
)
def test_a_broken_document_is_called_what_it_is(
    tmp_path: Path, broken: Callable[[Path], tuple[Finding, ...]], code: str
) -> None:
    assert [finding.rule.code for finding in broken(tmp_path)] == [code]


def test_nobody_searches_for_garbage_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")
    seen = []
    monkeypatch.setattr(strict_json, "parsed", lambda *_: seen.append(gc.isenabled()))
    parse(path)
    assert (seen, gc.isenabled()) == ([False], True)
