/* SPDX-License-Identifier: MIT */
/* traffic_shift.h - moves traffic between the two target groups of a load balancer entry, by the
 * weights of a listener's default action (ecs.md 6.7).
 * An order to move is in force only once the balancer says so: only then may tasks of the group that
 * lost its traffic go, or a request would still be led to them.  Each order raises the generation of
 * its listener; the balancer's word names the one it acts by.
 * Shares are whole 1/1000 of the requests: the resolution of the balancer. */
#pragma once
#include "core/index.h"

#define SHARE_ALL 1000

enum traffic_kind { TRAFFIC_PRODUCTION, TRAFFIC_TEST };

/* Which group the tasks of `d` come into: where its traffic is `with` a sibling (they share it), or
 * beside it (the other one of the pair).  `other` NULL: the first of each pair. */
void traffic_choose_groups(struct deployment *d, const struct deployment *other, bool is_beside);
/* Is the task in the other group of a pair than its deployment?  It came before that was led there. */
bool traffic_is_astray(const struct task *t);
/* Orders: `share` of the requests to the groups of `to`, the rest to the others of the pairs that
 * the revision of `via` names.  False if a listener or a group is gone: then it can not be done. */
bool traffic_order(struct core *core, const struct deployment *via, const struct deployment *to,
                   enum traffic_kind kind, int share);
/* Are the last orders in force?  True without any listener. */
bool traffic_is_in_force(const struct core *core, const struct deployment *via,
                         enum traffic_kind kind);
void traffic_ask_again(struct core *core, const struct deployment *via, enum traffic_kind kind);
bool traffic_has_listeners(const struct deployment *via, enum traffic_kind kind);

void traffic_in_force(struct core *core, const struct ev_listener_in_force *ev);
