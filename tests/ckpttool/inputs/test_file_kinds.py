"""What a file is, by its content: whatever it is called, and whatever it pretends to be."""

from __future__ import annotations

import bz2
import gzip
import json
import pickle
import py_compile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ckpttool.inputs.file_kinds import Content, FileKind, content_of
from tests.builders import pickles as p
from tests.builders import safetensors as st
from tests.builders import torch_files as tf
from tests.builders import training

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def content(folder: Path, data: bytes, name: str = "file", trust: tuple[str, ...] = ()) -> Content:
    path = folder / name
    path.write_bytes(data)
    return content_of(str(path), trust)


def saved(folder: Path, what: Any, name: str = "file", *, as_zip: bool = True) -> Content:
    path = folder / name
    torch.save(what, path, _use_new_zipfile_serialization=as_zip)
    return content_of(str(path))


# --- checkpoints and what could be loaded as one --------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(tf.torch_zip(), id="zip"),
        pytest.param(tf.torch_legacy(), id="legacy"),
        pytest.param(st.file(), id="safetensors"),
        pytest.param(b'{"metadata": {}, "weight_map": {"a": "b"}}', id="index"),
        pytest.param(tf.torch_legacy()[:-40], id="a legacy stream that is cut short"),
        pytest.param(pickle.dumps({"w": np.ones(3)}), id="a pickle of arrays"),
        pytest.param(pickle.dumps({"w": np.ones(3)}, 0), id="a pickle of arrays, as text"),
        pytest.param(gzip.compress(pickle.dumps([1])), id="a compressed pickle"),
        pytest.param(gzip.compress(pickle.dumps([1], 0)), id="a compressed pickle, as text"),
        pytest.param(p.pickle(p.text("x"))[:-1], id="a pickle that is cut short"),
    ],
)
@pytest.mark.parametrize("name", ["file", "notes.txt", "x.pth", "config.json"])
def test_what_could_be_loaded_is_looked_at_whatever_it_is_called(
    tmp_path: Path, data: bytes, name: str
) -> None:
    assert content(tmp_path, data, name).kind is FileKind.CHECKPOINT


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("true",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("after", [b"", b"\nand then some words\n"])
@pytest.mark.parametrize("name", ["notes.txt", "tokenizer.json", "optimizer.pt", "README.md"])
def test_a_pickle_that_calls_code_is_looked_at(
    tmp_path: Path, protocol: int, after: bytes, name: str
) -> None:
    data = pickle.dumps({"state": {}, "param_groups": [{"params": [Attack()]}]}, protocol)
    assert content(tmp_path, data + after, name).kind is FileKind.CHECKPOINT


@pytest.mark.parametrize("as_zip", [True, False])
def test_training_state_that_calls_code_is_looked_at(tmp_path: Path, as_zip: bool) -> None:
    hidden = {"last_epoch": 1, "_step_count": Attack()}
    assert saved(tmp_path, hidden, "scheduler.pt", as_zip=as_zip).kind is FileKind.CHECKPOINT


def test_two_pickles_one_after_the_other_are_looked_at(tmp_path: Path) -> None:
    data = pickle.dumps(1) + pickle.dumps(Attack())
    assert content(tmp_path, data).kind is FileKind.CHECKPOINT


def test_what_is_called_a_checkpoint_is_one_to_look_at(tmp_path: Path) -> None:
    for data in (b"", b"a text", b"GGUF\3\0\0\0", b"{}", bytes(range(256))):
        assert content(tmp_path, data, "x.PTH").kind is FileKind.CHECKPOINT
    assert saved(tmp_path, {"epoch": 3}, "model.pth").kind is FileKind.CHECKPOINT


# --- training state -----------------------------------------------------------------------------


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("name", ["file", "optimizer.pt", "x.bin"])
@pytest.mark.parametrize("what", training.STATES)
def test_training_state_is_known(tmp_path: Path, what: str, name: str, as_zip: bool) -> None:
    found = saved(tmp_path, training.STATES[what](), name, as_zip=as_zip)
    assert found == Content(FileKind.TRAINING, what.strip())


def test_one_generator_alone_is_known_too(tmp_path: Path) -> None:
    assert saved(tmp_path, torch.get_rng_state(), "rng.pth").kind is FileKind.TRAINING


def test_the_arguments_of_a_trainer_are_known(tmp_path: Path) -> None:
    found = content(tmp_path, tf.torch_zip(training.arguments()), "training_args.bin")
    what = "arguments of a trainer (transformers.training_args.TrainingArguments)"
    assert found == Content(FileKind.TRAINING, what)


def test_arguments_of_a_class_of_ones_own_are_known_where_only_the_class_is_needed(
    tmp_path: Path,
) -> None:
    made = p.new(p.name("mytrainer.train", "ModelTrainingArguments"))
    data = tf.torch_zip(made + p.dict_of((p.text("lr"), p.integer(1))) + b"b")
    what = "arguments of a trainer (mytrainer.train.ModelTrainingArguments)"
    assert content(tmp_path, data) == Content(FileKind.TRAINING, what)
    called = p.call(p.name("mytrainer.train", "ModelTrainingArguments"), p.integer(1))
    assert content(tmp_path, tf.torch_zip(called)).kind is FileKind.CHECKPOINT


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(p.call(p.name("os", "system"), p.text("true")), id="an attack"),
        pytest.param(p.call(p.name("mylib", "f"), p.text("true")), id="unknown code"),
        pytest.param(p.call(p.name("transformers", "f"), p.text("x")), id="another of the library"),
        pytest.param(
            p.call(p.name("transformers.trainer_utils", "set_seed"), p.integer(1)), id="a function"
        ),
        pytest.param(
            p.call(p.name("transformers.training_args", "Path.unlink"), p.text("x")),
            id="what is reached through a class",
        ),
        pytest.param(
            p.call(p.name("transformers.training_args", "io.open"), p.text("x")),
            id="another library, reached through this one",
        ),
    ],
)
def test_arguments_that_call_more_than_the_library_does_are_looked_at(
    tmp_path: Path, call: bytes
) -> None:
    assert (
        content(tmp_path, tf.torch_zip(training.arguments(call)), "training_args.bin").kind
        is FileKind.CHECKPOINT
    )


@pytest.mark.parametrize("hidden", training.WEIGHTS.values(), ids=training.WEIGHTS)
def test_weights_do_not_pass_for_training_state(tmp_path: Path, hidden: object) -> None:
    assert saved(tmp_path, hidden, "optimizer.pt").kind is FileKind.CHECKPOINT


# --- what holds no weights ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty file"),
        (b"# A model\n\xc3\xa9\n", "text"),
        ("é".encode("latin-1") + b" text", "text"),
        ("(c) somebody".encode("utf-16"), "text"),
        (b"(c) 2024 somebody. Version 1.\nI am a text.", "text"),
        (b"cimport numpy\nimport os\n", "text"),
        (b"I0101 10:00:00 started", "text"),
        (b"config = {}", "text"),
        (b'{"a": 1}', "JSON"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image"),
        (b'{"shards": {"weight_map": 1}}', "JSON"),
        (b"\0\0\0\1Bud1\0\0", "settings of macOS"),
        (b"%PDF-1.4\n\x00\x01", "PDF"),
        (b"\x80\x01\x10\x17\0\0%!PS-AdobeFont\0", "font"),
        (b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02", "tokenizer of SentencePiece"),
        (
            b"\x18" + bytes(7) + b"abcd\x09" + bytes(8) + b"\x1a\rbrain.Event:2",
            "log of TensorBoard",
        ),
        (pickle.dumps({"a": 1}), "pickle of dict without a tensor"),
    ],
)
def test_what_holds_no_weights_is_known(tmp_path: Path, data: bytes, what: str) -> None:
    assert content(tmp_path, data) == Content(FileKind.KNOWN, what)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GGUF\3\0\0\0", id="GGUF"),
        pytest.param(b"\x89HDF\r\n\x1a\n\0", id="HDF5"),
        pytest.param(b"\x93NUMPY\1\0", id="numpy"),
        pytest.param(gzip.compress(b"x"), id="gzip"),
        pytest.param(gzip.compress(b"(c) somebody\n"), id="a compressed text"),
        pytest.param(bz2.compress(b"x"), id="bzip2"),
        pytest.param(np.linspace(-1, 1, 2000, dtype="<f4").tobytes(), id="bare floats"),
        pytest.param(
            pickle.dumps({"w": [[0.5] * 100] * 3 + [0.5] * 9_999}), id="a pickle of floats"
        ),
        pytest.param(pickle.dumps({"w": np.ones(9999).tobytes()}), id="a pickle of bytes"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\noid sha256:0", id="LFS"),
        pytest.param(b"\xff\xfe" + np.ones(500, "<f4").tobytes(), id="floats with a text's mark"),
        pytest.param(
            b"ply\nformat binary\n" * 500_000 + np.linspace(-1, 1, 99, dtype="<f4").tobytes(),
            id="floats behind a text",
        ),
        pytest.param(
            "words\n".encode("utf-16") * 99_999 + np.ones(500, "<f4").tobytes(),
            id="floats behind a text in UTF-16",
        ),
    ],
)
def test_what_could_hold_weights_is_never_called_known(tmp_path: Path, data: bytes) -> None:
    assert content(tmp_path, data).kind is FileKind.WEIGHTY


def test_a_zip_archive_is_one_until_it_is_opened(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.docx", "w") as archive:
        archive.writestr("a.txt", "a")
    assert content_of(str(tmp_path / "x.docx")).kind is FileKind.ARCHIVE


def test_a_program_is_looked_at_and_no_archive_of_something_else(tmp_path: Path) -> None:
    program = tf.torch_zip(members={"constants.pkl": b"N.", "code/a.py": b""})
    assert content(tmp_path, program).kind is FileKind.CHECKPOINT


def test_source_text_is_not_judged(tmp_path: Path) -> None:
    assert content(tmp_path, b"import os", "modeling.py").kind is FileKind.CODE
    (tmp_path / "a.py").write_text("x = 1")
    compiled = Path(str(py_compile.compile(str(tmp_path / "a.py"), str(tmp_path / "a.pyc"))))
    assert content(tmp_path, compiled.read_bytes()).kind is FileKind.CODE


def test_a_large_text_and_a_large_document_are_known(tmp_path: Path) -> None:
    tokens = {str(number): number for number in range(200_000)}
    assert content(tmp_path, json.dumps(tokens).encode()).what == "JSON"
    assert content(tmp_path, b"words\n" * 500_000).what == "text"
    assert content(tmp_path, ("words\n" * 700_000 + "é").encode("utf-16")).what == "text"
