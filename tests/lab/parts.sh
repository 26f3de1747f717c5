# Where things of the lab lie, and how one says and waits. Sourced by the other scripts.
# shellcheck shell=bash

CACHE=${MIRRORLAG_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mirrorlag-lab}
# Programs, data and logs of the running lab; kept after it, until the next one. Login users must be able to read it.
RUN=${MIRRORLAG_LAB_RUN:-/tmp/mirrorlag-lab-$(id -u)}
ELASTICSEARCH_USER=mirrorlab-es

# shellcheck source=tests/lab/ports
. "$(dirname "${BASH_SOURCE[0]}")/ports"

SAY_START=${SAY_START:-$(date +%s)}
export SAY_START

# One line of progress on standard error: the time, the seconds since the start, the text.
say() {
  printf '[%(%H:%M:%S)T +%4ds] %s\n' -1 $(($(date +%s) - SAY_START)) "$*" >&2
}

# Waits until a command succeeds. A wait that runs out names what it waited for and shows the end of a log.
await() { # what seconds log command...
  local what=$1 seconds=$2 log=$3 end=$((SECONDS + $2))
  shift 3
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $end ]; then
      say "$what: not after $seconds s; the end of $log:"
      tail -n 20 "$log" >&2 || true
      return 1
    fi
    sleep 0.1
  done
}

# The first Java whose major version is at least $1, as its home folder.
find_java() { # minimum
  local home major best='' best_major=999
  for home in "${JAVA_HOME:-}" /usr/lib/jvm/*; do
    [ -n "$home" ] && [ -x "$home/bin/java" ] || continue
    major=$("$home/bin/java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    if [ -n "$major" ] && [ "$major" -ge "$1" ] && [ "$major" -lt "$best_major" ]; then
      best=$(readlink -f "$home") best_major=$major
    fi
  done
  [ -n "$best" ] && echo "$best"
}

# Starts a program in the background, in a session of its own and with the lab's mark, and notes its process id.
# The mark is how `down` finds what a program of the lab left behind.
start_part() { # name log command...
  local name=$1 log=$2
  shift 2
  MIRRORLAG_LAB_PROCESS=$RUN setsid "$@" </dev/null >>"$log" 2>&1 &
  echo $! >"$RUN/pids/$name.pid"
}

# A process and all below it, deepest last.
with_descendants() { # pid
  local child
  echo "$1"
  for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
    with_descendants "$child"
  done
}

# Ends one process and what hangs on it: politely, then after ten seconds for good.
end_process() { # pid
  local tree pid end=$((SECONDS + 10))
  tree=$(with_descendants "$1")
  for pid in $tree; do
    kill -CONT "$pid" 2>/dev/null || true
    kill -TERM "$pid" 2>/dev/null || true
  done
  while [ $SECONDS -lt $end ]; do
    alive "$tree" || return 0
    sleep 0.1
  done
  for pid in $tree; do kill -KILL "$pid" 2>/dev/null || true; done
}

# Whether any of these processes still runs; one that ended and was not collected by its parent does not.
alive() { # pids
  local pid
  for pid in $1; do
    [ -e "/proc/$pid/stat" ] && [ "$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2>/dev/null)" != Z ] && return 0
  done
  return 1
}

# Process ids that carry the lab's mark.
marked_processes() {
  grep -lzxs "MIRRORLAG_LAB_PROCESS=$RUN" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 || true
}
