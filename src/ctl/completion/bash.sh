# bash completion for b3scalectl.   source <(b3scalectl completions bash)
_b3scalectl() {
    # The line is split here and not by bash, which splits at the colons of a URL too.
    local line=${COMP_LINE:0:COMP_POINT} current="" words=() answer
    read -ra words <<< "$line"
    if [[ $line != *[[:space:]] ]]; then
        current=${words[-1]}
        unset 'words[-1]'
    fi
    [[ $current == -* ]] && words+=("$current")
    answer=$("${words[@]}" --generate-bash-completion 2> /dev/null)
    mapfile -t COMPREPLY < <(compgen -W "$answer" -- "$current")
    # bash inserts only the part after the last colon.
    if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
        local before=${current%"${current##*:}"}
        COMPREPLY=("${COMPREPLY[@]#"$before"}")
    fi
}
# Without a suggestion, files are offered.
complete -o default -F _b3scalectl b3scalectl
