# Revoke the passwords of former generations.
: "${directory?}" "${former?}"
cd "$directory/current" || exit
set -a
# shellcheck source=/dev/null
. ./environment
psql -Xqw -v ON_ERROR_STOP=1 -f retire.sql
rm -f "$former"
