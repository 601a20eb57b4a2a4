# Hooks of an Ollama. Its models must answer with their windows, and a new server a session. A restart
# waits until no turn is in flight, up to $wait seconds, because Ollama cuts them.
: "${program?}" "${quiet?}" "${url?}" "${models?}" "${ledger?}" "${wait?}"
: "${port?by switch.sh}" "${unit?by generation.sh}"
: "${generation?by switch.sh}" "${new?by switch.sh}"
ready() {
    job=session
    [ "$new" = yes ] && [ "$(readlink current)" = "generations/$generation" ] || job=prove
    printf %s "$models" | python3 -c "$program" "$job" "$url:$port" "$ledger"
}
settle() {
    port=$(port_of_current 2>/dev/null)
    owns_port 2>/dev/null || return 0
    python3 -c "$quiet" "$port" "$unit" "$wait" || true
}
