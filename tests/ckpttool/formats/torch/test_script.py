"""A TorchScript program gives what ``torch.jit.load(path).state_dict()`` has, and is not judged."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Callable

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.conversion.convert import convert
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.findings.finding import Verdict
from ckpttool.formats.archives.archive import read_archive, read_member
from ckpttool.formats.pickles import parse
from ckpttool.formats.pickles.nodes import Dict
from ckpttool.formats.torch.zip import content_of
from ckpttool.inspection.listing import inspect
from ckpttool.tensors.catalogue import Checkpoint
from tests.builders import modules as built
from tests.builders import pickles as p
from tests.builders import scripts
from tests.builders import torch_files as tf
from tests.builders.commands import invoke
from tests.builders.memory import MemorySource

pytestmark = pytest.mark.filterwarnings("ignore::")

Programs = Callable[[torch.nn.Module, torch.Tensor], torch.jit.ScriptModule]


def traced(module: torch.nn.Module, example: torch.Tensor) -> torch.jit.ScriptModule:
    made: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
        module.eval(), example
    )
    return made


def scripted(module: torch.nn.Module, _: torch.Tensor) -> torch.jit.ScriptModule:
    return scripts.script(module)


def loaded(path: str) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.jit.load(path).state_dict()  # type: ignore[no-untyped-call]
    return state


def assert_is_what_torch_loads(checkpoint: Checkpoint) -> None:
    expected = loaded(checkpoint.path)
    assert list(checkpoint) == list(expected)
    for name, tensor in expected.items():
        assert checkpoint[name].dtype.name == str(tensor.dtype).partition(".")[2]
        assert torch.equal(checkpoint[name].torch(), tensor)


@pytest.mark.parametrize("make", [scripted, traced])
@pytest.mark.parametrize("what", scripts.PROGRAMS)
def test_a_program_has_the_tensors_that_torch_loads(
    what: str, make: Programs, tmp_path: Path
) -> None:
    module, example = scripts.PROGRAMS[what]
    path = scripts.saved(make(module(), example), tmp_path / "a.pt")
    with open_checkpoint(path) as checkpoint:
        assert_is_what_torch_loads(checkpoint)
        assert checkpoint.format == "torch-script"
        assert checkpoint.unread == ()


def test_a_program_for_mobiles_is_read_from_its_zip(tmp_path: Path) -> None:
    path = str(tmp_path / "a.ptl")
    scripts.script(built.small())._save_for_lite_interpreter(path)
    with open_checkpoint(path) as checkpoint:
        assert_is_what_torch_loads(checkpoint)


def test_a_program_for_mobiles_in_a_flatbuffer_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "a.ptl")
    scripts.script(built.small())._save_for_lite_interpreter(path, _use_flatbuffer=True)
    with pytest.raises(UnsupportedError, match="TorchScript program for mobiles") as caught:
        open_checkpoint(path)
    assert "torch.jit.load(PATH).state_dict()" in str(caught.value.fix)
    assert loaded(path)  # what the fix says


def test_a_program_is_told_and_never_passes(tmp_path: Path) -> None:
    path = scripts.saved(scripts.script(built.small()), tmp_path / "a.pt")
    file = inspect(path).file
    assert file.verdict is Verdict.CANNOT_TELL
    assert [found.rule for found in file.findings] == [rules.PROGRAM]
    assert "__torch__.torch.nn.modules.container.Sequential" in file.findings[0].message
    for command in ("inspect", "verify --schema none --no-forward", "lock --no-forward"):
        assert invoke(*command.split(), path).code == 2
    # nor where only other rules are asked for
    assert invoke("verify", path, "--schema", "none", "--no-forward", "--select", "NUM").code == 2


def test_the_weights_of_a_program_are_converted(tmp_path: Path) -> None:
    path = scripts.saved(scripts.script(built.small()), tmp_path / "a.pt")
    converted = convert(path, tmp_path / "b.safetensors", to="safetensors", sync=False)
    assert converted.file.verdict is Verdict.PASS
    expected = loaded(path)
    with open_checkpoint(tmp_path / "b.safetensors") as checkpoint:
        assert sorted(checkpoint) == sorted(expected)
        assert all(torch.equal(checkpoint[name].torch(), expected[name]) for name in expected)


def test_what_torch_saved_of_the_same_module_is_the_same(tmp_path: Path) -> None:
    module = built.small()
    path = scripts.saved(scripts.script(module), tmp_path / "a.pt")
    torch.save(module.state_dict(), tmp_path / "b.pt")
    done = invoke("diff", path, str(tmp_path / "b.pt"), "--weights-only")
    assert (done.code, "identical" in done.out) == (0, True)


def test_constants_of_a_frozen_program_are_told_and_not_left_behind(tmp_path: Path) -> None:
    path = scripts.saved(scripts.frozen(built.attention()), tmp_path / "a.pt")
    with open_checkpoint(path) as checkpoint:
        assert_is_what_torch_loads(checkpoint)
        (row,) = checkpoint.outside
        assert row.key == "constants.pkl"
        assert row.tensors > len(checkpoint)
    converted = convert(path, tmp_path / "b.safetensors", to="safetensors", sync=False)
    assert rules.MOST_OUTSIDE in {found.rule for found in converted.file.findings}


def test_a_program_with_constants_alone_says_so(tmp_path: Path) -> None:
    path = scripts.saved(scripts.frozen(built.small()), tmp_path / "a.pt")
    with pytest.raises(UnsupportedError, match="4 tensors as constants") as caught:
        open_checkpoint(path)
    assert "torch.jit.freeze" in str(caught.value.fix)


def test_a_program_without_tensors_says_so(tmp_path: Path) -> None:
    path = scripts.saved(scripts.script(torch.nn.ReLU()), tmp_path / "a.pt")
    with pytest.raises(UnsupportedError, match="program without parameters and buffers"):
        open_checkpoint(path)


def test_packed_weights_of_a_program_are_named_as_not_read(tmp_path: Path) -> None:
    module = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
        torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2)), {torch.nn.Linear}
    )
    path = scripts.saved(scripts.script(module), tmp_path / "a.pt")
    with open_checkpoint(path) as checkpoint:
        assert_is_what_torch_loads(checkpoint)
        ((name, reason),) = checkpoint.unread
    assert name == "0._packed_params._packed_params"
    assert "LinearPackedParams" in reason


# --- built by hand --------------------------------------------------------------------------------


def written(data: bytes, tmp_path: Path) -> str:
    path = tmp_path / "a.pt"
    path.write_bytes(data)
    return str(path)


def test_the_programs_below_are_well_formed(tmp_path: Path) -> None:
    with open_checkpoint(written(scripts.program(), tmp_path)) as checkpoint:
        assert list(checkpoint) == ["w", "b"]


def test_what_is_in_no_list_is_an_attribute(tmp_path: Path) -> None:
    code = b'class Net(Module):\n  __parameters__ = []\n  __buffers__ = ["b", ]\n'
    with open_checkpoint(written(scripts.program(code=code), tmp_path)) as checkpoint:
        assert list(checkpoint) == ["b"]
        (node,) = checkpoint.aside
        assert isinstance(node, Dict)
        assert [key for key, _ in node.pairs()] == ["w"]


@pytest.mark.parametrize(
    "code",
    [
        b'class Net(Module):\n  __parameters__ = ["w", ]\n  w : Tensor\n',
        b'class Net(Module):\n  __buffers__ = ["w", ]\n  w : Tensor\n',
        scripts.CODE + b'  __buffers__ = ["w", ]\n',
        b"class Net(Module):\n  __parameters__ = [f(), ]\n  __buffers__ = []\n",
        b'class Net(Module):\n  __parameters__ = ["a\\"b", ]\n  __buffers__ = []\n',
        b"class Net(Module):\n  def f(self):\n"
        b'  __parameters__ = ["w", ]\n  __buffers__ = ["b", ]\n',
        b'class Net(Module):\nclass Other(Module):\n  __parameters__ = []\n  __buffers__ = ["b", ]',
    ],
    ids="no-buffers no-parameters twice call escape in-a-method of-another".split(),
)
def test_lists_that_do_not_say_it_are_not_guessed(code: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="does not say which attributes") as caught:
        open_checkpoint(written(scripts.program(code=code), tmp_path))
    assert "torch.jit.load(PATH).state_dict()" in str(caught.value.fix)


@pytest.mark.parametrize(
    "code",
    [b"", b"class Net(NamedTuple):\n", scripts.CODE.replace(b"Net", b"Other"), b"\xff" * 40],
)
def test_a_root_that_is_no_module_is_named(code: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="content is not a module"):
        open_checkpoint(written(scripts.program(code=code), tmp_path))


def test_two_classes_of_one_name_are_malformed(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="twice"):
        open_checkpoint(written(scripts.program(code=scripts.CODE * 2), tmp_path))


ATTACK = p.call(p.name("os", "system"), p.text("true"))


@pytest.mark.parametrize("where", ["data", "constants", "state"])
def test_an_attack_in_a_program_fails_it(where: str, tmp_path: Path) -> None:
    held = p.dict_of((p.text("w"), p.tensor()), (p.text("x"), ATTACK))
    data = {
        "data": scripts.program(state=held),
        "constants": scripts.program(constants=ATTACK),
        "state": scripts.program(state=p.tuple_of(ATTACK)),
    }[where]
    file = inspect(written(data, tmp_path)).file
    assert file.verdict is Verdict.FAIL
    assert rules.KNOWN_ATTACK in {found.rule for found in file.findings}


def test_a_call_of_foreign_code_in_a_program_is_not_its_own(tmp_path: Path) -> None:
    held = p.dict_of((p.text("w"), p.tensor()), (p.text("x"), p.call(p.name("mylib", "f"), b"N")))
    file = inspect(written(scripts.program(state=held), tmp_path)).file
    assert file.verdict is Verdict.FAIL
    assert rules.UNKNOWN_CALL in {found.rule for found in file.findings}


def test_a_name_of_programs_in_a_checkpoint_is_a_name_like_any_other(tmp_path: Path) -> None:
    held = p.dict_of((p.text("w"), p.tensor()), (p.text("x"), p.new(p.name("__torch__", "N"))))
    file = inspect(written(tf.torch_zip(held), tmp_path)).file
    assert rules.NEEDED_CLASS in {found.rule for found in file.findings}


NET = p.name("__torch__.mine", "Net")
BELOW = p.new(NET) + p.dict_of((p.text("w"), p.tensor())) + b"b"


@pytest.mark.parametrize(
    ("state", "names"),
    [
        pytest.param(
            p.dict_of((p.text("x"), BELOW + p.put(9)), (p.text("y"), p.get(9))),
            ["x.w", "y.w"],
            id="below-two-names",
        ),
        pytest.param(
            p.put(9) + p.dict_of((p.text("x"), BELOW), (p.text("y"), p.get(9))),
            ["x.w"],
            id="in-itself",
        ),
    ],
)
def test_a_module_that_is_shared_is_walked_once(
    state: bytes, names: list[str], tmp_path: Path
) -> None:
    with open_checkpoint(written(scripts.program(state=state), tmp_path)) as checkpoint:
        assert list(checkpoint) == names
        assert len({info.extents for info in checkpoint.tensors.values()}) == 1


def test_a_program_is_not_taken_for_the_file_of_one_process() -> None:
    source = MemorySource(scripts.program())
    with pytest.raises(UnsupportedError, match="is a TorchScript program, not a checkpoint"):
        content_of(source, lambda data, _: parse(data))


def test_too_much_source_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckpttool.formats.torch.script.MAX_SOURCE", len(scripts.CODE) + 10)
    more = {"code/__torch__/more.py": b"class A(Module):\n" * 2}
    with pytest.raises(MalformedError) as caught:
        open_checkpoint(written(scripts.program(**more), tmp_path))
    assert caught.value.rule is rules.LIMIT


def test_long_text_is_read_in_linear_time(tmp_path: Path) -> None:
    lists = b"".join(b'  __parameters__ = ["%d", ' % number for number in range(60_000))
    code = b"class A(Module):\n" + lists + b"\n" + b'  __buffers__ = ["' + b"x" * 2_000_000
    with pytest.raises(UnsupportedError):
        open_checkpoint(written(scripts.program(code=code), tmp_path))


# --- deflated code --------------------------------------------------------------------------------


def deflated(path: Path, code: bytes = scripts.CODE, top: str = "code") -> Path:
    """A program whose code is deflated by zipfile, all else stored."""
    stored = path.with_suffix(".stored")
    stored.write_bytes(scripts.program())
    with zipfile.ZipFile(stored) as before, zipfile.ZipFile(path, "w") as archive:
        for info in before.infolist():
            if "/code/" not in info.filename:
                archive.writestr(info.filename, before.read(info))
        name = f"archive/{top}/__torch__/mine.py"
        archive.writestr(name, code, compress_type=zipfile.ZIP_DEFLATED)
    return path


def test_deflated_code_is_read(tmp_path: Path) -> None:
    with open_checkpoint(deflated(tmp_path / "a.pt")) as checkpoint:
        assert list(checkpoint) == ["w", "b"]


def test_nothing_else_may_be_deflated(tmp_path: Path) -> None:
    with pytest.raises(MalformedError) as caught:
        open_checkpoint(deflated(tmp_path / "a.pt", top="data"))
    assert caught.value.rule is rules.ZIP_METHOD


@pytest.mark.parametrize("claim", [10, len(scripts.CODE) * 3])
def test_code_of_another_size_than_stated_is_malformed(claim: int, tmp_path: Path) -> None:
    path = deflated(tmp_path / "a.pt")
    data = path.read_bytes()
    size, other = struct.pack("<I", len(scripts.CODE)), struct.pack("<I", claim)
    crc = struct.pack("<I", zlib.crc32(scripts.CODE))
    changed = b""
    for part in data.split(crc):  # behind it stand both sizes, in both headers
        head = part[:8]
        changed += (crc if changed else b"") + head.replace(size, other) + part[8:]
    path.write_bytes(changed)
    with pytest.raises(MalformedError, match="cannot be inflated") as caught:
        open_checkpoint(path)
    assert caught.value.found


def test_a_bomb_does_not_go_off(tmp_path: Path) -> None:
    path = deflated(tmp_path / "a.pt", b"\n" * 100_000_000)
    with pytest.raises(MalformedError, match="larger than the limit"):
        open_checkpoint(path)


def test_code_without_a_program_is_named(tmp_path: Path) -> None:
    path = deflated(tmp_path / "a.pt")
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        for info in before.infolist():
            if not info.filename.endswith("constants.pkl"):
                archive.writestr(info, before.read(info), compress_type=info.compress_type)
    with pytest.raises(UnsupportedError, match=r"it lacks constants\.pkl"):
        open_checkpoint(tmp_path / "b.pt")


def test_a_real_archive_is_compared_with_its_local_headers(tmp_path: Path) -> None:
    from ckpttool.files.sources import FileSource

    path = scripts.saved(scripts.script(built.small()), tmp_path / "a.pt")
    source = FileSource(path)
    members = read_archive(source, code=True).members
    with zipfile.ZipFile(path) as archive:
        packed = [info for info in archive.infolist() if info.compress_type == zipfile.ZIP_DEFLATED]
        assert packed
        for info in packed:
            read = read_member(source, members[info.filename], 1_000_000)
            assert read == archive.read(info)
    source.close()


SYSTEM = p.dict_of((p.text("w"), p.call(p.name("os", "system"), p.text("true"))))


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"constants.pkl": p.pickle(b")"), "byteorder": b"big"}, id="big-endian"),
        pytest.param({"code/__torch__.py.debug_pkl": p.pickle(b")")}, id="only code of a program"),
    ],
)
def test_a_kind_of_archive_that_is_not_read_hides_no_call(
    members: dict[str, bytes | None], tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(tf.torch_zip(SYSTEM, members=members))
    listing = inspect(path)
    assert listing.verdict is Verdict.FAIL
    assert "SEC001" in {found.rule.code for found in listing.findings}


def test_a_program_of_big_endian_numbers_is_not_read(tmp_path: Path) -> None:
    path = written(scripts.program(byteorder=b"big"), tmp_path)
    with pytest.raises(UnsupportedError, match="would read as little-endian") as error:
        open_checkpoint(path)
    assert error.value.uses == ()  # it calls nothing but its own classes
    with open_checkpoint(written(scripts.program(byteorder=b"little"), tmp_path)) as checkpoint:
        assert list(checkpoint) == ["w", "b"]
