"""The files that CI systems read of this project, and a runner that does what GitHub does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, Mapping, NamedTuple

from tests.builders import extras
from tests.builders.processes import PATIENCE
from tests.builders.repository import ROOT

yaml: Any = extras.yaml()


class _Yaml12(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML comes without types
    """YAML as CI systems read it: ``on`` is a word, and only true and false are no words."""


_BOOLEAN = "tag:yaml.org,2002:bool"
_Yaml12.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0] != _BOOLEAN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml12.add_implicit_resolver(_BOOLEAN, re.compile("^(?:true|false)$"), list("tf"))


def loaded(path: str) -> Any:
    """Return what a YAML file of the project says."""
    # a SafeLoader: it builds plain values only
    return yaml.load((ROOT / path).read_text(encoding="utf-8"), Loader=_Yaml12)


class ActionRun(NamedTuple):
    """How a composite action ended: its exit code, outputs, job summary and log."""

    code: int
    outputs: dict[str, str]
    summary: str
    log: str


def run_action(
    folder: Path, inputs: Mapping[str, str], environment: Mapping[str, str], cwd: Path
) -> ActionRun:
    """Run the steps of ``action.yml`` one after the other, as a runner does.

    Args:
        folder: where the runner keeps its own files.
        inputs: what the workflow says under ``with``; the defaults fill the rest.
        environment: of every step.
        cwd: the workspace.
    """
    action = loaded("action.yml")
    known = {f"inputs.{name}": one["default"] for name, one in action["inputs"].items()}
    known.update({f"inputs.{name}": value for name, value in inputs.items()})
    known.update({"github.action_path": str(ROOT), "github.action_repository": "somebody/ckpttool"})
    runner = _Runner(folder, environment, cwd)
    for step in action["runs"]["steps"]:
        if runner.code == 0 and _holds(step.get("if"), known):
            done = runner.step(step, known)
            known.update({f"steps.{step.get('id')}.outputs.{k}": v for k, v in done.items()})
    outputs = {
        name: _evaluated(one["value"], known, missing="") for name, one in action["outputs"].items()
    }
    return ActionRun(runner.code, outputs, runner.file("summary").read_text(), runner.log)


class _Runner:
    def __init__(self, folder: Path, environment: Mapping[str, str], cwd: Path) -> None:
        self._folder, self._cwd = folder, cwd
        self._environment = dict(environment)
        self.code = 0
        self.log = ""
        for name in ("output", "summary", "path", "script"):
            self.file(name).touch()

    def file(self, name: str) -> Path:
        return self._folder / f"runner-{name}"

    def step(self, step: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, str]:
        """Run a step, keep its exit code and return its outputs."""
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "an expression in a script is a way in"
        self.file("output").write_text("")
        self.file("script").write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(self.file("script"))],
            env={**self._variables(), **{k: _evaluated(v, known) for k, v in step["env"].items()}},
            cwd=self._cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.code = done.returncode
        self.log += done.stdout
        lines = self.file("output").read_text().splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def _variables(self) -> dict[str, str]:
        added = self.file("path").read_text().splitlines()
        return {
            **self._environment,
            "PATH": ":".join([*reversed(added), self._environment["PATH"]]),
            "GITHUB_OUTPUT": str(self.file("output")),
            "GITHUB_STEP_SUMMARY": str(self.file("summary")),
            "GITHUB_PATH": str(self.file("path")),
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_ACTIONS": "true",
            "RUNNER_TEMP": str(self._folder),
        }


def _holds(condition: str | None, known: Mapping[str, str]) -> bool:
    """Evaluate the one form of condition that the action has."""
    if condition is None:
        return True
    match = re.fullmatch(r"\$\{\{ ([\w.-]+) != '(\w*)' \}\}", condition)
    assert match, condition
    return known[match[1]] != match[2]


def _evaluated(text: str, known: Mapping[str, str], missing: str | None = None) -> str:
    """Put values in place of expressions; ``missing`` where a step did not run."""

    def value(match: re.Match[str]) -> str:
        return known[match[1]] if missing is None else known.get(match[1], missing)

    evaluated = re.sub(r"\$\{\{ ([\w.-]+) \}\}", value, text)
    assert "${{" not in evaluated, text
    return evaluated
