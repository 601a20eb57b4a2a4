# Hooks of the canary: the figures of a session of two turns, of the generation before and the new one.
#
# What cannot be measured stops no switch. The key is in the environment of the generation.
: "${canary?}" "${canary_spec?}" "${canary_url?}"
: "${port?by switch.sh}" "${never?by switch.sh}" "${accepted?by switch.sh}"
canary() {
    job=$1
    shift
    (
        set -a
        # shellcheck source=/dev/null
        . ./current/environment
        printf %s "$canary_spec" | python3 -I -c "$canary" "$job" "$canary_url:$port" "$@"
    )
}
measure() { canary measure "$1"; }
compare() {
    canary compare "$1" "$2" "$accepted"
    [ $? -ne "$never" ]
}
