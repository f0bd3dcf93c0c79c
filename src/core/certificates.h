/* SPDX-License-Identifier: MIT */
/* certificates.h - certificates are rows, and so are trust stores; a listener that names one keeps it (alb.md A3).
 * Called by core_step() only; ids are the door's, so an unknown one asserts. */
#pragma once
#include "core/index.h"

void certificate_put(struct core *core, const struct ev_certificate_put *ev);
void certificate_delete(struct core *core, const struct ev_certificate_delete *ev);
void trust_store_put(struct core *core, const struct ev_trust_store_put *ev);
void trust_store_delete(struct core *core, const struct ev_trust_store_delete *ev);
void listener_check_certificates(const struct core *core, const struct listener *l); /* asserts */
