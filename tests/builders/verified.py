"""Results of real runs of ``verify``: of each rule, technique of attack, kind of file, neighbour.

What a reporter must not leave out is what these results have in them.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List
from unittest import mock

import torch

import ckpttool
from ckpttool.findings.results import FileReport
from mae.config import CONFIGS
from tests import rule_cases
from tests.builders import attacks, kinds, neighbours
from tests.builders.sizes import TINY

Results = Dict[str, FileReport]


def results(folder: Path) -> Results:
    """All of them by name, as if they lay in one folder."""
    found: Results = {}
    for make in (of_rules, of_attacks, of_kinds):
        place = folder / make.__name__
        place.mkdir()
        found.update(make(place))
    return {name: file._replace(path=f"runs/{name}") for name, file in found.items()}


def of_rules(folder: Path) -> Results:
    """What was verified where each rule fires."""
    found: Results = {}
    for code, case in rule_cases.CASES.items():
        (folder / code).mkdir()
        with _recorded() as seen:
            list(case.fires(folder / code))
        found.update({f"{code}-{number}": file for number, file in enumerate(seen)})
    return found


def of_attacks(folder: Path) -> Results:
    """A file of each technique that runs code when it is loaded."""
    for technique, attack in {one.technique: one for one in attacks.ATTACKS}.items():
        path = folder / f"{technique}{attack.suffix}"
        path.write_bytes(attack.data(str(folder / "marker")))
    report = ckpttool.verify(str(folder), forward=False)
    return {Path(file.path).name: file for file in report.files}


def of_kinds(folder: Path) -> Results:
    """A file of each kind, and of each known model that is no MAE."""
    contents: Dict[str, object] = {case.title: case.content() for case in kinds.CASES}
    contents.update((name, neighbours.tensors(make())) for make, name in neighbours.ALL)
    for name, content in contents.items():
        torch.save(content, folder / f"{name}.pth")
    with mock.patch.dict(CONFIGS, tiny=TINY):
        report = ckpttool.verify([folder / f"{name}.pth" for name in contents])
    return dict(zip(contents, report.files))


@contextmanager
def _recorded() -> Iterator[List[FileReport]]:
    """Keep what is verified meanwhile, by the tables of rules."""
    seen: List[FileReport] = []

    def keeping(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            result = function(*arguments, **options)
            seen.extend([result] if isinstance(result, FileReport) else result.files)
            return result

        return call

    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith(rule_cases.__name__) and hasattr(module, "verify_file"):
                verify_file = module.verify_file
                stack.enter_context(mock.patch.object(module, "verify_file", keeping(verify_file)))
        stack.enter_context(mock.patch.object(ckpttool, "verify", keeping(ckpttool.verify)))
        yield seen
