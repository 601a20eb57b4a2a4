# What a person reads of an engine's journal.
: "${explain?}" "${weights?}" "${nodes?}"
words() { python3 -I -c "$explain" "$weights" "$nodes"; }
