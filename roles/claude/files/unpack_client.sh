# Install a client from the package `upload`.
: "${target?}"
tar -xzf upload --no-same-owner package/claude
install -D -m 755 package/claude "$target.new"
mv "$target.new" "$target"
