clock() { say clock "$(date "+%s")"; }

# What killed scripts and uploads left, unless a script runs now.
left() {
    # shellcheck disable=SC2046 # names of Mirrorfleet, without spaces
    say left $(
        exec 2>/dev/null
        cd /var/lib/mirrorfleet && flock -n run/lock ls -d stage work inbox/*
    )
}

# The addresses that this host resolves a name to.
name() {
    for host; do
        say name "$host" "$(getent ahosts "$host" | awk '!seen[$1]++ { printf "%s%s", s, $1; s = " " }')"
    done
}
