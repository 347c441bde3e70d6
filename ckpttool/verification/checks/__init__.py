"""The checks: each a short generator of findings about one :class:`Evidence`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterator, Tuple

from ckpttool.verification.checks import (
    architecture,
    config_file,
    container,
    forward_pass,
    initial,
    locked,
    meaning,
    parts,
    positions,
    private,
    quantized,
    quantized_values,
    release,
    safety,
    shapes,
    siblings,
    values,
    wasted_bytes,
)

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.verification.evidence import Evidence

Check = Callable[["Evidence"], Iterator["Finding"]]

#: Every check. A report sorts findings by severity, and those of one severity stay in this order.
CHECKS: Tuple[Check, ...] = (
    # what to know before anybody loads the file
    safety.check_pickle_names,
    container.check_remarks,
    private.check_private_text,
    # damaged or missing bytes, which explain what the checks after them find
    values.check_checksums,
    container.check_placeholders,
    architecture.check_model,
    architecture.check_size,
    architecture.check_core,
    architecture.check_others,
    architecture.check_all,
    architecture.check_expected_missing,
    architecture.check_expected_names,
    architecture.check_groups,
    shapes.check_shapes,
    shapes.check_dtypes,
    shapes.check_mixed_dtypes,
    shapes.check_dtype_kinds,
    architecture.check_unexpected,
    quantized.check_configuration,
    quantized.check_parts,
    quantized.check_beside,
    quantized.check_part_shapes,
    quantized.check_part_types,
    quantized.check_stored_shapes,
    quantized_values.check_scales,
    quantized_values.check_codes,
    quantized_values.check_bare_codes,
    quantized_values.check_constant_codes,
    quantized_values.check_group_indices,
    values.check_not_finite,
    values.check_constant_weights,
    initial.check_initial,
    values.check_everything_was_read,
    siblings.check_magnitudes,
    siblings.check_copies,
    siblings.check_tied,
    meaning.check_layernorms,
    meaning.check_identical_blocks,
    positions.check_position_tables,
    forward_pass.check_forward,
    locked.check_lock,
    container.check_wrapper_choice,
    container.check_outside,
    container.check_prefix,
    container.check_names,
    container.check_unread,
    parts.check_parts,
    container.check_checksums,
    wasted_bytes.check_wasted_bytes,
    config_file.check_config,
    release.check_training_state,
    release.check_shards,
    release.check_adapter,
    release.check_format_metadata,
    release.check_header_size,
    release.check_release_folder,
    release.check_container,
    release.check_unread_files,
)
