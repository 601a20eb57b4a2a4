# Let the command $2 lead to $1.
relink() { ln -sfn "$1" "$2.new" && mv -fT "$2.new" "$2"; }
