#!/bin/sh
# SPDX-License-Identifier: MIT
# dockerd.sh - a Docker Engine to work with, on machines with and without systemd.
#
#   tools/dockerd.sh start         the machine's own: prints the socket of one that answers ($DOCKER_HOST,
#                                  /var/run/docker.sock); if none does, starts it at the standard paths
#   tools/dockerd.sh start DIR     a private one for tests, all of it under DIR, with a bridge and address
#                                  range of its own; never touches the firewall or another dockerd
#   tools/dockerd.sh stop [DIR]    stops what `start` started (never one that was there before)
#   tools/dockerd.sh purge DIR     stop, and remove DIR's data
#
# `start` prints the socket's path on stdout, everything else goes to stderr; repeating it is harmless.
# A private one publishes ports through docker-proxy only (--iptables=false): reachable from this machine,
# containers reach this machine but not the internet, and each other unless another dockerd set the
# FORWARD policy to DROP.  NARU_DOCKERD_ARGS adds arguments.
set -eu
umask 022
PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin

say() { echo "dockerd.sh: $*" >&2; }
die() { say "$*"; exit 1; }

# Does a Docker Engine answer on this socket?
answers() {
    [ -S "$1" ] || return 1
    [ "$(curl -s --max-time 5 --unix-socket "$1" http://localhost/_ping 2>/dev/null)" = OK ]
}

# Is the process in this file alive, and a dockerd?  A pid alone may have been given to somebody else.
alive() {
    [ -s "$1" ] && [ "$(cat "/proc/$(cat "$1")/comm" 2>/dev/null)" = dockerd ]
}

# wait_for SOCKET PID_FILE SECONDS
wait_for() {
    tries=$(($3 * 10))
    while [ $tries -gt 0 ]; do
        answers "$1" && return 0
        [ -z "$launched" ] || kill -0 "$launched" 2>/dev/null || return 1
        sleep 0.1
        tries=$((tries - 1))
    done
    return 1
}

# launch LOG ARGS...: its own session, so that it outlives the shell and its terminal.
launch() {
    log=$1
    shift
    # shellcheck disable=SC2086  # NARU_DOCKERD_ARGS is a list
    setsid dockerd "$@" ${NARU_DOCKERD_ARGS:-} >>"$log" 2>&1 </dev/null &
    launched=$!
}

# Free second octet of 10.0.0.0/8 for a private engine: N, counted from a hash of DIR so that a
# repeated start finds the same one.
free_octet() {
    n=$(printf %s "$1" | cksum | cut -d' ' -f1)
    i=0
    while [ $i -lt 96 ]; do
        octet=$((128 + (n + i) % 96))
        if ! { ip -4 route show; ip -4 -o addr show; } | grep -q "[ ^]10\.$octet\."; then
            echo $octet
            return 0
        fi
        i=$((i + 1))
    done
    die "no free address range under 10.128.0.0/9"
}

bridge_name() { printf 'nrd%s' "$(printf %s "$1" | cksum | cut -d' ' -f1)"; }

start_private() {
    mkdir -p "$1" || die "cannot make $1"
    dir=$(cd "$1" && pwd)
    sock=$dir/docker.sock
    [ ${#sock} -lt 100 ] || die "$sock is too long for a unix socket, choose a shorter directory"
    if answers "$sock"; then
        echo "$sock"
        return
    fi
    if alive "$dir/pid"; then
        launched=
        wait_for "$sock" "$dir/pid" 20 || die "the dockerd of $dir runs but does not answer, see $dir/log"
        echo "$sock"
        return
    fi
    rm -f "$dir/pid" "$sock"
    bridge=$(bridge_name "$dir")
    if ! ip link show "$bridge" >/dev/null 2>&1; then
        octet=$(free_octet "$dir")
        ip link add name "$bridge" type bridge || die "cannot make the bridge $bridge (root is needed)"
        ip addr add "10.$octet.0.1/24" dev "$bridge"
    fi
    ip link set "$bridge" up
    octet=$(ip -4 -o addr show dev "$bridge" | sed -n 's/.*inet 10\.\([0-9]*\)\..*/\1/p')
    [ -n "$octet" ] || die "the bridge $bridge has no address"
    launch "$dir/log" -H "unix://$sock" --data-root "$dir/data" --exec-root "$dir/exec" \
        --pidfile "$dir/pid" --bridge "$bridge" --iptables=false --ip6tables=false \
        --default-address-pool "base=10.$octet.128.0/17,size=24"
    wait_for "$sock" "$dir/pid" 60 || {
        tail -5 "$dir/log" >&2
        die "dockerd did not start, see $dir/log"
    }
    echo "$sock"
}

start_system() {
    sock=/var/run/docker.sock
    launched=
    case ${DOCKER_HOST:-} in
    unix://*)
        if answers "${DOCKER_HOST#unix://}"; then
            echo "${DOCKER_HOST#unix://}"
            return
        fi
        ;;
    esac
    if answers $sock; then
        echo $sock
        return
    fi
    command -v dockerd >/dev/null || die "dockerd is not installed: apt-get install docker.io"
    if [ -d /run/systemd/system ]; then
        systemctl start docker || die "systemctl start docker failed"
        wait_for $sock /var/run/docker.pid 60 || die "docker.service runs but $sock does not answer"
        echo $sock
        return
    fi
    [ "$(id -u)" = 0 ] || die "no Docker Engine answers on $sock, and starting one needs root"
    alive /var/run/docker.pid || rm -f /var/run/docker.pid
    log=/var/log/dockerd.log
    # With its own rules first; where the kernel offers no nf_tables, with the legacy tool; where it
    # offers no filter at all, without: ports are then published by docker-proxy alone.
    for how in plain legacy none; do
        set --
        path=$PATH
        case $how in
        legacy)
            [ -x /usr/sbin/iptables-legacy ] || continue
            mkdir -p /run/naru-iptables
            ln -sf /usr/sbin/iptables-legacy /run/naru-iptables/iptables
            ln -sf /usr/sbin/ip6tables-legacy /run/naru-iptables/ip6tables
            path=/run/naru-iptables:$PATH
            ;;
        none) set -- --iptables=false --ip6tables=false ;;
        esac
        PATH=$path launch $log -H "unix://$sock" "$@"
        if wait_for $sock /var/run/docker.pid 60; then
            echo "$launched" >/run/naru-dockerd.pid
            echo $sock
            return
        fi
        tail -20 $log | grep -qi iptables || break
        say "dockerd failed over iptables, trying another way"
    done
    tail -5 $log >&2
    die "dockerd did not start, see $log"
}

stop_pid_file() {
    alive "$1" || return 0
    pid=$(cat "$1")
    kill "$pid" 2>/dev/null || return 0
    tries=300
    while kill -0 "$pid" 2>/dev/null; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || die "dockerd $pid does not stop"
        sleep 0.1
    done
    rm -f "$1"
}

stop_private() {
    [ -d "$1" ] || return 0
    dir=$(cd "$1" && pwd)
    stop_pid_file "$dir/pid"
    ip link del "$(bridge_name "$dir")" 2>/dev/null || :
}

case ${1:-} in
start) if [ $# -gt 1 ]; then start_private "$2"; else start_system; fi ;;
stop) if [ $# -gt 1 ]; then stop_private "$2"; else stop_pid_file /run/naru-dockerd.pid; fi ;;
purge)
    [ $# -gt 1 ] || die "purge needs a directory"
    stop_private "$2"
    if [ -d "$2/data" ]; then
        # What a kill left mounted would keep its directory busy.
        grep -o " $(cd "$2" && pwd)/[^ ]*" /proc/mounts | sort -r | while read -r m; do umount -l "$m" || :; done
        rm -rf "$2/data" "$2/exec" "$2/log" "$2/pid" "$2/docker.sock"
        rmdir "$2" 2>/dev/null || :
    fi
    ;;
*) sed -n 's/^#   //p' "$0" >&2; exit 2 ;;
esac
