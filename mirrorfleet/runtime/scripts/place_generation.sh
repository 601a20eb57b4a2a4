# Write a generation beside the running one. The positional parameters are its check.
#
# A generation gets its name once it is complete and its check has passed. The check runs with the
# environment and the user of the service. A directory of the same name that another program has
# changed is replaced. If it is current, the link gets another form of the same path: a reboot works,
# and the next run detects that the restart is still due.
: "${directory?}" "${generation?}" "${unit?}" "${user?}" "${check_user?}"
mkdir -p "$directory/generations"
cd "$directory" || exit
rm -rf generations/*.new
new=generations/$generation.new
{
    mkdir -m 750 "$new" && chgrp "$user" "$new" && (cd "$new" && unpack)
} || {
    rm -rf "$new"
    echo "$unit: the new generation cannot be written; the running one is unaffected." >&2
    echo "If the disk is full, free space below $directory and run again." >&2
    exit 1
}
set -- runuser -u "$check_user" -- "$@"
(
    cd "$new" && set -a || exit
    # shellcheck source=/dev/null
    . ./environment && exec "$@"
) || {
    rm -rf "$new"
    echo "$unit: the new generation failed its check; the running one is unaffected" >&2
    exit 1
}
if [ -e "generations/$generation" ]; then
    [ "$(readlink current)" != "generations/$generation" ] ||
        ln -sfn "./generations/$generation" current
    mv "generations/$generation" generations/old.new
fi
mv "$new" "generations/$generation"
rm -rf generations/old.new
reserve_ports
