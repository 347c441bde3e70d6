"""Names as Python 3 spells them, and which of them are known from attacks.

Names are only compared. What may be called is decided by ``allowed``: a name that is missing here
is not harmless, these lists only turn an unknown call (SEC002) into a known attack (SEC001).
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from functools import lru_cache
from typing import NamedTuple

from ckpttool.formats.pickles.nodes import Global
from ckpttool.formats.safety.standard_library import (
    ACTING,
    ACTING_MODULES,
    ACTING_ON_IMPORT,
    MODULES,
)


class Name(NamedTuple):
    """A module and an attribute of it, as the reader's Python would look them up."""

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}.{self.attribute}"

    @property
    def top(self) -> str:
        """The top-level package."""
        return self.module.partition(".")[0]

    @property
    def unwalked(self) -> Name:
        """The name that the walk leads to, if all steps but the last are modules."""
        *steps, last = self.attribute.split(".")
        return Name(".".join((self.module, *steps)), last)

    @property
    def walks(self) -> bool:
        """Whether the attribute has several steps, each looked up in the result of the last."""
        return "." in self.attribute

    @property
    def leaves_classes(self) -> bool:
        """Whether a step of the walk is no class by its name: a module, a function, a method."""
        return self.walks and not all(one[:1].isupper() for one in self.attribute.split("."))


# Modules whose functions run commands or code, load code or take the process over. Apart from
# packages, since a user's package may have such a name, and modules below it: Python's have none.
_MODULES = frozenset(
    """
    os posix nt subprocess posixsubprocess winapi pty sys shutil imp runpy zipimport codeop pdb
    bdb timeit marshal socket socketserver webbrowser antigravity popen2 fcntl py_compile
    compileall smtplib ftplib telnetlib poplib imaplib nntplib pydoc cgitb doctest interpreters
    xxsubinterpreters
    """.split()
)
_PACKAGES = frozenset(
    "cffi ctypes distutils ensurepip idlelib importlib lib2to3 pip setuptools venv xmlrpc".split()
)
# Ends of their names that honest files have: errors that were caught, the result of a command.
_INNOCENT = (
    *("Error", "Exception", "Expired", "Warning"),
    *("CompletedProcess", "gaierror", "herror", "timeout"),
)
#: Single functions of modules that honest files use too. Many come from public reports on attacks
#: that scanners let pass (test_public_reports): functions of numpy and torch that end in eval.
_FUNCTIONS = {
    "builtins": """
        eval exec execfile compile open file __import__ __build_class__ globals locals vars
        breakpoint exit quit reload
    """,
    "pickle": "load loads Unpickler _load _loads _Unpickler",
    "dill": "load loads",
    "cloudpickle": "load loads",
    "joblib": "load",
    "copyreg": "add_extension constructor pickle",
    "code": "InteractiveConsole InteractiveInterpreter interact",
    "trace": "Trace",
    "profile": "Profile run runctx",
    "cProfile": "Profile run runctx",
    "commands": "getoutput getstatusoutput",
    "site": "addsitedir addpackage execsitecustomize execusercustomize main",
    "pkgutil": "get_loader find_loader resolve_name",
    "tempfile": """
        NamedTemporaryFile SpooledTemporaryFile TemporaryDirectory TemporaryFile mkdtemp mkstemp
        mktemp _TemporaryFileCloser _TemporaryFileWrapper
    """,
    "asyncio": "create_subprocess_exec create_subprocess_shell run",
    "asyncio.subprocess": "create_subprocess_exec create_subprocess_shell",
    "asyncio.unix_events": "_UnixSubprocessTransport",
    "multiprocessing": "Process Pool",
    "multiprocessing.process": "BaseProcess",
    "multiprocessing.util": "spawnv_passfds",
    "multiprocessing.pool": "Pool ThreadPool",
    "io": "open open_code FileIO",
    "codecs": "open",
    "pathlib": "Path.touch Path.unlink Path.write_text Path.write_bytes Path.mkdir Path.rename",
    "platform": "popen",
    "threading": "Thread Timer",
    "concurrent.futures": "ProcessPoolExecutor ThreadPoolExecutor",
    "requests": "delete get patch post put request",
    "requests.api": "delete get patch post put request",
    "urllib2": "urlopen Request",
    "urllib.request": "urlopen urlretrieve Request URLopener FancyURLopener",
    "http.client": "HTTPConnection HTTPSConnection",
    "logging": "FileHandler",
    "logging.config": "fileConfig dictConfig listen",
    "logging.handlers": "RotatingFileHandler TimedRotatingFileHandler SocketHandler HTTPHandler",
    "sqlite3": "connect",
    "shelve": "open",
    "dbm": "open",
    "operator": "call",
    "uuid": "_get_command_stdout",
    "_osx_support": "_read_output _find_build_tool",
    "_aix_support": "_read_cmd_output",
    "_pyrepl.pager": "pipe_pager tempfile_pager",
    "test.support.script_helper": "assert_python_ok assert_python_failure",
    "numpy": "load save savez savetxt fromfile memmap genfromtxt loadtxt",
    "numpy.lib.npyio": "load save savez savetxt genfromtxt loadtxt",
    "numpy.testing._private.utils": "runstring",
    "numpy.f2py": "compile",
    "numpy.f2py.crackfortran": "getlincoef myeval _eval_length",
    "numpy.distutils.exec_command": "exec_command",
    "numpy.ctypeslib": "load_library",
    "pandas": "eval read_pickle",
    "pandas.io.pickle": "read_pickle",
    "yaml": "load unsafe_load full_load",
    "torch": "load save",
    "torch.serialization": "load save _load _legacy_load",
    "torch._utils": "_import_dotted_name",
    "torch._ops": "load_library",
    "torch.hub": "load load_state_dict_from_url download_url_to_file",
    "torch.jit": "load script trace",
    "torch.package": "PackageImporter",
    "torch.utils.model_zoo": "load_url",
    "torch.utils.cpp_extension": "load load_inline",
    "torch.fx.graph_module": "_exec_with_source _forward_from_src _method_from_src",
    "torch.utils._config_module": "load_config",
    "torch._inductor.codecache": "compile_file",
    "torch.utils.bottleneck.__main__": "run_cprofile run_autograd_prof",
    "torch.utils.collect_env": "run get_pip_packages",
    "torch.distributed.rpc": "rpc_sync rpc_async remote",
    "torch.fx.experimental.symbolic_shapes": "ShapeEnv.evaluate_guards_expression",
    "torch._dynamo.guards": "GuardBuilder.get",
}
_KNOWN = frozenset(
    f"{module}.{name}" for module, names in _FUNCTIONS.items() for name in names.split()
)
_TOPS = frozenset(name.partition(".")[0] for name in _KNOWN)
# Steps of the longest of them: so many beginnings of a name are looked up.
_LONGEST = max(name.count(".") for name in _KNOWN)

# Packages that are installed with torch, so that an attack finds them on every machine. Their
# classes run code with the attributes that they are given, as reading them showed; so do classes
# in the parts of torch and numpy below.
_BESIDE_TORCH = frozenset(
    "_distutils_hack click filelock fsspec jinja2 markupsafe pip pkg_resources rich setuptools "
    "sympy wheel".split()
)
_ACTING_PARTS = (
    "numpy._core._internal numpy.ctypeslib numpy.distutils numpy.f2py numpy.lib numpy.testing "
    "torch._dynamo torch._functorch torch._guards torch._inductor torch._library torch._ops "
    "torch.cuda._sanitizer torch.cuda.gds torch.distributed.checkpoint "
    "torch.distributed.elastic torch.distributed.rpc torch.distributed.run torch.export torch.fx "
    "torch.hub torch.jit torch.multiprocessing torch.onnx torch.package torch.profiler "
    "torch.testing torch.utils._config_module torch.utils._filelock torch.utils.cpp_extension "
    "torch.utils.data.datapipes"
).split()
# Classes of these packages by name alone, since their modules import each other's.
_ACTING_NAMES = frozenset(
    "CUDAGraph DataSource DLLWrapper EdgeDataView GdsFile InEdgeDataView InMultiEdgeDataView "
    "MultiEdgeDataView NCCLRegisteredBuffer NpzFile OptimizedModule OutEdgeDataView "
    "OutMultiEdgeDataView ShardMetadata StorageWeakRef StreamWrapper SymBool SymFloat SymInt "
    "_AsyncCheckpointProcess _DataPipeSerializationWrapper _IterDataPipeSerializationWrapper "
    "_MapDataPipeSerializationWrapper _MultiProcessingDataLoaderIter".split()
)
# Packages whose modules import classes of the standard library, which a pickle can name there.
_EVERYWHERE = MODULES | {"functorch", "networkx", "numpy", "torch", "torchgen"}


@lru_cache(maxsize=1_024)
def python3(module: str, attribute: str) -> Name:
    """Return a name as Python 3 spells it: ``__builtin__`` is ``builtins``, as in unpickling."""
    # single names before modules, as find_class does
    module, attribute = NAME_MAPPING.get((module, attribute), (module, attribute))
    return Name(IMPORT_MAPPING.get(module, module), attribute)


def name_of(node: Global) -> Name:
    """Return the name of a node as Python 3 spells it."""
    return python3(node.module, node.name)


# kept for the names asked for last: a file may call one a million times
@lru_cache(maxsize=1_024)
def is_known_attack(name: Name) -> bool:
    """Whether a call of the name is known from attacks, also where it is reached step by step."""
    top, *below = str(name).split(".")
    bare = top.lstrip("_")  # _io is io, and _posixsubprocess is no better than subprocess
    if bare in _PACKAGES or (bare in _MODULES and name.module == top):
        return not name.attribute.endswith(_INNOCENT)
    # an attribute of a known name is no better: threading.Thread.run
    known_below = top in _TOPS or bare in _TOPS
    for end in range(1, min(len(below), _LONGEST) + 1) if known_below else ():
        path = ".".join(below[:end])
        if f"{top}.{path}" in _KNOWN or f"{bare}.{path}" in _KNOWN:
            return True
    return any(_leaves_the_module(part, name) for part in name.attribute.split("."))


def runs_commands(name: Name) -> bool:
    """Whether the name runs commands or text, so that even passing it on is an attack.

    Other names that attacks call are passed on by honest objects too: ``torch.load`` as a loader.
    """
    text = name.module == "builtins" and name.attribute in _RUN_TEXT
    return text or (name.top.lstrip("_") in _RUN_COMMANDS and is_known_attack(name))


_RUN_TEXT = frozenset({"__import__", "eval", "exec", "execfile"})
_RUN_COMMANDS = frozenset({"imp", "importlib", "nt", "os", "posix", "pty", "runpy", "subprocess"})


def _leaves_the_module(part: str, name: Name) -> bool:
    """Whether a step leads from a harmless module to another one, or into Python's internals.

    ``("torch", "serialization.os.system")``, ``("random", "_os.mkdir")``,
    ``("torch._utils", "_rebuild_tensor.__builtins__.get")``.
    """
    bare = part.lstrip("_")
    if bare in _NEVER_HONEST:
        return True
    if not name.walks:
        return False
    if name.top not in _EVERYWHERE:  # a user's class may well have a method called open
        return part in _UNDER
    inside = part.startswith("__") and part.endswith("__") and part != "__new__"
    return inside or bare in _MODULES or bare in _PACKAGES or f"builtins.{part}" in _KNOWN


# What leads from any function or class to all of Python.
_UNDER = frozenset("__builtins__ __globals__ __subclasses__ __code__ eval exec".split())
_ACTING_PREFIXES = tuple(f"{part}." for part in _ACTING_PARTS)
# Modules that nearly every module imports: an attribute of such a name is the module itself.
_NEVER_HONEST = frozenset({"os", "posix", "nt", "sys", "subprocess", "importlib", "builtins"})


def is_of_python(name: Name) -> bool:
    """Whether the name belongs to the standard library."""
    return name.top in MODULES


def makes_code_run(name: Name) -> bool:
    """Whether instances of a class of the standard library's or torch's run code by themselves."""
    if name.top in ACTING_MODULES or name.top in _BESIDE_TORCH:
        return True
    if name.top not in _EVERYWHERE:
        return False
    *outer, last = name.attribute.split(".")
    if last in ACTING or last in _ACTING_NAMES or not all(map(_is_like_a_class, outer)):
        return True
    # an instance of a module that runs commands is no better than its functions
    whole = name.top in _PACKAGES or (name.top in _MODULES and name.module == name.top)
    if whole and not name.attribute.endswith(_INNOCENT):
        return True
    return f"{name.module}.".startswith(_ACTING_PREFIXES)


def _is_like_a_class(part: str) -> bool:
    """Whether a step of a walk leads into a class, not into a module or a function."""
    return part.lstrip("_")[:1].isupper()


def acts_on_import(name: Name) -> bool:
    """Whether naming it is enough to run something, when its module is imported."""
    return name.module in ACTING_ON_IMPORT or name.module.endswith(".__main__")
