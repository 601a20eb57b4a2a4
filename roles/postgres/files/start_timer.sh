# Start the timer of the backups now and at boot.
: "${timer?}"
systemctl daemon-reload
systemctl --quiet enable --now "$timer"
