from __future__ import annotations

import argparse
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import torch

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding
from ckpttool.formats import open_checkpoint
from ckpttool.verification.checks import private
from ckpttool.verification.checks.private import check_private_text
from tests.builders import evidence as built

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def findings(folder: Path, value: object, key: str = "args") -> list[Finding]:
    """The findings on a file that has ``value`` beside its weights."""
    path = folder / "w.pth"
    torch.save({"model": {"w": torch.ones(2)}, key: value}, path)
    with open_checkpoint(str(path)) as checkpoint:
        evidence = built.evidence(built.trained())._replace(checkpoint=checkpoint)
        return list(check_private_text(evidence))


@pytest.mark.parametrize(
    "value",
    [
        "/home/alice",
        "/home/alice/runs/7",
        "/Users/alice/mae",
        "C:\\Users\\Alice\\mae",
        "D:/data/imagenet",
        "/root",
        "/checkpoint/alice/mae",
        "--data=/datasets01/imagenet",
        "file:///home/alice/x",
        "['/mnt/disk1/a']",
        PurePosixPath("/home/alice"),
        "/proj/lab/alice/x",
        "/nvme0/alice",
        "see https://example.com and /home/alice/x",
        {"output_dir": "/odd/place"},
        {"resume": "/odd/place/last"},
        {"paths": ["/odd/place"]},
        "/odd/place/last.pth",
        "/odd/place/config.yaml",
        {"deep": [({"x": "/home/alice"},)]},
        {"/home/alice/x.jpg": 1},
        argparse.Namespace(inner=argparse.Namespace(out="/home/alice")),
    ],
    ids=repr,
)
def test_a_path_of_a_machine_is_found(tmp_path: Path, value: object) -> None:
    assert [found.rule for found in findings(tmp_path, value)] == [rules.PRIVATE_PATH]


@pytest.mark.parametrize(
    "value",
    [
        "/usr/lib/python3",
        "/dev/shm",
        "/tmp/x",
        "https://example.com/home/alice",
        "https://example.com/?next=/data/images",
        "s3://bucket/data/alice",
        "InChI=1S/C9H8O4/c1-6(10)13-8-5-3-2-4-7(8)9(11)12/h2-5H,1H3,(H,11,12)",
        "InChI=1S/C3H7NO2/c1-2(4)3(5)6/h2H,4H2,1H3,(H,5,6)/t2-/m0/s1",
        "F/C=C/F",
        "C(/N/C)(/C/C)",
        "/encoder/layer.0/attention/MatMul",
        "/encoder/layer.0/dense/weight",
        "/v1/models/mae",
        "(1)/t5-/m1/s1",
        {"name": "/model/embed_tokens/weight"},
        "env://",
        "tcp://10.0.0.1:4455",
        "runs/alice/mae",
        "../home/alice",
        "and/or",
        "50/50",
        "12:/a",
        "a: b",
        "/",
        "",
        7,
        None,
    ],
    ids=repr,
)
def test_what_tells_of_no_machine_is_quiet(tmp_path: Path, value: object) -> None:
    assert findings(tmp_path, value) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("url", "https://alice:hunter2@example.com/x"),
        ("text", "token hf_" + "a" * 34),
        ("text", "ghp_" + "a" * 36),
        ("text", "AKIA" + "A" * 16),
        ("text", "-----BEGIN RSA PRIVATE KEY-----\nMII"),
        ("password", "hunter22"),
        ("wandb_api_key", "0123456789abcdef"),
        ("hub_token", "abcdefghijk"),
    ],
)
def test_a_credential_is_found_and_not_shown(tmp_path: Path, key: str, value: str) -> None:
    (found,) = findings(tmp_path, {key: value})
    assert found.rule is rules.CREDENTIAL
    assert f"args.{key} = " in found.message
    assert value not in found.message
    assert "hunter2" not in found.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cls_token", "[CLS] and more"),
        ("tokenizer", "bert-base-uncased"),
        ("password", ""),
        ("password", "short"),
        ("api_key", "take it from the environment"),
        ("url", "https://example.com/a:b@c"),
        ("git", "git@github.com:alice/mae.git"),
        ("risk", "risk-adjusted-learning-rate-schedule"),
    ],
)
def test_what_is_no_credential_is_quiet(tmp_path: Path, key: str, value: str) -> None:
    assert findings(tmp_path, {key: value}) == []


def test_every_key_is_named_with_its_value_up_to_a_number(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, {f"p{n}": f"/home/alice/{n}{'x' * 100}" for n in range(12)})
    assert "args.p0 = '/home/alice/0xxxx" in found.message
    assert found.message.endswith("and 2 more")
    assert "x" * 90 not in found.message


def test_the_strings_of_a_safetensors_header_are_searched() -> None:
    evidence = built.evidence(built.trained())
    evidence.checkpoint.metadata["source"] = "/home/alice/w.pth"
    (found,) = check_private_text(evidence)
    assert "source = '/home/alice/w.pth'" in found.message


def test_what_was_not_searched_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "MAX_SEARCHED", 100)
    values: Any = ["harmless " * 5, "/home/alice/first", "x" * 99, "/home/alice/last"]
    first, rest = findings(tmp_path, values)
    assert (first.rule, rest.severity) == (rules.PRIVATE_PATH, rules.Severity.NOTE)
    assert "last" not in first.message
    assert "first 100 characters" in rest.message
