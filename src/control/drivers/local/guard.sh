# Stands between Realmgate and one run of a service. Standard input brings this script, then the secret files, and then
# nothing more: the kernel closes it however Realmgate ends, and all of the run ends too. Descriptor 3 tells Realmgate
# `exit STATUS` as soon as the service's own process has ended. Read whole before anything runs, hence the braces.
#
# bash -p -s -- MODE PLACE GRACE MARKER DATA_KIB RUN HIDDEN [FOLDER...] GROUPS [GROUP...] COMMAND...
#   MODE      namespace: this is process 1 of a PID namespace, and what it leaves behind ends with it; group: it is not
#   PLACE     of the secrets: mount = a file system over /etc/hyperplane/secrets, overlay = the same where that
#             directory is missing, none = there are no secrets, else a private directory
#   GRACE     seconds between TERM and KILL
#   MARKER    by which processes that fled their group are found
#   DATA_KIB  limit of memory that a process may allocate, or `unlimited`
#   RUN       folder of the run, with the working directory in it: it stays where it is in a hidden folder
#   HIDDEN    how many folders follow that the run sees empty
#   GROUPS    how many cgroup directories follow
{
mode=$1 place=$2 grace=$3 marker=$4 data=$5 run=$6
hidden=("${@:8:$7}")
shift $((7 + $7))
groups=("${@:2:$1}")
shift $((1 + $1))

exec 4<&0 5<> <(:) </dev/null # 4: the line to Realmgate; 5: never readable, for pauses without a process
trap '' HUP INT TERM

fail() {
  printf '[realmgate] The run cannot be prepared: %s\n' "$1" >&2
  exit 125
}

# An empty file system over each hidden folder, and the run's own folder in there again.
hide_folders() {
  local folder place=$PWD
  exec 6< "$run" || fail 'no folder'
  for folder in "${hidden[@]}"; do
    command -p mount -t tmpfs -o mode=0755,size=64m,nosuid,nodev tmpfs "$folder" || fail "$folder cannot be hidden"
  done
  # By its descriptor: its path leads into what hides it by now.
  command -p mkdir -p "$run" && command -p mount --no-canonicalize --bind /proc/self/fd/6 "$run" && cd "$place" ||
    fail 'its folder cannot be shown'
  exec 6<&-
}

# A file system in memory that only this run sees, then the files. Only file owners may read: 0400, folders 0500.
place_secrets() {
  local top=$place secret key value folders=()
  case $place in
    mount | overlay)
      top=/etc/hyperplane/secrets
      if [[ $place == overlay ]]; then
        # The upper layer hides itself: the mount over /etc keeps it alive.
        command -p mount -t tmpfs tmpfs /tmp || fail 'no file system in memory'
        command -p mkdir /tmp/upper /tmp/work
        command -p mount -t overlay -o lowerdir=/etc,upperdir=/tmp/upper,workdir=/tmp/work overlay /etc &&
          command -p mkdir -p "$top" || fail 'no layer over /etc'
        command -p umount /tmp || command -p umount -l /tmp
      fi
      command -p mount -t tmpfs -o mode=0755,nosuid,nodev,noexec tmpfs "$top" || fail "no file system at $top"
      ;;
    *) (umask 077 && command -p mkdir -p "$top") || fail "no directory for secrets" ;; # it may be hidden by now
  esac
  while IFS= read -r -d '' -u 4 secret && [[ -n $secret ]]; do
    IFS= read -r -d '' -u 4 key && IFS= read -r -d '' -u 4 value || exit 0 # cut off
    if [[ ! -d $top/$secret ]]; then
      (umask 077 && command -p mkdir "$top/$secret") || fail "no directory for the secret $secret"
      folders+=("$top/$secret")
    fi
    (umask 377 && printf %s "$value" > "$top/$secret/$key") || fail "no file for a key of the secret $secret"
  done
  ((${#folders[@]} == 0)) || command -p chmod 0500 "${folders[@]}"
  [[ $top == "$place" ]] || command -p mount -o remount,bind,ro,nosuid,nodev,noexec "$top"
}

pause() { read -r -t "$1" -u 5; }

# Signals everything of the run but this process and the one that watches; false = there is nothing.
signal() {
  local found
  if [[ $mode == namespace ]]; then
    found=(/proc/[0-9]*)
    ((${#found[@]} > 2)) || return 1
    kill "-$1" -1
    return 0
  fi
  found=$(fled)
  kill "-$1" -- "-$main" $found || [[ -n $found ]]
}

# Ids of those that carry the mark, wherever they are now.
fled() {
  local file files
  files=$(command -p grep -lszx "REALMGATE_REPLICA=$marker" /proc/[0-9]*/environ)
  for file in $files; do
    file=${file#/proc/}
    echo "${file%/environ}"
  done
}

# Ends what is left: TERM, then KILL after the grace.
finish() {
  local deadline=$((SECONDS + grace + 1)) rest=0.02
  [[ $mode == namespace ]] || rest=0.2 # each look goes through all processes of the machine
  signal TERM || return
  while ((SECONDS < deadline)); do
    pause "$rest"
    signal 0 || return
  done
  while signal KILL; do pause "$rest"; done
}

((${#hidden[@]} == 0)) || hide_folders
[[ $place == none ]] || place_secrets

set -m # a process group of its own
(
  set +m
  trap - HUP INT TERM
  for group in "${groups[@]}"; do echo 0 > "$group/cgroup.procs" || exit 125; done
  ulimit -d "$data" || exit 125
  # Where the whole machine is short of memory, services go before Realmgate.
  [[ ! -w /proc/self/oom_score_adj ]] || echo 300 > /proc/self/oom_score_adj
  unset REALMGATE_GUARD
  export REALMGATE_REPLICA=$marker
  for fd in {3..255}; do exec {fd}>&-; done # also the one that bash reads this script from
  exec "$@"
) &
main=$!
set +m
exec 2>/dev/null

(
  read -r -u 4
  finish
) &
watcher=$!

wait "$main"
printf 'exit %s\n' "$?" >&3
finish
kill -KILL "$watcher"
exit 0
}
