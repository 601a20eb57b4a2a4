# Open the directory for files on their way. It is below /var/lib, so that no other user can have
# put anything there first. What a cut run left behind long ago goes.
: "${state?}"
install -d -m 700 -o "${SUDO_UID:-${DOAS_USER:-0}}" "$state/inbox"
find "$state" -maxdepth 1 -name 'work.*' -mmin +60 -exec rm -rf {} +
find "$state/inbox" -type f -mmin +60 -delete
