# Hook that tests the gateways' Postgres, at the address in the environment of the generation.
ready() {
    (
        set -a
        # shellcheck source=/dev/null
        . ./current/environment
        psql -XAtqw -c 'SELECT 1' 2>/dev/null | grep -qx 1
    )
}
