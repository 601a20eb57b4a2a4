# The answer of a server to this host.
answer() {
    for url; do
        body=$(curl -fs --noproxy '*' -m 10 "$url" 2>/dev/null | base64 | tr -d '\n')
        [ -z "$body" ] || say answer "$url" "$body"
    done
}
