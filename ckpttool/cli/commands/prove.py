"""``ckpttool prove``."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from ckpttool.cli.batch import one_file_of
from ckpttool.cli.console import emit
from ckpttool.cli.display import display_options
from ckpttool.cli.option_kinds import format_option, renames, workers_option
from ckpttool.cli.progress import progress_bar
from ckpttool.findings.errors import UsageError
from ckpttool.reports import FORMATS, reporter
from ckpttool.tensors.workers import without_blas

#: Below the help: the exit codes are of the proof.
PROVE_EXIT_CODES = (
    "Exit codes: 0 proven, 1 not proven (a tensor unexplained or missing), 2 cannot tell (a file "
    "or a tensor that cannot be read or trusted, or wrong usage), 3 internal error, "
    "130 interrupted."
)


@click.command(epilog=PROVE_EXIT_CODES)
@click.argument("made", metavar="B", type=click.Path())
@click.option(
    "--from",
    "source",
    required=True,
    type=click.Path(),
    metavar="A",
    help="The checkpoint that B is said to be made from; or a receipt or lock file, by whose "
    "digests identical, renamed and tied tensors are proven.",
)
@click.option(
    "--adapter",
    multiple=True,
    type=click.Path(),
    metavar="LORA",
    help="A LoRA adapter that is said to be merged into B: the folder that PEFT writes, or its "
    "file of weights (repeatable, in the order of merging). Layers that were not merged are named.",
)
@click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="'OLD=NEW'|FILE",
    help="What A calls OLD is called NEW in B, 'net.*=*' say: * is any text, {n} a number "
    "(repeatable). Or a file of rules, as --rename-file of convert has it: joins, splits and "
    "transposes too. Names of known layouts and prefixes need none.",
)
@click.option(
    "--allow-missing",
    multiple=True,
    metavar="GLOB",
    help="Tensors of A that B may lack, by what A calls them (repeatable). A pattern that matches "
    "nothing is an error.",
)
@click.option(
    "--wrapper",
    metavar="KEY",
    help="The dotted key of the state dict to take from B; '' is the root.",
)
@click.option(
    "--from-wrapper",
    metavar="KEY",
    help="The dotted key of the state dict to take from A; '' is the root.",
)
@click.option(
    "--receipt",
    type=click.Path(),
    metavar="FILE",
    help="Write what was proven as JSON, with digests of all files, if it was proven. The next "
    "proof takes it for A: prove C --from FILE.",
)
@format_option(FORMATS["Proof"])
@workers_option("read", "one a processor, at most 6; one for small tensors")
@display_options
def prove(made: str, source: str, mapped: tuple[str, ...], format_name: str, **options: Any) -> int:
    """Prove tensor by tensor that checkpoint B was made from A, and name the operations.

    Operations are: identical, renamed (a layout, a prefix, a map, or the same content under another
    name), split or joined query, key and value, cast to another float type with rounding to
    nearest, stored in another container or in other shards, a tied name put back, LoRA adapters
    merged, and weights dequantised or quantised (fp8, int8, MXFP4). The bytes of both files are
    compared, casts and dequantising are replayed to the bit, merges within the rounding of their
    arithmetic, and quantised weights are held to half a step. Every tensor of B that A does not
    explain is named, and every tensor of A that B lacks. Only the weights are looked at; torch is
    not loaded. A glob in quotes has to match one file.

    \b
    Examples:
      ckpttool prove model.safetensors --from checkpoint.pth
      ckpttool prove release/model.safetensors.index.json --from run.ckpt --from-wrapper model_ema
      ckpttool prove encoder.safetensors --from full.pth --allow-missing 'decoder*'
      ckpttool prove merged.safetensors --from base.safetensors --adapter lora/
      ckpttool prove model.safetensors --from checkpoint.pth --receipt model.receipt.json
      ckpttool prove theirs.pth --from mine.pth --map 'net.{n}.*=blocks.{n}.*'
    """  # noqa: D301 (for click, a backspace)
    without_blas()
    from ckpttool.proof import prove as proving

    made, source = one_file_of(made, format_name), one_file_of(source, format_name)
    files = [text for text in mapped if "=" not in text]
    if len(files) > 1:
        raise UsageError("--map takes one file of rules", found=" ".join(files))
    with progress_bar(made) as bar:
        proof = proving.prove(
            made,
            source,
            map=renames(text for text in mapped if "=" in text),
            rename_file=files[0] if files else None,
            progress=bar,
            **options,
        )
    emit(partial(reporter(format_name, kind="Proof"), proof))
    return proof.exit_code
