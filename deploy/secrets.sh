#!/bin/sh
# Makes the secrets that a cluster shares, once, in volumes that only its roles read. Those that are there stay.
set -eu
cd "${1:-/run/whimbrel}"
umask 077
make() { # FILE COMMAND...
  file=$1; shift
  [ -s "$file" ] && return
  "$@" >"$file.new"
  mv "$file.new" "$file"
  echo "made $file"
}
random() { # BYTES
  od -An -v "-N$1" -tx1 /dev/urandom | tr -d ' \n'; echo
}
make roles/master.key whimbrel keys new
make roles/cluster.secret random 32
make people/admin.key random 32
make people/password random 5
