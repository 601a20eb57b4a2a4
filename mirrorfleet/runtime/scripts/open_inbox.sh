# Create the directory for uploads. It is below /var/lib, where no other user can create files first.
# Remove files of interrupted runs after an hour.
: "${state?}"
install -d -m 700 -o "${SUDO_UID:-${DOAS_USER:-0}}" "$state/inbox"
find "$state" -maxdepth 1 -name 'work.*' -mmin +60 -exec rm -rf {} +
find "$state/inbox" -type f -mmin +60 -delete
