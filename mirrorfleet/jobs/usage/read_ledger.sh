# Read the ledger of a gateway, as the user who owns it.
: "${user?}" "${program?}" "${ledger?}" "${since?}" "${until?}" "${columns?}" "${starts?}"
id "$user" >/dev/null 2>&1 || exit 0
command -v python3 >/dev/null || {
    printf 'failed\tpython3 is missing\n'
    exit 0
}
printf %s "$program" |
    runuser -u "$user" -- timeout 120 python3 -I - "$ledger" "$since" "$until" "$columns" "$starts" 2>/dev/null ||
    printf 'failed\tpython3 ends with status %s\n' $?
