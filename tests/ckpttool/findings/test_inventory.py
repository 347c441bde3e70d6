"""What a run made of its files, in one line."""

from __future__ import annotations

from ckpttool.findings.inventory import Item, Standing, account, kinds, named

KNOWN, UNSEEN = Standing.KNOWN, Standing.UNSEEN


def unseen(*paths: str, what: str = "socket", weighty: bool = False) -> list[Item]:
    return [Item(path, UNSEEN, what, weighty=weighty) for path in paths]


def test_nothing_beside_what_was_checked_is_not_worth_a_word() -> None:
    assert account([]) == ""
    assert account([Item("a.pth", Standing.CHECKED, "torch-zip")]) == ""


def test_each_standing_is_counted_and_what_was_not_looked_at_is_named() -> None:
    items = [Item(f"r/{each.value}", each, "thing") for each in Standing]
    assert account([*items, Item("r/x", KNOWN, "text", "../x")]) == (
        "2 other files known, 1 file of training state, 1 part of checkpoints, "
        "1 path of a file that counts already, 1 link out of the folder followed, "
        "1 excluded: r/excluded (thing), 1 not looked at: r/not-looked-at (thing)"
    )


def test_what_could_hold_weights_comes_first_then_the_rare_kinds() -> None:
    sources = unseen(*(f"{number}.py" for number in range(9)), what="source")
    items = [*sources, *unseen("s"), *unseen("w.gguf", "v.gguf", what="GGUF file", weighty=True)]
    assert named(items) == (
        "2 x GGUF file (w.gguf, v.gguf); s (socket); 9 x source (0.py, 1.py, 2.py and 6 more)"
    )


def test_a_line_has_an_end_whatever_there_is() -> None:
    items = [one for number in range(50) for one in unseen("x", "y", what=f"kind {number:02}")]
    assert named(items).endswith("; 90 of other kinds")
    assert len(named(items)) < 200


def test_kinds_are_counted_the_most_first() -> None:
    items = [Item("a", KNOWN, "text"), Item("b", KNOWN, "JSON"), Item("c", KNOWN, "JSON")]
    assert kinds(items) == "2 JSON, 1 text"


def test_names_act_on_nothing() -> None:
    assert "\x1b" not in account(unseen("\x1b[2J", what="\x1b[2J"))
