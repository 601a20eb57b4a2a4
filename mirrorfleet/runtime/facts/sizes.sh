# The sizes of the files in a directory, such as partly uploaded ones.
sizes() { find "$@" -type f -printf 'sizes\t%H\t%P\t%s\n' 2>/dev/null; }
