# Claude Code on a developer's machine. Needs the functions of homes.sh.

# Clients that users installed, which a shell may find before the fleet's. The user chooses where a
# link leads: no line of such a name may pass for another answer. It may lead to a file system that
# does not answer.
# shellcheck disable=SC2016 # a shell of its own expands it
OWN='
tab=$(printf "\t")
while IFS=$tab read -r _ name home; do
    for path in .local/bin/claude .claude/local/claude .npm-global/bin/claude; do
        [ -x "$home/$path" ] || continue
        target=$(readlink -f "$home/$path" | tr -cd "\040-\176")
        printf "own_client\t%s\t%s\t%s\n" "$name" "$path" "$target"
    done
done
'
own_client() { user "$@" | bounded sh -c "$OWN"; }

# Where earlier runs wrote Claude Code's settings: a list with a user and a directory per line. The
# lines that are given are asked for anyway.
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
    done
}
