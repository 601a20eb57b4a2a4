# Download weights with a program that reads its request from standard input, as the engine's user.
# The positional parameters are the directories that it writes. Files that are linked from verified
# weights still belong to root.
: "${environment?}" "${program?}" "${user?}"
for part; do find "$part" -type d -exec chown "$user" {} +; done
runuser -u "$user" -- "$environment/bin/python" -I -c "$program"
