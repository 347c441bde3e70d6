"""A lock file is sorted text, one tensor a line, and is read back as it was written."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ckpttool.verification.lock.reading import is_lock, parse
from ckpttool.verification.lock.writing import render
from tests.builders import locks as built


def test_the_text_is_what_is_documented() -> None:
    assert render([built.checkpoint()]).split("\n") == [
        "# ckpttool lock file; `ckpttool lock` writes it. Commit it beside the code.",
        "lock 1",
        "",
        "checkpoint weights.pth",
        f"fingerprint {built.checkpoint().fingerprint}",
        "schema tiny",
        f"file weights.pth 1234 {'cd' * 32}",
        "forward encoder",
        "kept 0 3 5 9",
        "output features [2,5,16] 0.25 1 -3 3",
        "projection features 0.5 -1.5",
        "rounding 1e-06",
        "tolerance 0.001",
        "control swap-blocks 1 counts",
        "control layernorm-eps-1e-12 2e-06 does-not-count",
        "tensors 2",
        f"tensor norm.weight float32 [2,3] {'ef' * 32}",
        f"tensor scale float32 [] {'ef' * 32}",
        "",
    ]


def test_what_is_written_is_read_back() -> None:
    first, second = built.checkpoint("a.pth"), built.checkpoint("b.pth", "x")
    lock = parse(render([second, first]), "ckpttool.lock")
    assert lock.path == "ckpttool.lock"
    assert [one._replace(lines={}) for one in lock.checkpoints] == [first, second]


def test_a_tensor_is_found_again_on_its_line() -> None:
    text = render([built.checkpoint()])
    (locked,) = parse(text, "x").checkpoints
    for name, line in locked.lines.items():
        assert text.split("\n")[line - 1].startswith(f"tensor {name} ")


def test_a_model_that_is_described_by_its_sizes_is_read_back() -> None:
    described = built.checkpoint()._replace(schema="ViT-B/16 MAE at 448 px, decoder 4 x 256")
    assert parse(render([described]), "x").checkpoints[0].schema == described.schema


def test_without_a_forward_pass_nothing_is_said_of_one() -> None:
    alone = built.checkpoint()._replace(forward=None)
    assert "forward" not in render([alone])
    assert parse(render([alone]), "x").checkpoints[0].forward is None


def test_a_tolerance_that_there_is_not_is_read_back_as_none() -> None:
    blind = built.checkpoint()._replace(forward=built.forward(None))
    assert parse(render([blind]), "x").checkpoints[0].forward == built.forward(None)


@given(st.text(min_size=1, max_size=12))
@example('a"b')
@example('a"')
@example("#")
@example("\\")
@example("a::b##vso[c]")
def test_any_name_survives_and_the_text_is_ascii(name: str) -> None:
    assume(PurePosixPath(name).parts and not {"/", "//", ".."} & {*PurePosixPath(name).parts})
    text = render([built.checkpoint(name, name)])
    (locked,) = parse(text, "x").checkpoints
    assert (locked.name, list(locked.tensors)) == (name, [name])
    assert text.isascii()
    assert text.count("\n") == render([built.checkpoint("a", "a")]).count("\n")
    assert not {"::", "##vso["} & {
        text[at : at + size] for at in range(len(text)) for size in (2, 6)
    }


@pytest.mark.parametrize("name", ["two words", "a\nb", 'a"b', "::error::", "##vso[a]"])
def test_an_output_of_any_name_survives(name: str) -> None:
    forward = built.forward()._replace(outputs={name: built.output()})
    text = render([built.checkpoint()._replace(forward=forward)])
    assert parse(text, "x").checkpoints[0].forward == forward


@pytest.mark.parametrize(
    ("head", "whether"),
    [(b"# ckpttool lock file; `ckpttool lock` writes it. Commit it beside", False), (b"{}", False)],
)
def test_what_is_no_lock_file_is_not_taken_for_one(head: bytes, whether: bool) -> None:
    assert is_lock(head) is whether
    assert is_lock(render([built.checkpoint()]).encode())
