"""The caller's rules: what each does to names and rows, and when it cannot be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.conversion import convert as converting
from ckpttool.conversion.renaming.rows import unequal_rows
from ckpttool.conversion.renaming.rules import Kind, Rule, Rules, apply, check
from ckpttool.conversion.result import Conversion, Rows
from ckpttool.findings.errors import UsageError
from tests.builders.models import in_memory

#: Two blocks whose query, key and value are apart; every number in it is another.
SPLIT = {
    f"net.{n}.{part}": torch.arange(6).reshape(2, 3).float() + 100 * n + 10 * place
    for n in range(2)
    for place, part in enumerate("qkv")
}
QKV = Rule(Kind.JOIN, ("net.{n}.q", "net.{n}.k", "net.{n}.v"), ("net.{n}.qkv",))


def rename(before: str, after: str) -> Rule:
    return Rule(Kind.RENAME, (before,), (after,))


def names(
    state: dict[str, torch.Tensor], *rules: Rule, prefixes: tuple[str, ...] = ()
) -> list[str]:
    return list(apply(in_memory(state), Rules(prefixes, rules))[0].tensors)


def elements(state: dict[str, torch.Tensor], *rules: Rule) -> dict[str, np.ndarray]:
    naming, _ = apply(in_memory(state), Rules((), rules))
    assert unequal_rows(in_memory(state), naming) is None
    return {name: info.numpy() for name, info in naming.tensors.items()}


def three(*keys: str) -> dict[str, torch.Tensor]:
    return {key: torch.full((2, 2), float(place)) for place, key in enumerate(keys)}


def test_without_rules_every_tensor_keeps_its_name() -> None:
    assert names(SPLIT) == list(SPLIT)


@pytest.mark.parametrize(
    ("prefixes", "found"),
    [
        pytest.param(("a.",), ["b.x", "c"], id="one"),
        pytest.param(("a.", "b."), ["x", "c"], id="one after the other"),
    ],
)
def test_prefixes_are_cut_in_their_order(prefixes: tuple[str, ...], found: list[str]) -> None:
    assert names(three("a.b.x", "c"), prefixes=prefixes) == found


def test_of_several_rules_the_first_counts() -> None:
    rules = rename("head.*", "top.*"), rename("*.w", "*.weight")
    assert names(three("head.w", "body.w"), *rules) == ["top.w", "body.weight"]


def test_parts_become_one_tensor_and_one_becomes_parts_again() -> None:
    naming, given = apply(in_memory(SPLIT), Rules((), (QKV,)))
    assert list(naming.tensors) == ["net.0.qkv", "net.1.qkv"] == sorted(given)
    assert naming.rows["net.1.qkv"] == tuple(Rows(f"net.1.{part}", 0, 2) for part in "qkv")
    joined = naming.tensors["net.1.qkv"].numpy()
    np.testing.assert_array_equal(joined, np.concatenate([SPLIT[f"net.1.{p}"] for p in "qkv"]))
    apart = Rule(Kind.SPLIT, QKV.after, QKV.before)
    back, _ = apply(naming.tensors, Rules((), (apart,)))
    assert list(back.tensors) == list(SPLIT)
    assert back.rows["net.0.k"] == (Rows("net.0.qkv", 2, 4),)
    for name, info in back.tensors.items():
        np.testing.assert_array_equal(info.numpy(), SPLIT[name])


@pytest.mark.parametrize("shape", [(3, 2), (1, 5), (700, 300)])
def test_a_matrix_is_transposed_and_back(shape: tuple[int, int]) -> None:
    state = {"w": torch.arange(shape[0] * shape[1]).reshape(shape).float()}
    turned = elements(state, Rule(Kind.TRANSPOSE, ("w",), ("w",)))
    np.testing.assert_array_equal(turned["w"], state["w"].T)
    again = {"w": torch.tensor(turned["w"].copy())}
    back = elements(again, Rule(Kind.TRANSPOSE, ("w",), ("w",)))
    np.testing.assert_array_equal(back["w"], state["w"])


def refused(state: dict[str, torch.Tensor], *rules: Rule, prefixes: tuple[str, ...] = ()) -> str:
    with pytest.raises(UsageError) as caught:
        apply(in_memory(state), Rules(prefixes, rules))
    return caught.value.detail()


def test_two_tensors_of_one_name_are_refused_with_both_named() -> None:
    told = refused(three("a.w", "b.w"), rename("a.*", "*"), rename("b.*", "*"))
    assert "the name w" in told
    assert "a.w" in told
    assert "b.w" in told


def test_a_name_that_is_there_without_the_prefix_is_refused_with_both_named() -> None:
    told = refused(three("net.w", "w"), prefixes=("net.",))
    assert "net.w, and w" in told


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        pytest.param([rename("a.*", "*.*")], "same wildcards", id="wildcards"),
        pytest.param([rename("c.*", "*")], "matches c.*", id="nothing matches"),
        pytest.param([rename("*", "x.*"), rename("a.*", "*")], "earlier rule", id="too late"),
        pytest.param(
            [Rule(Kind.JOIN, ("a.{n}.w", "b.{n}.w"), ("{n}.w",))], "matches a.{n}", id="no parts"
        ),
        pytest.param([Rule(Kind.JOIN, ("a.*", "b.*"), ("*",))], "differ in shape", id="shapes"),
        pytest.param([Rule(Kind.SPLIT, ("a.*",), ("*.0", "*.1", "*.2"))], "3 equal", id="thirds"),
        pytest.param([Rule(Kind.TRANSPOSE, ("b.*",), ("*",))], "only a matrix", id="a vector"),
    ],
)
def test_what_cannot_be_done_is_said(rules: list[Rule], told: str) -> None:
    assert told in refused({"a.w": torch.zeros(2, 2), "b.w": torch.zeros(3)}, *rules)


def test_a_join_that_lacks_a_part_is_refused() -> None:
    state = {name: tensor for name, tensor in SPLIT.items() if name != "net.1.k"}
    told = refused(state, QKV)
    assert "net.1.qkv cannot be joined: there is no net.1.k" in told


def test_a_prefix_that_no_name_has_is_refused() -> None:
    assert "begins with b." in refused(three("a.w"), prefixes=("a.", "b."))
    assert "begins with a." in refused(three("a.w"), prefixes=("a.", "a."))
    assert names(three("a.a.w"), prefixes=("a.", "a.")) == ["w"]


def test_a_prefix_of_nothing_is_refused() -> None:
    check(Rules(("a.",), ()))
    with pytest.raises(UsageError, match="the prefix to strip is empty"):
        check(Rules(("a.", ""), ()))


def convert(folder: Path, state: dict[str, torch.Tensor], **options: Any) -> Conversion:
    torch.save(state, folder / "a.pth")
    return converting.convert(
        folder / "a.pth", folder / "a.safetensors", to="safetensors", sync=False, **options
    )


def test_a_conversion_follows_the_rules_and_lists_the_map(tmp_path: Path) -> None:
    done = convert(tmp_path, three("net.a", "net.b", "c"), strip_prefix="net.", rename={"a": "x"})
    assert done.state == "written"
    with open_checkpoint(str(tmp_path / "a.safetensors")) as checkpoint:
        assert list(checkpoint) == ["x", "b", "c"]
        assert checkpoint["b"].numpy()[0, 0] == 1
    assert done.map == {"x": (Rows("net.a", 0, 2),), "b": (Rows("net.b", 0, 2),)}


def test_a_conversion_to_one_name_writes_nothing(tmp_path: Path) -> None:
    done = convert(tmp_path, three("net.a", "a"), strip_prefix="net.")
    assert (done.state, done.exit_code) == ("not-written", 2)
    assert not (tmp_path / "a.safetensors").exists()


def test_a_large_matrix_is_transposed_block_by_block(tmp_path: Path) -> None:
    state = {"w": torch.randn(1500, 1100)}
    (tmp_path / "rules.toml").write_text('[[transpose]]\nfrom = "w"\nto = "w.t"\n')
    done = convert(tmp_path, state, rename_file=tmp_path / "rules.toml", fingerprint=True)
    assert done.state == "written"
    assert done.map == {"w.t": (Rows("w", 0, 1500, transposed=True),)}
    assert done.file.fingerprint != done.fingerprint  # of other names, and other elements
    with open_checkpoint(str(tmp_path / "a.safetensors")) as checkpoint:
        np.testing.assert_array_equal(checkpoint["w.t"].numpy(), state["w"].T)
