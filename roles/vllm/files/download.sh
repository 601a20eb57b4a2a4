# Download weights with a program that reads what is needed from standard input. It needs no more
# than the engine's user. The parts that are linked from what is whole stay root's.
: "${environment?}" "${program?}" "${user?}" "${part?by open_part.sh}"
find "$part" -type d -exec chown "$user" {} +
(cd "$part" && exec runuser -u "$user" -- "$environment/bin/python" -I -c "$program")
