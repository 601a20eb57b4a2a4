# How an engine is proved: /health answers before it can serve.
#
# The key goes from the environment file into the program's environment, through no argv. The host's
# own Python runs it: a rollback needs no environment but that of the generation.
: "${program?}" "${url?}" "${user?}" "${port?by switch.sh}"
ready() {
    (
        set -a
        # shellcheck source=/dev/null
        . ./current/environment
        exec python3 -I -c "$program" "$url:$port" "$user" <current/serves.json
    )
}
