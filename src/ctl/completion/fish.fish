# fish completion for b3scalectl.   b3scalectl completions fish | source
function __b3scalectl_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l current (commandline --current-token --cut-at-cursor)
    if string match --quiet -- '-*' $current
        set --append words $current
    end
    set -l answer ($words --generate-bash-completion 2> /dev/null)
    if set --query answer[1]
        printf '%s\n' $answer
    else
        __fish_complete_path $current
    end
end
complete --command b3scalectl --no-files --arguments '(__b3scalectl_complete)'
