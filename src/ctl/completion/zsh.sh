#compdef b3scalectl
# zsh completion for b3scalectl.   source <(b3scalectl completions zsh)
_b3scalectl() {
    local -a before answer
    before=("${(@)words[1,CURRENT-1]}")
    [[ ${words[CURRENT]} == -* ]] && before+=("${words[CURRENT]}")
    answer=("${(@f)$("${before[@]}" --generate-bash-completion 2> /dev/null)}")
    if [[ -n ${answer[1]} ]]; then
        compadd -- "${answer[@]}"
    else
        _files
    fi
}
compdef _b3scalectl b3scalectl
