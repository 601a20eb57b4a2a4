# Read all weights of a host; what is wrong with one hides nothing of the others. The positional
# parameters are, for each, the mode of whole.py and the directory.
: "${program?}"
wrong=0
while [ $# -gt 0 ]; do
    python3 -c "$program" "$1" "$2" || wrong=1
    shift 2
done
exit "$wrong"
