# The free space on the disk of a path, present or future.
disk() {
    for path; do
        there=$path
        until [ -e "${there:=/}" ]; do there=${there%/*}; done
        df -Pk "$there" | {
            read -r _
            IFS=% read -r head _
            # shellcheck disable=SC2086 # words
            set -- $head
            shift $(($# - 2)) # a file system's name can be several words
            say disk "$path" "$1"
        }
    done
}
