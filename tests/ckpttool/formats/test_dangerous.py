from __future__ import annotations

import pytest

from ckpttool.formats.dangerous import is_dangerous, is_torch_own

ATTACKS = [
    ("os", "system"),
    ("posix", "popen"),
    ("nt", "system"),
    ("subprocess", "Popen"),
    ("builtins", "eval"),
    ("__builtin__", "execfile"),
    ("builtins", "getattr"),
    ("runpy", "run_path"),
    ("torch", "load"),
    ("torch", "os"),
    ("mylib.config", "sys"),
    ("cStringIO", "open"),
    ("SocketServer", "TCPServer"),
    ("torch.hub", "load"),
    ("torch.serialization", "load"),
    ("torch", "serialization.os.system"),
    ("collections", "abc.sys.modules"),
    ("numpy.testing._private.utils", "runstring"),
    ("operator", "methodcaller"),
    ("asyncio.unix_events", "_UnixSubprocessTransport._start"),
    ("concurrent.futures", "ProcessPoolExecutor"),
    ("types", "CodeType"),
]
HONEST = [
    ("argparse", "Namespace"),
    ("pathlib", "PosixPath"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "scalar"),
    ("omegaconf.dictconfig", "DictConfig"),
    ("types", "SimpleNamespace"),
    ("copyreg", "_reconstructor"),
    ("functools", "partial"),
    ("mylib.os", "Config"),
    ("torch.optim.lr_scheduler", "StepLR"),
    ("mylib", "Outer.Inner"),
    ("cStringIO", "StringI"),
]
OWN = [
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch", "FloatStorage"),
    ("__builtin__", "object"),
    ("builtins", "set"),
    ("torch.storage", "UntypedStorage"),
    ("torch", "float8_e4m3fn"),
    ("collections", "OrderedDict"),
    ("torch.nn.parameter", "Parameter"),
]


@pytest.mark.parametrize(("module", "name"), ATTACKS)
def test_a_name_of_an_attack_is_dangerous(module: str, name: str) -> None:
    assert is_dangerous(module, name)


@pytest.mark.parametrize(("module", "name"), HONEST + OWN)
def test_an_honest_name_is_not_dangerous(module: str, name: str) -> None:
    assert not is_dangerous(module, name)


@pytest.mark.parametrize(("module", "name"), OWN)
def test_what_torch_writes_is_its_own(module: str, name: str) -> None:
    assert is_torch_own(module, name)


@pytest.mark.parametrize(("module", "name"), ATTACKS + HONEST)
def test_nothing_else_is_torch_s_own(module: str, name: str) -> None:
    assert not is_torch_own(module, name)
