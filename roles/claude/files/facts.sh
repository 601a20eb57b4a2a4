# Facts about Claude Code on a developer's machine. Needs the functions of homes.sh.
: "${tab?by common.sh}"

# Clients that users installed, which a shell may find before the fleet's. A user controls the target of
# a link: its name must not look like another answer, and it may be on a file system that hangs.
# shellcheck disable=SC2016 # a shell of its own expands it
OWN='
tab=$(printf "\t")
while IFS=$tab read -r _ name home; do
    for path in .local/bin/claude .claude/local/claude .npm-global/bin/claude .bun/bin/claude; do
        [ -x "$home/$path" ] || continue
        target=$(readlink -f "$home/$path" | tr -cd "\040-\176")
        printf "own_client\t%s\t%s\t%s\n" "$name" "$path" "$target"
    done
done
'
own_client() { user "$@" | bounded sh -c "$OWN"; }

# The entries of the client's directories: the target of each link, nothing for others. Only a machine
# that has distributed files can have links to them.
# shellcheck disable=SC2016 # a shell of its own expands it
ENTRIES='cd "$1" && find -H skills agents commands rules output-styles -mindepth 1 -maxdepth 1 -printf "%p\t%l\n"'
entries() {
    [ -d /opt/mirrorfleet/claude/files ] && home=$(user "$1") || return 0
    name=$1 home=${home##*"$tab"}
    shift
    for place; do timed list_entries; done
}
list_entries() {
    bounded sh -c "$AS_USER" sh 'runuser -u' "$name" "$ENTRIES" "${home:-/-}/$place" |
        label "entries$tab$name$tab$place"
}
policy_entries() { sh -c "$ENTRIES" sh "$1" 2>/dev/null | label "policy_entries$tab$1"; }

# The users and directories with settings of earlier runs, one pair per line of a list, except for the
# given lines, which the run asks for itself.
assignments() {
    list=$1
    shift
    [ ! -f "$list" ] || printf '%s\n' "$@" | grep -vxFf - "$list" | while read -r owner directory; do
        say assignments "$list" "$owner" "$directory"
        user "$owner"
        state=$directory/.claude.json
        [ "$directory" != .claude ] || state=.claude.json
        home_file "$owner" "$directory/settings.json" "$state" "$directory/mirrorfleet-key" \
            "$directory/mirrorfleet-receipt.json" </dev/null
        entries "$owner" "$directory" </dev/null
    done
}
