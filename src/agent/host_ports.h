/* SPDX-License-Identifier: MIT */
/* host_ports.h - contiguous host ports for containerPortRanges in bridge mode (ecs.md 3.5).
 * Docker picks single ports by itself, but no row of them.  They are of the machine's dynamic range,
 * as in ECS.  That a port is free is looked up, not reserved: somebody may take it before the
 * container has it, and Docker may listen where we can not look.  So whoever starts it tries again
 * with others.
 * From any thread: what was given out is not given out again before all others were. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>

struct host_ports {
    int low, high;   /* both included */
    atomic_int next; /* where the next search begins */
};

/* The system's ip_local_port_range, in which the search begins anywhere. */
void host_ports_init(struct host_ports *p);
/* The first of `count` ports in a row that nobody is bound to; 0: there are none. */
int host_ports_take(struct host_ports *p, int count, bool is_udp);
