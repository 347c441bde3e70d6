"""What a server answered in place of a file is said to be that, in the server's own words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ckpttool import open_checkpoint
from ckpttool.findings.errors import UnsupportedError
from ckpttool.findings.finding import Verdict
from ckpttool.formats.foreign.answers import SEARCHED, answer_in
from ckpttool.inspection.listing import inspect

LOGIN, WRONG, LATER, FETCH = "log in", "no file at that address", "again later", "download the file"

PAGES = {
    "title": (b"<!DOCTYPE html><title>Not found</title>", "'Not found'", WRONG),
    "a login": (b"<html><head><title>Sign in</title>", "'Sign in'", LOGIN),
    "google drive": (
        b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title>",
        "'Google Drive - Virus scan warning'",
        "gdown",
    ),
    "a quota": (b"<html><title>Google Drive - Quota exceeded</title>", "Quota", LATER),
    "a title in lines": (b"<html><title id='t'>\n One\n &amp; two </title>", "'One & two'", FETCH),
    "a title far below": (
        b"<!doctype HTML><head>" + b"<meta name='x'>" * 500 + b"<title>Far</title>",
        "'Far'",
        FETCH,
    ),
    "a byte-order mark": (b"\xef\xbb\xbf\r\n<html><title>A</title>", "'A'", FETCH),
    "a comment": (b"<!-- saved --><html><title>A</title>", "'A'", FETCH),
    "xhtml": (b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC><title>A</title>", "'A'", FETCH),
    "no title": (b"<html><body>hello", "not a checkpoint", FETCH),
    "an escape in the title": (b"<html><title>\x1b[2J</title>", r"\x1b[2J", FETCH),
}
ERRORS = {
    "s3": (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The key '
        b"does not exist.</Message><RequestId>A</RequestId></Error>",
        "NoSuchKey: The key does not exist.",
        WRONG,
    ),
    "gcs": (
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>",
        "AccessDenied: No.",
        LOGIN,
    ),
    "azure": (
        b"\xef\xbb\xbf<?xml version='1.0'?><Error><Code>BlobNotFound</Code></Error>",
        "(BlobNotFound)",
        WRONG,
    ),
    "slow down": (b"<Error><Code>SlowDown</Code></Error>", "(SlowDown)", LATER),
    "no code": (b"<Error></Error>", "in XML", FETCH),
}
INTERFACES = {
    "a text": ({"error": "Repository not found"}, "'Repository not found'", WRONG),
    "an object": ({"error": {"code": 401, "message": "Unauthorized"}}, "'Unauthorized'", LOGIN),
    "a list": ({"errors": [{"message": "Rate limit"}]}, "'Rate limit'", LATER),
    "github": ({"message": "Not Found", "documentation_url": "https://x"}, "'Not Found'", WRONG),
    "a detail": ({"detail": "Gated"}, "'Gated'", LOGIN),
    "a long text": ({"error": "x" * 500}, "xxx...'", FETCH),
}


def refused(folder: Path, data: bytes, name: str = "mae_pretrain_vit_base.pth") -> UnsupportedError:
    (folder / name).write_bytes(data)
    with pytest.raises(UnsupportedError) as caught:
        open_checkpoint(str(folder / name))
    return caught.value


@pytest.mark.parametrize(("data", "said", "fix"), PAGES.values(), ids=PAGES)
def test_a_page_is_told_with_its_title(tmp_path: Path, data: bytes, said: str, fix: str) -> None:
    error = refused(tmp_path, data)
    assert error.message.startswith("the file is an HTML page")
    assert said in error.message
    assert fix in (error.fix or "")


@pytest.mark.parametrize(("data", "said", "fix"), ERRORS.values(), ids=ERRORS)
def test_an_error_of_a_bucket_is_told_with_its_code(
    tmp_path: Path, data: bytes, said: str, fix: str
) -> None:
    error = refused(tmp_path, data)
    assert error.message.startswith("the file is an error in XML")
    assert said in error.message
    assert fix in (error.fix or "")


@pytest.mark.parametrize(("document", "said", "fix"), INTERFACES.values(), ids=INTERFACES)
@pytest.mark.parametrize("name", ["a.pth", "model.safetensors"])
def test_an_error_in_json_is_told_with_its_message(
    tmp_path: Path, document: object, said: str, fix: str, name: str
) -> None:
    error = refused(tmp_path, json.dumps(document).encode(), name)
    assert error.message.startswith("the file is an error in JSON")
    assert said in error.message
    assert fix in (error.fix or "")


@pytest.mark.parametrize(
    "document",
    [
        {"hidden_size": 768},
        {"error": 0.25},
        {"error": "mse", "hidden_size": 768},
        {"message": ""},
        {"error": [], "detail": None},
        {},
    ],
)
def test_other_json_is_no_answer(tmp_path: Path, document: object) -> None:
    error = refused(tmp_path, json.dumps(document).encode())
    assert "not an index of shards" in error.message


@pytest.mark.parametrize(
    "data", [b"<?xml version='1.0'?><svg/>", b"<Errors/>", b"<h1>x</h1>", b"epoch <html>"]
)
def test_other_text_is_no_answer(data: bytes) -> None:
    assert answer_in(data) is None


@pytest.mark.parametrize(
    ("data", "what", "found"),
    [
        (b" \n\t\n", "white space", None),
        (b"../../blobs/4665d7f4ffb5be9a", "symbolic link", "'../../blobs/4665d7f4ffb5be9a'"),
        (b"TODO: put the weights here\n", "a text file", "'TODO: put the weights here\\n'"),
        (b"see a/b and c/d", "a text file", "'see a/b and c/d'"),
        (bytes(600), "512 zero bytes", None),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1229000000\n",
            "a pointer of Git LFS",
            "the pointer to a file of 1.23 GB",
        ),
    ],
)
def test_a_stand_in_is_said_to_be_one(
    tmp_path: Path, data: bytes, what: str, found: str | None
) -> None:
    error = refused(tmp_path, data)
    assert what in error.message
    assert error.found == found


def test_the_verdict_is_that_nothing_can_be_told(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(PAGES["title"][0])
    assert inspect(str(tmp_path / "a.pth")).verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    "piece", [b" ", b"<!-- -->", b"<!--", b"<title>", b"<html><title>", b"\n<"]
)
def test_no_text_takes_long(piece: bytes) -> None:
    answer_in((piece * SEARCHED)[:SEARCHED])
