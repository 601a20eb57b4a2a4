# The readiness of an Echo: it answers a request without a key.
: "${url?}"
ready() {
    curl -fs "$url" >/dev/null
}
