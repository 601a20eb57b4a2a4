# Read all weights of a host; what is wrong with one hides nothing of the others.
: "${program?}"
wrong=0
verify() { python3 -c "$program" "$1" "$2" || wrong=1; }
