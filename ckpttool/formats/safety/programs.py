"""Modules of torch.fx, whose pickles carry source text that loading them runs.

``torch.save`` of a graph module writes a call of ``reduce_graph_module`` with the text of its
``forward`` and of the imports before it. Loading executes both, and calls ``forward`` once to trace
it. The text is parsed here, never compiled or run. If it only computes with torch, the file is a
program that was not judged (exit 2); otherwise the call is unknown code like any other.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from ckpttool.formats.pickles.nodes import Dict, Global
from ckpttool.formats.safety.allowed import is_value, makers_of
from ckpttool.formats.safety.known_names import Name, is_known_attack, name_of

if TYPE_CHECKING:
    from ckpttool.formats.pickles.nodes import Call

#: The function that loading such a module calls.
REDUCE = "torch.fx.graph_module.reduce_graph_module"
# Classes of torch's own that trace the module again. The pickle names one, and loading makes a
# subclass of it, an instance of that without arguments, and calls its trace.
_TRACERS = frozenset(
    "torch.fx._symbolic_trace.Tracer torch.fx.experimental.proxy_tensor.PythonKeyTracer "
    "torch.fx.experimental.proxy_tensor._ModuleStackTracer".split()
)
#: Characters of a source text that is parsed; a model of thousands of operations has a million.
MAX_SOURCE = 4_000_000
# Python's parser may overflow the C stack and kill the process, which no except clause catches. So
# the depth of brackets and the words of an expression between them are limited before it runs.
_DEEPEST, _LONGEST = 40, 200

# Words that nest without a bracket, and would escape that limit; generated code has none of them.
_NESTING = frozenset("\\ async await class elif else for if lambda try while with yield".split())
_TOKENS = re.compile(
    r"#[^\n]*"
    r"|([A-Za-z]{0,2})(?:'{3}(?:[^\\]|\\.)*?'{3}|\"{3}(?:[^\\]|\\.)*?\"{3}"
    r"|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")"
    r"|\w+|[ \t\f]+|.",
    re.DOTALL,
)

# What generated code consists of: no lambda, class, loop, comprehension or f-string is in it.
_NODES = (
    ast.Module, ast.Import, ast.ImportFrom, ast.alias, ast.FunctionDef, ast.arguments, ast.arg,
    ast.Return, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Delete, ast.Expr, ast.Pass,
    ast.Call, ast.keyword, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Starred,
    ast.Tuple, ast.List, ast.Dict, ast.Constant, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare,
    ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
# Nodes of Python 3.8 that later versions do not make.
_OLD_NODES = frozenset({"Index", "ExtSlice"})

_BUILTINS = frozenset("bool dict float getattr int len list max min slice tuple type".split())
# Builtins that generated code also names without calling them, in annotations and indices.
_VALUES = frozenset("Ellipsis bool dict float int list tuple".split())
_MATH = frozenset("ceil e floor inf nan pi pow sqrt trunc".split())
_OPERATORS = frozenset(
    "abs add and_ eq floordiv ge getitem gt iadd iand ifloordiv imod imul invert ior ipow isub "
    "itruediv le lshift lt matmul mod mul ne neg not_ or_ pos pow rshift sub truediv xor".split()
)
_TREES = frozenset("tree_flatten_spec tree_flatten tree_unflatten tree_leaves".split())
# Modules whose functions compute.
_COMPUTING = frozenset(
    "torch.nn.functional torch._C._nn torch._C._special torch._C._linalg torch._C._fft "
    "torch.special torch.linalg torch.fft torch.Tensor".split()
)
_TYPES = frozenset("Size Tensor device".split())
# Functions and methods that do more than to compute: files are read or written, code is compiled.
_ACTING = frozenset(
    "classes compile dump dumps from_file frombuffer fromfile hub import_ir_module "
    "import_ir_module_from_buffer jit load load_library numpy open package save serialization "
    "set_default_device share_memory_ tofile write".split()
)


def is_graph_module(call: Call) -> bool:
    """Whether a call makes a module of torch.fx out of source text."""
    return type(call.function) is Global and str(name_of(call.function)) == REDUCE


def only_computes(call: Call) -> bool:
    """Whether the source text of a graph module does no more than to compute with torch.

    ``False`` in every case of doubt.
    """
    args = call.args
    if len(args) != 2 or type(args[0]) is not Dict or type(args[1]) is not str:
        return False
    body, imports = args
    entries = {key: value for key, value in body.pairs() if type(key) is str}
    if len(entries) != len(body.flat) // 2:
        return False  # a key twice: which text is run depends on when the call reads it
    # older releases wrote "code"; reduce_graph_module reads both, in this order
    code = entries.get("_code") or entries.get("code")
    tracer = entries.get("_tracer_cls")
    usual = tracer is None or str(tracer) in _TRACERS
    if type(code) is not str or not usual or len(imports) + len(code) > MAX_SOURCE:
        return False
    # joined as loading joins them: a string that begins in one may end in the other
    return _is_plain(imports + code)


def may_be_attribute(node: Global) -> bool:
    """Whether a name may be an attribute of a graph module, which its source can call."""
    name = name_of(node)
    return (
        str(name) in _TRACERS
        or is_value(name.module, name.attribute)
        or name.attribute in makers_of(name.module)
        or (not name.walks and _computes([*name.module.split("."), name.attribute], called=True))
    )


def _is_plain(source: str) -> bool:
    if not _can_be_parsed(source):
        return False
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    names = _Names()
    return all(map(names.takes, tree.body)) and names.are_plain(tree)


def _can_be_parsed(source: str) -> bool:
    """Whether no expression is so long or so deep that Python's parser might crash."""
    words = [0]  # in the current expression of each open bracket
    for match in _TOKENS.finditer(source):
        word = match.group()
        # a prefix with an f in it: expressions in the string are parsed too
        if (match.group(1) or "").strip("bBrRuU") or word in _NESTING:
            return False
        if word in "([{":
            words.append(0)
        elif word in ")]}" and len(words) > 1:
            words.pop()
            words[-1] += 1  # x()()() nests each call in the next one, with no open bracket
        elif word in ",:;" or (word == "\n" and len(words) == 1):
            words[-1] = 0
        elif not word.isspace():
            words[-1] += 1
        if len(words) > _DEEPEST or words[-1] > _LONGEST:
            return False
    return True


class _Names:
    """The names of a source text: their meaning, and whether all uses of them only compute."""

    def __init__(self) -> None:
        self._imported: dict[str, str] = {}
        self._own: set[str] = set()

    def takes(self, statement: ast.stmt) -> bool:
        """Whether a statement is allowed at the top level; the names it imports are kept."""
        if isinstance(statement, ast.Import):
            for one in statement.names:
                if one.asname:
                    self._imported[one.asname] = one.name
                else:
                    top = one.name.partition(".")[0]
                    self._imported[top] = top
            return True
        if isinstance(statement, ast.ImportFrom):
            if statement.module == "builtins":  # renamed, eval could pass for a harmless one
                return all(one.asname in (None, one.name) for one in statement.names)
            for one in statement.names:
                self._imported[one.asname or one.name] = f"{statement.module}.{one.name}"
            return statement.level == 0
        if isinstance(statement, ast.FunctionDef):
            return not statement.decorator_list
        return isinstance(statement, (ast.Assign, ast.Pass))

    def are_plain(self, tree: ast.Module) -> bool:
        """Whether every node of the tree only computes."""
        nodes = list(ast.walk(tree))
        self._own = {
            node.id for node in nodes if isinstance(node, ast.Name) and _is_bound(node)
        } | {node.arg for node in nodes if isinstance(node, ast.arg)}
        if self._own & (self._imported.keys() | _BUILTINS | _VALUES):
            return False  # a name with two meanings: which one counts depends on the order
        inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        top = {id(node) for node in tree.body}
        for node in nodes:
            known = isinstance(node, _NODES) or type(node).__name__ in _OLD_NODES
            if not known or not self._is_plain(node, inner, called, top):
                return False
        return True

    def _is_plain(self, node: ast.AST, inner: set[int], called: set[int], top: set[int]) -> bool:
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef)):
            return id(node) in top
        if isinstance(node, ast.Call):
            return self._is_plain_call(node)
        if isinstance(node, ast.Attribute):
            if _is_dunder(node.attr) or node.attr in _ACTING or _reaches_all_of_python(node.attr):
                return False
            path = self._path(node)
            return path is None or id(node) in inner or _computes(path, id(node) in called)
        if isinstance(node, ast.Name) and not _is_bound(node):
            if node.id in self._imported:
                path = self._imported[node.id].split(".")
                return id(node) in inner or _computes(path, id(node) in called)
            known = node.id in self._own or node.id in _VALUES
            return known or (node.id in _BUILTINS and id(node) in called)
        return True

    def _is_plain_call(self, call: ast.Call) -> bool:
        """Whether a function or a method is called by its name; of ``getattr`` the text counts."""
        function = call.func
        if isinstance(function, ast.Name) and function.id == "getattr":
            name = call.args[1] if len(call.args) == 2 and not call.keywords else None
            text = name.value if isinstance(name, ast.Constant) else None
            return isinstance(text, str) and not _is_dunder(text) and text not in _ACTING
        if isinstance(function, ast.Name) and function.id == "type":  # type(x) gives x's class
            return len(call.args) == 1 and isinstance(call.args[0], ast.Constant)
        # a call of a call is a submodule with a number for a name: getattr(self, "0")(x)
        return isinstance(function, (ast.Name, ast.Attribute, ast.Call))

    def _path(self, node: ast.expr) -> list[str] | None:
        """Return the name that a chain of attributes spells; ``None`` if it begins elsewhere."""
        steps: list[str] = []
        while isinstance(node, ast.Attribute):
            steps.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._imported:
            return None
        return [*self._imported[node.id].split("."), *reversed(steps)]


def _computes(path: list[str], called: bool) -> bool:
    """Whether a name of another module is a function that computes, or a constant."""
    *modules, last = path
    module = ".".join(modules)
    if not _ACTING.isdisjoint(path) or is_known_attack(Name(module, last)):
        return False
    if module == "math":
        return last in _MATH
    if module in ("operator", "_operator"):
        return last in _OPERATORS
    if module in ("torch.fx._pytree", "torch.utils._pytree"):
        return called and last in _TREES
    if module == "torch":
        public = called and (not last.startswith("_") or last == "_assert")
        return public or last in _TYPES or is_value("torch", last)
    if path[:2] == ["torch", "ops"]:
        return len(path) in (4, 5)  # a namespace, an operation and perhaps its overload
    return module in _COMPUTING


def _is_bound(name: ast.Name) -> bool:
    return isinstance(name.ctx, (ast.Store, ast.Del))


def _is_dunder(name: str) -> bool:
    return name.startswith("__")


def _reaches_all_of_python(step: str) -> bool:
    """Whether an attribute is named like a module through which all of Python can be reached."""
    return step.lstrip("_") in _MODULES


_MODULES = frozenset("builtins ctypes importlib io nt os posix shutil subprocess sys".split())
