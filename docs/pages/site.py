"""A hook of mkdocs: the pages outside of ``docs``, and links to files that are no pages.

README.md is the first page of the site, :data:`PAGES` has the others, and what else a page links to
in the repository is linked where the repository is published.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: Files of the repository that are pages, and what they are called in the site.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "data/README.md": "data.md",
}
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def on_config(config: Any, **_: Any) -> Any:
    """Put the pages of the rules into the navigation, a family each."""
    families: dict[str, list[str]] = {}
    for path in sorted((ROOT / "docs" / "rules").glob("???[0-9]*.md")):
        families.setdefault(path.stem[:3], []).append(f"rules/{path.name}")
    rules = ["rules/README.md", *({family: pages} for family, pages in families.items())]
    config["nav"] = [{"Rules": rules} if "Rules" in entry else entry for entry in config["nav"]]
    return config


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the pages from outside of the folder."""
    from mkdocs.structure.files import File

    for source, target in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=relinked(text, source, config)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Turn the links of a page of ``docs`` that lead out of it."""
    if page.file.src_uri in PAGES.values():
        return markdown
    return relinked(markdown, f"docs/{page.file.src_uri}", config)


def relinked(text: str, source: str, config: Any) -> str:
    """Return a page's text with links as the site has them."""
    folder = posixpath.dirname(source)
    here = posixpath.dirname(_target(source) or "")

    def turned(match: re.Match[str]) -> str:
        path, anchor, rest = match[2].partition("#")
        if "://" in path or not path:
            return match[0]
        file = posixpath.normpath(posixpath.join(folder, path))
        target = _target(file)
        if target is None:  # no page: it is in the repository
            return f"{match[1]}{config['repo_url']}/blob/main/{file}{match[3]}"
        return f"{match[1]}{posixpath.relpath(target, here or '.')}{anchor}{rest}{match[3]}"

    return _LINK.sub(turned, text)


def _target(file: str) -> str | None:
    """Return what a file of the repository is called in the site."""
    if file in PAGES:
        return PAGES[file]
    # a folder has no page, and neither has a program
    shown = file.startswith("docs/") and Path(file).suffix not in ("", ".py")
    return file[len("docs/") :] if shown else None
