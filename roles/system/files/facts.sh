clock() { say clock "$(date "+%s")"; }

# The addresses that this host resolves a name to.
name() {
    for host; do
        say name "$host" "$(getent ahosts "$host" | awk '!seen[$1]++ { printf "%s%s", s, $1; s = " " }')"
    done
}
