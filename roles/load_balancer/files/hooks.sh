# Hook that tests a load balancer: the listening worker must have read this generation, and answer, with
# or without a ready gateway.
: "${socket?}" "${url?}" "${port?by switch.sh}"
ready() {
    (
        # shellcheck source=/dev/null
        . ./current/environment
        read_by_worker=$(echo 'show env MIRRORFLEET_GENERATION' | socat - "UNIX-CONNECT:$socket")
        [ "$read_by_worker" = "MIRRORFLEET_GENERATION=$MIRRORFLEET_GENERATION" ] &&
            curl -ksS --noproxy '*' -m 5 -o /dev/null "$url:$port/health/readiness"
    )
}
