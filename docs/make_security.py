"""Update the tables of ``SECURITY.md`` from what runs of the fuzzer left: ``make docs``."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Mapping, Sequence

from docs.tables import put_in
from tests.fuzzing import results
from tests.fuzzing.found import FOUND, Found
from tests.fuzzing.inputs import SEED
from tests.fuzzing.parser import SAME
from tests.fuzzing.results import Results

PAGE = Path(__file__).parents[1] / "SECURITY.md"


def page(text: str, stored: Mapping[str, Results], found: Sequence[Found]) -> str:
    """Return the page's text with its tables as the results have them."""
    tables = {"FUZZING": "\n".join(_fuzzing(stored)), "FOUND": "\n".join(_found(found))}
    return put_in(text, tables)


def _fuzzing(stored: Mapping[str, Results]) -> Iterator[str]:
    yield from _runs(stored)
    yield ""
    yield (
        "| parser | inputs by number | accepted | compared | led by coverage | slowest "
        "| processor time | findings mended | open |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, one in stored.items():
        tally, led = one.tally, one.led
        yield (
            f"| {name} | {tally.inputs:,} | {tally.read.get('accepted', 0):,} "
            f"| {tally.compared.get(SAME, 0):,} | {led.inputs:,} | {tally.slowest:.2f} s "
            f"| {(tally.seconds + led.seconds) / 3600:.2f} h "
            f"| {one.mended} | {len(tally.findings) + len(led.findings)} |"
        )


def _runs(stored: Mapping[str, Results]) -> Iterator[str]:
    """Say by what the inputs were read."""
    runs = [run for one in stored.values() for run in one.runs]
    processors = "; ".join(dict.fromkeys(run.processor for run in runs))
    dates = sorted({run.date for run in runs})
    commits = ", ".join(dict.fromkeys(f"`{run.commit}`" for run in runs))
    if runs:
        when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        yield f"`make fuzz`, seed {SEED}, {when}, of {commits}, on {processors}."


def _found(found: Sequence[Found]) -> Iterator[str]:
    yield "| parser | what was wrong | test |"
    yield "|---|---|---|"
    for one in found:
        yield f"| {one.parser} | {one.what} | `{one.test}` |"


def main() -> None:
    """Bring the tables of the page up to date."""
    text = page(PAGE.read_text(encoding="utf-8"), results.load(), FOUND)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
