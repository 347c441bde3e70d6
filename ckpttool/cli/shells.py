"""Completion in bash, zsh and fish: values with ``=`` and commas in them, and no blank after ``=``.

The scripts call the program with ``_CKPTTOOL_COMPLETE`` set, and it writes what may come next.
"""

from __future__ import annotations

import os
from typing import Any

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

_BASH = """
%(complete_func)s() {
    local IFS=$'\\n' response completion type value

    response=$(env COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_CWORD="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1")

    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            part) COMPREPLY+=("$value"); compopt -o nospace ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """
#compdef %(prog_name)s

%(complete_func)s() {
    local -a plain parts described response
    (( ! $+commands[%(prog_name)s] )) && return 1

    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete %(prog_name)s)}")

    for type key descr in ${response}; do
        case $type in
            dir) _path_files -/ ;;
            file) [[ $PREFIX == --*=* ]] && compset -P '*='; _path_files -f ;;
            part) parts+=("$key") ;;
            plain)
                if [[ $descr == _ ]]; then plain+=("$key"); else described+=("$key:$descr"); fi ;;
        esac
    done

    if (( $#described )); then _describe -V unsorted described -U; fi
    if (( $#parts )); then compadd -U -S '' -V unsorted -a parts; fi
    if (( $#plain )); then compadd -U -V unsorted -a plain; fi
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \\
        COMP_CWORD=(commandline -ct) %(prog_name)s)

    for completion in $response
        set -l parts (string split -m 1 "," -- $completion)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                set -l option (string match -r -- '^--[^=]*=' (commandline -ct))
                for path in (__fish_complete_path $parts[2])
                    echo "$option$path"
                end
            case '*'
                echo $parts[2]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


def _kind(item: CompletionItem[Any]) -> str:
    """Return the kind of an item; more follows one that ends in ``=`` or is a folder."""
    is_part = item.type == "plain" and item.value.endswith(("=", "/"))
    return "part" if is_part else item.type


class _Whole(ShellComplete):
    """Offers values behind ``--option=`` with the option: shells replace the whole word."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        """Return what may follow; paths, which the shells complete, without the option."""
        items = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("--"):
            for item in items:
                if item.type == "plain":
                    item.value = f"{option}={item.value}"
        return items


class Bash(_Whole, BashComplete):
    """Takes the line as it was typed: bash would have it in parts at each ``=`` and ``:``."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the one that is begun."""
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)[1:]
        if not words or line.endswith((" ", "\t")):
            return words, ""
        return words[:-1], words[-1]

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return kind and value, without the parts of the word that bash keeps."""
        breaks = [one for one in "=:" if one in os.environ.get("COMP_CWORD", "")]
        _, begun = self.get_completion_args()
        kept = max((begun.rfind(one) + 1 for one in breaks), default=0)
        return f"{_kind(item)},{item.value[kept:]}"


class Zsh(_Whole, ZshComplete):
    """Adds no blank behind a value of which more follows."""

    source_template = _ZSH

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return kind, value and description, each on a line."""
        kind, value, told = super().format_completion(item).split("\n")
        return f"{_kind(item) if kind == 'plain' else kind}\n{value}\n{told}"


class Fish(_Whole, FishComplete):
    """Keeps values with commas whole."""

    source_template = _FISH


def register() -> None:
    """Use these for the program."""
    for kind in (Bash, Zsh, Fish):
        add_completion_class(kind)
