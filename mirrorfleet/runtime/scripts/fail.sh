# Print a reason and fail, without a change.
: "${reason?}"
echo "$reason" >&2
exit 1
