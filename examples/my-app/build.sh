#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the application, statically: the image holds nothing else.
# VERSION names the version; CONDITION says how it behaves (well, unhealthy, crashing), for demonstrations.
set -eu
case $(cat CONDITION) in
well) condition=0 ;;
unhealthy) condition=1 ;;
crashing) condition=2 ;;
*) echo "CONDITION is well, unhealthy or crashing" >&2; exit 1 ;;
esac
exec cc -O1 -static -pthread -DVERSION="\"$(cat VERSION)\"" -DCONDITION=$condition -o app app.c
