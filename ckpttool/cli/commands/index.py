"""``ckpttool index``."""

from __future__ import annotations

import click

from ckpttool.cli.command import command
from ckpttool.cli.console import emit, say_cleaned
from ckpttool.cli.display import display_options
from ckpttool.cli.program import exit_codes
from ckpttool.findings.text import count, printable, size


@command(epilog=exit_codes("written"))
@click.argument("paths", metavar="FOLDER | SHARD...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="The index to write, in the folder of the shards (default: the one that lists some of "
    "them, or their name with .index.json).",
)
@click.option("--force", is_flag=True, help="Replace an index that lists other files.")
@display_options
def index(paths: tuple[str, ...], output: str | None, force: bool) -> int:
    """Write the index of a sharded checkpoint from its shards, or correct an existing one.

    Of a FOLDER, all safetensors files in it are indexed or, if there are none, the files of torch;
    files of two exports in one folder get one index. Only headers are read. A tensor that lies in
    two files is an error. The metadata of an existing index is kept, except its totals.

    \b
    Examples:
      ckpttool index release/
      ckpttool index model-00001-of-00002.safetensors model-00002-of-00002.safetensors
    """  # noqa: D301 (for click, a backspace)
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
