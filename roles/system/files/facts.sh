clock() { say clock "$(date "+%s")"; }

# The addresses behind a name, as this host finds them.
name() {
    for each; do
        say name "$each" "$(getent ahosts "$each" | awk '!seen[$1]++ { printf "%s%s", s, $1; s = " " }')"
    done
}
