"""What names code is told from paths, and its arguments are read as literals."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Tuple

import pytest

from ckpttool.findings.errors import UsageError
from ckpttool.models.code.calls import call_in, names_code


@pytest.mark.parametrize(
    "text",
    [
        "models:build",
        "my.models:build",
        "my.models:Net.small",
        "my.models:build()",
        "my.models:build(depth=3, name='a:b')",
        "my.models:build(depth=",
    ],
)
def test_what_has_a_module_a_colon_and_a_name_is_code(text: str) -> None:
    assert names_code(text)


@pytest.mark.parametrize(
    "text",
    [
        "model.pth",
        "folder/model.pth",
        r"C:\models\x.pth",
        "C:/models/x.pth",
        "s3://bucket/x.pth",
        "my.models:",
        ":build",
        "my-models:build",
        "my..models:build",
        "12:30",
        "a:b:c",
        "a\0:b/c",
        "",
    ],
)
def test_a_path_is_no_code(text: str) -> None:
    assert not names_code(text)


def test_a_file_that_is_there_is_a_file_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.models:build").write_text("")
    assert names_code("my.models:build")
    assert not names_code("my.models:build", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert not names_code("my.models:build")
    assert names_code("x" * 10_000 + ":y")


@pytest.mark.parametrize(
    ("text", "arguments", "keywords"),
    [
        ("m:f", (), {}),
        ("m:f()", (), {}),
        ("m:f( 3 , 'x')", (3, "x"), {}),
        (
            "m:f(a=-1, b=[1, (2, None)], c={'k': True}, d=1e-6)",
            (),
            {"a": -1, "b": [1, (2, None)], "c": {"k": True}, "d": 1e-6},
        ),
    ],
)
def test_arguments_are_literals(
    text: str, arguments: Tuple[Any, ...], keywords: Dict[str, Any]
) -> None:
    call = call_in(text)
    assert (call.module, call.name, call.text) == ("m", "f", "m:f")
    assert (call.arguments, call.keywords) == (arguments, keywords)


@pytest.mark.parametrize(
    "text",
    [
        "m:f(open('x'))",
        "m:f(a=b)",
        "m:f(a=__import__('os'))",
        "m:f(*[1])",
        "m:f(**{})",
        "m:f(a=1, a=2)",
        "m:f(",
        "m:f()()",
        "m:f(a=1)[0]",
        "m:f(a={[]: 1})",
        "m:f(a=" + "(" * 5_000 + ")" * 5_000 + ")",
        "m:f(a=" + "-" * 9_000 + "1)",
        "m:f(a='" + "x" * 10_000 + "')",
        "no code",
    ],
)
def test_whatever_else_is_refused_and_not_run(text: str) -> None:
    with pytest.raises(UsageError):
        call_in(text)
