# Hook that tests an Ollama: its models must answer with their windows.
: "${program?}" "${url?}" "${models?}" "${ledger?}" "${port?by switch.sh}"
ready() { printf %s "$models" | python3 -c "$program" prove "$url:$port" "$ledger"; }
