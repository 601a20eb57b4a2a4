# Run the clients of a host's developers. Needs common.sh.
: "${kernel?by common.sh}" "${tab?by common.sh}"

# Run the script on standard input as a developer, after what all developers of this host share: the
# group, the user, the timeout in seconds. A login shell may hang, print a greeting, or forge lines
# about another developer: only two kinds of lines count, and only for this developer.
as_developer() {
    say developer "$1" "$2"
    {
        shared
        cat
    } | case $kernel in
        Darwin) sudo -n -i -u "$2" sh -s ;;
        *) timeout -k 5 "$3" runuser -l "$2" -c 'sh -s' ;;
    esac 2>/dev/null | head -c 33554432 |
        sed -n -e "s/[^ -~$tab]//g" -e "/^login$tab/p" -e "/^turn$tab/p"
}
