/* SPDX-License-Identifier: MIT */
#include "core/certificates.h"
#include <assert.h>
#include "core/requests.h"

struct certificate *
core_certificate(const struct core *core, const char *arn)
{
    return strmap_get(&core->index->certificates, arn);
}

bool
core_certificate_in_use(const struct core *core, const char *arn)
{
    for (const struct listener *l = core->listeners; l != NULL; l = l->next)
        if (listener_has_certificate(l, arn))
            return true;
    return false;
}

void
certificate_put(struct core *core, const struct ev_certificate_put *ev)
{
    struct certificate *c = ev->certificate, **at = SLOT_OF(core->certificates, c->arn);

    c->created_at_ms = c->imported_at_ms = core->now_ms;
    c->next = NULL;
    if (*at != NULL) {
        c->next = (*at)->next;
        c->created_at_ms = (*at)->created_at_ms;
        certificate_free(*at);
    }
    *at = c;
    strmap_put(&core->index->certificates, c->arn, c);
    if (core_certificate_in_use(core, c->arn))
        config_changed(core, ROW_CERTIFICATE, c->arn);
    else
        core_touch(core, ROW_CERTIFICATE, c->arn);
}

void
certificate_delete(struct core *core, const struct ev_certificate_delete *ev)
{
    struct certificate **at = SLOT_OF(core->certificates, ev->arn), *c = *at;

    assert(c != NULL && !core_certificate_in_use(core, ev->arn));
    *at = c->next;
    strmap_remove(&core->index->certificates, c->arn);
    core_touch(core, ROW_CERTIFICATE, c->arn);
    certificate_free(c);
}

void
listener_check_certificates(const struct core *core, const struct listener *l)
{
    for (size_t i = 0; i < json_size(l->certificates); i++)
        assert(core_certificate(core, json_cstr(json_at(l->certificates, i), "")) != NULL);
}
