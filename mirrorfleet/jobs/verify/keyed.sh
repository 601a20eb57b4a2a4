# What a service answers to the holder of its key, which stands in the file of its environment. The
# key goes to the service's own unit only.
keyed() {
    [ "$(port "$5" | cut -f 3 | sort -u)" = "$4" ] || return 0
    body=$(
        . "$1/current/environment" || exit
        eval "key=\${$2-}"
        printf 'Authorization: Bearer %s\n' "$key" |
            curl -fs --noproxy '*' -m 20 -H @- "$3" | base64
    ) 2>/dev/null
    [ -z "$body" ] || say keyed "$3" "$(printf %s "$body" | tr -d '\n')"
}
