# Hooks of an Ollama. Its models must answer with their windows; a restart waits until no turn is in
# flight, up to $wait seconds, because Ollama cuts them.
: "${program?}" "${quiet?}" "${url?}" "${models?}" "${ledger?}" "${wait?}"
: "${port?by switch.sh}" "${unit?by generation.sh}"
ready() { printf %s "$models" | python3 -c "$program" prove "$url:$port" "$ledger"; }
settle() {
    port=$(port_of_current 2>/dev/null)
    owns_port 2>/dev/null || return 0
    python3 -c "$quiet" "$port" "$unit" "$wait" || true
}
