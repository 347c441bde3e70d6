"""``python -m ckpttool``."""

from __future__ import annotations

from ckpttool.cli import main

if __name__ == "__main__":
    main(prog_name="ckpttool")
