# How an Ollama is proved: the models that are there answer.
: "${program?}" "${url?}" "${models?}" "${ledger?}" "${port?by switch.sh}"
ready() { printf %s "$models" | python3 -c "$program" prove "$url:$port" "$ledger"; }
