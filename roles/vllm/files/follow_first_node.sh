# The first node tests the engine of all nodes. Another node is ready once the first has started this
# generation on it.
: "${follows?by switch.sh}" "${never?by switch.sh}"
ready() { cmp -s current/word "$follows" || return "$never"; }
