# Hook that tests the gateways' Redis. The environment of the generation holds redis-cli's password.
: "${listen?}" "${port?by switch.sh}"
ready() {
    (
        set -a
        # shellcheck source=/dev/null
        . ./current/environment
        redis-cli -h "$listen" -p "$port" ping 2>/dev/null | grep -qx PONG
    )
}
