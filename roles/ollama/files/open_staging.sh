# Create the directory for files that wait for the server. Remove files of earlier runs that nothing
# needs any more.
: "${staging?}" "${requested?}"
install -d -m 700 "$staging"
for file in "$staging"/*; do
    case " $requested " in
        *" ${file##*/} "*) ;;
        *) rm -f "$file" ;;
    esac
done
