"""The parsers that are fuzzed, by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Mapping

from tests.fuzzing.parsers import (
    configuration,
    header,
    index,
    legacy,
    lock,
    metadata,
    model_config,
    pickle_stream,
    receipt,
    tar_archive,
    zip_archive,
)

if TYPE_CHECKING:
    from tests.fuzzing.parser import Parser

_ALL: tuple[Parser, ...] = (
    header,
    index,
    lock,
    receipt,
    configuration,
    model_config,
    pickle_stream,
    legacy,
    metadata,
    tar_archive,
    zip_archive,
)

PARSERS: Mapping[str, Parser] = MappingProxyType({parser.NAME: parser for parser in _ALL})
