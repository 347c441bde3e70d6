"""Sizes, options that do not go together, and what the results are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckpttool.conversion.convert import destinations
from ckpttool.conversion.naming import destination, index_path, shard_paths
from ckpttool.conversion.options import ConvertOptions, check, parse_size
from ckpttool.findings.errors import UsageError

SAFETENSORS = ConvertOptions("safetensors")


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        pytest.param("5GB", 5_000_000_000, id="decimal"),
        pytest.param("5gb", 5_000_000_000, id="small letters"),
        pytest.param("1.5 MB", 1_500_000, id="fraction and space"),
        pytest.param("20kB", 20_000, id="kilobytes"),
        pytest.param("7B", 7, id="bytes"),
        pytest.param("4GiB", 4 * 1024**3, id="binary"),
        pytest.param("1.5 MiB", 3 * 512 * 1024, id="binary fraction"),
        pytest.param("2TB", 2_000_000_000_000, id="terabytes"),
    ],
)
def test_a_size_is_in_the_unit_that_it_names(text: str, nbytes: int) -> None:
    assert parse_size(text) == nbytes


@pytest.mark.parametrize(
    "text", ["", "GB", "-5GB", "0B", "0.0001B", "5iB", "1e9", "5 G B", "\u0665GB"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "meant"), [("5", "5GB"), ("1.5", "1.5GB"), ("20k", "20KB"), ("4gi", "4GiB")]
)
def test_a_size_without_a_unit_is_refused(text: str, meant: str) -> None:
    with pytest.raises(UsageError, match="has no unit") as caught:
        parse_size(text)
    assert caught.value.fix == f"Did you mean {meant}?"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(ConvertOptions("onnx"), "no such target", id="target"),
        pytest.param(ConvertOptions("pth", dtype="int8"), "no such dtype", id="dtype"),
        pytest.param(ConvertOptions("pth", max_shard_size=1), "max_shard_size", id="shards"),
        pytest.param(ConvertOptions("pth", metadata=(("a", "b"),)), "metadata", id="metadata"),
        pytest.param(ConvertOptions("pth", keep_aliases=True), "keep_aliases", id="aliases"),
        pytest.param(ConvertOptions("pth", workers=0), "worker", id="workers"),
        pytest.param(
            SAFETENSORS._replace(keep=("a",), keep_aliases=True), "contradict each other", id="keep"
        ),
        pytest.param(
            SAFETENSORS._replace(metadata=(("a", "\ud800"),)), "is not valid text", id="half a pair"
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: ConvertOptions, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check(options)


@pytest.mark.parametrize(
    ("source", "name"),
    [("run/.metadata", "run.safetensors"), ("a/run/.metadata", "a/run.safetensors")],
)
def test_the_result_of_a_folder_lies_beside_it(source: str, name: str) -> None:
    assert destination(source, SAFETENSORS) == name


def test_a_name_that_says_another_format_is_refused() -> None:
    options = SAFETENSORS._replace(output="out/model.pth")
    with pytest.raises(UsageError, match="says torch, but it would hold safetensors"):
        destination("a.pth", options)
    assert destination("a.pth", options._replace(to="pth")) == "out/model.pth"


@pytest.mark.parametrize(
    ("source", "to", "name"),
    [
        pytest.param("model.pth", "safetensors", "model.safetensors", id="another suffix"),
        pytest.param("model.bin", "pth", "model.pth", id="another suffix of torch"),
        pytest.param("model.pth", "pth", "model.clean.pth", id="pth to pth"),
        pytest.param("model.safetensors", "safetensors", "model.clean.safetensors", id="again"),
        pytest.param(
            "model.safetensors.index.json", "safetensors", "model.clean.safetensors", id="shards"
        ),
    ],
)
def test_the_name_follows_from_the_source(source: str, to: str, name: str) -> None:
    assert destination(f"folder/{source}", ConvertOptions(to)) == str(Path("folder") / name)


def test_a_folder_takes_the_result_under_its_own_name(tmp_path: Path) -> None:
    assert destination("model.pth", ConvertOptions("pth", str(tmp_path))) == str(
        tmp_path / "model.pth"
    )


@pytest.mark.parametrize(
    ("output", "told"),
    [
        pytest.param("-", "pipe", id="standard output"),
        pytest.param("no/such/folder/", "no such folder", id="a folder that is missing"),
        pytest.param("model.pth", "says torch", id="the suffix of another target"),
        pytest.param("model.BIN", "says torch", id="another suffix of it"),
        pytest.param("model.pth.tar", "says torch", id="a suffix of two parts"),
        pytest.param("model.gguf", "says GGUF", id="a format that is not written"),
        pytest.param("model.tar", "says an archive", id="an archive"),
        pytest.param("model.json", "says text", id="a document"),
    ],
)
def test_outputs_that_cannot_be_meant_are_refused(output: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        destination("model.pt", ConvertOptions("safetensors", output))


@pytest.mark.parametrize(
    ("to", "output"),
    [("safetensors", "model"), ("safetensors", "a.v2"), ("pth", "a.bin"), ("pth", "A.CKPT")],
)
def test_a_name_that_promises_nothing_else_is_taken(to: str, output: str) -> None:
    assert destination("model.pt", ConvertOptions(to, output)) == output


def test_a_batch_may_hold_what_becomes_another_name() -> None:
    paths = ["a.pth", "b.safetensors"]
    assert destinations(paths, SAFETENSORS) == ["a.safetensors", "b.clean.safetensors"]


def test_shards_are_numbered_as_the_hub_does() -> None:
    assert shard_paths("x/model.safetensors", 2, ".safetensors") == [
        "x/model-00001-of-00002.safetensors",
        "x/model-00002-of-00002.safetensors",
    ]
    assert index_path("x/model.safetensors", ".safetensors") == "x/model.safetensors.index.json"
    assert index_path("x/weights", ".safetensors") == "x/weights.safetensors.index.json"


@pytest.mark.parametrize(
    ("paths", "options", "told"),
    [
        pytest.param(["-"], SAFETENSORS, "pipe", id="standard input"),
        pytest.param(["a.pth", "a.pt"], SAFETENSORS, "same name", id="two of one name"),
        pytest.param(["a.pth", "x/../a.pt"], SAFETENSORS, "same name", id="two spellings"),
        pytest.param(
            ["a.pth", "a.safetensors"], SAFETENSORS, "be replaced", id="a source that is a result"
        ),
        pytest.param(
            ["./a.safetensors", "a.pth"],
            SAFETENSORS,
            "be replaced",
            id="a source, otherwise spelled",
        ),
        pytest.param(["a.pt", "b.pt"], SAFETENSORS._replace(output="c"), "folder", id="one file"),
        pytest.param(["a", "b"], SAFETENSORS._replace(sidecar="s"), "--sidecar", id="sidecar"),
        pytest.param(["a", "b"], SAFETENSORS._replace(receipt="r"), "--receipt", id="receipt"),
    ],
)
def test_a_batch_that_cannot_be_meant_is_refused(
    paths: list[str], options: ConvertOptions, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        destinations(paths, options)


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        pytest.param(["a.pth", "link.pth"], "be replaced", id="a link to a result"),
        pytest.param(["a.pth", "here/a.pt"], "same name", id="one folder by two names"),
        pytest.param(["a.pth", "here/a.safetensors"], "be replaced", id="a result by another name"),
    ],
)
def test_links_do_not_hide_what_a_batch_would_replace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.pth").symlink_to("a.safetensors")
    (tmp_path / "here").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(UsageError, match=told):
        destinations(paths, SAFETENSORS)


@pytest.mark.parametrize("name", ["x.bin", "x.PT", "x.ckpt", "x.pth.tar", "x.pth"])
def test_safetensors_under_a_name_of_torch_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="it would hold safetensors"):
        destination("model.pth", ConvertOptions("safetensors", name))
    assert destination("model.safetensors", ConvertOptions("pth", name)) == name


def test_a_name_that_says_nothing_is_free() -> None:
    assert destination("model.pth", ConvertOptions("safetensors", "x.weights")) == "x.weights"
