# Hook that tests an engine with requests: /health answers before the engine can serve.
#
# The program gets the key in its environment, never in argv. The host's own Python runs it, so that a
# rollback does not depend on another environment than that of the generation.
: "${program?}" "${url?}" "${user?}" "${port?by switch.sh}"
ready() {
    (
        set -a
        # shellcheck source=/dev/null
        . ./current/environment
        exec python3 -I -c "$program" "$url:$port" "$user" <current/serves.json
    )
}
