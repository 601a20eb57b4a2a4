# Functions for the generations of a service. Runs in the service's directory from here on.
#
# What has served is on record: an empty file in served/, named and dated by the generation's last
# proof. The one that is switched to has none until it has proved itself, so wherever a run is cut,
# the next one knows what is still to be proved, and which generation to roll back to.
: "${directory?}" "${unit?}" "${restart?}" "${held?}" "${seconds?}"
set +e
cd "$directory" || exit
previous=$(readlink current | sed 's|.*/||')
# A host of before there was a record: what was current counts as proved.
[ -d served ] || { mkdir served && [ -z "$previous" ] || touch "served/$previous"; }

# shellcheck disable=SC2012 # the names are digests, and ls sorts by time
by_age() { ls -t "$1"; }

# The last to have served except for one; where none has, what was current before.
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
        { systemctl --quiet reset-failed "$unit" || true; } && systemctl "$restart" "$unit" && hold
}

# From its start until it has proved itself, or until that has taken too long, load balancers wait.
hold() {
    [ -z "$held" ] ||
        { install -d -m 755 "${held%/*}" && touch -d "+$((seconds + 60)) seconds" "$held"; }
}
