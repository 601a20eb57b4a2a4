# Functions for the generations of a service. The scripts that follow run in its directory.
#
# Each verified generation has an empty file in served/. Its name is the generation, and its time that
# of the last check. A switch removes the file until the generation is verified. So after an
# interrupted run, the next one knows what to verify, and to which generation to roll back.
: "${directory?}" "${unit?}" "${restart?}" "${draining?}" "${seconds?}"
set +e
cd "$directory" || exit
previous=$(readlink current | sed 's|.*/||')
# A host of a release without records: its current generation counts as verified.
[ -d served ] || { mkdir served && [ -z "$previous" ] || touch "served/$previous"; }

# shellcheck disable=SC2012 # the names are digests, and ls sorts by time
by_age() { ls -t "$1"; }

# Print the last verified generation except one; without any, the former current one.
other() {
    for each in $(by_age served) $previous; do
        [ "$each" = "$1" ] || [ ! -d "generations/$each" ] || {
            echo "$each"
            break
        }
    done
}

activate() {
    ln -sfn "generations/$1" current.new && mv -fT current.new current &&
        install -m 644 "generations/$1/$unit" "/etc/systemd/system/.$unit" &&
        mv -f "/etc/systemd/system/.$unit" "/etc/systemd/system/$unit" &&
        rm -rf "/etc/systemd/system/$unit.d" &&
        systemctl daemon-reload && systemctl --quiet enable "$unit" &&
        { systemctl --quiet reset-failed "$unit" || true; } && systemctl "$restart" "$unit" && drain
}

# Report to load balancers that the service is not ready: until it is verified, or a timeout.
drain() {
    [ -z "$draining" ] ||
        { install -d -m 755 "${draining%/*}" && touch -d "+$((seconds + 60)) seconds" "$draining"; }
}
