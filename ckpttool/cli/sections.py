"""Under which heading help pages list an option or a command: by what it is for."""

from __future__ import annotations

from typing import Collection, Iterable

from ckpttool.models.families import free_sizes

#: The heading of what every command has.
GENERAL = "General"

# Names of options as commands get them; ``convert.exclude`` is that of one command.
_OPTIONS = {
    "Files": "files_from exclude changed",
    "Model": f"model {' '.join(free_sizes())} require wrapper",
    "Schema": "schema example allow_missing allow_unexpected",
    "Another checkpoint": "against against_wrapper mapped allow_cast must_change must_not_change",
    "Checks": "no_forward device published fingerprint lock trust",
    "Images": "images pictures",
    "Rules": "config no_config select extend_select ignore fail_on show_waived",
    "Destination": "to output max_shard_size force no_sync dry_run report.format_name index.force",
    "Tensors": "include encoder_only all_wrappers keep keep_aliases weights_only left_wrapper "
    "right_wrapper convert.exclude diff.exclude convert.wrapper diff.mapped",
    "Names": "layout strip_prefix rename rename_file",
    "Values": "dtype dequantise except_quantized parts allow_overflow resize_pos_embed",
    "Records": "metadata sidecar receipt convert.fingerprint",
    "Tolerances": "atol rtol max_ulp exact equal_nan",
    "Proof": "source adapter from_wrapper prove.mapped prove.allow_missing prove.wrapper",
    "Stand-in": "sample.model full seed",
    "Report": "format_name reports sort top stat stats unfold inspect.depth exit_code",
    GENERAL: "workers quiet verbose color debug help version",
}
_COMMANDS = {
    "Look at checkpoints": "verify inspect diff prove",
    "Write checkpoints": "convert index sample",
    "Write records": "lock schema report",
    "Learn more": "explain rules help completion",
}


_SECTIONS = {name: title for title, names in _OPTIONS.items() for name in names.split()}


def section_of(command: str, option: str, spelled: Collection[str] = ()) -> str:
    """Return the heading of an option of a command."""
    own = _SECTIONS.get(f"{command}.{option}") or _SECTIONS.get(option)
    # click calls its own option differently from release to release
    return own or (GENERAL if "--help" in spelled else "Options")


def command_sections(commands: Iterable[str]) -> dict[str, list[str]]:
    """Return headings with the commands below them, in the order in which they are shown."""
    sections = {title: names.split() for title, names in _COMMANDS.items()}
    known = {name for names in sections.values() for name in names}
    others = [name for name in commands if name not in known]
    return {**sections, **({"Commands": others} if others else {})}
