# Print lines of the journals of units, one JSON object each: those that match `text`, and those of
# at least a `priority`.
: "${units?}" "${since?}" "${after?}" "${lines?}" "${priority?}" "${text?}"
set -f # patterns of units are journalctl's
arguments=
for unit in $units; do arguments="$arguments --unit=$unit"; done
# shellcheck disable=SC2086 # one argument each, without spaces
set -- $arguments --lines="$lines"
# With `--since`, only `--reverse` gives the latest lines.
if [ -n "$after" ]; then set -- "$@" --after-cursor="$after"; else set -- "$@" --reverse --since="$since"; fi

# Without a line that matches, journalctl ends with 1 and prints nothing.
entries() {
    output=$(journalctl --no-pager --quiet --output=json --all \
        --output-fields=MESSAGE,PRIORITY,_SYSTEMD_UNIT,UNIT "$@" 2>&1) || [ -z "$output" ] || {
        printf 'failed\t%s\n' "$(printf %s "$output" | tail -n 1)"
        exit 0
    }
    printf '%s\n' "$output"
}
[ -z "$priority" ] || entries "$@" --priority="$priority"
[ -z "$text" ] || set -- "$@" --grep="$text"
entries "$@"
