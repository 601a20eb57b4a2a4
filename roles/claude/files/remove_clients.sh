# Remove the clients, the policy and the list of assignments from a host. $assignments are the ones
# that stay.
: "${root?}" "${policy?}" "${list?}" "${assignments?}"
rm -f "$policy"
rmdir /etc/claude-code/managed-settings.d /etc/claude-code 2>/dev/null || :
rm -rf "$root/claude"
if [ -n "$assignments" ]; then
    printf %s "$assignments" >"$list"
else
    rm -f "$list"
fi
