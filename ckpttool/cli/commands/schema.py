"""``ckpttool schema``."""

from __future__ import annotations

import click

from ckpttool.cli.command import command
from ckpttool.cli.console import emit, say_cleaned
from ckpttool.cli.display import display_options
from ckpttool.cli.messages import note
from ckpttool.cli.option_kinds import wrapper_option
from ckpttool.cli.program import exit_codes
from ckpttool.findings.text import count


@command(epilog=exit_codes("written"))
@click.argument("source", metavar="SOURCE")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="-",
    help="The schema file to write; '-', the default, is standard output.",
)
@wrapper_option
@display_options
def schema(source: str, output: str, wrapper: str | None) -> int:
    """Write the names, dtypes and shapes of a checkpoint to a file, for verify --schema.

    SOURCE is a checkpoint, a sharded index, a lock file, a receipt, another schema file, or a
    config.json of Hugging Face, whose model transformers builds without weights. Or it is code
    that is imported and run: package.module:factory or 'package.module:factory(key=value)'. Of a
    checkpoint only the header is read. The file is sorted JSON; names with equal dtype and shape
    share a line: model.layers.{0-31}.mlp.up_proj.weight.

    \b
    Examples:
      ckpttool schema model.safetensors -o model.schema.json
      ckpttool schema config.json
      ckpttool verify other.pth --schema model.schema.json
    """  # noqa: D301 (for click, a backspace)
    from ckpttool.verification.schema_sources import schema as write_schema

    to_stream = output == "-"
    written = write_schema(source, None if to_stream else output, wrapper=wrapper)
    say_cleaned(written.cleaned)
    if to_stream:
        emit(lambda stream: stream.write(written.text), asked=True)
    else:
        note(f"{output}: written, the schema of {count(written.tensors, 'tensor')}")
    return 0
