: "${tab?by common.sh}"

clock() { say clock "$(date "+%s")"; }

# What killed scripts and uploads left, unless a script runs now.
left() {
    (cd "$1" && flock -n run/lock ls -dq stage work work.* inbox/*) 2>/dev/null | sed "s|^|left$tab$1$tab|"
}

# The addresses that this host resolves a name to.
name() {
    for host; do
        say name "$host" "$(getent ahosts "$host" | awk '!seen[$1]++ { printf "%s%s", s, $1; s = " " }')"
    done
}
