# How an Echo is proved: it answers without a key that it is alive.
: "${url?}"
ready() {
    curl -fs "$url" >/dev/null
}
