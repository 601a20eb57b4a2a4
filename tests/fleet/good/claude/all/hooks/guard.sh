#!/bin/sh
# Refuse a push: exit code 2 shows the message to the model.
if grep -q 'git push'; then
    echo 'Pushes go through the merge queue.' >&2
    exit 2
fi
