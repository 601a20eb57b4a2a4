# The network interface with an address.
card() {
    for address; do
        # shellcheck disable=SC2046 # a line of words
        set -- $(ip -o addr show to "$address" 2>/dev/null)
        [ -z "${2-}" ] || say card "$address" "$2"
    done
}

# Ports of other hosts without a response. A refused connection is a response.
unreached() {
    for peer; do
        # shellcheck disable=SC2016 # a shell of its own expands it
        reply=$(timeout 3 bash -c ': </dev/tcp/${0% *}/${0#* }' "$peer" 2>&1) && reply=refused
        case $reply in *refused*) ;; *) say unreached "$peer" ;; esac
    done
}
