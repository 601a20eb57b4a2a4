# Create the directory for uploads. It is below /var/lib, where no other user can create files first.
# Remove files of interrupted runs: this run has the host for itself.
: "${state?}"
install -d -m 700 -o "${SUDO_UID:-${DOAS_USER:-0}}" "$state/inbox"
find "$state/inbox" -mindepth 1 -delete
