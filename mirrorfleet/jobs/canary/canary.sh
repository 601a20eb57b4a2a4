# The canary of services: what they measure now, and what their generations have recorded. The seconds,
# the program, the unit, its port, its URL, the spec of the session, the directories of the services.
#
# The key is in the environment of the generation, and is sent to the service's own unit only.
canary() {
    seconds=$1 program=$2 unit=$3 port=$4 url=$5 spec=$6
    shift 6
    [ "$(port "$port" | cut -f 3 | sort -u)" = "$unit" ] || return 0
    for directory; do
        body=$(
            cd "$directory" && set -a || exit
            # shellcheck source=/dev/null
            . ./current/environment
            printf %s "$spec" | timeout "$seconds" python3 -I -c "$program" report "$url" | base64
        ) 2>/dev/null
        [ -z "$body" ] || say canary "$directory" "$(printf %s "$body" | tr -d '\n')"
    done
}
