# Give the server every waiting file. A file that does not have its digest is removed, so that the next
# run sends all of it.
: "${staging?}" "${program?}" "${url?}"
for file in "$staging"/*; do
    [ -f "$file" ] || continue
    status=0
    python3 -c "$program" give "$url/sha256:${file##*/}" "$file" || status=$?
    case $status in
        0) rm -f "$file" ;;
        65)
            rm -f "$file"
            exit 1
            ;;
        *) exit 1 ;;
    esac
done
