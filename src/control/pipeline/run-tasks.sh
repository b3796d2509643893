# What every plan ends in. `plan-script.ts` writes the arrays and the functions `realmgate_task_N` that stand before it.
# It needs bash 4.3 and nothing else but what the tasks need. Names begin with `realmgate_`, since a variable of the
# same name in the environment would otherwise be changed for the tasks.

# Every task leads a process group of its own: a signal then reaches all that it started.
set -m

# Everything that happens is told through this pipe, so that nothing is missed and one thing is done after the other:
# `N STATUS` when a task has ended, `stop STATUS` when the run shall end.
exec {realmgate_told}<> <(:)
trap 'printf "stop 143\n" >&"$realmgate_told"' TERM
trap 'printf "stop 130\n" >&"$realmgate_told"' INT
trap 'printf "stop 129\n" >&"$realmgate_told"' HUP

realmgate_root=$PWD
realmgate_states=()
realmgate_groups=()
realmgate_heard=

realmgate_say() { printf '[%s] %s\n' "${realmgate_names[$1]}" "$2"; }

# DIRECTORY COMMAND...: becomes the command, there.
realmgate_become() {
  cd -- "$realmgate_root/$1" || exit 1
  if [[ -n $realmgate_venv ]]; then
    export VIRTUAL_ENV=$realmgate_venv PATH=$realmgate_venv/bin:$PATH
  fi
  exec -- "${@:2}"
}

# DIRECTORY PYTHON NOTEBOOK OUTPUT PAPERMILL-OPTION...
realmgate_notebook() {
  local directory=$1 python=$2 notebook=$realmgate_root/$3 output=$realmgate_root/$4
  mkdir -p -- "${output%/*}" || exit 1
  case $("$python" -c "$realmgate_find_runner") in
    papermill)
      realmgate_become "$directory" "$python" -m papermill --no-progress-bar --log-output \
        --cwd "$realmgate_root/$directory" "${@:5}" "$notebook" "$output"
      ;;
    nbconvert)
      # From standard input, since it runs a named notebook in that notebook's directory.
      realmgate_become "$directory" "$python" -m nbconvert --to notebook --execute --ExecutePreprocessor.timeout=-1 \
        --stdin --output-dir "${output%/*}" --output "${output##*/}" < "$notebook"
      ;;
    *)
      printf '%s can run no notebook: install papermill or nbconvert, with ipykernel\n' "$python" >&2
      exit 1
      ;;
  esac
}

# PYTHON DIRECTORY REQUIREMENTS: makes the service's own environment, beside the packages of PYTHON, unless an earlier
# run has left just that one.
realmgate_install() {
  if ! "$1" -c 'import ensurepip, venv'; then
    printf '%s cannot install %s: it needs the modules venv and ensurepip (on Debian: apt-get install python3-venv)\n' \
      "$1" "$3" >&2
    exit 1
  fi
  local mark=("$1" -c "$realmgate_venv_mark" "$2" "$realmgate_root/$3")
  if [[ -e $2/realmgate.mark ]] && "${mark[@]}" check 2> /dev/null; then
    printf '%s has not changed: what an earlier run installed is used\n' "$3"
    exit 0
  fi
  rm -rf -- "$2" && "$1" -m venv --system-site-packages "$2" && "$1" -c "$realmgate_share_packages" "$2" || exit 1
  "$2/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
    --requirement "$realmgate_root/$3" || exit
  "${mark[@]}" keep || rm -f -- "$2/realmgate.mark"
}

realmgate_begin() {
  realmgate_say "$1" starting
  realmgate_states[$1]=running
  (
    # Signals are for the task: this shell has to tell how it ended, and bash's own words on that are noise.
    trap : TERM INT HUP
    exec {realmgate_errors}>&2 2> /dev/null
    (
      exec 2>&"$realmgate_errors" {realmgate_errors}>&- {realmgate_told}>&-
      "realmgate_task_$1"
    )
    printf '%s %s\n' "$1" "$?" >&"$realmgate_told"
  ) < /dev/null &
  realmgate_groups[$1]=$!
}

realmgate_begin_ready() {
  local task needed
  for task in "${!realmgate_names[@]}"; do
    [[ -z ${realmgate_states[task]} ]] || continue
    for needed in ${realmgate_after[task]}; do
      [[ ${realmgate_states[needed]} == ended ]] || continue 2
    done
    realmgate_begin "$task"
  done
}

# TASK STATUS; false = that was known, or is about no task.
realmgate_ended() {
  [[ $1 == [0-9]* && ${realmgate_states[$1]} == running ]] || return 1
  realmgate_states[$1]=ended
  # The system gives the number of an empty group away: by the end of the run it may be a stranger's.
  (($2 != 0)) || unset "realmgate_groups[$1]"
  realmgate_say "$1" "exited with $2"
}

realmgate_signal() {
  local group alive=1
  for group in "${@:2}"; do
    kill "-$1" -- "-$group" 2> /dev/null && alive=0
  done
  return "$alive"
}

# SECONDS: the next thing told, in `realmgate_subject` and `realmgate_status`; false = none in that time.
realmgate_hear() {
  local part
  # The time may be over in the middle of a line.
  IFS= read -r -t "$1" -u "$realmgate_told" part || { realmgate_heard+=$part; return 1; }
  realmgate_heard+=$part
  realmgate_subject=${realmgate_heard% *} realmgate_status=${realmgate_heard#* }
  realmgate_heard=
}

# STATUS SIGNAL: ends the run with it, and before that every task that runs or has just failed: by the signal, and what
# is left then by KILL. Signal 0 is none.
realmgate_end() {
  local task groups=("${realmgate_groups[@]}") until=$((SECONDS + realmgate_kill_after))
  realmgate_signal "$2" "${groups[@]}"
  while realmgate_signal 0 "${groups[@]}"; do
    ((SECONDS < until)) || realmgate_signal KILL "${groups[@]}"
    # What is dead and has a parent that never asks for it stays in its group.
    ((SECONDS < until + 2)) || break
    if realmgate_hear 0.1; then realmgate_ended "$realmgate_subject" "$realmgate_status"; fi
  done
  printf 'over 0\n' >&"$realmgate_told"
  until [[ $realmgate_subject == over ]]; do
    if realmgate_hear 1; then realmgate_ended "$realmgate_subject" "$realmgate_status"; fi
  done
  for task in "${!realmgate_groups[@]}"; do realmgate_ended "$task" 137; done
  exit "$1"
}

# A shell that was killed tells nothing.
realmgate_find_lost() {
  local task
  for task in "${!realmgate_states[@]}"; do
    if [[ ${realmgate_states[task]} == running ]] && ! kill -0 "${realmgate_groups[task]}" 2> /dev/null; then
      printf '%s 137\n' "$task" >&"$realmgate_told"
    fi
  done
}

realmgate_run() {
  local left=${#realmgate_names[@]}
  while ((left > 0)); do
    realmgate_begin_ready
    realmgate_hear 10 || { realmgate_find_lost; continue; }
    [[ $realmgate_subject != stop ]] || realmgate_end "$realmgate_status" "$realmgate_hand_on"
    realmgate_ended "$realmgate_subject" "$realmgate_status" || continue
    ((realmgate_status == 0)) || realmgate_end "$realmgate_status" TERM
    ((left--))
  done
}

realmgate_run
exit 0
