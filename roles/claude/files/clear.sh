# Remove the clients, the policy and the list of seats from a machine. $seats are those that stay.
: "${root?}" "${policy?}" "${list?}" "${seats?}"
rm -f "$policy"
rmdir /etc/claude-code/managed-settings.d /etc/claude-code 2>/dev/null || :
rm -rf "$root/claude"
if [ -n "$seats" ]; then
    printf %s "$seats" >"$list"
else
    rm -f "$list"
fi
