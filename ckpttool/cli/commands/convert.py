"""``ckpttool convert``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ckpttool.cli.batch import stop_without_files, targets
from ckpttool.cli.choices import in_table
from ckpttool.cli.console import emit
from ckpttool.cli.display import display_options
from ckpttool.cli.messages import note
from ckpttool.cli.option_kinds import (
    Pixels,
    format_option,
    pair,
    renames,
    workers_option,
    wrapper_option,
)
from ckpttool.cli.options import Configured
from ckpttool.cli.progress import progress_bar
from ckpttool.reports import FORMATS, reporter
from ckpttool.tensors.workers import without_blas

if TYPE_CHECKING:
    from ckpttool.conversion.result import Conversion
    from ckpttool.inputs.paths import Input

_EXIT_CODES = (
    "Exit codes: 0 written and proven, 1 refused because of the checkpoint's content, 2 usage, "
    "I/O, a broken package or a limit (in both cases nothing is written), 3 internal error, "
    "130 interrupted. Of several files, the highest counts."
)


@click.command(epilog=_EXIT_CODES)
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[SRC...]")
@click.option(
    "--to",
    required=True,
    type=in_table("ckpttool.formats.writing", "TARGETS"),
    help="What to write: safetensors, or a .pth as torch.save writes it.",
)
@click.option(
    "-o",
    "--output",
    metavar="DST",
    help="The file to write, or a folder for it. By default it goes beside the source, under its "
    "name with another suffix.",
)
@click.option(
    "--max-shard-size",
    metavar="SIZE",
    help="Split into shards of at most this size, with an index: 5GB for example (decimal units). "
    "A larger tensor gets a shard of its own.",
)
@click.option(
    "--dtype",
    type=in_table("ckpttool.conversion.options", "CAST_DTYPES"),
    help="Cast floating tensors, to nearest even. By default every byte is kept.",
)
@click.option(
    "--dequantise",
    "--dequantize",
    "dequantise",
    type=in_table("ckpttool.conversion.options", "DECODED_DTYPES"),
    help="Decode quantized weights to this type: fp8 and int8 with scales, LLM.int8, MXFP4. Their "
    "scales are not written, and all other tensors stay as they are (--dtype casts them).",
)
@click.option(
    "--dtype-except-quantized",
    "except_quantized",
    is_flag=True,
    help="Cast what is not quantized, and copy quantized weights with their scales bit for bit. "
    "Without this option, --dtype refuses a file with such weights.",
)
@click.option(
    "--parts",
    is_flag=True,
    help="Write quantized and sparse tensors, and those of torchao and other classes, as the plain "
    "tensors that they are made of: .int_repr, .scale and .zero_point, .indices and .values, "
    ".qdata. What they were is in __metadata__. Without this option, such tensors are refused.",
)
@click.option(
    "--allow-overflow", is_flag=True, help="Let a cast turn large numbers infinite (else an error)."
)
@click.option(
    "--include", multiple=True, metavar="GLOB", help="Take only matching names (repeatable)."
)
@click.option(
    "--exclude", multiple=True, metavar="GLOB", help="Leave out matching names (repeatable)."
)
@click.option("--encoder-only", is_flag=True, help="Leave out the decoder.")
@click.option(
    "--layout",
    type=in_table("ckpttool.conversion.options", "LAYOUTS"),
    help="Write the names of this convention, from those of any that is known; parts are joined "
    "and split. hf is ViTMAE as on the hub: with -o FOLDER, from_pretrained(FOLDER) loads it, and "
    "a config.json is written with it. timm has no decoder: add --encoder-only.",
)
@click.option(
    "--strip-prefix",
    multiple=True,
    metavar="PREFIX",
    help="Cut this from the start of names, module. say (repeatable: one after the other).",
)
@click.option(
    "--rename",
    multiple=True,
    metavar="'PATTERN=NAME'",
    help="Rename, 'net.*=*' say: * is any text, {n} a number, and on the right what they stand for "
    "on the left, in order (repeatable: the first that matches counts). Before --layout.",
)
@click.option(
    "--rename-file",
    metavar="FILE.toml",
    help="Renames, joins, splits and transposes of a file; see docs/convert.md.",
)
@click.option(
    "--resize-pos-embed",
    type=Pixels(),
    metavar="PIXELS",
    help="Resize the position tables for images of this size: 384, or height and width, 512x384. "
    "The sin-cos table is computed anew; any other is interpolated bicubically, but for the row of "
    "the class token. All other tensors stay as they are, bit for bit.",
)
@wrapper_option
@click.option(
    "--all-wrappers",
    is_flag=True,
    help="Convert every state dict of the file, each to a file with its key in the name: "
    "run.model.safetensors, run.model_ema.safetensors. (All in one file: --wrapper ''.)",
)
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE",
    help="An additional string for __metadata__ (repeatable).",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="NAME",
    help="Of names that share all their bytes, store this one (a glob too; repeatable). By default "
    "the first in the order of the file, and one of a head only if there is no other.",
)
@click.option(
    "--keep-aliases",
    is_flag=True,
    help="Store the bytes again for each name that shares them, rather than once.",
)
@click.option(
    "--sidecar",
    metavar="FILE.json",
    help="Write what is stored beside the weights, except tensors, to a file of its own.",
)
@click.option(
    "--receipt",
    metavar="FILE.json",
    help="Write SHA-256 sums of all files and tensors, and what was changed.",
)
@click.option(
    "--fingerprint",
    is_flag=True,
    help="Compute the content fingerprint (SHA-256), report it and write it into __metadata__. "
    "The proof compares all bytes without it.",
)
@click.option("--force", is_flag=True, help="Replace existing files at the destination.")
@click.option("--no-sync", is_flag=True, help="Do not wait until the bytes are on the disk.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@format_option(FORMATS["Conversion"])
@workers_option("copy")
@display_options
def convert(
    paths: tuple[str, ...],
    to: str,
    output: str | None,
    metadata: tuple[str, ...],
    rename: tuple[str, ...],
    all_wrappers: bool,
    no_sync: bool,
    format_name: str,
    **options: Any,
) -> int:
    """Copy checkpoints into another container, and prove that nothing changed.

    The names can be those of another convention, or the caller's own (--layout, --rename): then
    rows are put together anew, and the proof has that each of the source is written once.

    Bytes are copied as they are, nothing is loaded and nothing executed. Every byte is read back
    and compared with the source's, the new file is opened again (a .safetensors by its library,
    too), and only then gets its name.

    SRC is a file, a glob in quotes ('runs/**/*.pth'), or a folder, which is searched for
    checkpoints. Without SRC, the checkpoint of the configuration is taken.

    \b
    Examples:
      ckpttool convert model.pth --to safetensors
      ckpttool convert mae.pth --to safetensors --layout hf -o vit-mae/
      ckpttool convert mae.pth --to safetensors --layout timm --encoder-only
      ckpttool convert run.ckpt --to safetensors --all-wrappers -o release/
      ckpttool convert run.ckpt --to pth --rename 'student.*=*' --layout facebook
    """  # noqa: D301 (for click, a backspace)
    without_blas()  # before numpy is loaded: its threads would only be in the way
    from ckpttool.conversion import convert as converting
    from ckpttool.conversion.every import Every
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.result import Conversion, Conversions
    from ckpttool.findings.inventory import Standing
    from ckpttool.inputs.accounting import account_for, examined

    asked = {
        "metadata": dict(pair(text, "KEY=VALUE") for text in metadata),
        "rename": renames(rename),
        "sync": not no_sync,
        **options,
    }
    # only what decides the names of the results; convert checks the rest
    named = {name: options[name] for name in ("sidecar", "receipt", "layout")}
    chosen = ConvertOptions(to, output, **named)
    configured = Configured(by_file=bool(paths))
    found = targets(configured, paths, whole=False)
    sources = [target.path for target in found.targets if target.error is None]
    # told before the first is written: of two results one would replace the other
    converting.destinations(sources, chosen)
    stop_without_files(found, format_name)

    every = Every(sources)

    def examine(target: Input) -> list[Conversion]:
        with progress_bar(target.path) as bar:
            if all_wrappers:
                return every.convert(target.path, output, to=to, progress=bar, **asked)
            return [converting.convert(target.path, output, to=to, progress=bar, **asked)]

    files = examined(found, examine, lambda report: [Conversion(report, to)])
    kept, inventory = account_for(found, [first.file for first, *_ in files])
    for item in inventory:  # the report has converted files alone
        if item.weighty or item.standing is Standing.SAME:
            note(f"{item.path}: not converted: {item.what}")
    conversions = Conversions(tuple(one for number in kept for one in files[number]))
    emit(partial(reporter(format_name, kind="Conversion"), conversions))
    return conversions.exit_code
