from __future__ import annotations

import pytest

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.formats import pickles
from ckpttool.formats.safety.watch import Watch
from tests.builders import pickles as p

CALL = p.call(p.name("m", "f"), b"K\x01")


def names_of(error: CkpttoolError) -> list[str]:
    return [use.name for use in error.uses]


def fail_after(body: bytes, error: CkpttoolError) -> None:
    """Read a pickle, then find something wrong with its file."""
    with Watch() as watch:
        watch.parse(p.pickle(body))
        raise error


def read_both(first: bytes, second: bytes) -> None:
    with Watch() as watch:
        watch.parse(first)
        watch.parse(second)


def test_an_error_knows_what_the_pickles_before_it_would_have_done() -> None:
    with pytest.raises(UnsupportedError) as caught:
        fail_after(CALL, UnsupportedError("something else", rules.UNSUPPORTED))
    assert names_of(caught.value) == ["m.f"]


@pytest.mark.parametrize("end", [1, 2, len(b"0N.")])
def test_a_pickle_that_breaks_off_counts_up_to_there(end: int) -> None:
    data = (p.PROTO2 + CALL + b"0N.")[:-end]
    with pytest.raises(pickles.TruncatedPickleError) as caught, Watch() as watch:
        watch.parse(data)
    assert names_of(caught.value) == ["m.f"]


def test_one_that_is_read_after_all_does_not_count_twice() -> None:
    with Watch() as watch:
        with pytest.raises(pickles.TruncatedPickleError):
            watch.parse(p.PROTO2 + CALL)
        watch.parse(p.pickle(CALL))
    assert [(use.name, use.times) for use in watch.uses] == [("m.f", 1)]


WRONG = p.call(p.name("collections", "deque"), b"]", b"N", b"N")


def test_what_no_reader_takes_is_told_where_nothing_graver_is() -> None:
    with pytest.raises(MalformedError) as caught, Watch() as watch:
        watch.parse(p.pickle(p.tuple_of(WRONG, CALL)))
    assert caught.value.rule is rules.PICKLE
    assert names_of(caught.value) == ["m.f"]
    with pytest.raises(MalformedError) as other:
        fail_after(WRONG, MalformedError("worse", rules.GEOMETRY))
    assert other.value.rule is rules.GEOMETRY
    with pytest.raises(MalformedError) as third:
        fail_after(WRONG, UnsupportedError("not known", rules.UNSUPPORTED))
    assert third.value.rule is rules.PICKLE


def test_a_break_comes_before_what_no_reader_takes() -> None:
    with pytest.raises(MalformedError) as caught:
        read_both(p.pickle(WRONG), p.PROTO2 + CALL + b"\xff")
    assert names_of(caught.value) == ["m.f"]


def test_of_a_text_only_names_count_that_a_program_can_have() -> None:
    with Watch() as watch:
        watch.unsigned = True
        watch.look_at(b"(important note\nsecond line\n", None)
        watch.look_at(b"(ios\nsystem\n", None)
    assert [use.name for use in watch.uses] == ["os.system"]
