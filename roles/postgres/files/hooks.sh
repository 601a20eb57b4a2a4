# The readiness of the gateways' Postgres. The generation's environment has its address.
ready() {
    (
        set -a
        # shellcheck source=/dev/null
        . ./current/environment
        psql -XAtqw -c 'SELECT 1' 2>/dev/null | grep -qx 1
    )
}
