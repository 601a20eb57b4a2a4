package() {
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        while read -r name status; do [ "$status" != installed ] || say package "$name"; done
}
