# Remove the uploads that no script took. Each script removes the other files when it begins.
: "${state?}"
[ ! -d "$state/inbox" ] || find "$state/inbox" -mindepth 1 -delete
