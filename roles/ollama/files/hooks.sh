# Hook that tests an Ollama: its models must answer with their windows, and a new server a session.
: "${program?}" "${url?}" "${models?}" "${ledger?}" "${port?by switch.sh}"
: "${generation?by switch.sh}" "${new?by switch.sh}"
ready() {
    job=session
    [ "$new" = yes ] && [ "$(readlink current)" = "generations/$generation" ] || job=prove
    printf %s "$models" | python3 -c "$program" "$job" "$url:$port" "$ledger"
}
