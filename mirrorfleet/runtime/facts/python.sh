version=none
python() {
    version=$("$1" -V 2>/dev/null) || return 0
    version=${version#Python }
    say python "$1" "${version%%[!0-9.]*}" # 3.14.0rc1
}

# A Python environment that is whole, and of the Python that the host has by now: another release of
# the system may have brought another one, in which nothing that was installed is found. With it goes
# the first path in it that somebody else changed since. The time of a status change tells: unlike
# that of a modification, no program sets it back.
environment() {
    for base; do
        for directory in "$base" "$base"-[2-9]; do
            [ -d "$directory/lib/python${version%.*}" ] && [ -e "$directory/.complete" ] || continue
            say environment "$base" "$directory" \
                "$(find "$directory" -cnewer "$directory/.complete" ! -path '*[![:print:]]*' -print -quit)"
        done
    done
}
