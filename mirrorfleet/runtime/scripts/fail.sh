# Report a host as failed on which nothing is done.
: "${reason?}"
echo "$reason" >&2
exit 1
