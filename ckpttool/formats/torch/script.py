"""TorchScript programs, as ``torch.jit.save`` writes them: their parameters and buffers.

Such an archive has the modules as objects in ``data.pkl``, and their classes as text in ``code/``:
``__torch__.a.b.C`` is ``class C`` in ``code/__torch__/a/b.py``. An object holds all attributes of
its module; which of them are parameters and buffers is in two lists at the head of its class
(``__parameters__`` and ``__buffers__``, torch/csrc/jit/serialization/python_print.cpp). The lists
are read from the text. Nothing of it is compiled or run, and nothing of it is judged.

Objects are handed on as the whole modules of Python that they were, so that all that is known of
those holds for them: ``torch.jit.load(path).state_dict()`` has the same names in the same order.
"""

from __future__ import annotations

import re
from typing import Iterator, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count
from ckpttool.formats.archives.archive import Archive, read_member
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.objects.storages import storage_id, storage_width
from ckpttool.formats.pickles import Pickle
from ckpttool.formats.pickles.nodes import Call, Dict, Global, New, Node, PersistentId
from ckpttool.tensors.catalogue import Outside

# What stands before the name of each class of the program, and of what TorchScript's own reader
# makes lists with.
_OWN = ("__torch__.", "torch.jit._pickle.")
#: Bytes of all source text that is read; a model of thousands of operations has a few million.
MAX_SOURCE = 64_000_000
#: The member with the constants of the code, and the key that they are told by.
CONSTANTS = "constants.pkl"

_SUFFIX = ".py"
_CLASS = re.compile(r"^class (\w+)\((\w*)\):$", re.MULTILINE)
# The lists stand at the head of a class, before the first method.
_LIST = re.compile(r'^  (__parameters__|__buffers__) = \[((?:"[^"\\\n]*", ?)*)\]$', re.MULTILINE)
_HEAD_ENDS = re.compile(r"^(?:  def |\S)", re.MULTILINE)
_NAME = re.compile(r'"([^"]*)"')
_FIX = (
    "Where you know who wrote it, save the weights alone: "
    "torch.save(torch.jit.load(PATH).state_dict(), NEW)."
)


class _Class(NamedTuple):
    """What the head of a class says: the names of parameters and of buffers.

    ``None`` for a list that is not there, as some releases of torch left it out.
    """

    is_module: bool
    parameters: frozenset[str] | None
    buffers: frozenset[str] | None


class Program:
    """The classes of a program.

    Attributes:
        constants: the pickle of the constants of its code.
    """

    def __init__(self, classes: dict[tuple[str, str], _Class]) -> None:
        self._classes = classes
        self.constants: Pickle | None = None

    def as_modules(self, pickle: Pickle) -> Pickle:
        """Return the pickle with the objects of the program as whole modules of Python.

        Raises:
            UnsupportedError: the text of a module does not say what its parameters are, or the
                root is no module.
        """
        if self._state(pickle.root) is None:
            raise UnsupportedError(
                "the archive is a TorchScript program whose content is not a module",
                rules.UNSUPPORTED,
                fix=_FIX,
            )
        made = {id(pickle.root): _bare(pickle.root)}
        waiting = [pickle.root]
        # without recursion, and each module once: they may be shared
        while waiting:
            node = waiting.pop()
            attributes, modules = self._parted(node, self._state(node) or Dict())
            for below in modules.flat[1::2]:
                if id(below) not in made:
                    made[id(below)] = _bare(below)
                    waiting.append(below)
            modules.flat[1::2] = [made[id(below)] for below in modules.flat[1::2]]
            made[id(node)].states = [attributes]
        return pickle._replace(root=made[id(pickle.root)])

    def outside(self) -> Outside | None:
        """Return the tensors that the code has as constants, as of a frozen module."""
        sizes: dict[str, int] = {}
        for value in self.constants.ids if self.constants else ():
            class_node, key, number, _ = storage_id(PersistentId(value), 5)
            sizes[key] = number * storage_width(class_node)[1]
        tensors = sum(map(is_tensor, self.constants.calls if self.constants else ()))
        return Outside(CONSTANTS, tensors, sum(sizes.values())) if tensors else None

    def _state(self, node: Node) -> Dict | None:
        """Return the attributes of a module that the pickle has by name; ``None`` for others."""
        if not isinstance(node, New) or type(node.function) is not Global or node.args:
            return None
        known, states = self._classes.get(node.function.pair), node.states or []
        plain = node.mapped is None and node.appended is None and len(states) == 1
        is_module = plain and known is not None and known.is_module
        return states[0] if is_module and type(states[0]) is Dict else None

    def _parted(self, node: New, state: Dict) -> tuple[Dict, Dict]:
        """Return the attributes of a module as Python's has them, and its ``_modules``."""
        known = self._classes[node.function.pair]
        if known.parameters is None or known.buffers is None:
            raise UnsupportedError(
                "the archive is a TorchScript program whose text does not say which attributes of "
                f"{node.function} are parameters and buffers",
                rules.UNSUPPORTED,
                fix=_FIX,
            )
        attributes, parameters, buffers, modules = Dict(), Dict(), Dict(), Dict()
        for key, value in state.pairs():
            into = attributes
            if type(key) is str and (is_tensor(value) or value is None):
                if key in known.parameters:
                    into = parameters
                elif key in known.buffers:
                    into = buffers
            elif self._state(value) is not None:
                into = modules
            into.flat += (key, value)
        for key, value in (
            ("_parameters", parameters),
            ("_buffers", buffers),
            ("_modules", modules),
        ):
            attributes.flat += (key, value)
        return attributes, modules


def _bare(node: New) -> New:
    return New(node.function, node.args, node.keywords, node.offset)


def read_program(archive: Archive, top: str) -> Program:
    """Read the heads of all classes of a program.

    Raises:
        MalformedError: two classes have the same name, or there is too much text.
    """
    classes: dict[tuple[str, str], _Class] = {}
    left = MAX_SOURCE
    start = f"{top}/code/"
    for member in archive.members.values():
        if not (member.name.startswith(start) and member.name.endswith(_SUFFIX)):
            continue
        data = read_member(archive.source, member, left)
        left -= len(data)
        module = member.name[len(start) : -len(_SUFFIX)].replace("/", ".")
        for name, known in _classes_in(data.decode("utf-8", "replace")):
            if (module, name) in classes:
                raise MalformedError(
                    f"the program defines {module}.{name} twice",
                    rules.TORCH_ARCHIVE,
                    member=member.name,
                )
            classes[module, name] = known
    return Program(classes)


def _classes_in(text: str) -> Iterator[tuple[str, _Class]]:
    for found in _CLASS.finditer(text):
        begin = found.end()
        end = _HEAD_ENDS.search(text, begin)
        lists: dict[str, frozenset[str] | None] = {}
        for name, listed in _LIST.findall(text[begin : end.start() if end else len(text)]):
            # of two lists neither counts
            lists[name] = None if name in lists else frozenset(_NAME.findall(listed))
        is_module = found.group(2) == "Module"
        yield (
            found.group(1),
            _Class(is_module, lists.get("__parameters__"), lists.get("__buffers__")),
        )


def is_of_program(name: str) -> bool:
    """Whether a name of the pickle is one that only TorchScript's own reader looks up."""
    return name.startswith(_OWN)


def remark_on(cls: Call) -> Finding:
    """Return the finding that a program was not judged."""
    return finding(
        rules.PROGRAM,
        f"the archive is a TorchScript program, of class {cls.function}: parameters and buffers "
        "were read, by the names that torch.jit.load gives them, and the program was neither run "
        "nor judged",
    )


def without_weights(error: UnsupportedError, constants: Outside | None) -> UnsupportedError:
    """Return the error for a program in which there is no parameter and no buffer."""
    where = ""
    if constants:
        number = count(constants.tensors, "tensor")
        where = f": its code has {number} as constants, which have no names"
    told = UnsupportedError(
        f"the archive is a TorchScript program without parameters and buffers{where}",
        rules.UNSUPPORTED,
        fix="Convert the file that it was made of: torch.jit.freeze makes constants of weights."
        if constants
        else "",
    )
    told.uses = error.uses
    return told
