# Ends a test server once nobody uses it any more, however its users ended: a lock does not outlive
# the process that holds it, not even after kill -9.
#
# sh -c THIS keeper FOLDER LINGER
#
# FOLDER.users is locked (shared) by every process that uses the server in FOLDER, and FOLDER.keeper by
# this script. With LINGER (seconds) the server stays for a while, because between two tests of a run
# there may be a moment without users.
folder=$1 linger=$2
exec 8<>"$folder.keeper" 9<"$folder.users" || exit 1
flock --exclusive --timeout 60 8 || exit 0
while :; do
  flock --exclusive 9
  [ "$linger" = 0 ] && break
  flock --unlock 9
  sleep "$linger"
  flock --exclusive --nonblock 9 && break
done

# Prints the server's process id. One that only happens to have the number has another folder.
server() {
  pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null) || return
  [ "$(readlink "/proc/$pid/cwd")" = "$folder/data" ] && echo "$pid"
}

pid=$(server)
if [ -n "$pid" ]; then
  children=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null)
  # Some may stand still. QUIT: at once, and it still removes its shared memory.
  for process in $children $pid; do kill -CONT "$process" 2>/dev/null; done
  kill -QUIT "$pid"
  tries=100
  while [ "$tries" -gt 0 ] && [ -n "$(server)" ] && kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
    tries=$((tries - 1))
  done
  [ "$tries" -gt 0 ] || kill -KILL "$pid" $children
fi
# What a killed server could not remove itself.
memory=$(sed -n 7p "$folder/data/postmaster.pid" 2>/dev/null | tr -s ' ' | cut -d ' ' -f 2)
[ -n "$memory" ] && ipcrm --shmem-id "$memory" 2>/dev/null
# Hundreds of databases take their time to be removed, and nobody who waits for the next server should wait for that.
gone="$folder.gone-$$"
mv "$folder" "$gone" || gone=$folder
# The lock of a shared server stays: somebody may be waiting for it to start the next one.
[ "$linger" = 0 ] && rm -f "$folder.users" "$folder.keeper"
[ "$gone" = "$folder" ] || exec 8>&- 9<&-
rm -rf "$gone"
exit 0
