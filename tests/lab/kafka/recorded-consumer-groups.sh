#!/bin/sh
# Prints what the real CLI printed when the lab started, whatever is asked; a file `seconds` beside it makes it slow.
for word in "$@"; do
  [ "$word" != --version ] || { echo '3.9.1 (recorded)'; exit 0; }
done
folder=$(dirname "$0")
[ ! -f "$folder/seconds" ] || sleep "$(cat "$folder/seconds")"
cat "$folder/stderr" >&2
cat "$folder/stdout"
