# Make a complete backup of LiteLLM's database, then remove the ones that are older than DAYS days:
# backup.sh DAYS
set -eu
umask 077
cd "$STATE_DIRECTORY/backups"
rm -f ./*.part
name=litellm-$(date -u +%Y%m%dT%H%M%SZ).dump
pg_dump --format=custom --file="$name.part" litellm
pg_restore --list "$name.part" >/dev/null
sync "$name.part"
mv "$name.part" "$name"
find . -name 'litellm-*.dump' -mtime "+$(($1 - 1))" -delete
echo "$PWD/$name: $(stat -c %s "$name") bytes"
