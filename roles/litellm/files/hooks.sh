# How a gateway is asked and proved. The key is nowhere but in the generation's own environment.
: "${outcomes?by switch.sh}"
probe() {
    (
        cd current && set -a || exit
        # shellcheck source=/dev/null
        . ./environment && exec python3 -I probe.py "$@"
    )
}
ready() { probe prove "$outcomes"; }
ask() { probe ask; }
# What LiteLLM's log says, without the stacks of ten thousand characters each.
words() { sed 's/^{"message": "//; s/", "level": .*//; s/\\n/ /g' | tail -n 12; }
