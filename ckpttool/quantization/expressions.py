"""Regular expressions of strangers, matched in one pass over a name.

The configuration of a model may hold expressions, and Python's ``re`` takes time without bound for
some (``(a*)*b``). Here all places that an expression may stand at are followed at once, as Thompson
did (Regular Expression Search Algorithm, 1968): each character of a name is looked at once.
What has no such form (a look ahead, a reference to a group) is not read, and the caller is told.
"""

from __future__ import annotations

from typing import Callable, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

#: Characters of an expression, and steps that it may take, repeats written out.
MOST_CHARACTERS, MOST_STEPS = 100_000, 50_000
# Parentheses in parentheses, and repeats that are written out.
_DEEPEST, _MOST_REPEATS = 50, 200
# Sets of places that are kept, and the places in them.
_MOST_KEPT, _MOST_PLACES = 20_000, 500_000
#: Places that are looked at for all names; honest lists take some ten thousand.
MOST_WORK = 3_000_000

_Places = FrozenSet[int]
_Test = Callable[[str], bool]


class _Step(NamedTuple):
    """One step: over a character that passes ``test``, else without one to each of ``to``."""

    test: Optional[_Test]
    to: Tuple[int, ...]
    at: str = ""  # "start" or "end", where it may only be taken there


class Expression:
    """One or several expressions, of which any may match.

    Attributes:
        gave_up: whether they took longer than any honest ones: nothing is told of a name then.
    """

    def __init__(self, steps: Sequence[_Step], first: int) -> None:
        self._steps = steps
        self._first = first
        self._kept: dict[tuple[_Places, str], _Places] = {}
        self._last = len(steps) - 1
        self._work = self._places = 0
        self.gave_up = False

    def ends(self, text: str) -> tuple[int, ...]:
        """Return every place at which a match from the start of ``text`` may end."""
        if self.gave_up:
            return ()
        places = self._reached((self._first,), start=True, end=not text)
        ends = [0] if self._last in places else []
        for number, character in enumerate(text, 1):
            end = number == len(text)
            places = self._after(places, character, end)
            if not places:
                break
            if self._last in places:
                ends.append(number)
        return () if self.gave_up else tuple(ends)

    def _after(self, places: _Places, character: str, end: bool) -> _Places:
        key = places, f"{character}$" if end else character
        found = self._kept.get(key)
        if found is None:
            over = [
                step.to[0]
                for step in (self._steps[place] for place in places)
                if step.test is not None and step.test(character)
            ]
            found = self._reached(over, start=False, end=end)
            self._work += len(places) + len(found)
            self.gave_up = self._work > MOST_WORK
            if self.gave_up:
                return frozenset()
            self._places += len(found)
            if len(self._kept) >= _MOST_KEPT or self._places > _MOST_PLACES:
                self._kept.clear()
                self._places = len(found)
            self._kept[key] = found
        return found

    def _reached(self, begin: Sequence[int], *, start: bool, end: bool) -> _Places:
        seen, left = set(begin), list(begin)
        while left:
            step = self._steps[left.pop()]
            free = step.test is None and not (
                (step.at == "start" and not start) or (step.at == "end" and not end)
            )
            for place in step.to if free else ():
                if place not in seen:
                    seen.add(place)
                    left.append(place)
        return frozenset(seen)


def any_of(expressions: Sequence[str]) -> tuple[Expression, list[str]]:
    """Return one expression for all of them, and those that cannot be read."""
    builder = _Builder()
    begins, unread = [], []
    for one in expressions:
        try:
            begins.append(builder.add(one))
        except _UnreadError:
            unread.append(one)
    return builder.built(begins), unread


class _UnreadError(Exception):
    pass


# A piece of the steps: where it begins, and the steps that lead out of it, still to be aimed.
_Piece = Tuple[int, List[int]]


class _Builder:
    """Reads expressions and writes steps. Every piece ends in one step that leads nowhere yet."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._ends: list[int] = []
        self._text = ""
        self._at = 0

    def add(self, text: str) -> int:
        kept = len(self._steps)
        self._text, self._at = text, 0
        try:
            if len(text) > MOST_CHARACTERS:
                raise _UnreadError
            first, last = self._choice(0)
            if self._at != len(text):
                raise _UnreadError
        except _UnreadError:
            del self._steps[kept:]
            raise
        self._ends.append(last)
        return first

    def built(self, begins: Sequence[int]) -> Expression:
        first = self._step(tuple(begins))
        last = self._step(())
        for end in self._ends:
            self._steps[end] = self._steps[end]._replace(to=(last,))
        return Expression(self._steps, first)

    def _step(self, to: tuple[int, ...], test: _Test | None = None, at: str = "") -> int:
        if len(self._steps) >= MOST_STEPS:
            raise _UnreadError
        self._steps.append(_Step(test, to, at))
        return len(self._steps) - 1

    def _aim(self, end: int, to: int) -> None:
        self._steps[end] = self._steps[end]._replace(to=(to,))

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        taken = self._next()
        if not taken:
            raise _UnreadError
        self._at += 1
        return taken

    def _choice(self, depth: int) -> tuple[int, int]:
        if depth > _DEEPEST:
            raise _UnreadError
        branches = [self._sequence(depth)]
        while self._next() == "|":
            self._at += 1
            branches.append(self._sequence(depth))
        if len(branches) == 1:
            return branches[0]
        last = self._step(())
        for _, end in branches:
            self._aim(end, last)
        return self._step(tuple(first for first, _ in branches)), last

    def _sequence(self, depth: int) -> tuple[int, int]:
        first = last = self._step(())
        while self._next() not in ("", "|", ")"):
            begin, end = self._repeated(depth)
            self._aim(last, begin)
            last = end
        return first, last

    def _repeated(self, depth: int) -> tuple[int, int]:
        start = self._at
        written = [self._atom(depth)]
        least, most = self._times()
        after = self._at

        def copy() -> tuple[int, int]:
            if written:  # read twice, parentheses in parentheses would double at each depth
                return written.pop()
            self._at = start
            return self._atom(depth)

        if (least, most) == (1, 1):
            return copy()
        first = last = self._step(())
        for _ in range(least):
            begin, end = copy()
            self._aim(last, begin)
            last = end
        out = self._step(())
        if most is None:
            begin, end = copy()
            fork = self._step((begin, out))
            self._aim(last, fork)
            self._aim(end, fork)
        else:
            for _ in range(most - least):
                begin, end = copy()
                self._aim(last, self._step((begin, out)))
                last = end
            self._aim(last, out)
        self._at = after
        return first, out

    def _times(self) -> tuple[int, int | None]:
        times: tuple[int, int | None] = (1, 1)
        sign = self._next()
        if sign and sign in "*+?":
            self._at += 1
            times = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        elif sign == "{":
            close = self._text.find("}", self._at)
            low, comma, high = self._text[self._at + 1 : max(close, 0)].partition(",")
            if close < 0 or not _is_number(low) or not (_is_number(high) or not high):
                raise _UnreadError
            self._at = close + 1
            least = int(low[:4])
            times = least, (int(high[:4]) if high else None) if comma else least
        if times[0] > _MOST_REPEATS or (times[1] or 0) > _MOST_REPEATS:
            raise _UnreadError
        if sign and sign in "*+?{" and self._next() and self._next() in "?+*{":
            if self._next() != "?":
                raise _UnreadError
            self._at += 1  # as few as possible: the same names match
        return times

    def _atom(self, depth: int) -> tuple[int, int]:
        taken = self._take()
        if taken == "(":
            if self._next() == "?":
                if self._text[self._at : self._at + 2] != "?:":
                    raise _UnreadError
                self._at += 2
            piece = self._choice(depth + 1)
            if self._take() != ")":
                raise _UnreadError
            return piece
        if taken in "^$":
            place = self._step((), at="start" if taken == "^" else "end")
            return place, place
        if taken in "*+?{":
            raise _UnreadError
        if taken == ".":
            test: _Test = _is_any
        elif taken == "[":
            test = self._class()
        elif taken == "\\":
            test = self._escaped()
        else:
            test = taken.__eq__
        end = self._step(())
        return self._step((end,), test), end

    def _escaped(self) -> _Test:
        taken = self._take()
        if taken in _KINDS:
            return _KINDS[taken]
        if taken.isalnum():
            raise _UnreadError  # a border of words, a reference to a group
        return taken.__eq__

    def _class(self) -> _Test:
        negative = self._next() == "^"
        self._at += negative
        tests: list[_Test] = []
        while self._next() != "]" or not tests:
            taken = self._take()
            if taken == "\\":
                tests.append(self._escaped())
            elif self._next() == "-" and self._text[self._at + 1 : self._at + 2] not in ("", "]"):
                self._at += 1
                high = self._take()
                if high == "\\" or high < taken:
                    raise _UnreadError
                tests.append(_between(taken, high))
            else:
                tests.append(taken.__eq__)
        self._at += 1
        return _one_of(tests, negative)


def _is_number(text: str) -> bool:
    # not by isdigit alone, for which a superscript is a digit, too
    return text.isascii() and text.isdigit()


def _is_any(character: str) -> bool:
    return character != "\n"


def _between(low: str, high: str) -> _Test:
    return lambda character: low <= character <= high


def _one_of(tests: Sequence[_Test], negative: bool) -> _Test:
    return lambda character: any(test(character) for test in tests) is not negative


_KINDS: dict[str, _Test] = {
    "d": str.isdigit,
    "D": lambda character: not character.isdigit(),
    "w": lambda character: character.isalnum() or character == "_",
    "W": lambda character: not (character.isalnum() or character == "_"),
    "s": str.isspace,
    "S": lambda character: not character.isspace(),
}
