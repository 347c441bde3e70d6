"""Names in a pickle, sorted: torch's own, an attack's, and honest strangers.

A name is matched as it stands, module and name apart, and never looked up. The list of
dangerous names can only be a help to the reader: nothing is ever called, whatever the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Sequence

from ckpttool import rules
from ckpttool.findings import Finding, finding

if TYPE_CHECKING:
    from ckpttool.tensors import Reference

# Names in one finding, and characters of a name; a file may have thousands of each.
_SHOWN, _LONGEST = 10, 120

#: Modules in which every name lets a pickle act: run commands, import, touch files, connect.
DANGEROUS_MODULES = frozenset(
    """
    os posix nt ntpath posixpath subprocess _posixsubprocess sys shutil pty platform
    importlib imp runpy pkgutil zipimport code codeop pdb bdb timeit trace profile cProfile
    pickle _pickle cPickle dill cloudpickle joblib marshal shelve copyreg copy_reg
    socket _socket socketserver ssl _ssl http urllib urllib2 urllib3 httplib ftplib smtplib
    poplib imaplib nntplib telnetlib xmlrpc xmlrpclib requests httpx aiohttp paramiko
    webbrowser antigravity ctypes _ctypes cffi _cffi_backend mmap signal
    threading _thread thread multiprocessing _multiprocessing asyncio
    concurrent pip _pip ensurepip venv distutils setuptools site sysconfig idlelib tkinter
    commands popen2 fcntl resource tempfile glob fileinput linecache inspect gc _imp _winapi
    doctest pydoc cgitb lib2to3 py_compile compileall sqlite3 _sqlite3
    types
    BaseHTTPServer SimpleHTTPServer CGIHTTPServer SocketServer robotparser dummy_thread
    Tkinter tkMessageBox tkFileDialog tkSimpleDialog Dialog FileDialog SimpleDialog
    """.split()
)

# Modules that other modules import, and whose name nothing honest in them has.
_NEVER_HONEST = frozenset({"os", "posix", "nt", "sys", "subprocess", "importlib", "builtins"})

_BUILTINS = frozenset(
    """
    eval exec execfile compile open file input raw_input __import__ __build_class__
    getattr setattr delattr hasattr globals locals vars dir breakpoint exit quit reload
    memoryview map filter apply reduce type super help
    """.split()
)
_TORCH = {
    "torch": frozenset({"load", "save", "compile"}),
    "torch.serialization": frozenset({"load", "save", "_load", "_legacy_load"}),
    "torch.storage": frozenset({"_load_from_bytes"}),
    "torch._utils": frozenset({"_import_dotted_name"}),  # an attribute walk for the asking
    "torch._ops": frozenset({"load_library", "ops"}),
    "torch.utils.model_zoo": frozenset({"load_url"}),
    "torch.fx.graph_module": frozenset(
        {"reduce_graph_module", "reduce_package_graph_module", "_exec_with_source"}
    ),
    "torch.utils._config_module": frozenset({"load_config", "ConfigModule"}),
    "torch._inductor.codecache": frozenset({"compile_file"}),
    "torch.utils.bottleneck.__main__": frozenset({"run_cprofile", "run_autograd_prof"}),
    "torch.utils.collect_env": frozenset({"run", "get_pip_packages"}),
    "torch.distributed.rpc": frozenset({"rpc_sync", "rpc_async", "remote"}),
    "torch.fx.experimental.symbolic_shapes.ShapeEnv": frozenset({"evaluate_guards_expression"}),
    "torch._dynamo.guards.GuardBuilder": frozenset({"get"}),
}
_TORCH_MODULES = (
    "torch.hub",
    "torch.jit",
    "torch.multiprocessing",
    "torch.package",
    "torch.utils.cpp_extension",
)

#: Single names of other modules.
_OTHERS = {
    "numpy": frozenset({"load", "save", "fromfile", "memmap"}),
    "numpy.testing._private.utils": frozenset({"runstring"}),
    "numpy.f2py": frozenset({"compile"}),
    "numpy.distutils.exec_command": frozenset({"exec_command"}),
    "collections": frozenset({"namedtuple"}),
    "functools": frozenset({"reduce"}),
    "_functools": frozenset({"reduce"}),
    "operator": frozenset({"attrgetter", "methodcaller", "call"}),
    "_operator": frozenset({"attrgetter", "methodcaller", "call"}),
    "uuid": frozenset({"_get_command_stdout"}),
    "numpy.lib.npyio": frozenset({"load", "save", "genfromtxt", "loadtxt"}),
    "numpy.ctypeslib": frozenset({"load_library"}),
    "pandas": frozenset({"eval", "read_pickle"}),
    "pandas.io.pickle": frozenset({"read_pickle"}),
    "yaml": frozenset({"load", "unsafe_load", "full_load"}),
    "logging.config": frozenset({"fileConfig", "dictConfig", "listen"}),
    "codecs": frozenset({"open"}),
    "_io": frozenset({"open", "FileIO", "open_code"}),
    "io": frozenset({"open", "FileIO", "open_code"}),
    # names of Python 2, which unpickling turns into those of io
    "StringIO": frozenset({"open", "FileIO", "open_code"}),
    "cStringIO": frozenset({"open", "FileIO", "open_code"}),
    "_osx_support": frozenset({"_read_output", "_find_build_tool"}),
    "_aix_support": frozenset({"_read_cmd_output"}),
    "_pyrepl.pager": frozenset({"pipe_pager", "tempfile_pager"}),
    "test.support.script_helper": frozenset({"assert_python_ok"}),
}

# Honest in checkpoints, though they stand in a module named above.
_HONEST = {
    "copyreg": frozenset({"_reconstructor"}),
    "copy_reg": frozenset({"_reconstructor"}),
    "types": frozenset({"SimpleNamespace"}),
}

_PLAIN = frozenset(
    """
    bool int long float complex str unicode bytes bytearray list tuple dict set frozenset
    slice range xrange object
    """.split()
)

#: What torch writes for tensors and state dicts, and plain Python's scalars and containers.
_ORDINARY = {
    "builtins": _PLAIN,
    "__builtin__": _PLAIN,
    "_codecs": frozenset({"encode"}),
    "torch.serialization": frozenset({"_get_layout"}),
    "torch._tensor": frozenset({"_rebuild_from_type_v2", "Tensor"}),
    "torch.storage": frozenset({"UntypedStorage", "TypedStorage"}),
    "torch.nn.parameter": frozenset({"Parameter", "Buffer"}),
    "collections": frozenset({"OrderedDict", "defaultdict", "Counter"}),
    "torch": frozenset({"Size", "Tensor", "device", "Generator", "dtype", "strided"}),
}


def is_dangerous(module: str, name: str) -> bool:
    """Whether the name can only be there to act on whoever loads the file."""
    top = module.partition(".")[0]
    if name in _HONEST.get(module, ()):
        return False
    if top in DANGEROUS_MODULES or _walks_to_danger(name):
        return True
    if top in ("builtins", "__builtin__", "__builtins__"):
        return name in _BUILTINS
    if module.startswith(_TORCH_MODULES):
        return True
    return name in _TORCH.get(module, ()) or name in _OTHERS.get(module, ())


def _walks_to_danger(name: str) -> bool:
    """Whether a dotted name would walk from an innocent module to a dangerous one.

    Protocol 4 looks up ``Outer.Inner`` attribute by attribute, so ``("torch", "os.system")``
    is ``os.system``.
    """
    parts = name.split(".")
    if parts[0] in _NEVER_HONEST:
        return True
    return len(parts) > 1 and any(
        part in DANGEROUS_MODULES or part in _BUILTINS or part.startswith("__") for part in parts
    )


def is_torch_own(module: str, name: str) -> bool:
    """Whether torch's own checkpoints name it, or it is a plain type of Python."""
    if module in ("torch", "torch.cuda") and name.endswith("Storage"):
        return True
    if module == "torch._utils" and name.startswith("_rebuild_"):
        return True
    if module == "torch" and name.startswith(("float", "bfloat", "int", "uint", "complex", "bool")):
        return True
    return name in _ORDINARY.get(module, ())


def findings_on(references: Iterable[Reference]) -> list[Finding]:
    """Return what is to be said of the names: an error on dangerous ones, a note on strangers."""
    strangers = [name for name in references if not is_torch_own(name.module, name.name)]
    dangerous = [name for name in strangers if is_dangerous(name.module, name.name)]
    foreign = [name for name in strangers if not is_dangerous(name.module, name.name)]
    found = []
    if dangerous:
        places = [f"{_clipped(name)} (at byte {name.offset:,})" for name in dangerous]
        found.append(
            finding(
                rules.DANGEROUS_NAME,
                f"the pickle refers to code that only an attack needs: {_listed(places)}",
                fix="Do not load this file with torch.load or pickle. Ask its author about it.",
            )
        )
    if foreign:
        found.append(
            finding(
                rules.FOREIGN_NAME,
                "the pickle refers to code beyond torch's own: "
                + _listed([_clipped(name) for name in foreign]),
                fix="Publish only the state dict: torch.load(weights_only=True) may refuse these.",
            )
        )
    return found


def _clipped(name: Reference) -> str:
    text = str(name)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"
