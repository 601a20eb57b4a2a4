# Remove the clients, the policy and the list of assignments from a host. $assignments are the ones
# that stay.
: "${root?}" "${policy?}" "${list?}" "${assignments?}"
rm -f "$policy"
for kind in skills agents commands rules output-styles; do rmdir "/etc/claude-code/.claude/$kind" 2>/dev/null || :; done
rmdir /etc/claude-code/.claude /etc/claude-code/managed-settings.d /etc/claude-code 2>/dev/null || :
rm -rf "$root/claude"
if [ -n "$assignments" ]; then
    printf %s "$assignments" >"$list"
    # The next run looks for links in these homes only if there is this directory.
    install -d -m 755 "$root/claude/files"
else
    rm -f "$list"
fi
