/* SPDX-License-Identifier: MIT */
/* parts.h - the parts of services that have rows of their own (model/service.h), seen by the core.
 * At the end of a step each service that changed is looked through: what will not change any more gets its
 * row, what may change again (a rollback makes an old deployment the PRIMARY) loses it.  So whoever
 * changes a service only has to touch it, as before. */
#pragma once
#include "core/index.h"

bool row_is_part(enum row_kind kind);
/* Touches the rows of those whose time has come; of a service that was touched. */
void parts_sort(struct core *core, struct service *s);
/* Before a part, or the service, is freed: its row goes. */
void parts_drop(struct core *core, const struct service *s, enum row_kind kind, const char *id);
void parts_drop_all(struct core *core, const struct service *s);
struct json *parts_row(const struct core *core, enum row_kind kind, const char *key);
/* Rows that are loaded wait in the core until core_link(), which gives them to their services. */
void parts_load(struct core *core, enum row_kind kind, const struct json *row);
void parts_link(struct core *core);
void parts_each(const struct core *core, const struct service *s,
                void (*each)(void *arg, enum row_kind kind, const char *key), void *arg);
