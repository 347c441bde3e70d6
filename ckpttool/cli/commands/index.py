"""``ckpttool index``."""

from __future__ import annotations

import click

from ckpttool.cli.console import emit, say_cleaned
from ckpttool.cli.display import display_options
from ckpttool.cli.program import exit_codes
from ckpttool.findings.text import count, printable, size


@click.command(epilog=exit_codes("written"))
@click.argument("paths", metavar="FOLDER | SHARD...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="The index, in the folder of the shards; by default the one that lists some of them, or "
    "their name with .index.json.",
)
@click.option("--force", is_flag=True, help="Replace an index that lists something else.")
@display_options
def index(paths: tuple[str, ...], output: str | None, force: bool) -> int:
    """Write the index of shards from what is in them, or complete one that is wrong.

    Of a FOLDER all safetensors files right in it are taken or, if there are none, the files of
    torch; so what two exports left there gets one index. Only headers are read. A tensor that lies
    in two files is an error. What the old index says of itself is kept, but for its totals.
    """
    from ckpttool.conversion.indexing import write_index

    written = write_index(*paths, output=output, force=force)
    say_cleaned(written.cleaned)
    what = f"{count(written.tensors, 'tensor')} in {count(len(written.files), 'file')}"
    state = "" if written.is_new else ", as it stands there already"
    lines = [f"{written.path}: {what}, {size(written.size)}{state}"]
    changes = ((written.added, "added"), (written.removed, "removed"), (written.moved, "moved"))
    told = [f"{count(len(names), 'tensor')} {what}" for names, what in changes if names]
    if told:
        lines.append(f"{', '.join(told)} against the index that stood there")
    emit(lambda stream: stream.write("".join(f"{printable(line)}\n" for line in lines)))
    return 0
