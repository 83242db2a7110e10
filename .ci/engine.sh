#!/usr/bin/env bash
# Makes a Docker engine answer on a Debian machine, a container or a small virtual machine; run as root.
# An engine that answers already is left as it is.
set -euo pipefail

say() { printf 'engine: %s\n' "$*"; }
answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

install_engine() {
  command -v dockerd >/dev/null && command -v docker >/dev/null && return
  local packages=(docker.io) guard=/usr/sbin/policy-rc.d guarded=
  # the command line is a package of its own on newer releases
  if apt-cache show docker-cli >/dev/null 2>&1; then packages+=(docker-cli); fi
  say "installing ${packages[*]}"
  # the package would start the engine before the machine is ready for it
  if [ ! -e "$guard" ]; then printf '#!/bin/sh\nexit 101\n' >"$guard"; chmod +x "$guard"; guarded=yes; fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" iptables >/dev/null
  if [ -n "$guarded" ]; then rm -f "$guard"; fi
}

# A machine without an init system has no control groups, and the engine cannot limit memory without them.
mount_control_groups() {
  grep -qE ' cgroup2? ' /proc/mounts && return
  say "mounting control groups"
  mount -t tmpfs -o mode=755 none /sys/fs/cgroup
  # no more than the engine uses: one that is known but mounted nowhere hides that memory ran out
  local controller
  for controller in cpu cpuacct cpuset memory pids devices freezer blkio; do
    grep -q "^$controller[[:space:]]" /proc/cgroups || continue
    mkdir -p "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" none "/sys/fs/cgroup/$controller" || say "no controller $controller"
  done
}

# Prints the options that the engine needs where the kernel has no (new) packet filter.
network_options() {
  if iptables -w -t nat -L -n >/dev/null 2>&1; then return; fi
  if iptables-legacy -w -t nat -L -n >/dev/null 2>&1; then
    update-alternatives --set iptables "$(command -v iptables-legacy)" >/dev/null
  else
    echo --iptables=false --ip6tables=false --bridge=none
  fi
}

start_engine() {
  local log=/var/log/dockerd-of-the-tests.log options=() process
  read -r -a options <<<"$(network_options)" || true
  say "starting dockerd ${options[*]:-}"
  # with no open file of ours, so that whoever waits for our output to end does not wait for the engine
  setsid nohup dockerd "${options[@]}" </dev/null >"$log" 2>&1 &
  process=$!
  for _ in $(seq 240); do
    if answers; then return; fi
    if ! kill -0 "$process" 2>/dev/null; then break; fi
    sleep 0.25
  done
  tail -n 20 "$log" >&2
  say "dockerd does not answer" >&2
  return 1
}

answers && exit
install_engine
answers && exit
mount_control_groups
start_engine
