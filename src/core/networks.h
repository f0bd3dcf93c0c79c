/* SPDX-License-Identifier: MIT */
/* networks.h - VPCs, subnets and security groups: rows that hang together, and nothing of it moves
 * by itself. A change of a group is one of what load balancers let in. Called by core_step() only;
 * ids are the door's, so an unknown one asserts. */
#pragma once
#include "core/index.h"

void network_put(struct core *core, const struct ev_network_put *ev);
void network_delete(struct core *core, const struct ev_network_delete *ev);
void network_check(const struct core *core, const struct network *n); /* asserts */
