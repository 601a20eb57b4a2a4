# Hook that reduces an engine's journal to the errors and their remedies.
: "${explain?}" "${weights?}" "${nodes?}"
words() { python3 -I -c "$explain" "$weights" "$nodes"; }
