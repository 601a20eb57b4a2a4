# The network card that has an address.
card() {
    for address; do
        # shellcheck disable=SC2046 # a line of words
        set -- $(ip -o addr show to "$address" 2>/dev/null)
        [ -z "${2-}" ] || say card "$address" "$2"
    done
}

# Ports of other hosts from which nothing comes back. A refused connection is an answer too.
unreached() {
    for way; do
        # shellcheck disable=SC2016 # a shell of its own expands it
        said=$(timeout 3 bash -c ': </dev/tcp/${0% *}/${0#* }' "$way" 2>&1) && said=refused
        case $said in *refused*) ;; *) say unreached "$way" ;; esac
    done
}
