# Record who changes the host, from which revision of the fleet file, with which release.
: "${state?by lock_host.sh}" "${applied?}"
printf '%s\t%s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$applied" >"$state/applied"
