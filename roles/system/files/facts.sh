clock() { say clock "$(date "+%s")"; }

# What killed scripts and uploads left in the state directory. While a script runs, it is in use.
leftovers() {
    for place; do
        [ ! -e "$place/run/lock" ] || flock -n "$place/run/lock" true || continue
        for left in "$place/stage" "$place/work" "$place"/work.* "$place/applied.new" "$place"/inbox/*; do
            [ ! -e "$left" ] || say leftovers "$place" "${left#"$place/"}"
        done
    done
}

# The addresses that this host resolves a name to.
name() {
    for host; do
        say name "$host" "$(getent ahosts "$host" | awk '!seen[$1]++ { printf "%s%s", s, $1; s = " " }')"
    done
}
