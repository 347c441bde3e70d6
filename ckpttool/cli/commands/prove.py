"""``ckpttool prove``."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from ckpttool.cli.batch import one_file_of
from ckpttool.cli.command import command
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


@command(epilog=PROVE_EXIT_CODES)
@click.argument("made", metavar="B", type=click.Path())
@click.option(
    "--from",
    "source",
    required=True,
    type=click.Path(),
    metavar="A",
    help="The checkpoint that B is said to be made from. Or a receipt or lock file: its digests "
    "prove identical, renamed and tied tensors.",
)
@click.option(
    "--adapter",
    multiple=True,
    type=click.Path(),
    metavar="LORA",
    help="A LoRA adapter that is said to be merged into B: the folder that PEFT writes, or the "
    "file of its weights (repeatable, in the order of merging). Layers that were not merged are "
    "named.",
)
@click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="'OLD=NEW'|FILE",
    help="A name in A and the name of the same tensor in B, for example 'net.*=*'. * stands for "
    "any text, {n} for a number (repeatable). Or a file of rules with joins, splits and "
    "transposes, as for convert --rename-file. Known layouts and prefixes are recognised without "
    "it.",
)
@click.option(
    "--allow-missing",
    multiple=True,
    metavar="GLOB",
    help="Tensors of A that B may lack, by their names in A (repeatable). A pattern that matches "
    "nothing is an error.",
)
@click.option(
    "--wrapper",
    metavar="KEY",
    help="The dotted key of the state dict in B, for example model_ema; '' is the top level.",
)
@click.option(
    "--from-wrapper",
    metavar="KEY",
    help="The dotted key of the state dict in A, for example model_ema; '' is the top level.",
)
@click.option(
    "--receipt",
    type=click.Path(),
    metavar="FILE",
    help="If the proof succeeds, write it as JSON, with digests of all files. It can stand for A "
    "in the next proof: prove C --from FILE.",
)
@format_option(FORMATS["Proof"])
@workers_option("read files", "one per processor, at most 6; one for small tensors")
@display_options
def prove(made: str, source: str, mapped: tuple[str, ...], format_name: str, **options: Any) -> int:
    """Prove tensor by tensor that checkpoint B was made from A, and by which operations.

    The operations: a copy; another name (a layout, a prefix, a map, or the same content under
    another name); query, key and value split or joined; a cast to another float type with rounding
    to nearest; another container or other shards; a tied name stored again; LoRA adapters merged;
    weights dequantised or quantised (fp8, int8, MXFP4). Bytes are compared, casts and dequantising
    are repeated and compared bit for bit, merges within the rounding of their arithmetic, and
    quantised weights within half a step. Every tensor of B that A does not explain is named, and
    every tensor of A that B lacks. Only the weights are compared; torch is not loaded. A glob in
    quotes has to match one file.

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
