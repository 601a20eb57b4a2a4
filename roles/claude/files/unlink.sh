# Remove a command if it leads to a file of ours, and that file if it was made for this command.
: "${root?}"
unlink_command() {
    case $(readlink "$1") in
        "$root"/*) rm -f "$1" "$root/claude/commands/${1##*/}" ;;
    esac
}
