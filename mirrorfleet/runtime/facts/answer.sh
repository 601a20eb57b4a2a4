# What a server that this host reaches answers, when it does.
answer() {
    for url; do
        body=$(curl -fs --noproxy '*' -m 10 "$url" 2>/dev/null | base64 | tr -d '\n')
        [ -z "$body" ] || say answer "$url" "$body"
    done
}
