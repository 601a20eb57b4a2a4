# How a gateway proves engines that already run: after hooks.sh, where the fleet file has any.
: "${outcomes?by switch.sh}" "${previous?by generation.sh}"
running() {
    before=$PWD/generations/$previous/running.json records=$PWD/proofs/running.json
    (
        cd current && set -a || exit
        # shellcheck source=/dev/null
        . ./environment && exec python3 -I running_engines.py prove "$before" "$records"
    )
}
ready() {
    probe prove "$outcomes" || return
    [ ! -e current/running.json ] || running
}
