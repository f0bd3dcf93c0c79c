/* SPDX-License-Identifier: MIT */
/* view_tls.c - what the balancer needs to serve HTTPS: certificates, and which listener has which. */
#include "daemon/view_tls.h"

#include "model/arn.h"

static bool
has_id(const struct view_listener *l, const char *id)
{
    for (int i = 0; i < l->certificate_count; i++)
        if (strcmp(l->certificate_ids[i], id) == 0)
            return true;
    return false;
}

/* False: it verifies its clients, and it is not known by what. */
static bool
view_trust(struct view_trust *to, const struct core *core, const struct listener *l)
{
    const struct trust_store *t = core_trust_store(core, listener_trust_store(l));

    to->is_passed_on = strcmp(json_get_cstr(l->mutual, "Mode", ""), "passthrough") == 0;
    if (to->is_passed_on)
        return text_copy(to->id, sizeof(to->id), arn_last(str_of(l->arn)));
    if (l->mutual == NULL)
        return true;
    if (t == NULL || !text_copy(to->id, sizeof(to->id), arn_last(str_of(t->arn))))
        return false;
    to->bundle = json_ref(t->bundle);
    to->revocations = json_size(t->revocations) > 0 ? json_ref(t->revocations) : NULL;
    to->ignores_expiry = json_get_bool(l->mutual, "IgnoreClientCertificateExpiry", false);
    to->shows_names = strcmp(json_get_cstr(l->mutual, "AdvertiseTrustStoreCaNames", "off"), "on") == 0;
    return true;
}

void
view_tls_listener(struct view_listener *to, const struct core *core, const struct load_balancer *lb,
                  const struct listener *l)
{
    const size_t count = json_size(l->certificates);

    if (count == 0)
        return;
    to->policy = ssl_policy_find(l->ssl_policy);
    if (to->policy == NULL)
        to->policy = ssl_policy_find(SSL_POLICY_DEFAULT);
    to->has_http2 =
        lb == NULL || strcmp(json_get_cstr(lb->attributes, "routing.http2.enabled", "true"), "true") == 0;
    if (!view_trust(&to->trust, core, l))
        return; /* without a certificate it is not served, rather than let everybody in */
    to->certificate_ids = mem_new(count * sizeof(*to->certificate_ids));
    for (size_t i = 0; i < count; i++) {
        char id[CERTIFICATE_ID_SIZE];

        if (text_copy(id, sizeof(id), arn_last(str_of(json_cstr(json_at(l->certificates, i), "")))) &&
            !has_id(to, id))
            memcpy(to->certificate_ids[to->certificate_count++], id, sizeof(id));
    }
}

void
view_tls_certificates(struct balancer_view *v, const struct core *core)
{
    int count = 0;

    for (const struct certificate *c = core->certificates; c != NULL; c = c->next)
        count++;
    v->certificates = mem_new(sizeof(*v->certificates) * (size_t)(count + 1));
    for (const struct certificate *c = core->certificates; c != NULL; c = c->next) {
        struct view_certificate *to = &v->certificates[v->certificate_count];

        if (!core_certificate_in_use(core, c->arn) || !text_copy(to->id, sizeof(to->id), arn_last(str_of(c->arn))))
            continue;
        to->body = json_ref(c->body);
        to->chain = c->chain != NULL ? json_ref(c->chain) : NULL;
        to->private_key = json_ref(c->private_key);
        v->certificate_count++;
    }
}
