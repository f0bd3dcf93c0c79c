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

struct trust_store *
core_trust_store(const struct core *core, const char *arn)
{
    return strmap_get(&core->index->trust_stores, arn);
}

bool
core_trust_store_in_use(const struct core *core, const char *arn)
{
    for (const struct listener *l = core->listeners; l != NULL; l = l->next)
        if (strcmp(listener_trust_store(l), arn) == 0)
            return true;
    return false;
}

void
trust_store_put(struct core *core, const struct ev_trust_store_put *ev)
{
    struct trust_store *t = ev->trust_store, **at = SLOT_OF(core->trust_stores, t->arn);

    t->created_at_ms = core->now_ms;
    t->next = NULL;
    if (*at != NULL) {
        t->next = (*at)->next;
        t->created_at_ms = (*at)->created_at_ms;
        trust_store_free(*at);
    }
    *at = t;
    strmap_put(&core->index->trust_stores, t->arn, t);
    if (core_trust_store_in_use(core, t->arn))
        config_changed(core, ROW_TRUST_STORE, t->arn);
    else
        core_touch(core, ROW_TRUST_STORE, t->arn);
}

void
trust_store_delete(struct core *core, const struct ev_trust_store_delete *ev)
{
    struct trust_store **at = SLOT_OF(core->trust_stores, ev->arn), *t = *at;

    assert(t != NULL && !core_trust_store_in_use(core, ev->arn));
    *at = t->next;
    strmap_remove(&core->index->trust_stores, t->arn);
    core_touch(core, ROW_TRUST_STORE, t->arn);
    trust_store_free(t);
}

void
listener_check_certificates(const struct core *core, const struct listener *l)
{
    for (size_t i = 0; i < json_size(l->certificates); i++)
        assert(core_certificate(core, json_cstr(json_at(l->certificates, i), "")) != NULL);
    assert(l->mutual == NULL || core_trust_store(core, listener_trust_store(l)) != NULL);
}
