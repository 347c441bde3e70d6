"""``ckpttool schema``."""

from __future__ import annotations

import click

from ckpttool.cli.console import emit, say_cleaned
from ckpttool.cli.display import display_options
from ckpttool.cli.messages import note
from ckpttool.cli.option_kinds import wrapper_option
from ckpttool.cli.program import exit_codes
from ckpttool.findings.text import count


@click.command(epilog=exit_codes("written"))
@click.argument("source", metavar="SOURCE")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="-",
    help="The schema file, '-' for standard output, which is the default.",
)
@wrapper_option
@display_options
def schema(source: str, output: str, wrapper: str | None) -> int:
    """Write down which names, dtypes and shapes a checkpoint holds, for verify --schema.

    SOURCE is a checkpoint, a sharded index, a lock file, a receipt, another schema file, or a
    config.json of Hugging Face, whose model transformers builds without weights. Or it is code,
    package.module:factory or 'package.module:factory(key=value)', which is imported and run then.
    Only the header of a checkpoint is read. The file is JSON, sorted, with names of the same dtype
    and shape on one line: model.layers.{0-31}.mlp.up_proj.weight.
    """
    from ckpttool.verification.schema_sources import schema as write_schema

    to_stream = output == "-"
    written = write_schema(source, None if to_stream else output, wrapper=wrapper)
    say_cleaned(written.cleaned)
    if to_stream:
        emit(lambda stream: stream.write(written.text), asked=True)
    else:
        note(f"{output}: written, the schema of {count(written.tensors, 'tensor')}")
    return 0
