/* SPDX-License-Identifier: MIT */
/* rules.h - the rules of listeners: rows like listeners, with a place in an order (alb.md A4).
 * A rule lives as long as its listener at most, and no two of a listener have one priority: also not
 * between two rows of one SetRulePriorities, which is one event.  Which one a request meets is the
 * balancer's business; the core's is only that a group to which a rule leads is in use.
 * Called by core_step() only; ids are the door's, so an unknown one asserts. */
#pragma once
#include "core/index.h"

void rule_put(struct core *core, const struct ev_rule_put *ev);
void rule_delete(struct core *core, const struct ev_rule_delete *ev);
void rule_priorities(struct core *core, const struct ev_rule_priorities *ev);
void rules_forget_listener(struct core *core, const char *listener_arn);
void rule_check(const struct core *core, const struct rule *r); /* asserts */
