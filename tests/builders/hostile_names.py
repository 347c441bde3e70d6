"""Names that would act where they are shown: on a terminal, in a log of CI, a page, a parser.

Each has a word of its own in capitals, by which it is recognised in a report: what stands around
the word is what must come out inert.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple

from hypothesis import strategies as st

#: What a name would do, and pieces of text that do it, ``W`` for the word that is seen if they did.
PIECES: Dict[str, Tuple[str, ...]] = {
    "act on a terminal": (
        "\x1b[2J\x1b[H",
        "\x1b[5;7;45mW\x1b[m",
        "\x1b]0;W\x07",
        "\x1b]52;c;V1c=\x07",
        "\x1b]8;;https://w.example/\x1b\\W\x1b]8;;\x1b\\",
        "\x1b[1A\rW",  # a report on a tool that sends files: the line above is written over
        "\x1bP+q544e\x1b\\",
        "\x9b31mW\x9c",
        "W\b\b\b\x7f",
        "\x0e\x0fW\x00",
        "[red]W[/red]",
        "[/]W[link=https://w.example]",
        ":skull:W",
    ),
    "turn or hide text": (
        "\u202eW\u202c",
        "\u2066W\u2069\u2067W",
        "\u200fW\u061c",
        "W\u200b\u200d\u2060\ufeffW",
        "\u00adW\U000e0041\U000e007f",
        "W\ue000\U000f0000",
        "W\u2028W\u2029W",
    ),
    "command a CI system": (
        "\n::error file=W::W",
        "::error::W",
        "\r\n::stop-commands::W",
        "::add-mask::W",
        "%0A::error::W",
        "%0D%0A::set-output name=W::W",
        ",file=W,line=1",
        "##[error]W",
        "##vso[task.setvariable variable=W]W",
        "##teamcity[buildStatus status='SUCCESS' text='W']",
        ":",
        "##",
        "[W]",
    ),
    "be markup": (
        "<script>W()</script>",
        "</script><script>W()</script>",
        '"><img src=x onerror=W()>',
        "' onmouseover='W()",
        "</title></style><!--W",
        "]]><W/>",
        "&lt;W&gt;&#x1b;&amp;",
        "{{ 7*7 }}{% raw %}${W}",
        "javascript:W()",
        "{0}{1}",
    ),
    "be Markdown": (
        "|W|W|\n|---|---|",
        "`W``W```",
        "[W](https://w.example)",
        "![W](https://w.example/w.png)",
        "<https://w.example>",
        "https://w.example www.w.example w@w.example",
        "@W #1 W/W#1",
        "\n\n# W\n- W\n    W\n> W\n***\n",
        "**W** __W__ ~~W~~ $W$ \\(W\\)",
        "[W]: https://w.example",
        "</code>W<code>",
        "\\|\\`\\",
    ),
    "break a parser": (
        "W\x00W",
        "\x0bW\x0c\x1f",
        "W\ufffe\uffff",
        "W\ud800W",
        "W\udfff",
        "\x85W\xa0",
        "\tW\r",
        "\\u001b[2JW\\",
        '"W\\"',
        "NaN",
    ),
}


class Told(NamedTuple):
    """A report in public on a tool that wrote a name as it was, and the name that showed it."""

    what: str
    name: str


#: Each rebuilt from what the report says; they stand in every table of names here.
TOLD = (
    Told("a receiver of files: a name goes up a line and writes over it", "\x1b[1A\rharmless"),
    Told("a browser of folders: a name writes the clipboard", "a\x1b]52;c;ZXZpbA==\x07.pth"),
    Told("a viewer: BEL in a name ends the title that it is put in", "a\x07\x1b]0;evil\x07"),
    Told(
        "annotations: a path with a line break is an annotation of its own",
        "src/a.php\n::error file=README.md,line=1,title=Injected::forged",
    ),
    Told(
        "tasks of a CI system: output of another program sets variables",
        "##vso[task.prependpath]/tmp/bin",
    ),
    Told("a page of calls: a name ends the script", "</script><script>alert(1)</script>"),
    Told("a page of tests: a quote in a name ends the attribute", 'shot" onload="alert(1).png'),
    Told("a page of code: a quote in a link of a script", "');alert(document.domain);('.txt"),
    Told("JUnit: a control character in a failure", "bad token \x12 in body \x01\x02"),
    Told("JUnit: a NUL in what was compared", "abc\x00"),
    Told("SARIF: a colon in the first part of a path", "Dockerfile (nginx:1.23 lines:1-1 (sha))"),
    Told("SARIF: a path that is no URI reference", "data/\xe4\xf6\xfc [1]#x?.html"),
    Told("JSON: half of a surrogate pair", "half \ud835 of a pair"),
    Told("a command to paste: a name is shown from right to left", "\u202egnp.elif_ngineb"),
)

#: A name for each row above, all of its pieces in it, none so long that its middle is left out.
WORST: Dict[str, Tuple[str, ...]] = {
    what: tuple(
        f"Q{''.join(pieces[start : start + 4])}Q".replace("W", "FORGED")
        for start in range(0, len(pieces), 4)
    )
    for what, pieces in PIECES.items()
}

#: One short name with the worst of all.
SHORT = (
    "\x1b[2J\n::error::FORGED##vso[F]##[e]\u202e\ud800\x00\ufffe<b>`|[F](http://w.example)"
    "\"'{{F}}{0}[red]"
)

ALL: Tuple[str, ...] = (
    SHORT,
    *(name for names in WORST.values() for name in names),
    *(told.name for told in TOLD),
    "",
    " ",
    "x" * 5000,
    "\x1b[2J" * 1000,
)

_PIECE = st.sampled_from([piece for pieces in PIECES.values() for piece in pieces])


def names(most: int = 5) -> st.SearchStrategy[str]:
    """Names of pieces that act, in any order, with other text between them."""
    plain = st.one_of(st.text(max_size=4), st.sampled_from(["blocks.0", ".", "/", " ", ": "]))
    # twice: what is put together of two pieces is what nobody thought of
    return st.lists(st.one_of(_PIECE, _PIECE, plain), min_size=1, max_size=most).map("".join)
