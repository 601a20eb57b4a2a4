# Let every user listen on the ports again.
: "${root?}"
release_ports() {
    [ ! -e "$root/ports/reserve_ports.py" ] ||
        python3 -I "$root/ports/reserve_ports.py" release >/dev/null
}
