# Files for Claude Code. The stage has a directory for each new version.
: "${files?}"
place_version() {
    install -d -m 755 "$files" "$files/.versions"
    rm -rf "$files/.versions/$1" "$files/.versions/$1.new"
    # shellcheck disable=SC2154 # by open_stage.sh
    mv -T "$stage/$1" "$files/.versions/$1.new"
    mv -T "$files/.versions/$1.new" "$files/.versions/$1"
}
# Point the group's link $2 to the version $1, atomically.
switch_files() { ln -sfn "$1" "$2.new" && mv -fT "$2.new" "$2"; }
