"""Whether names came out inert in a report: read as the programs read it that reports are for.

One function for each format, which yields what is wrong; the names are those of
:mod:`tests.builders.hostile_names`, whose word ``FORGED`` stands wherever a name would act.
"""

from __future__ import annotations

import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from typing import Any, Callable, Dict, Iterator, NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit

from tests.builders import extras
from tests.builders.pages import Element, parsed

# --- text, whoever reads it ------------------------------------------------------------------

_ACTING = frozenset("Cc Cf Cs Co Cn Zl Zp".split())
_ODD = re.compile(
    r"[^\x20-\x7e]+"
)  # most texts have none: asked for each character, they take long


def unprintable(text: str, kept: str = "\n") -> Iterator[str]:
    """Characters that act on what shows them: control, format, surrogates, private, unassigned."""
    odd = set("".join(_ODD.findall(text)))
    found = {one for one in odd if one not in kept and unicodedata.category(one) in _ACTING}
    if found:
        where = min(map(text.index, found))
        yield f"{sorted(map(ascii, found))} in {text[max(where - 60, 0) : where + 60]!a}"


#: What the runners of GitHub Actions take for commands; a name is one in letters of either size.
_COMMANDS = frozenset(
    "error warning notice debug group endgroup add-mask add-matcher remove-matcher add-path echo"
    " set-env set-output save-state stop-commands internal-set-repo-path".split()
)
# Azure Pipelines, its older form in GitHub's runner, and TeamCity find theirs anywhere in a line.
_ANYWHERE = re.compile(r"##(?:vso|teamcity)?\[", re.IGNORECASE)
_LINE_OF_A_NAME = re.compile(r"\s*(?:FORGED|[#>-] FORGED|\*\*\*)")


class Command(NamedTuple):
    """A workflow command: its name, its properties, and the text behind it."""

    name: str
    properties: Dict[str, str]
    data: str


def command_of(line: str) -> Command | None:
    """The command that GitHub's runner takes a line for, as its documentation has the form."""
    head, found, data = line.lstrip()[2:].partition("::")
    if not line.lstrip().startswith("::") or not found:
        return None
    name, _, rest = head.partition(" ")
    if name.lower() not in _COMMANDS:
        return None
    pairs = (pair.split("=", 1) for pair in rest.strip().split(",") if pair)
    properties = {pair[0].strip(): _decoded(pair[-1], ":%3A", ",%2C") for pair in pairs}
    return Command(name.lower(), properties, _decoded(data))


def _decoded(text: str, *more: str) -> str:
    for form in ("\r%0D", "\n%0A", *more, "%%25"):
        text = text.replace(form[1:], form[0])
    return text


def in_a_log(text: str) -> Iterator[str]:
    """What a CI system would do that shows this text, line by line, in its log."""
    yield from unprintable(text)
    for line in text.split("\n"):
        if command_of(line) is not None:
            yield f"a workflow command: {line[:200]!a}"
        if _ANYWHERE.search(line):
            yield f"a command of a CI system: {line[:200]!a}"
        if _LINE_OF_A_NAME.match(line):
            yield f"a line that a name made: {line[:200]!a}"


# --- terminals -------------------------------------------------------------------------------

# What the tool writes itself: colours, bold, dim; a link to a page on a rule in the source tree.
_STYLE = r"\x1b\[(?:0|(?:[1234]|22|3[1-79]|9[0-7])(?:;(?:[1234]|3[1-79]|9[0-7]))*)m"
_LINK = (
    r"\x1b\]8;id=\d+;file://[^\x00-\x20\x7f]*/docs/rules/[A-Z]{3}\d{3}\.md\x1b\\|\x1b\]8;;\x1b\\"
)
_OWN = re.compile(f"{_STYLE}|{_LINK}")


def on_a_terminal(text: str) -> Iterator[str]:
    """What a terminal would do beside showing the text in the styles of the tool."""
    yield from unprintable(_OWN.sub("", text))
    if _ANYWHERE.search(text):
        yield "a command of a CI system"


# --- data ------------------------------------------------------------------------------------


def json_of(text: str) -> Any:
    """The document of a text in strict JSON: no key twice, no NaN."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_refused)


def _unique(pairs: list[tuple[str, Any]]) -> Dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), "a key twice"
    return dict(pairs)


def _refused(word: str) -> NoReturn:
    raise AssertionError(f"{word} is not JSON")


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a document, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)


def _json(text: str) -> Iterator[str]:
    """What holds of every JSON document, whose names are exactly those of the file."""
    yield from in_a_log(text)
    if not text.isascii():
        yield "not ASCII"
    json_of(text)


_EMBEDDED = re.compile(r"\]\(|\{[0-9]+\}")


def _sarif(text: str) -> Iterator[str]:
    """A viewer makes links and placeholders of messages, and opens what a location names."""
    yield from _json(text)
    (run,) = json_of(text)["runs"]
    for shown in (run["results"], run["invocations"], run["tool"]):
        for one in texts_of(shown):
            yield from unprintable(one)
    told = [result["message"]["text"] for result in run["results"]]
    told += [rule[key]["text"] for rule in run["tool"]["driver"]["rules"] for key in _TEXTS]
    told += [one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"]]
    yield from (f"a link in a message: {one!a}" for one in told if _EMBEDDED.search(one))
    for rule in run["tool"]["driver"]["rules"]:
        yield from _in_markdown(rule["help"].get("markdown", ""))
    for result in run["results"]:
        for place in result["locations"]:
            uri = place["physicalLocation"]["artifactLocation"]["uri"]
            parts = urlsplit(uri)
            if parts.scheme or parts.netloc or parts.query or parts.fragment:
                yield f"no path: {uri!a}"
            if not re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})*", uri):
                yield f"no URI reference: {uri!a}"


_TEXTS = ("shortDescription", "fullDescription", "help")


def _gitlab(text: str) -> Iterator[str]:
    """The path is exact, since GitLab looks it up; all else is shown."""
    yield from _json(text)
    for issue in json_of(text):
        for key in ("description", "check_name", "fingerprint", "severity"):
            yield from unprintable(issue[key])


_ELEMENTS = {
    "testsuites": {"name", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"classname", "name"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}


def _junit(text: str) -> Iterator[str]:
    """A parser of XML stops at what XML has no form for."""
    yield from in_a_log(text)
    for one in ET.fromstring(text.encode()).iter():  # noqa: S314 (made here)
        if one.tag not in _ELEMENTS or not set(one.attrib) <= _ELEMENTS[one.tag]:
            yield f"an element of a name: {one.tag} {one.attrib}"
        for told in (one.text or "", *one.attrib.values()):
            yield from unprintable(told)


# --- annotations and lines -------------------------------------------------------------------


def _github(text: str) -> Iterator[str]:
    """Commands are those of findings, with properties of their own."""
    for line in text.splitlines():
        command = command_of(line)
        if command is None:
            yield from in_a_log(line)
            continue
        if command.name not in ("error", "warning", "notice"):
            yield f"a command of a name: {line[:200]!a}"
        if not set(command.properties) <= {"file", "line", "title"}:
            yield f"a property of a name: {sorted(command.properties)}"
        for told in (line, command.data, *command.properties.values()):
            yield from unprintable(told)
        if _ANYWHERE.search(line):
            yield f"a command of a CI system: {line[:200]!a}"


_LINE = re.compile(r"(?:.*: )?\S+ (?:error|warning|note) .*")


def _concise(text: str) -> Iterator[str]:
    yield from in_a_log(text)
    odd = [line for line in text.splitlines() if not _LINE.fullmatch(line)]
    yield from (f"a line of a name: {line!a}" for line in odd)


# --- Markdown --------------------------------------------------------------------------------

_MARKDOWN = extras.markdown().MarkdownIt("commonmark").enable(["table", "strikethrough"])
_OWN_MARKDOWN = frozenset(
    "heading paragraph table thead tbody tr th td bullet_list list_item strong inline text"
    " softbreak code_inline html_inline".split()
)
#: What GitHub makes links of after Markdown, outside of code: URLs, mentions, references, emoji.
_LIVE = re.compile(r"https?://|www\.\w|\w@\w|(?<![\w`])@\w|#\d|:\w+:", re.IGNORECASE)


def _in_markdown(text: str, own: frozenset[str] = _OWN_MARKDOWN) -> Iterator[str]:
    inside = False
    tokens = _MARKDOWN.parse(text)
    for token in [one for block in tokens for one in (block, *(block.children or ()))]:
        kind = re.sub("_(?:open|close)$", "", token.type)
        if kind not in own | {"inline", "text", "paragraph", "softbreak"}:
            yield f"markup of a name: {kind} {token.content[:100]!a}"
        if kind == "html_inline":
            if token.content not in ("<code>", "</code>"):
                yield f"HTML of a name: {token.content!a}"
            inside = token.content == "<code>"
        if kind in ("text", "code_inline"):
            yield from unprintable(token.content)
        if kind == "text" and not inside and _LIVE.search(token.content):
            yield f"a link: {token.content[:200]!a}"


def _markdown(text: str) -> Iterator[str]:
    """A summary has its own headings, lists and one table, and no link."""
    yield from in_a_log(text)
    yield from _in_markdown(text)
    cells = [0]
    for token in _MARKDOWN.parse(text):
        cells[-1] += token.type in ("th_open", "td_open")
        if token.type == "tr_close":
            cells.append(0)
    if set(cells[:-1]) - {5}:
        yield f"a row of a name: {cells}"


# --- pages -----------------------------------------------------------------------------------

_TAGS = frozenset(
    "html head meta title link style body a header div p h1 h2 h3 span nav ul li main section"
    " article table caption thead tbody tr th td dl dt dd code strong form fieldset legend label"
    " input select option output details summary svg rect line g text path tspan polygon polyline"
    " figure figcaption img i b footer dialog button script".split()
)
_ATTRIBUTES = frozenset(
    "lang charset name http-equiv content rel href class id tabindex aria-hidden aria-label"
    " aria-labelledby aria-live role scope data-for data-severity data-code data-measure data-sort"
    " type value checked autocomplete spellcheck hidden width height fill viewbox x y x1 x2 y1 y2 d"
    " preserveaspectratio points transform stroke src alt method fill-opacity text-anchor"
    " stroke-width opacity font-size".split()
)
_IDENTIFIER = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
_CLASSES = re.compile(r"[a-zA-Z0-9 -]*")


def _html(text: str) -> Iterator[str]:
    """A page has elements and attributes of its own alone, and no address beside its anchors."""
    if not text.isascii():
        yield "not ASCII"
    page = parsed(text)
    for one in list(page)[1:]:
        if one.tag not in _TAGS:
            yield f"an element of a name: {one.tag}"
        if one.tag not in ("script", "style"):
            yield from (found for child in one.children for found in _shown(child))
        for name, value in one.attributes.items():
            yield from unprintable(value or "")
            yield from _attribute(one, name, value or "")


def _shown(child: Element | str) -> Iterator[str]:
    return unprintable(child) if isinstance(child, str) else iter(())


def _attribute(one: Element, name: str, value: str) -> Iterator[str]:
    if name not in _ATTRIBUTES:
        yield f"an attribute of a name: {one.tag} {name}"
    if name in ("href", "src") and not value.startswith(("#", "data:,", "data:image/png;base64,")):
        yield f"an address of a name: {value!a}"
    if name in ("id", "data-for", "aria-labelledby") and not _IDENTIFIER.fullmatch(value):
        yield f"an identifier of a name: {value!a}"
    if name == "class" and not _CLASSES.fullmatch(value):
        yield f"a class of a name: {value!a}"


#: What reads each format of a report.
READERS: Dict[str, Callable[[str], Iterator[str]]] = {
    "text": in_a_log,
    "concise": _concise,
    "json": _json,
    "junit": _junit,
    "sarif": _sarif,
    "github": _github,
    "gitlab": _gitlab,
    "markdown": _markdown,
    "html": _html,
}


def path_in(uri: str) -> str:
    """The path that a location in SARIF stands for."""
    return unquote(uri, errors="surrogatepass")
