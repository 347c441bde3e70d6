"""A project's configuration, against tomllib: each setting is what the file says, and no other."""

from __future__ import annotations

import json
import re
import sys
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Sequence

from ckpttool.cli.configuration import Configuration, read_configuration
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.patterns import matches, matches_glob
from ckpttool.models.grouping import grouped
from ckpttool.verification.options import Thresholds
from ckpttool.verification.policy import Policy, judge
from ckpttool.verification.waivers import Waiver
from tests.builders import policies
from tests.fuzzing import scratch
from tests.fuzzing.mutations import lines, raw
from tests.fuzzing.mutations.trees import TEXTS
from tests.fuzzing.parser import SAME, ViolationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from random import Random

NAME = "configuration"

_OWN, _SHARED = "ckpttool.toml", "pyproject.toml"
#: Names that patterns are tried on; the last is as long as names may be.
_NAMES = (
    *("norm.weight", "blocks.0.attn.bias", "blocks.11.norm1.weight", "\u202e", "a[0]", ""),
    *("x" * 40, "aab" * 300, "a" * 60_000),
)
_PATTERNS = (
    *("*", "**a**", "*a*a*a*a*b", "?*?*?*b", "{a,b*}*{1-9}", "[", "[!]", "[z-a]", "[a-]*"),
    *("{", "}{", "blocks.{0-11}.*", "{0-999999999999999999999}", "{9-1}", "\\", "\\{"),
    *("*" * 500 + "b", "{,}", "{*a,*aa}" * 6 + "b", "{*,*}" * 40, "a" * 9_000, "*ab*ab*c"),
    *("(?:a*)*", "^$", "[[:alpha:]]"),
)
_VALUES = (
    *('""', '"x"', "'x'", '"""x"""', "1", "-1", "0", "1.5", "inf", "nan", "true"),
    *("2099-12-31", "[]", "2099-12-31T00:00:00", "00:00:00", "{}", '["a"]', "[1]"),
    *('[["a"]]', "{a = 1}", '"2099-12-31"', '"2099-02-30"', '"MOD003"', '["ALL"]'),
    *('["NUM", "X"]', '"error"', '"\\u202e"', '"\\u0000"', '"a:b"', '"a.b:c(1)"', '"none"'),
    *('"hf"', '"../x"', '"/etc/x"', "9" * 30, "1e400", "0x_1", "1_0", "9" * 5_000),
    *('"\\ud800"', '"\\U00110000"', '"' + "x" * 5_000 + '"', "[" * 200 + "]" * 200),
)
_KEYS = (
    *("checkpoint", "lock", "model", "require", "schema", "example", "expected-missing"),
    *("groups", "allow-unexpected", "against", "map", "allow-cast", "must-change"),
    *("must-not-change", "trust", "exclude", "tolerances", "waivers", "select"),
    *("extend-select", "ignore", "fail-on", "sizes", "expected_missing", "path", "limits"),
    *("policy", "vouches", "__class__", "a b", '"\\u006cock"'),
)

_SEEDS = (
    """checkpoint = "weights/model.pth"
lock = "ckpttool.lock"
model = "auto"
require = "full"
expected-missing = ["decoder.*", "mask_token"]
trust = ["mypackage.*", "other.module.Name"]
exclude = ["old/*", "*.bak.pth"]
select = ["ALL"]
ignore = ["NUM", "MOD003"]
extend-select = ["NUM001"]
fail-on = "warning"
""",
    """[sizes]
img-size = [224, 224]
depth = 24

[tolerances]
position-table = 1e-5
magnitude = 12
wasted-share = 0.5

[[waivers]]
code = "NUM001"
reason = "known since March"
tensors = "blocks.{0-3}.*.weight, norm.weight"
path = "data/*.pth"
owner = "somebody"
expires = 2099-12-31

[[waivers]]
code = "NUM001"
reason = 'a second one'
expires = "2099-01-31"
fingerprint = "ckpt1:abab"
""",
    """[project]
name = "x"

[tool.ckpttool]
schema = "schema.json"
allow-unexpected = ["head.*"]
against = "base.pth"
map = ["net.*=*", "a.{n}.b=b.{n}"]
allow-cast = ["float16"]
must-change = ["blocks.{0-11}.*"]
must-not-change = ["norm.*"]
groups = { encoder = ["blocks.*", "norm.?"], "other one" = ["d[!e]*"] }

[[tool.ckpttool.waivers]]
code = "NUM001"
reason = "x"
tensors = "*a*b*"
""",
    """schema = "my.models:build(1, x='y')"
example = "my.models:example"
groups.a = ["a*"]
sizes."depth" = 3
""",
    """# nothing of ours
[tool.other]
key = [1, 2]
[tool.ckpttool]
""",
)


class _Said(NamedTuple):
    """The configuration, and what its patterns matched."""

    configuration: Configuration
    waived: int


@lru_cache(maxsize=None)
def seeds() -> Sequence[bytes]:
    """Return configurations with all keys, in either file."""
    return tuple(text.encode() for text in _SEEDS)


def mutate(content: bytes, random: Random) -> bytes:
    """Change a line or its words, a value, a key; put in a pattern."""
    kind = random.random()
    if kind < 0.3:
        return lines.mutate(content, random)
    found = content.split(b"\n")
    at = random.randrange(len(found))
    if kind < 0.6:
        new = random.choice((*_VALUES, json.dumps(random.choice(_PATTERNS))))
        found[at] = _with_value(found[at], new.encode(), random)
    elif kind < 0.75:
        pattern = json.dumps(random.choice((*_PATTERNS, *TEXTS[:-9])))
        texts = list(re.finditer(rb'"[^"]*"', found[at]))
        if texts:
            start, end = random.choice(texts).span()
            found[at] = found[at][:start] + pattern.encode() + found[at][end:]
    elif kind < 0.9:
        key, value = random.choice(_KEYS), random.choice(_VALUES)
        found.insert(at, f"{key} = {value}".encode("utf-8", "surrogatepass"))
    elif kind < 0.95:
        other = random.choice(_KEYS).encode() + b" "
        found[at] = re.sub(rb"^[^=\[]+", lambda _: other, found[at])
    else:
        tables = (b"[%s]", b"[[%s]]", b"[tool.ckpttool.%s]", b"[[tool.ckpttool.%s]]", b"%s.x = 1")
        found.insert(at, random.choice(tables) % random.choice(_KEYS).encode())
    return b"\n".join(found)


def _with_value(line: bytes, value: bytes, random: Random) -> bytes:
    key, equals, old = line.partition(b"=")
    if not equals:
        return raw.mutate(line, random)
    return key + b"= " + random.choice((value, b"[" + value + b"]", old + b", " + value))


def read(content: bytes) -> object:
    """Read the file, and use what it says on names and findings as a run does."""
    path = scratch.folder(NAME) / (_SHARED if b"[tool" in content else _OWN)
    path.write_bytes(content)
    configuration = read_configuration(str(path))
    policy = configuration.policy.check()
    for name in _NAMES:
        for pattern in (*configuration.expected_missing, *configuration.allow_unexpected):
            matches(pattern, name)
        for pattern in (*configuration.trust, *configuration.exclude):
            matches_glob(pattern, name)
    grouped(_NAMES, configuration.groups)
    report = judge(_reports(), policy, policies.TODAY)
    return _Said(configuration, sum(len(file.waived) for file in report.files))


@lru_cache(maxsize=1)
def _reports() -> List[Any]:
    found = policies.nan("norm.weight"), policies.nan("blocks.1.a.weight"), policies.untrained()
    return [policies.file_with(*found), policies.file_with(policies.nan("a" * 2_000), path="b.pth")]


def compare(content: bytes, said: object | CkpttoolError) -> str:
    """Hold every setting to the table, and those that are not in it to the defaults."""
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        if isinstance(said, CkpttoolError):
            return "refused by both"
        raise ViolationError("it is no TOML, and is read") from None
    if isinstance(said, CkpttoolError):
        return "refused here: a key or value that there is not"
    assert isinstance(said, _Said)
    table = document["tool"]["ckpttool"] if b"[tool" in content else document
    own = said.configuration
    folder = scratch.folder(NAME)
    for field in Configuration._fields:
        if field in ("path", "content"):
            continue
        expected = _expected(field, table, folder)
        found = _without_places(own.policy) if field == "policy" else getattr(own, field)
        if found != expected or type(found) is not type(expected):
            raise ViolationError(f"{field} is {found!a:.300}, and should be {expected!a:.300}")
    unknown = table.keys() - {field.replace("_", "-") for field in _FIELDS}
    if unknown:
        raise ViolationError(f"keys are read that there are not: {sorted(unknown)!a:.200}")
    return SAME


def _without_places(policy: Policy) -> Policy:
    return policy._replace(waivers=tuple(one._replace(place="") for one in policy.waivers))


_FIELDS = {*Configuration._fields, *Policy._fields, "tolerances"} - {
    *("path", "content", "limits", "policy", "vouches")
}
_AS_TEXT = ("model", "require", "example")
_AS_PATH = ("checkpoint", "lock", "against")


def _expected(field: str, table: Dict[str, Any], folder: Path) -> object:
    """Return what a setting is by the table alone."""
    key = field.replace("_", "-")
    default = Configuration._field_defaults[field]
    if field in _SPECIAL:
        return _SPECIAL[field](table, folder)
    if key not in table:
        return default
    value = table[key]
    if field in _AS_TEXT:
        return str(value)
    if field in _AS_PATH:
        return str(folder / value)
    return tuple(value)


def _sizes(table: Dict[str, Any], _: Path) -> object:
    sizes = table.get("sizes")
    if sizes is None:
        return Configuration._field_defaults["sizes"]
    return {
        key.replace("-", "_"): tuple(value) if isinstance(value, list) else value
        for key, value in sizes.items()
    }


def _schema(table: Dict[str, Any], folder: Path) -> object:
    text = table.get("schema")
    code = text is not None and re.fullmatch(r"[^:(]*:[^(:]*(\(.*)?", text, re.DOTALL)
    if text in (None, "none", "auto", "hf") or (code and _is_dotted(text)):
        return text
    return str(folder / text)


def _is_dotted(text: str) -> bool:
    module, _, rest = text.partition(":")
    names = [*module.split("."), *rest.partition("(")[0].strip().split(".")]
    return all(name.isidentifier() for name in names)


def _groups(table: Dict[str, Any], _: Path) -> object:
    groups = table.get("groups")
    if groups is None:
        return Configuration._field_defaults["groups"]
    return {group: tuple(patterns) for group, patterns in groups.items()}


def _limits(table: Dict[str, Any], _: Path) -> object:
    values = {key.replace("-", "_"): float(one) for key, one in table.get("tolerances", {}).items()}
    return Thresholds()._replace(**values)


def _policy(table: Dict[str, Any], folder: Path) -> object:
    return Policy(
        select=tuple(table.get("select", ("ALL",))),
        extend_select=tuple(table.get("extend-select", ())),
        ignore=tuple(table.get("ignore", ())),
        fail_on=rules.Severity(table.get("fail-on", "error")),
        waivers=tuple(_waiver(one, folder) for one in table.get("waivers", ())),
    )


def _waiver(one: Dict[str, Any], folder: Path) -> Waiver:
    day = one.get("expires")
    fields = {**one, "expires": date.fromisoformat(day) if isinstance(day, str) else day}
    return Waiver(**fields, folder=str(folder))


_SPECIAL: Dict[str, Callable[[Dict[str, Any], Path], object]] = {
    "sizes": _sizes,
    "schema": _schema,
    "groups": _groups,
    "limits": _limits,
    "policy": _policy,
}
