version=none
python() {
    version=$("$1" -V 2>/dev/null) || return 0
    version=${version#Python }
    say python "$1" "${version%%[!0-9.]*}" # 3.14.0rc1
}

# A complete Python environment, of the host's present Python or with a Python of its own: an upgrade
# of the system may have brought another Python, which cannot use the environment. It is printed with
# the first path that another program changed since. The status time shows that: unlike the
# modification time, no program can set it.
environment() {
    for base; do
        for directory in "$base" "$base"-[2-9]; do
            { [ -d "$directory/lib/python${version%.*}" ] || [ -d "$directory/.python" ]; } &&
                [ -e "$directory/.complete" ] || continue
            # In parentheses: find would compare names first, of tens of thousands of files.
            say environment "$base" "$directory" "$(find "$directory" -cnewer "$directory/.complete" \
                \( ! -path '*[![:print:]]*' -print -quit -o -true \))"
        done
    done
}
