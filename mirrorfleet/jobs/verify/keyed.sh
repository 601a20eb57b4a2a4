# What a service answers to the holder of its key: the directory of the service, the name of the key,
# the URL, the unit, the port. The key stands in the file of the service's environment, and goes to
# the service's own unit only.
keyed() {
    [ "$(port "$5" | cut -f 3 | sort -u)" = "$4" ] || return 0
    body=$(
        # shellcheck source=/dev/null
        . "$1/current/environment" || exit
        eval "key=\${$2-}"
        # shellcheck disable=SC2154 # eval sets it
        printf 'Authorization: Bearer %s\n' "$key" |
            curl -fs --noproxy '*' -m 20 -H @- "$3" | base64
    ) 2>/dev/null
    [ -z "$body" ] || say keyed "$3" "$(printf %s "$body" | tr -d '\n')"
}
