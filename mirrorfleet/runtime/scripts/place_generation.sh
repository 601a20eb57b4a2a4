# Put a generation, checked, beside the one that runs. Its check is in the positional parameters.
#
# A generation gets its name when it is complete and its check has passed. The check has the
# environment that the service will have, and its user. A tree of the same name that another program
# has changed is replaced. If it is current, the link then says so in another way: it leads to the
# same place, also for a reboot, and a next run knows that the restart is still due.
: "${directory?}" "${generation?}" "${unit?}" "${user?}" "${check_user?}"
mkdir -p "$directory/generations"
cd "$directory" || exit
rm -rf generations/*.new
new=generations/$generation.new
{
    mkdir -m 750 "$new" && chgrp "$user" "$new" && (cd "$new" && unpack)
} || {
    rm -rf "$new"
    echo "$unit: the new generation cannot be written; what ran before runs on." >&2
    echo "If its disk is full, make room below $directory, and run again." >&2
    exit 1
}
set -- runuser -u "$check_user" -- "$@"
(
    cd "$new" && set -a || exit
    # shellcheck source=/dev/null
    . ./environment && exec "$@"
) || {
    rm -rf "$new"
    echo "$unit: the new generation is refused; what ran before runs on" >&2
    exit 1
}
if [ -e "generations/$generation" ]; then
    [ "$(readlink current)" != "generations/$generation" ] ||
        ln -sfn "./generations/$generation" current
    mv "generations/$generation" generations/was.new
fi
mv "$new" "generations/$generation"
rm -rf generations/was.new
reserve_ports
