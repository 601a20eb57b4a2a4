# Verify all weights of a host, also after a failure. The positional parameters are pairs: a mode of
# check_weights.py and a directory.
: "${program?}"
wrong=0
while [ $# -gt 0 ]; do
    python3 -c "$program" "$1" "$2" || wrong=1
    shift 2
done
exit "$wrong"
