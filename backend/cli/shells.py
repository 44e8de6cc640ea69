"""The completion scripts of the shells, as text (pure).

Used by: backend.cli.completion. Knows nothing of: verbs; every script asks ``storagefs complete``
and gets one candidate a line, with a TAB before what explains it.
"""

from typing import Final

FILES: Final = "<files>"
"""The one answer that is no candidate: the shell completes names of files itself."""

_BASH: Final = r"""# storagefs completion for bash: . <(storagefs completion bash)
_storagefs() {
    local line=${COMP_LINE:0:COMP_POINT} whole cut words answer
    whole=${line##*[[:space:]]}
    cut=${whole%"${whole##*[:=]}"}  # bash completes only what stands behind these
    read -ra words <<< "$line"
    [[ -n $whole ]] || words+=('')
    mapfile -t answer < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
    answer=("${answer[@]%%$'\t'*}")
    COMPREPLY=()
    if [[ ${answer[0]} == '<files>' ]]; then
        compopt -o default
    elif [[ -n ${answer[0]} ]]; then
        mapfile -t COMPREPLY < <(printf '%q\n' "${answer[@]#"$cut"}")
    fi
}
complete -F _storagefs storagefs
"""

_ZSH: Final = r"""#compdef storagefs
# storagefs completion for zsh: source <(storagefs completion zsh)
_storagefs() {
    local -a answer described
    local entry
    answer=("${(@f)$("${words[1]}" complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ ${answer[1]} == '<files>' ]]; then
        _files
        return
    fi
    for entry in $answer; do
        described+=("${${entry%%$'\t'*}//:/\\:}:${entry#*$'\t'}")
    done
    _describe -t words storagefs described
}
if [[ ${funcstack[1]} == _storagefs ]]; then
    _storagefs "$@"  # loaded from a directory of functions by the first completion
else
    compdef _storagefs storagefs
fi
"""

_FISH: Final = r"""# storagefs completion for fish: storagefs completion fish | source
function __storagefs_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answer ($words[1] complete -- $words[2..-1] 2>/dev/null)
    if test "$answer[1]" = '<files>'
        __fish_complete_path (commandline -ct)
    else
        string join \n -- $answer
    end
end
complete -c storagefs -f -a '(__storagefs_complete)'
"""

SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
