# Remove a command that links to a file of Mirrorfleet, and the script of this command.
: "${root?}"
unlink_command() {
    case $(readlink "$1") in
        "$root"/*) rm -f "$1" "$root/claude/commands/${1##*/}" ;;
    esac
}
