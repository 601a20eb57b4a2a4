# How the gateways' Postgres is proved. The environment of the generation says where it is.
ready() {
    (
        set -a
        # shellcheck source=/dev/null
        . ./current/environment
        psql -XAtqw -c 'SELECT 1' 2>/dev/null | grep -qx 1
    )
}
