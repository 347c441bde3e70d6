"""``ckpttool convert``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ckpttool.cli.batch import stop_without_files, targets
from ckpttool.cli.choices import in_table
from ckpttool.cli.command import command
from ckpttool.cli.console import emit
from ckpttool.cli.display import display_options
from ckpttool.cli.messages import note
from ckpttool.cli.option_kinds import (
    Pixels,
    Size,
    format_option,
    pair,
    renames,
    workers_option,
    wrapper_option,
)
from ckpttool.cli.options import Configured, no_config_option
from ckpttool.cli.progress import progress_of
from ckpttool.cli.reporting import page_option, planned, store
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


@command(epilog=_EXIT_CODES)
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[SRC...]")
@click.option(
    "--to",
    required=True,
    type=in_table("ckpttool.formats.writing", "TARGETS"),
    help="The format to write: safetensors, or a .pth file as torch.save writes it.",
)
@click.option(
    "-o",
    "--output",
    metavar="DST",
    help="The file to write, or a folder for it (default: beside the source, with another suffix).",
)
@click.option(
    "--max-shard-size",
    type=Size(),
    metavar="SIZE",
    help="Split into shards of at most this size, with an index: for example 5GB (5 * 10^9 bytes) "
    "or 4GiB. A larger tensor gets a shard of its own.",
)
@click.option(
    "--dtype",
    type=in_table("ckpttool.conversion.options", "CAST_DTYPES"),
    help="Cast floating-point tensors, rounding to nearest even (default: keep every byte).",
)
@click.option(
    "--dequantise",
    "--dequantize",
    "dequantise",
    type=in_table("ckpttool.conversion.options", "DECODED_DTYPES"),
    help="Decode quantized weights to this dtype: fp8 and int8 with scales, LLM.int8, MXFP4. Their "
    "scales are not written; all other tensors are copied (or cast, with --dtype).",
)
@click.option(
    "--dtype-except-quantized",
    "except_quantized",
    is_flag=True,
    help="With --dtype: cast only what is not quantized, and copy quantized weights and their "
    "scales bit for bit. Without this option, --dtype refuses a file with such weights.",
)
@click.option(
    "--parts",
    is_flag=True,
    help="Write quantized and sparse tensors, and those of torchao and other classes, as the plain "
    "tensors that they consist of: .int_repr, .scale and .zero_point, .indices and .values, "
    ".qdata. __metadata__ records what they were. Without this option, they are refused.",
)
@click.option(
    "--allow-overflow", is_flag=True, help="Let a cast make numbers infinite (default: an error)."
)
@click.option(
    "--include", multiple=True, metavar="GLOB", help="Convert only matching names (repeatable)."
)
@click.option(
    "--exclude", multiple=True, metavar="GLOB", help="Leave out matching names (repeatable)."
)
@click.option("--encoder-only", is_flag=True, help="Leave out the decoder.")
@click.option(
    "--layout",
    type=in_table("ckpttool.conversion.options", "LAYOUTS"),
    help="Write the names of this naming convention; those of any known one are read, and tensors "
    "are joined and split as needed. hf is ViTMAE as on the Hugging Face hub: with -o FOLDER, "
    "from_pretrained(FOLDER) loads it, and a config.json is written as well. timm has no decoder: "
    "add --encoder-only.",
)
@click.option(
    "--strip-prefix",
    multiple=True,
    metavar="PREFIX",
    help="Remove this from the start of names, for example module. (repeatable: in this order).",
)
@click.option(
    "--rename",
    multiple=True,
    metavar="'PATTERN=NAME'",
    help="Rename, for example 'net.*=*'. * stands for any text and {n} for a number; on the right "
    "they stand for the same as on the left, in order (repeatable: the first that matches "
    "counts). Applied before --layout.",
)
@click.option(
    "--rename-file",
    metavar="FILE.toml",
    help="A file of renames, joins, splits and transposes; see docs/convert.md.",
)
@click.option(
    "--resize-pos-embed",
    type=Pixels(),
    metavar="PIXELS",
    help="Resize the position embeddings for images of this size: 384, or height and width as "
    "512x384. A sin-cos table is computed again; any other is interpolated bicubically, except "
    "the row of the class token. All other tensors are copied bit for bit.",
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
    help="A string to add to __metadata__ (repeatable).",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="NAME",
    help="Of several names for the same bytes, store this one; may be a glob (repeatable). By "
    "default the first in the file, and that of a head only if there is no other.",
)
@click.option(
    "--keep-aliases",
    is_flag=True,
    help="Store shared bytes once for each of their names.",
)
@click.option(
    "--sidecar",
    metavar="FILE.json",
    help="Also write what is stored beside the weights, except tensors, to this file.",
)
@click.option(
    "--receipt",
    metavar="FILE.json",
    help="Also write SHA-256 digests of all files and tensors, and what was changed, to this file.",
)
@click.option(
    "--fingerprint",
    is_flag=True,
    help="Report the content fingerprint (SHA-256) and write it into __metadata__. The proof does "
    "not need it.",
)
@click.option("--force", is_flag=True, help="Replace existing files at the destination.")
@click.option(
    "--no-sync", is_flag=True, help="Do not wait until the disk has the bytes (no fsync)."
)
@click.option("--dry-run", is_flag=True, help="Report what would be written, and write nothing.")
@no_config_option
@format_option(FORMATS["Conversion"])
@page_option
@workers_option("copy files")
@display_options
def convert(
    paths: tuple[str, ...],
    to: str,
    output: str | None,
    metadata: tuple[str, ...],
    rename: tuple[str, ...],
    all_wrappers: bool,
    no_sync: bool,
    no_config: bool,
    format_name: str,
    reports: tuple[str, ...],
    **options: Any,
) -> int:
    """Copy checkpoints into another container, and prove that nothing changed.

    The names can be changed, to those of another convention or by rules (--layout, --rename).
    Tensors are then joined and split by rows, and the proof shows that each row of the source is
    written exactly once.

    Bytes are copied as they are; nothing is loaded and nothing is executed. Every byte is read
    back and compared with the source, and the new file is opened again (a .safetensors by the
    safetensors library as well). Only then does it get its name.

    SRC is a file, a glob in quotes ('runs/**/*.pth'), or a folder, which is searched for
    checkpoints. Without SRC, the checkpoint named in the configuration is converted.

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
    configured = Configured(by_file=bool(paths), none=no_config)
    found = targets(configured, paths, whole=False)
    sources = [target.path for target in found.targets if target.error is None]
    # told before the first is written: of two results one would replace the other
    written = [*converting.destinations(sources, chosen), chosen.sidecar, chosen.receipt]
    report_files = planned(reports, sources, "Conversions", filter(None, written))
    stop_without_files(found, format_name)

    every = Every(sources)

    def examine(target: Input) -> list[Conversion]:
        with progress(target.path) as bar:
            if all_wrappers:
                return every.convert(target.path, output, to=to, progress=bar, **asked)
            return [converting.convert(target.path, output, to=to, progress=bar, **asked)]

    with progress_of(sources) as progress:
        files = examined(found, examine, lambda report: [Conversion(report, to)])
    kept, inventory = account_for(found, [first.file for first, *_ in files])
    for item in inventory:  # the report has converted files alone
        if item.weighty or item.standing is Standing.SAME:
            note(f"{item.path}: not converted: {item.what}")
    conversions = Conversions(tuple(one for number in kept for one in files[number]))
    emit(partial(reporter(format_name, kind="Conversion"), conversions))
    store(conversions, report_files, kind="Conversions")
    return conversions.exit_code
