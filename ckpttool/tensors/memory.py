"""Memory in large pieces: to read into, to compute in, and for the weights of a model."""

from __future__ import annotations

import mmap
from contextlib import suppress
from pathlib import Path

from ckpttool.findings import rules
from ckpttool.findings.errors import UnreadableError

#: Several tensors in one piece start at multiples of this many bytes: a cache line, as in torch.
ALIGNMENT = 64


def allocate(nbytes: int) -> memoryview:
    """Return ``nbytes`` of fresh, writable, page-aligned memory, in huge pages where it can be.

    Filling 1.2 GB in pages of 2 MiB costs a quarter of the time that 4 kB pages take. The
    memory goes back when the last view of it does.

    Raises:
        UnreadableError: there is not that much memory.
    """
    try:
        if hasattr(mmap, "MAP_PRIVATE"):
            # Private: shared memory would not be eligible for huge pages.
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            area = mmap.mmap(-1, max(nbytes, 1), flags=flags)  # mmap refuses a length of 0
        else:
            area = mmap.mmap(-1, max(nbytes, 1))
    except (OSError, OverflowError) as error:
        raise UnreadableError(
            "there is not enough memory to hold the tensors",
            rules.LIMIT,
            expected=f"{nbytes:,} bytes",
        ) from error
    _ask_for_huge_pages(area)
    return memoryview(area)[:nbytes]


def keep_freed(nbytes: int) -> None:
    """Make the allocator keep freed memory of up to this size, instead of returning it."""
    # numpy allocates and frees each intermediate result. glibc maps and unmaps pieces larger than
    # any freed before, and their page faults take as long as the arithmetic. Freeing one piece
    # raises that threshold (mallopt(3), M_MMAP_THRESHOLD); other allocators ignore it.
    bytearray(2 * nbytes)


def _ask_for_huge_pages(area: mmap.mmap) -> None:
    advice = getattr(mmap, "MADV_HUGEPAGE", None)  # Linux only
    if advice is not None:
        with suppress(OSError):  # a kernel built without them: slower, nothing else
            area.madvise(advice)


def aligned(nbytes: int) -> int:
    """Return ``nbytes`` rounded up to :data:`ALIGNMENT`."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def available() -> int | None:
    """Return how many bytes a process can still have; ``None`` where the system does not say."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()  # Linux only
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        free = int(line.split()[1]) * 1024
        return min(free, _left_to_the_group(free))
    return None


def _left_to_the_group(free: int) -> int:
    # a container has a limit of its own
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most = int((group / "memory.max").read_text())  # "max" where there is none
        return most - int((group / "memory.current").read_text()) + _cached(group)
    return free


def _cached(group: Path) -> int:
    # pages of files, which go when memory is wanted
    with suppress(OSError, ValueError, StopIteration):
        lines = (group / "memory.stat").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("inactive_file ")).split()[1])
    return 0
