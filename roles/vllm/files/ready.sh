# Hook that tests an engine with requests: /health answers before the engine can serve.
#
# The program gets the key in its environment, never in argv. The host's own Python runs it, so that a
# rollback does not depend on another environment than that of the generation. A new generation is asked
# a whole session; one that has served before, after a rollback for example, only the first turn.
: "${program?}" "${abilities?}" "${url?}" "${user?}" "${port?by switch.sh}"
: "${generation?by switch.sh}" "${new?by switch.sh}"
ready() {
    now=$(readlink current)
    now=${now##*/}
    (
        set -a
        # shellcheck source=/dev/null
        . ./current/environment
        set --
        [ "$new" = no ] || [ "$now" != "$generation" ] || set -- "$abilities" "proofs/$now.json"
        exec python3 -I -c "$program" "$url:$port" "$user" "$@" <current/serves.json
    )
}
