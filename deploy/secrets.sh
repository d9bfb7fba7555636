#!/bin/sh
# Makes the secrets that a cluster shares, once, in a volume that only its roles read. Those that are there stay.
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
make master.key whimbrel keys new
make cluster.secret sh -c 'od -An -N32 -tx1 /dev/urandom | tr -d " \n"; echo'
make admin.key sh -c 'od -An -N32 -tx1 /dev/urandom | tr -d " \n"; echo'
