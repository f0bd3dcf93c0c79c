/* SPDX-License-Identifier: MIT */
/* view_tls.h - the part of the balancer's view that HTTPS has, for effects.c. */
#pragma once
#include "balancer/balancer.h"
#include "core/core.h"

void view_tls_listener(struct view_listener *to, const struct core *core, const struct load_balancer *lb,
                       const struct listener *l);
void view_tls_certificates(struct balancer_view *v, const struct core *core);
