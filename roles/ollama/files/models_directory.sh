# Create the configured directory for models, and the link to it.
: "${user?}" "${directory?}" "${home?}" "${link?}"
[ -d "$directory" ] || install -d -m 750 -o "$user" -g "$user" "$directory"
[ -d "$home" ] || install -d -m 700 -o "$user" -g "$user" "$home"
ln -sfT "$directory" "$link"
