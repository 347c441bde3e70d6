from __future__ import annotations

import pytest

from ckpttool.formats.safety.known_names import is_known_attack, python3, runs_commands

ATTACKS = [
    ("os", "system"),
    ("posix", "popen"),
    ("nt", "system"),
    ("subprocess", "Popen"),
    ("_posixsubprocess", "fork_exec"),
    ("builtins", "eval"),
    ("__builtin__", "execfile"),
    ("runpy", "run_path"),
    ("torch", "load"),
    ("torch", "os"),
    ("torch", "serialization.os.system"),
    ("torch._utils", "_rebuild_tensor_v2.__builtins__.get"),
    ("random", "_os.system"),
    ("collections", "abc.sys.modules"),
    ("mylib.config", "sys"),
    ("mylib", "helper.__globals__"),
    ("cStringIO", "open"),
    ("SocketServer", "TCPServer"),
    ("torch.hub", "load"),
    ("numpy.testing._private.utils", "runstring"),
    ("asyncio.unix_events", "_UnixSubprocessTransport._start"),
    ("threading", "Thread.run"),
    ("importlib.util", "spec_from_file_location"),
    ("pip._internal.cli.main", "main"),
]
OTHERS = [
    ("argparse", "Namespace"),
    ("numpy", "dtype"),
    ("types", "SimpleNamespace"),
    ("mylib.os", "Config"),
    ("mylib", "Outer.Inner"),
    ("mylib", "Reader.open"),
    ("mylib", "Model.compile"),
    ("code.models", "Net"),
    ("trace", "Step"),
    ("commands.train", "Trainer"),
    ("subprocess", "CalledProcessError"),
    ("subprocess", "CompletedProcess"),
    ("socket", "gaierror"),
    ("cloudpickle.cloudpickle", "_make_function"),
    ("torch.fx.graph_module", "reduce_graph_module"),
    ("types", "CodeType"),
    ("http.cookies", "SimpleCookie"),
    ("requests.structures", "CaseInsensitiveDict"),
]


@pytest.mark.parametrize(("module", "name"), ATTACKS)
def test_a_name_of_an_attack_is_known(module: str, name: str) -> None:
    assert is_known_attack(python3(module, name))


@pytest.mark.parametrize(("module", "name"), OTHERS)
def test_no_other_name_is_called_one(module: str, name: str) -> None:
    assert not is_known_attack(python3(module, name))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("__builtin__", "unicode"), "builtins.str"),
        (("copy_reg", "_reconstructor"), "copyreg._reconstructor"),
        (("exceptions", "ValueError"), "builtins.ValueError"),
        (("cPickle", "loads"), "pickle.loads"),
        (("itertools", "izip"), "builtins.zip"),
        (("os", "system"), "os.system"),
    ],
)
def test_a_name_is_spelled_as_python_3_looks_it_up(old: tuple[str, str], new: str) -> None:
    assert str(python3(*old)) == new


@pytest.mark.parametrize(
    ("module", "name", "runs"),
    [
        ("os", "system", True),
        ("builtins", "exec", True),
        ("subprocess", "run", True),
        ("torch", "load", False),
        ("builtins", "open", False),
        ("shutil", "rmtree", False),
    ],
)
def test_what_runs_commands_is_told_from_what_loads(module: str, name: str, runs: bool) -> None:
    assert runs_commands(python3(module, name)) is runs
