"""Changes to bytes and to what bytes stand for, chosen by a ``Random``."""
