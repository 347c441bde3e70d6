"""Which processor a benchmark runs on, in words."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
#: What decides speed here, by the system's name of it: vectors, and SHA-256 in hardware.
_SETS = {"avx2": "AVX2", "avx512f": "AVX-512", "sha_ni": "SHA", "asimd": "NEON", "sha2": "SHA"}


def describe() -> str:
    """Return the processor's name, its family where a name stands for several, and its cores."""
    facts = _facts()
    name = facts.get("model name") or platform.processor() or platform.machine()
    parts = [re.sub(r"\((R|TM)\)|\s+(CPU|Processor)\b|@.*", "", name).strip()]
    if "cpu family" in facts:
        parts.append(f"family {facts['cpu family']} model {facts.get('model', '?')}")
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    sets = list(dict.fromkeys(_SETS[flag] for flag in _SETS if flag in flags))
    if "AVX-512" in sets and os.environ.get("ATEN_CPU_CAPABILITY") == "avx2":
        sets[sets.index("AVX-512")] = "AVX-512 switched off"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return ", ".join((*parts, *sets, f"{cores} cores"))


def _facts() -> dict[str, str]:
    """Return what Linux says of the first processor; nothing on other systems."""
    if not _CPUINFO.exists():
        return {}
    first = _CPUINFO.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
