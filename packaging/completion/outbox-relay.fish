# Completion of outbox-relay for fish. The program itself knows its commands and options: `outbox-relay complete`.
function __outbox_relay_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] complete -- $words[2..-1] 2>/dev/null)
        if test $line = :files
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c outbox-relay -f -a '(__outbox_relay_complete)'
