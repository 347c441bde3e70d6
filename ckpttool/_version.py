"""The version, alone in a file so that packaging can read it without importing anything."""

__version__ = "0.1.0"

#: Where the project is published, without a slash at the end; empty as long as it is nowhere.
HOMEPAGE = ""
