# Download weights with a program that reads its request from standard input, as the engine's user.
# Files that are linked from verified weights still belong to root.
: "${environment?}" "${program?}" "${user?}" "${part?by open_staging.sh}"
find "$part" -type d -exec chown "$user" {} +
(cd "$part" && exec runuser -u "$user" -- "$environment/bin/python" -I -c "$program")
